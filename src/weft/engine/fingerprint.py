"""What a step is about to be run with, as digests by part: only they are compared, kept and shown, never a value.

The value of a secret is no part of a fingerprint: a new token gives no new result. Its name is.
"""

import os
from collections.abc import Iterator, Mapping
from hashlib import blake2b, file_digest
from typing import Final

import msgspec

from weft.host.contents import DIGEST_BYTES
from weft.model.workflow import Action, Agent, Argv, Plugin, Python, Shell, Step, Value, Wasm

FORMAT: Final = 1
"""Goes up when the same parts would stand for something else, so that no older success is taken for the same."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def digest(value: Value) -> str:
    """Equal for equal values, whatever the order of their keys."""
    return blake2b(_encode(value), digest_size=DIGEST_BYTES).hexdigest()


def key_of(parts: Mapping[str, str]) -> str:
    """One digest for all parts."""
    return digest([FORMAT, sorted(parts.items())])


def parts_of(
    step: Step, action: Action, inputs: Mapping[str, Value], env: Mapping[str, str], versions: Mapping[str, Value], cwd: str
) -> dict[str, str]:
    """All parts but the files. Everything is resolved; `cwd` is the folder in which the step would run."""
    parts = {name: digest(value) for name, value in _action(action, cwd, env)}
    parts |= {f"with.{name}": digest(value) for name, value in inputs.items()}
    parts |= {f"env.{name}": digest(value) for name, value in env.items()}
    parts |= {f"versions.{name}": digest(value) for name, value in versions.items()}
    parts["output"] = digest(step.output)
    if step.cwd:
        parts["cwd"] = digest(step.cwd)
    if step.secrets:
        parts["secrets"] = digest(sorted(step.secrets))
    return parts


def _action(action: Action, cwd: str, env: Mapping[str, str]) -> Iterator[tuple[str, Value]]:
    match action:
        case Shell(script=script, shell=shell):
            yield "run", script
            yield "shell", shell
        case Argv(argv=argv):
            yield "run", len(argv)
            yield from ((f"run[{n}]", item) for n, item in enumerate(argv))
        case Python(code=code, target=""):
            yield "python", code
        case Python(target=target):
            yield "python", target
            module = target.partition(":")[0]
            yield f"module {module}", _source(module, cwd)
        case Plugin(package=package, name=name):
            from weft.host.plugins import version_of  # late: what reads metadata costs a start 10 ms

            yield "uses", [package, name]
            yield f"version of {package}", version_of(package)
        case Wasm(module=module, function=function):
            yield "wasm", [module, function]
            yield f"module {module}", _bytes(os.path.join(cwd, module)).hex()
        case Agent(model=""):
            yield "agent", action
            yield "WEFT_MODEL", env.get("WEFT_MODEL") or os.environ.get("WEFT_MODEL", "")
        case _:
            yield str(type(action).__struct_config__.tag), action


def _bytes(path: str) -> bytes:
    """A digest of a file; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, lambda: blake2b(digest_size=DIGEST_BYTES)).digest()
    except OSError:
        return b""


def _source(module: str, cwd: str) -> str:
    """The text of a module of the project, which is found without importing anything; empty if it is none of the project's."""
    path = os.path.join(cwd, *module.split("."))
    for file in (path + ".py", os.path.join(path, "__init__.py")):
        try:
            with open(file, encoding="utf-8", errors="replace") as source:
                return source.read()
        except OSError:
            continue
    return ""


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The parts that are not as they were, by name."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
