"""The code at the other end of a worker's socket: runs Python steps, one at a time, in a process that stays warm.

- Runs as a script in the user's interpreter and imports a little of the standard library, nothing of weft: it starts about as
  fast as Python itself, and one module is all that a step sees of us.
- Every message is one packet of JSON, or names a file that holds it. The reply says what a job left behind that cannot be put
  back; what can be (environment, folder, import path) is put back when the next begins.
- When the engine dies, however it dies, the kernel kills this process group at once, whatever the code is doing.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import sys
from _thread import _count as thread_count
from contextlib import suppress
from types import CodeType, CoroutineType, FunctionType, ModuleType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias  # typing alone would cost a fifth of the start.

    Outcome: TypeAlias = tuple[bytes, dict[str, Any] | None]  # the result as JSON, or an error record

CHANNEL, LIFELINE = 3, 4
"""Descriptors given by the engine: the socket, and the read end of a pipe whose other end lives as long as the engine does."""
READY = b"+"
"""What we say first; all else is JSON."""
PACKET_BYTES_MAX = 128 << 10
"""A Unix socket takes packets up to its buffer, 208 KiB by default; larger messages go through a file."""
STATUS_BYTES_MAX = 8 << 10
"""More than /proc/self/status has."""
DEPTH_MAX = 200
"""Nesting of a result: deeper than any data a person writes, and what every JSON reader takes."""
CODES_MAX = 500
"""Compiled texts kept, a few KiB each; a workflow rarely has more Python steps."""
MESSAGE_CHARS_MAX = 500
TAIL_LINES_MAX, TAIL_CHARS_MAX = 20, 8 << 10
"""What a person reads on one screen, kept in the journal with the failure."""


MODULE = "weft_step"
FILE = f"<{MODULE}>"
"""The same for all steps, since steps of one fan-out share their compiled text; a traceback names the step instead."""
CO_VARARGS, CO_VARKEYWORDS = 0x04, 0x08
"""Flags of a code object; documented with inspect, which costs as much to import as all of this."""


class Failure(Exception):
    """A failure that is told in our words, not as an exception of the step's code."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.record = {"kind": kind, "message": message[:MESSAGE_CHARS_MAX], "hint": hint[:MESSAGE_CHARS_MAX]}


# ---- the call ----


def invoke(function: Any, inputs: dict[str, Any]) -> Any:
    """Call `run` the way it asks for: `run(**inputs)`, or `run(inputs)` if `inputs` is all it takes. Awaits a coroutine."""
    takes = _parameters(function)
    if takes is None:  # Neither a function nor anything that tells its parameters.
        result = function(**inputs)
    else:
        known, required, any_more = takes
        if known == ["inputs"] and not any_more and "inputs" not in inputs:
            result = function(inputs)
        else:
            _check(known, required, any_more, inputs)
            result = function(**inputs)
    if isinstance(result, CoroutineType):
        import asyncio

        return asyncio.run(result)
    return result


