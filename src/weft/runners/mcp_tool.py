"""`tool`: a call of a tool of a server that speaks the Model Context Protocol, on the engine's own loop.

- A server is started, or reached, when a step first needs it. All steps of the run share its session, which ends with the run;
  one that breaks is replaced at the next call.
- Arguments are checked against the schema that the server tells of the tool, before it is called.
- The output is the structured content of the result; without any its text; a result that is no text comes as a list of its parts.
  What a tool reports as an error is a failure with that text.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from weft import __version__
from weft.core.rate import NEVER, opens, taken
from weft.host.children import Children
from weft.host.outcome import last_lines, tail
from weft.host.usage import told
from weft.model.output import ErrorRecord
from weft.model.suggest import did_you_mean
from weft.model.workflow import Server, Tool
from weft.ports import Ended, Job
from weft.runners.launch import Refused, find_program
from weft.runners.mcp_stdio import Life, Lifeline, Program, connect, environment
from weft.runners.tasks import TaskRunner, error_of

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, RequestParamsMeta

START_S: Final = 60.0
"""A server that has not answered by then is taken to be broken: some fetch what they need when they start."""
CLOSE_S: Final = 10.0
"""How long a session may take to end before it is cut off."""
REAP_S: Final = 1.0
"""How long the exit status of a program that has closed its output may take to be known."""
PAGES_MAX: Final = 100
"""Pages of a list of tools; a server that never comes to an end of them is broken."""
MESSAGE_CHARS_MAX: Final = 500
USAGE: Final = "weft/usage"
"""Under this name of its metadata a result tells what it used, as `$WEFT_USAGE` would."""
IDEMPOTENCY: Final = "weft/idempotencyKey"
"""Under this name of its metadata a call carries the key that is equal over the attempts of a step."""


class ToolRunner(TaskRunner):
    """Runs Tool actions.

    `servers` are those of the workflow, `secrets` the values of its secrets, `base_env` is where the few variables come from that
    programs inherit. `folder` is that of the run, `run` its id, which marks all processes.
    """

    def __init__(
        self, servers: Mapping[str, Server], secrets: Mapping[str, str], base_env: Mapping[str, str], folder: Path, run: str
    ) -> None:
        super().__init__()
        self._servers, self._secrets, self._base_env = servers, secrets, base_env
        self._folder, self._run = folder, run
        self._children = Children()
        self._lifeline: Lifeline | None = None
        self._sessions: dict[str, _Session] = {}
        self._full_at: dict[Tool, float] = {}
        """Of the bucket of each tool, by the clock of the loop; see `core.rate`."""
        self._left: set[_Session] = set()
        """Those that are broken, until they have ended."""
        for name in ("client", "mcp"):
            logging.getLogger(name).addHandler(logging.NullHandler())  # what goes wrong is told as errors of steps

    async def close(self) -> None:
        await super().close()
        await asyncio.gather(*(session.end() for session in (*self._sessions.values(), *self._left)))
        self._children.close()
        if self._lifeline:
            self._lifeline.close()

    async def _do(self, job: Job) -> Ended:
        action = job.action
        assert isinstance(action, Tool)
        session = self._session(action.server, job.cwd)
        session.calls += 1
        try:
            client = await session.ready()
            session.check(action.name, job.inputs)
            await self._let_in(action)
            key = job.env.get("WEFT_IDEMPOTENCY_KEY", "")
            meta = cast("RequestParamsMeta", {IDEMPOTENCY: key}) if key else None
            result = await client.call_tool(action.name, job.inputs, meta=meta)
        except Refused as refused:
            return Ended(key=job.key, outcome="failed", error=refused.record)
        except Exception as error:  # the client raises what its transports do, in groups or not
            session.broken = session.broken or _breaks(error)
            return Ended(key=job.key, outcome="failed", error=await session.told(error))
        finally:
            session.calls -= 1
            if session.is_over and not session.calls:
                self._leave(action.server, session)
        return told(_ended(job, f"{action.server}/{action.name}", result), (result.meta or {}).get(USAGE))

    async def _let_in(self, tool: Tool) -> None:
        """Wait until the rate of the server lets the tool be called. The starts of steps keep it too, but while the server starts
        their calls gather, and a tool that only added steps call has no pool."""
        rate, loop = self._servers[tool.server].rate, asyncio.get_running_loop()
        if rate is None:
            return
        full_at, now = self._full_at.get(tool, NEVER), loop.time()
        when = max(now, opens(full_at, rate, rate.starts))
        self._full_at[tool] = taken(full_at, rate, when)
        await asyncio.sleep(when - now)

    def _session(self, name: str, cwd: str) -> "_Session":
        session = self._sessions.get(name)
        if session is None or session.is_over:
            if session:
                self._left.add(session)
            session = self._sessions[name] = _Session(name, partial(self._connect, name, self._servers[name], cwd))
        return session

    def _leave(self, name: str, session: "_Session") -> None:
        """Nobody needs this session any more: it ends, and the next call has another."""
        if self._sessions.get(name) is session:
            del self._sessions[name]
        self._left.add(session)
        ending = asyncio.get_running_loop().create_task(session.end())
        ending.add_done_callback(lambda _: self._left.discard(session))

    def _connect(self, name: str, server: Server, cwd: str, life: Life) -> AbstractAsyncContextManager[Any]:
        """The streams of a new session. Raises Refused."""
        if server.url:
            from weft.runners import mcp_http

            return mcp_http.connect(server, self._secrets, START_S)
        given = {**server.env, **{secret: self._secrets[secret] for secret in server.secrets}}
        env = environment(given, self._base_env, self._run)
        program = Program(
            file=find_program(server.command[0], env, cwd),
            argv=server.command,
            env=env,
            cwd=cwd,
            log=str(self._folder / "servers" / f"{list(self._servers).index(name)}.log"),
            run=self._run,
        )
        life.log = program.log
        self._lifeline = self._lifeline or Lifeline()
        return connect(program, self._children, self._lifeline, life)


class _Session:
    """One session with a server, held open by a task of its own from the first call until `end`."""

    def __init__(self, name: str, streams: Callable[[Life], AbstractAsyncContextManager[Any]]) -> None:
        self._name, self._streams = name, streams
        self.life = Life()
        self.calls = 0
        self.broken = False
        self._tools: dict[str, dict[str, Any]] = {}
        self._leave = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Client] = loop.create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # somebody has looked at it
        self._task = loop.create_task(self._hold())

    @property
    def is_over(self) -> bool:
        """Whether no call can succeed in it."""
        return self.broken or self._task.done() or self._leave.is_set() or self.life.hung_up

    async def ready(self) -> "Client":
        """Its client, once the server has answered. Whoever stops waiting does not stop the others."""
        return await asyncio.shield(self._ready)

    async def _hold(self) -> None:
        from mcp import Client
        from mcp_types import Implementation

        try:
            about = Implementation(name="weft", version=__version__)
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(START_S):
                    client = await stack.enter_async_context(Client(self._streams(self.life), client_info=about))
                    self._tools = await _tools(client)
                self._ready.set_result(client)
                await self._leave.wait()
        except asyncio.CancelledError:
            self._ready.cancel()
        except BaseException as error:  # whoever waits for the session must be told, whatever it was
            if not self._ready.done():  # else it breaks as it ends: whoever waits for an answer is told by the call
                self._ready.set_exception(_innermost(error))

    async def end(self) -> None:
        """Close it, with the server if it is a program. Never raises."""
        self._leave.set()
        _, late = await asyncio.wait([self._task], timeout=CLOSE_S)
        for task in late:
            task.cancel()
            await asyncio.wait([task])

    def check(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Raises Refused if the server has no such tool, or the arguments do not fit its schema."""
        schema = self._tools.get(tool)
        if schema is None:
            near = did_you_mean(tool, self._tools)
            has = ", ".join(f"`{name}`" for name in list(self._tools)[:20]) or "none"
            raise Refused(
                "input", f"the server `{self._name}` has no tool `{tool}`", f"did you mean `{near}`?" if near else f"it has {has}"
            )
        if wrong := _misfit(schema, arguments):
            takes = ", ".join(f"`{name}`" for name in list(schema.get("properties", {}))[:20])
            hint = f"it takes {takes}" if takes else "it takes no arguments"
            raise Refused("input", f"`{self._name}/{tool}` cannot be called with this: {wrong}", hint)

    async def told(self, error: Exception) -> ErrorRecord:
        """The error of a step whose call came to this. For a program that has ended, with what it said last."""
        if self.life.hung_up:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.life.ended.wait(), REAP_S)
            code = f" (exit {self.life.end.code})" if self.life.end else ""
            message = f"the server `{self._name}` has ended{code} instead of answering"
        elif isinstance(error, TimeoutError):
            message = f"the server `{self._name}` has not answered within {START_S:g} seconds of its start"
        else:
            record = error_of(error)
            return msgspec.structs.replace(record, message=f"the server `{self._name}`: {record.message}"[:MESSAGE_CHARS_MAX])
        return ErrorRecord(kind="error", message=message, exception="ServerError", tail=tail(self.life.log))


