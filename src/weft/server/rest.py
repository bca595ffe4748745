"""The REST interface that the Hybrid Workflow Engine documents: list the workflow files of a folder, and run one.

- Every request carries the token, and names this host: a web page that the user happens to visit can do neither.
- A run is an engine of its own, `weft run` in a child process: it is in the journal like any other, and outlives this server.
"""

import asyncio
import hmac
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from weft.formats import Loaded
from weft.formats.hwfe_code import language_of
from weft.journal.codec import decode
from weft.model.problem import Problem
from weft.model.suggest import did_you_mean
from weft.views.rest import Told

EXTENSIONS: Final = (".lua", ".yaml", ".yml", ".json")
RUNS_MAX: Final = 8
"""Runs at once; a request beyond is told to come back."""
LINE_BYTES_MAX: Final = 64 << 20
"""A fact with an inline output is far smaller; the last line has all outputs."""
BODY_BYTES_MAX: Final = 1 << 20
TAIL_CHARS: Final = 4000
RETRY_AFTER_S: Final = 5


class Files(NamedTuple):
    """The workflow files of a folder, by the endings of their names, and no more than `count_max`."""

    folder: Path
    endings: tuple[str, ...]
    count_max: int

    def by_name(self) -> dict[str, Path]:
        """Of two with one name, the first by the order of the endings."""
        files: dict[str, Path] = {}
        for ending in self.endings:
            for path in sorted(self.folder.iterdir()):
                if path.name.endswith(ending) and path.is_file():
                    files.setdefault(path.name.removesuffix(ending).removesuffix(".weft"), path)
        return dict(list(files.items())[: self.count_max])


class Rest:
    """`files` are those that can be run, `project` is where runs work, `look` reads a file and collects its problems."""

    def __init__(self, files: Files, project: Path, token: str, look: Callable[[str], Loaded]) -> None:
        self._files, self._project, self._token, self._look = files, project, token, look
        self._running = 0

    def application(self, hosts: list[str]) -> Starlette:
        """The ASGI application. `hosts`: the names by which it may be asked."""
        routes = [
            Route("/api/workflows", self._guarded(self._list), methods=["GET"]),
            Route("/api/workflows/{name}/run", self._guarded(self._run), methods=["POST"]),
        ]
        return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])

    def _guarded(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> JSONResponse:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self._token.encode()):
                return _problem(
                    401, "the token is missing or wrong: send `Authorization: Bearer …` with what `weft serve` printed"
                )
            response: JSONResponse = await answer(request)
            return response

        return guarded

    async def _list(self, request: Request) -> JSONResponse:
        return JSONResponse(
            [await asyncio.to_thread(self._described, name, path) for name, path in self._files.by_name().items()]
        )

    def _described(self, name: str, path: Path) -> dict[str, str]:
        loaded = self._look(str(path))
        workflow = loaded.workflow
        about = workflow.description if workflow else f"invalid: {_errors(loaded)[0].message}"
        shown = workflow.name if workflow else name
        return {"name": name, "display_name": shown, "description": about, "path": os.path.relpath(path, self._project)}

    async def _run(self, request: Request) -> JSONResponse:
        files, name = self._files.by_name(), request.path_params["name"]
        if name not in files:
            near = did_you_mean(name, files)
            return _problem(404, f"there is no workflow `{name}`" + (f"; did you mean `{near}`?" if near else ""))
        try:
            inputs = await _inputs(request)
        except ValueError as error:
            return _problem(400, str(error))
        loaded = await asyncio.to_thread(self._look, str(files[name]))
        if loaded.workflow is None:
            said = (f"{problem.place.file}:{problem.place.line}: {problem.message}" for problem in _errors(loaded))
            return _problem(422, "; ".join(said))
        if self._running >= RUNS_MAX:
            return _problem(503, f"{RUNS_MAX} runs are going on already", {"Retry-After": str(RETRY_AFTER_S)})
        self._running += 1
        try:
            told = Told(name, {step.id: language_of(step.action) for step in loaded.workflow.steps})
            return await self._ran(files[name], inputs, told)
        finally:
            self._running -= 1

    async def _ran(self, path: Path, inputs: Mapping[str, str], told: Told) -> JSONResponse:
        """Run it to its end and say how that was."""
        pairs = [f"--input={key}={value}" for key, value in inputs.items()]
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "weft.cli.main", "run", "--output", "json", *pairs, "--", str(path)),
            cwd=self._project,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            start_new_session=True,  # Ctrl-C at the server is not meant for it
        )
        assert child.stdout is not None
        assert child.stderr is not None
        said = asyncio.create_task(child.stderr.read())
        outputs = None
        async for line in child.stdout:
            value = msgspec.json.decode(line)
            if "outputs" in value:
                outputs = value["outputs"]
            else:
                told.see(decode(line))
        code = await child.wait()
        errors = (await said).decode("utf-8", "replace")[-TAIL_CHARS:]
        if code in (2, 5, 6):
            return _problem(422 if code == 2 else 500, errors.strip())
        return JSONResponse(told.reply(outputs))


async def _inputs(request: Request) -> dict[str, str]:
    """The inputs of the run, from a body `{"inputs": {…}}`; none without a body. Raises ValueError."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise ValueError(f"the body is longer than {BODY_BYTES_MAX:,} bytes")
    value = json.loads(body) if body else {}
    given = value.get("inputs", {}) if isinstance(value, dict) else None
    if not isinstance(given, dict):
        raise ValueError('the body must be empty, or a mapping: {"inputs": {"name": value}}')
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}


def _errors(loaded: Loaded) -> list[Problem]:
    return [problem for problem in loaded.problems if problem.severity == "error"]


def _problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status, headers=headers)
