"""Which programs may be started as servers of tools: those that the user of this machine has said yes to, once.

A workflow file comes from somewhere, and a server is a program of somebody else that lives as long as the run. What is allowed is
a command line word for word, with the names of the variables that it is given; in one folder only if a word of it names a file
there.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from weft.model.errors import MachineError
from weft.model.workflow import Server

BYTES_MAX: Final = 10 << 20
"""Of the file: a hundred thousand command lines."""


class Allowed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command line. `variables`: names of what it is given. `folder`: where, if that makes a difference."""

    command: tuple[str, ...]
    variables: tuple[str, ...] = ()
    folder: str = ""


def book(environment: Mapping[str, str]) -> Path:
    """The file in which they are kept."""
    home = environment.get("XDG_STATE_HOME") or os.path.join(environment.get("HOME", "/"), ".local", "state")
    return Path(home) / "weft" / "servers.json"


def asked(server: Server, project: Path) -> Allowed:
    """What is asked for when this server is started in a project."""
    local = any(not os.path.isabs(word) and (project / word).exists() for word in server.command)
    names = sorted({*server.env, *server.secrets})
    return Allowed(server.command, tuple(names), str(project.absolute()) if local else "")


def read(path: Path) -> set[Allowed]:
    """All that is allowed. Raises MachineError if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return set(msgspec.json.decode(file.read(BYTES_MAX), type=list[Allowed]))
    except FileNotFoundError:
        return set()
    except (OSError, msgspec.MsgspecError) as error:
        raise MachineError(f"{path} cannot be read: {error}; correct it, or remove it and allow servers again") from None


def allow(path: Path, more: Iterable[Allowed]) -> None:
    """Add to what is allowed, on disk. Raises MachineError."""
    known = read(path)
    listed = sorted({*known, *more}, key=lambda each: (each.command, each.variables, each.folder))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n")
        part.chmod(0o600)
        part.replace(path)
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error}") from None


def refusal(wanted: Mapping[str, Allowed]) -> str:
    """What to say, and to do, where these are not allowed."""
    name, each = next(iter(wanted.items()))
    more = f", and {len(wanted) - 1} more" if len(wanted) > 1 else ""
    given = f", given {', '.join(each.variables)}," if each.variables else ""
    line = " ".join(word if word.isprintable() else repr(word) for word in each.command)
    return (
        f"the server `{name}`{more} is a program that nobody has allowed on this machine: `{line}`{given} would be started; "
        "`weft allow FILE` asks you about it, `weft run -y FILE` says yes"
    )


def missing(servers: Mapping[str, Server], project: Path, environment: Mapping[str, str]) -> dict[str, Allowed]:
    """What is not allowed yet of these servers, by name. Raises MachineError."""
    wanted = {name: asked(server, project) for name, server in servers.items() if server.command}
    known = read(book(environment)) if wanted else set()
    return {name: each for name, each in wanted.items() if each not in known}