def _breaks(error: Exception) -> bool:
    """Whether this ends the session, rather than one call."""
    from anyio import BrokenResourceError, ClosedResourceError
    from mcp.shared.exceptions import MCPError
    from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

    if isinstance(error, MCPError):
        return error.code in (CONNECTION_CLOSED, INVALID_REQUEST)  # the latter of one that the server does not know any more
    return isinstance(error, BrokenResourceError | ClosedResourceError | OSError)


async def _tools(client: "Client") -> dict[str, dict[str, Any]]:
    """The schema of the arguments of each tool."""
    found: dict[str, dict[str, Any]] = {}
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await client.list_tools(cursor=cursor)
        found |= {tool.name: tool.input_schema for tool in page.tools}
        cursor = page.next_cursor
        if cursor is None:
            return found
    return found


def _misfit(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """What is wrong with arguments by a schema, or nothing. What the schema refers to elsewhere is not fetched."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
    try:
        error = best_match(validator.iter_errors(arguments))
    except Unresolvable:
        return ""
    if error is None:
        return ""
    where = f"`{'.'.join(map(str, error.absolute_path))}`: " if error.absolute_path else ""
    return f"{where}{error.message}"[:MESSAGE_CHARS_MAX]


def _ended(job: Job, tool: str, result: "CallToolResult") -> Ended:
    texts = [part.text for part in result.content if part.type == "text"]
    text = "\n".join(texts)
    if result.is_error:
        first = text.strip().partition("\n")[0][:MESSAGE_CHARS_MAX] or "it gave no reason"
        error = ErrorRecord(kind="error", message=f"`{tool}`: {first}", exception="ToolError", tail=last_lines(text))
        return Ended(key=job.key, outcome="failed", error=error)
    if result.structured_content is not None:
        output = result.structured_content
    elif len(texts) == len(result.content):
        output = text
    else:
        output = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in result.content]
    return Ended(key=job.key, outcome="ok", payload=msgspec.json.encode(output))


def _innermost(error: BaseException) -> BaseException:
    """What went wrong, out of the groups that tasks of the client make of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
