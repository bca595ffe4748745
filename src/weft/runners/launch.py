"""How the data of a job becomes arguments, environment and input file of a process.

- Data is never program text: a value reaches a script as an environment variable or as JSON, and an argument as one argument.
- What a channel cannot carry is not cut or mangled: it is left out of the environment (`$WEFT_INPUT` and stdin have it), and
  refused in an argument list, before anything starts.
"""

import errno
import os
import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from weft.model.masking import LENGTH_MIN
from weft.model.output import ErrorKind, ErrorRecord
from weft.model.suggest import did_you_mean
from weft.model.workflow import Argv, Shell, Value
from weft.ports import Job

ITEM_BYTES_MAX = 100 << 10
"""Linux carries at most 128 KiB in one argument or variable, its name included (MAX_ARG_STRLEN)."""
ENV_INPUTS_BYTES_MAX = 1 << 20
"""All inputs together in the environment: Linux carries 2 MiB of arguments and environment under the default stack limit."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
"""Names that a shell can read. (Others are worse than useless: bash runs `BASH_FUNC_x%%` as program text.)"""

BASH = ("bash", "-eu", "-o", "pipefail", "-c")
SH = ("sh", "-eu", "-c")


class Refused(Exception):
    """The attempt cannot be started as it is; `record` says why."""

    def __init__(self, kind: ErrorKind, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.record = ErrorRecord(kind=kind, message=message, hint=hint)


def as_text(value: Value) -> str:
    """A value as an environment variable: text as it is, null as nothing, the rest as JSON (`true`, `1.5`, `[1,2]`)."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def environment(job: Job, base: Mapping[str, str], paths: Mapping[str, str]) -> dict[str, str]:
    """`base`, then the inputs, then `job.env`, then the marker and `paths`: the later one wins."""
    env = dict(base)
    bytes_left = ENV_INPUTS_BYTES_MAX
    for name, value in job.inputs.items():
        text = as_text(value)
        size = len(text.encode())
        if size <= min(ITEM_BYTES_MAX, bytes_left) and "\0" not in text and VARIABLE.match(name):
            env[name] = text
            bytes_left -= size
        else:
            env.pop(name, None)  # Another's value under this name would be worse than none.
    for name, text in job.env.items():
        if "\0" in name + text or "=" in name or not name:
            raise Refused("input", f"the environment variable `{name}` holds a NUL or has no proper name", "pass it in `with`")
        if len(text.encode()) > ITEM_BYTES_MAX:
            raise Refused(
                "input",
                f"the environment variable `{name}` is larger than {ITEM_BYTES_MAX >> 10} KiB",
                "pass it in `with` and read the file $WEFT_INPUT",
            )
        env[name] = text
    env |= paths
    env["WEFT_RUN"], env["WEFT_STEP"], env["WEFT_ATTEMPT"] = job.run, job.step, str(job.attempt)
    return env


def arguments(job: Job, script_file: str) -> tuple[list[str], str]:
    """The argument list, and the script that must be written to `script_file` first because it is too long for it (or "")."""
    if isinstance(job.action, Shell):
        interpreter, script = job.action.shell or BASH, job.action.script
        if "\0" in script:
            raise Refused("input", "the script holds a NUL character", "remove it; no program can be given one")
        if len(script.encode()) <= ITEM_BYTES_MAX:
            return [*interpreter, script], ""
        if interpreter[-1] not in ("-c", "-e") or len(interpreter) < 2:
            raise Refused(
                "input",
                f"the script is longer than {ITEM_BYTES_MAX >> 10} KiB, which `{interpreter[0]}` cannot be given as an argument",
                "put it into a file of the project and run that",
            )
        return [*interpreter[:-1], script_file], script
    assert isinstance(job.action, Argv)
    for number, item in enumerate(job.action.argv):
        _check_argument(job, number, item)
    return list(job.action.argv), ""


def _check_argument(job: Job, number: int, item: str) -> None:
    place = f"`run[{number}]`"
    cure = "pass it in `with` and let the program read $WEFT_INPUT or stdin"
    if "\0" in item:
        raise Refused("input", f"{place} holds a NUL character, which an argument cannot carry", cure)
    if (size := len(item.encode())) > ITEM_BYTES_MAX:
        raise Refused("input", f"{place} has {size} bytes; an argument carries at most {ITEM_BYTES_MAX >> 10} KiB", cure)
    for secret in job.secrets:
        if secret and (item == secret or (len(secret) >= LENGTH_MIN and secret in item)):
            raise Refused(
                "input",
                f"{place} holds a secret, which everybody on this machine could read in the process list",
                "the step finds it in its environment: let the program take it from there",
            )


def find_program(name: str, env: Mapping[str, str], cwd: str) -> str:
    """The file that `name` means, by the PATH of the step. Raises Refused with the likely cause."""
    if "/" in name:
        path = os.path.join(cwd, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        if os.path.isfile(path):
            raise Refused("error", f"`{name}` is not executable", f"chmod +x {path}")
        raise Refused("error", f"there is no program `{name}` in `{cwd}`", "a path is looked up from the step's `cwd`")
    folders = [folder or "." for folder in env.get("PATH", os.defpath).split(os.pathsep)]
    for folder in folders:
        path = os.path.join(cwd, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise Refused("error", f"there is no program `{name}`", _missing_hint(name, folders, cwd))


def _missing_hint(name: str, folders: list[str], cwd: str) -> str:
    if os.path.isfile(os.path.join(cwd, name)):
        return f"write `./{name}` for the file in the step's folder"
    known: set[str] = set()
    for folder in folders:
        with suppress(OSError):  # PATH may name folders that do not exist.
            known.update(os.listdir(os.path.join(cwd, folder)))
    guess = did_you_mean(name, known)
    return (f"did you mean `{guess}`? " if guess else "") + f"PATH is {os.pathsep.join(folders)}"


def start_failure(error: OSError, job: Job) -> ErrorRecord:
    """Why the operating system did not start the process."""
    if error.errno == errno.E2BIG:
        return ErrorRecord(
            kind="input", message="the arguments and the environment together are too large", hint="pass data in `with`"
        )
    if error.errno == errno.ENOEXEC:
        return ErrorRecord(
            kind="error", message=f"`{error.filename}` is not a program", hint="a script needs a first line like `#!/bin/sh`"
        )
    if not os.path.isdir(job.cwd):
        return ErrorRecord(kind="error", message=f"the step's folder `{job.cwd}` does not exist", hint="see the step's `cwd`")
    return ErrorRecord(kind="error", message=f"it could not be started: {error}")
