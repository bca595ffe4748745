"""Reading a workflow file. Whatever a user can get wrong about it comes back as a problem, never as an exception."""

import os
import stat
from pathlib import Path

from weft.model.problem import Place, Problem
from weft.model.suggest import did_you_mean

SIZE_MAX_BYTES = 512_000_000
"""The largest file of any format; formats set lower limits of their own."""

SIBLINGS_MAX = 10_000
"""Names in a folder that are looked at to suggest one."""

XZ_MEMORY_MAX_BYTES = 256 << 20
"""What decompressing may need beside the result: four times the dictionary of the highest preset of xz."""

CHUNK_BYTES = 1 << 20

FOLDER_FILES_MAX = 5_000
FOLDER_BYTES_MAX = 64 << 20
"""Of the definitions in a folder: the largest that is known has a few hundred, of a kilobyte each."""
FOLDER_SUFFIXES = (".yaml", ".yml", ".json", ".py")


def read_source(path: str | os.PathLike[str], size_max: int = SIZE_MAX_BYTES) -> tuple[bytes | None, list[Problem]]:
    """The content, or a problem. A file called `*.xz` is decompressed; `size_max` (bytes) holds before and after that.

    Regular files and pipes are read; anything else could be endless.
    """
    name = os.fspath(path)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None, [_problem("W101", f"there is no file `{name}`", name, _sibling(Path(name)))]
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return None, [_unreadable(name, error)]
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            return None, [_problem("W102", f"`{name}` is a folder", name, _inside(Path(name)))]
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
            return None, [_problem("W102", f"`{name}` is not a file", name, "give the path of a file")]
        os.set_blocking(descriptor, True)
        data = _read(descriptor, status.st_size, size_max)
    except OSError as error:
        return None, [_unreadable(name, error)]
    finally:
        os.close(descriptor)
    if name.endswith(".xz") and len(data) <= size_max:
        return _decompressed(data, name, size_max)
    return _within(data, name, size_max)


def _read(descriptor: int, expected: int, size_max: int) -> bytes:
    """All of it, or a little more than `size_max`. A regular file, whose size is known, comes in one piece."""
    chunks: list[bytes] = []
    size, wanted = 0, min(expected, size_max) + 1
    while size <= size_max and (chunk := os.read(descriptor, wanted)):
        chunks.append(chunk)
        size += len(chunk)
        wanted = CHUNK_BYTES
    return b"".join(chunks)


def _within(data: bytes, name: str, size_max: int) -> tuple[bytes | None, list[Problem]]:
    if len(data) <= size_max:
        return data, []
    message = f"the file has more than {size_max:,} bytes"
    return None, [_problem("W104", message, name, "check that it is the right file; --size-max raises the limit")]


def _decompressed(data: bytes, name: str, size_max: int) -> tuple[bytes | None, list[Problem]]:
    import lzma

    chunks, size = [], 0
    try:
        while data.strip(b"\0") and size <= size_max:  # one stream after the other; they may be padded with NULs
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_MAX_BYTES)
            while not stream.eof and size <= size_max:
                chunk = stream.decompress(data, max_length=CHUNK_BYTES)
                if not chunk and stream.needs_input:
                    raise lzma.LZMAError("it ends too early")
                chunks.append(chunk)
                size += len(chunk)
                data = b""
            data = stream.unused_data
    except lzma.LZMAError as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        return None, [_problem("W105", f"the xz file is damaged: {reason}", name, f"fetch it again, or check it: `xz -t {name}`")]
    return _within(b"".join(chunks), name, size_max)


def _problem(code: str, message: str, name: str, hint: str) -> Problem:
    return Problem(code=code, message=message, place=Place(name), hint=hint)


def _unreadable(name: str, error: OSError | ValueError) -> Problem:
    reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
    hint = f"`chmod u+r {name}`, or ask its owner" if isinstance(error, PermissionError) else "check the name and the disk"
    return _problem("W103", f"`{name}` cannot be read: {reason}", name, hint)


def read_folder(path: str) -> dict[str, bytes]:
    """The files of a folder and the folders in it that define something, by name. One that cannot be read is not among them."""
    found: dict[str, bytes] = {}
    size = 0
    for folder, inside, names in os.walk(path):
        inside[:] = sorted(name for name in inside if not name.startswith((".", "__")))
        for name in sorted(names):
            file = os.path.join(folder, name)
            if not name.endswith(FOLDER_SUFFIXES):
                continue
            data, _ = read_source(file, FOLDER_BYTES_MAX - size)
            if data is not None:
                found[file] = data
                size += len(data)
            if len(found) >= FOLDER_FILES_MAX:
                return found
    return found


def _sibling(path: Path) -> str:
    """A file that could have been meant."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder `{folder}`"
    found = did_you_mean(path.name, _names(folder))
    return f"did you mean `{folder / found}`?" if found else "check the name and the folder; `ls *.yaml` lists what is here"


def _inside(folder: Path) -> str:
    """A workflow in this folder."""
    files = sorted(name for name in _names(folder) if name.endswith((".weft.yaml", ".yaml", ".yml", ".json")))
    return f"name the file in it: `{folder / files[0]}`" if files else "name the file in it"


def _names(folder: Path) -> list[str]:
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) >= SIBLINGS_MAX:
                    break
    except OSError:
        return []  # a folder that cannot be listed has nothing to suggest
    return names