def _parameters(function: Any) -> tuple[list[str], list[str], bool] | None:
    """Names that may be given, names that must be given, and whether any other may."""
    if isinstance(function, FunctionType) and not function.__code__.co_posonlyargcount and not hasattr(function, "__wrapped__"):
        code = function.__code__
        positional, names = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
        known = list(code.co_varnames[:names])
        required = known[: positional - len(function.__defaults__ or ())]
        required += [name for name in known[positional:] if name not in (function.__kwdefaults__ or ())]
        return known, required, bool(code.co_flags & CO_VARKEYWORDS)
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return (
        [p.name for p in named],
        [p.name for p in named if p.default is p.empty],
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def _check(known: list[str], required: list[str], any_more: bool, inputs: dict[str, Any]) -> None:
    missing = [name for name in required if name not in inputs]
    unexpected = [] if any_more else [name for name in inputs if name not in known]
    if missing or unexpected:
        parts = ["it needs " + _names(missing)] * bool(missing) + ["it does not take " + _names(unexpected)] * bool(unexpected)
        takes = f"takes {_names(known)}" if known else "takes nothing"
        gives = f"gives {_names(inputs)}" if inputs else "gives nothing"
        raise Failure("input", f"the inputs do not fit `run`: {' and '.join(parts)}", f"`run` {takes}; `with` {gives}")


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def find_function(call: dict[str, Any], codes: dict[str, CodeType]) -> Any:
    """The `run` of the step's code, or the function that its target names."""
    request = call["request"]
    if path := request.get("guest"):
        guest = _guest(path)
        if "beside" in request:
            guest.__dict__["beside"] = _guest(request["beside"])
        return guest.find(*request["plugin"]) if "plugin" in request else guest.run
    if target := request.get("target"):
        name, _, path = target.partition(":")
        import importlib

        found = importlib.import_module(name)
        for part in path.split("."):
            found = getattr(found, part)
        return found
    if (code := codes.get(request["code"])) is None:
        if len(codes) >= CODES_MAX:
            codes.clear()
        code = codes[request["code"]] = compile(request["code"], FILE, "exec", dont_inherit=True)
    # A real module, since dataclasses and others look their module up by name.
    module = sys.modules[MODULE] = ModuleType(MODULE)
    exec(code, module.__dict__)
    if not callable(function := module.__dict__.get("run")):
        raise Failure("error", "the code defines no function `run`", "def run(…): its parameters are the keys of `with`")
    return function


def _guest(path: str) -> ModuleType:
    """The module of weft that runs another language: by its path, so that nothing on the step's import path stands in for it."""
    name = f"weft_guest:{path}"
    if name not in sys.modules:
        from importlib.machinery import SourceFileLoader
        from importlib.util import module_from_spec, spec_from_loader

        loader = SourceFileLoader(name, path)
        spec = spec_from_loader(name, loader)
        assert spec
        module = module_from_spec(spec)
        loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def _watch(path: str) -> Any:
    """Note in this file which files are opened from now on, until `end` is called."""
    watch = _guest(os.path.join(os.path.dirname(__file__), "watching.py")).WATCH
    watch.begin(path)
    return watch


# ---- the result ----


def as_json(result: Any) -> bytes:
    _check_plain(result, "output", 0)
    try:
        return json.dumps(result, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode()
    except UnicodeEncodeError:
        raise Failure("invalid_output", "the result holds half of a surrogate pair, which is not text", HINT_TEXT) from None


HINT = "return what JSON can say: None, bool, int, float, str, list, and dict with str keys"
HINT_TEXT = "decode bytes with errors='replace', not 'surrogateescape'"
HINTS = {
    "set": "list(…) or sorted(…)",
    "bytes": ".decode()",
    "ndarray": ".tolist()",
    "DataFrame": ".to_dict('records')",
    "generator": "list(…)",
    "coroutine": "await it: `run` may be `async def`",
    "datetime": ".isoformat()",
    "Decimal": "str(…) or float(…)",
    "PosixPath": "str(…)",
}


def _check_plain(value: Any, where: str, depth: int) -> None:
    """Raise for what JSON would refuse, mangle (int keys, NaN) or never end (a cycle). Tuples pass: they become lists."""
    kind = type(value)
    if kind in (str, int, bool, type(None)):
        return
    if depth > DEPTH_MAX:
        raise Failure("invalid_output", f"the result is nested deeper than {DEPTH_MAX} levels (or holds itself)", HINT)
    if isinstance(value, float):
        if value - value != 0:
            raise Failure("invalid_output", f"`{where}` is {value}, which JSON cannot say", "return None for a missing number")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                message = f"`{where}` has the key {key!r:.60} of type {type(key).__name__}; keys must be str"
                raise Failure("invalid_output", message, "{str(k): v for k, v in ….items()}")
            if type(item) not in (str, int, bool):
                _check_plain(item, f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if type(item) not in (str, int, bool):
                _check_plain(item, f"{where}[{index}]", depth + 1)
    elif not isinstance(value, str | int):
        cure = HINTS.get(kind.__name__) or next((HINTS[base.__name__] for base in kind.__mro__ if base.__name__ in HINTS), "")
        raise Failure("invalid_output", f"`{where}` is of type {kind.__name__}", cure or HINT)


# ---- failures ----


def describe(error: BaseException, call: dict[str, Any]) -> dict[str, Any]:
    """An exception as an error record. Its traceback starts in the step's own code and shows its lines."""
    import linecache
    import traceback

    code = call["request"].get("code", "")
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    text = "".join(traceback.format_exception(type(error), error, _without_ours(error.__traceback__)))
    text = text.replace(FILE, f"<{call['step']}>")
    with suppress(Exception):  # The step closed or replaced it, or the disk is full.
        sys.stderr.write(text)
    first_line = _text_of(error).strip().partition("\n")[0].replace(FILE, f"<{call['step']}>")
    name = type(error).__name__
    after_s = retry_after_s(error)
    return {
        **({} if after_s is None else {"retry_after_s": after_s}),
        "kind": "out_of_memory" if isinstance(error, MemoryError) else "error",
        "message": (f"{name}: {first_line}" if first_line else name)[:MESSAGE_CHARS_MAX],
        "exception": " ".join(base.__name__ for base in type(error).__mro__ if base is not object),
        "tail": "\n".join(text.strip().splitlines()[-TAIL_LINES_MAX:])[-TAIL_CHARS_MAX:],
    }


def retry_after_s(error: BaseException) -> float | None:
    """Seconds before which another attempt makes no sense: the exception's own `retry_after` (a number, text or timedelta), or
    the Retry-After of the HTTP response that it carries (RFC 9110, 10.2.3: seconds or a date)."""
    with suppress(Exception):  # Whatever else it has under these names is not for us.
        value = getattr(error, "retry_after", None)
        if value is None:
            headers = getattr(error, "headers", None) or getattr(getattr(error, "response", None), "headers", None)
            value = headers.get("Retry-After") if headers else None
        if value is None or isinstance(value, bool):
            return None
        if hasattr(value, "total_seconds"):
            seconds = float(value.total_seconds())
        elif isinstance(value, str) and not value.strip().replace(".", "", 1).isdigit():
            import time
            from email.utils import parsedate_to_datetime

            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        else:
            seconds = float(value)
        return max(0.0, seconds) if seconds - seconds == 0 else None
    return None


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # Its class has a __str__ that fails.
        return ""


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is neither ours nor of the machinery that we called the step with."""
    rest = trace
    while rest and (file := rest.tb_frame.f_code.co_filename) and (file == __file__ or _is_machinery(file)):
        rest = rest.tb_next
    return rest


def _is_machinery(file: str) -> bool:
    return file.startswith("<frozen importlib") or any(f"{os.sep}{part}{os.sep}" in file for part in ("asyncio", "importlib"))


def run(call: dict[str, Any], codes: dict[str, CodeType]) -> Outcome:
    """The result as JSON, or b"" and an error record."""
    try:
        return as_json(invoke(find_function(call, codes), call["request"]["inputs"])), None
    except Failure as failure:
        return b"", failure.record
    except SystemExit as leave:
        if leave.code in (None, 0):
            return b"null", None
        code = leave.code if isinstance(leave.code, int) else 1
        message = f"exit {code}" if isinstance(leave.code, int) else str(leave.code)[:MESSAGE_CHARS_MAX]
        return b"", {"kind": "exit", "message": message, "exit_code": code}
    except BaseException as error:  # All that a step can raise is its own failure, never ours.
        return b"", getattr(error, "weft_record", None) or describe(error, call)


# ---- one job ----


class Place:
    """What a job may change in this process and the next one must not see."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.env = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}
        self.cwd = os.getcwd()
        self.path = list(sys.path)
        self.streams = sys.stdout, sys.stderr
        self.cpu_s, self.children_kib = _usage()
        self.peak_at, self.peak_reset = _peak_files()

    def prepare(self, call: dict[str, Any]) -> None:
        for number, path in enumerate(call["logs"], 1):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.dup2(fd, number)
            os.close(fd)
        self._set_environment(call["env"])
        if call["cwd"] != self.cwd or os.getcwd() != self.cwd:
            os.chdir(call["cwd"])
            self.cwd = call["cwd"]
        sys.path[:] = [self.cwd, *self.path]
        sys.stdout, sys.stderr = self.streams
        if self.peak_reset >= 0:
            os.write(self.peak_reset, b"5")

    def _set_environment(self, env: dict[str, str]) -> None:
        """Our own, and that of the job: only what differs is touched, for most of it is as it was for the job before."""
        wanted = self.env | {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
        present: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # unlike environb, without a copy
        for name in present.keys() - wanted.keys():
            del os.environb[name]
        for name, value in wanted.items():
            if present.get(name) != value:
                os.environb[name] = value

    def left(self, scratch: str) -> dict[str, bool]:
        """What the job left: `wrote` to its logs, `littered` its scratch folder; `unclean` if it cannot be put back."""
        running = thread_count() or signal.getitimer(signal.ITIMER_REAL)[0] or any(stream.closed for stream in self.streams)
        try:
            wrote = os.fstat(1).st_size + os.fstat(2).st_size > 0
            return {"unclean": bool(running), "wrote": wrote, "littered": bool(os.listdir(scratch))}
        except OSError:  # It closed or removed what it was given.
            return {"unclean": True, "wrote": True, "littered": True}

    def spent(self) -> tuple[float, int | None]:
        """CPU seconds since the last call, and the most memory that this process, or a child that it waited for, had in bytes.

        Of children only the largest so far is known.
        """
        before = self.cpu_s, self.children_kib
        self.cpu_s, self.children_kib = _usage()
        own_kib = _peak_kib(os.pread(self.peak_at, STATUS_BYTES_MAX, 0)) if self.peak_reset >= 0 else 0
        peak_kib = max(own_kib, self.children_kib if self.children_kib > before[1] else 0)
        return self.cpu_s - before[0], peak_kib * 1024 or None


def serve(call: dict[str, Any], place: Place, codes: dict[str, CodeType]) -> None:
    leases = _receive(call["leases"]) if call["leases"] else []
    try:
        place.prepare(call)
        watch = _watch(call["watch"]) if call.get("watch") else None
    except (OSError, ValueError) as error:
        outcome: Outcome = b"", {"kind": "error", "message": f"the step could not be prepared: {error}"}
    else:
        outcome = run(call, codes)
        if watch:
            watch.end()
    result, record = outcome
    if os.getpid() != place.pid:
        os._exit(70)  # A fork that the step made and that came back here: one worker is enough.
    for stream in place.streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # The disk is full, or the step closed it.
    for fd in leases:
        with suppress(OSError):  # The step closed all that it found.
            os.close(fd)
    cpu_s, rss_bytes = place.spent()
    header: dict[str, Any] = {"cpu_s": cpu_s, "rss_bytes": rss_bytes, **place.left(call["env"]["WEFT_DIR"])}
    if record is not None:
        header["error"] = record
    elif len(result) > PACKET_BYTES_MAX // 2:
        with open(call["output"], "wb", opener=_private) as file:
            file.write(result)
        header["file"] = True
        result = b""
    packet = json.dumps(header, ensure_ascii=False).encode("utf-8", "replace")
    os.write(CHANNEL, packet[:-1] + b',"result":' + (result or b"null") + b"}")


def _receive(count: int) -> list[int]:
    """Descriptors that come in a packet of their own: we, and what we fork, hold shared slots as long as we have them."""
    from _socket import CMSG_SPACE, socket
    from array import array

    channel = socket(fileno=CHANNEL)
    found = array("i")
    _, ancillary, *_ = channel.recvmsg(1, CMSG_SPACE(count * found.itemsize))
    channel.detach()
    for _, _, data in ancillary:
        found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _usage() -> tuple[float, int]:
    """CPU seconds of this process and the children it waited for, and the peak of the largest child's memory in KiB."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, children.ru_maxrss


def _peak_files() -> tuple[int, int]:
    """Where the kernel tells the peak of our memory, and where it takes the order to forget it (5 in proc(5)); -1: nowhere.

    getrusage cannot be asked: it starts with the peak of the engine that we were forked from, and never forgets.
    """
    try:
        status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        return status, os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return -1, -1


def _peak_kib(status: bytes) -> int:
    start = status.find(b"VmHWM:")
    return int(status[start:].split(None, 2)[1]) if start >= 0 else 0


# ---- the process ----


def die_with_the_engine() -> None:
    """Have the kernel send SIGKILL to our process group when the pipe closes (F_SETOWN and F_SETSIG in fcntl(2))."""
    fd = os.open(f"/proc/self/fd/{LIFELINE}", os.O_RDONLY | os.O_CLOEXEC)  # The signal belongs to an open file: have our own.
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_ASYNC)
    os.close(LIFELINE)
    os.set_blocking(fd, False)
    try:
        os.read(fd, 1)
    except BlockingIOError:
        return
    os._exit(0)  # It was closed before all this was set up.


def main() -> None:
    die_with_the_engine()
    os.set_inheritable(CHANNEL, False)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    import faulthandler

    faulthandler.enable()  # A crash says where it was, in the log of the step.
    place = Place()
    codes: dict[str, CodeType] = {}
    os.write(CHANNEL, READY)
    while packet := os.read(CHANNEL, PACKET_BYTES_MAX):
        call = json.loads(packet)
        if "message_file" in call:
            with open(call["message_file"], "rb") as file:
                call = json.load(file)
        serve(call, place, codes)


if __name__ == "__main__":
    main()
