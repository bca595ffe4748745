"""Files that weft must refuse, and what it must say: `expected.toml` beside them has a table for each.

`at` is line:column of the caret (0:0: the file as a whole), `says` and `hint` are parts of the message and of the hint, and
`seconds` the other places. Folders inside a folder hold the
files of sub-workflows. Files that no editor would keep as they are (encodings, bombs) are made here, under `made/`.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

import msgspec

from weft.host.source import read_source
from weft.model.problem import Problem

HERE = Path(__file__).parent
SUFFIXES = (".yaml", ".json", ".lua")
HELLO = "steps:\n  a:\n    run: echo a\n"


class Expected(NamedTuple):
    code: str
    at: str
    says: list[str]
    hint: list[str]
    seconds: list[str]


class Case(NamedTuple):
    name: str
    data: bytes
    problems: list[Expected]


def made() -> dict[str, bytes]:
    """Content by name."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    return {
        "utf-16.yaml": HELLO.encode("utf-16"),
        "utf-16-be-without-mark.yaml": HELLO.encode("utf-16-be"),
        "utf-16-le-without-mark.yaml": HELLO.encode("utf-16-le"),
        "utf-32.yaml": HELLO.encode("utf-32"),
        "utf-32-be-without-mark.yaml": HELLO.encode("utf-32-be"),
        "utf-16.json": b"\xff\xfe" + '{"steps": {}}'.encode("utf-16-le"),
        "latin-1.yaml": "name: caf\xe9\n".encode("latin-1") + HELLO.encode(),
        "mark-then-latin-1.yaml": b"\xef\xbb\xbfname: caf\xe9\n" + HELLO.encode(),
        "latin-1.json": '{\n  "name": "caf\xe9"\n}\n'.encode("latin-1"),
        "nul.yaml": b"name: x\nsteps:\n  a\0:\n    run: echo a\n",
        "nul.json": b'{"name": "a\0b", "steps": {}}',
        "escape.yaml": b"name: \x1b[31mred\nsteps: {}\n",
        "gzip.yaml": b"\x1f\x8b\x08\0\0\0\0\0\0\0",
        "xz.yaml": b"\xfd7zXZ\0\0\x04",
        "deep-flow.yaml": b"steps: " + b"[" * 50_000 + b"]" * 50_000,
        "deep-block.yaml": b"".join(b" " * level + b"- \n" for level in range(500)) + b"x",
        "deep-indicators.yaml": b"- " * 50_000 + b"x",
        "deep-mappings.yaml": b"steps: " + b"{a: " * 50_000,
        "deep.json": b'{"steps": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "deep-mappings.json": b'{"steps": ' * 50_000,
        "deep-by-alias.yaml": ("a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40 + "\n").encode(),
        "alias-bomb.yaml": bomb.encode(),
        "bom.yaml": b"\xef\xbb\xbfname: x\nstesp: {}\n",
        "bom.json": b'\xef\xbb\xbf{"stesp": {}}\n',
        "windows-lines.yaml": b"steps:\r\n  a:\r\n    run: echo a\r\n    timout: 5m\r\n",
    }


def read(name: str) -> tuple[bytes | None, list[Problem]]:
    """The file of a sub-workflow."""
    data, problems = read_source(HERE / name)
    here = f"{HERE}/"
    replace = msgspec.structs.replace
    return data, [replace(each, message=each.message.replace(here, ""), hint=each.hint.replace(here, "")) for each in problems]


def cases() -> list[Case]:
    """Every case, in the order of expected.toml. A name ends as the file's name would."""
    table = {}
    for path in sorted(HERE.glob("**/expected.toml")):  # one for each format of other systems, in its folder
        folder = path.parent.relative_to(HERE).as_posix()
        found = tomllib.loads(path.read_text())
        table.update(found if folder == "." else {f"{folder}/{name}": entries for name, entries in found.items()})
    generated = made()
    files = {path.relative_to(HERE).as_posix(): path for path in HERE.glob("*/*") if path.suffix in SUFFIXES}
    unlisted = (files.keys() | {f"made/{name}" for name in generated}) ^ table.keys()
    assert not unlisted, f"in the catalogue or in expected.toml, but not in both: {sorted(unlisted)}"
    result = []
    for name, entries in table.items():
        data = files[name].read_bytes() if name in files else generated[name.removeprefix("made/")]
        problems = [Expected(e["code"], e["at"], e["says"], e["hint"], e.get("seconds", [])) for e in entries["problems"]]
        result.append(Case(name, data, problems))
    return result
