"""Which files a confined step may open."""

import os
from pathlib import Path
from typing import Any

import pytest

from weft.guests import js, lua, reach, wasm
from weft.guests.reach import Reach

READ = "function run(i) local file, why = io.open(i.path) if not file then return why end return file:read('a') end"
WRITE = (
    "function run(i) local file, why = io.open(i.path, 'w') if not file then return why end file:write('new') file:close() end"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("data/a.csv", "data/deep/b.csv", "data/.hidden", "out/x", "odd[1]/c.csv", "elsewhere/secret"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "data/leak").symlink_to("../elsewhere/secret")
    (tmp_path / "linked").symlink_to("data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEFT_DIR", str(tmp_path / "out"))
    for guest in (lua, js, wasm):
        monkeypatch.setattr(guest, "beside", reach)
    return tmp_path


@pytest.mark.parametrize(
    ("declared", "path", "may"),
    [
        ("data/a.csv", "data/a.csv", True),
        ("data/a.csv", "./data/../data/a.csv", True),
        ("data/a.csv", "data/a.csv2", False),
        ("data", "data/deep/b.csv", True),
        ("data/", "data/deep/b.csv", True),
        ("data/", "data/leak", False),
        ("data/", "elsewhere/secret", False),
        ("data/", "data/../elsewhere/secret", False),
        ("dat", "data/a.csv", False),
        ("linked/", "data/a.csv", True),
        ("data/", "linked/a.csv", True),
        ("data/*.csv", "data/a.csv", True),
        ("data/*.csv", "data/deep/b.csv", False),
        ("data/*", "data/deep/b.csv", False),
        ("data/*/", "data/deep/b.csv", True),
        ("data/**", "data/deep/b.csv", True),
        ("data/**/b.csv", "data/deep/b.csv", True),
        ("data/**/a.csv", "data/a.csv", True),
        ("data/**/deep", "data/a.csv", False),
        ("data/?.csv", "data/a.csv", True),
        ("data?a.csv", "data/a.csv", False),
        ("data/[ab].csv", "data/a.csv", True),
        ("data/[!a].csv", "data/a.csv", False),
        ("data[/]a.csv", "data/a.csv", False),
        ("data/[", "data/[", True),
        ("linked/*.csv", "data/a.csv", True),
        ("**/a.csv", "data/a.csv", True),
        ("data/a.csv", "data/a.csv\0", False),
    ],
)
def test_what_a_declared_path_opens(folder: Path, declared: str, path: str, may: bool) -> None:
    assert (Reach([f"{folder}/{declared}"], []).refusal(path) == "") is may


@pytest.mark.parametrize(
    ("mode", "reads", "writes"), [("r", 1, 1), ("rb", 1, 1), ("w", 0, 1), ("a", 0, 1), ("r+", 0, 1), ("x", 0, 1)]
)
def test_what_may_be_written_may_be_read_but_not_the_other_way_round(folder: Path, mode: str, reads: int, writes: int) -> None:
    path = str(folder / "data/a.csv")
    assert [not Reach([path], []).refusal(path, mode), not Reach([], [path]).refusal(path, mode)] == [bool(reads), bool(writes)]


def test_a_refusal_says_what_to_add() -> None:
    assert Reach([], []).refusal("x/y") == "x/y: the step does not declare that it reads this: add it to `reads`"
    assert Reach([], []).refusal("x/y", "w").endswith("that it writes this: add it to `writes`")


def files(folder: Path, reads: list[str], writes: list[str]) -> dict[str, list[str]]:
    return {"reads": [f"{folder}/{path}" for path in reads], "writes": [f"{folder}/{path}" for path in writes]}


def test_lua(folder: Path) -> None:
    declared = files(folder, ["data/"], ["out/*.txt"])
    assert lua.run(READ, {"path": "data/a.csv"}, files=declared) == "data/a.csv"
    assert lua.run(WRITE, {"path": "out/n.txt"}, files=declared) is None
    assert (folder / "out/n.txt").read_text() == "new"
    for code, path in ((WRITE, "data/a.csv"), (READ, "elsewhere/secret"), (READ, "data/leak"), (WRITE, "out/n.exe"), (READ, 1)):
        assert "does not declare" in lua.run(code, {"path": path}, files=declared)
    assert (
        lua.run("function run() local n = 0 for line in io.lines('data/a.csv') do n = n + 1 end return n end", {}, files=declared)
        == 1
    )
    only = (
        "function run() local names = {} for name in pairs(io) do names[#names + 1] = name end table.sort(names) return names end"
    )
    assert lua.run(only, {}, files=declared) == ["lines", "open", "type"]
    with pytest.raises(lua.LuaError, match="does not declare"):
        lua.run("function run() for line in io.lines('elsewhere/secret') do end end", {}, files=declared)


def test_javascript(folder: Path) -> None:
    declared = files(folder, ["data/"], ["out/"])
    both = "function run() { std.writeFile('out/n.txt', std.loadFile('data/a.csv') + '!é'); return std.loadFile('data/none') }"
    assert js.run(both, {}, files=declared) is None
    assert (folder / "out/n.txt").read_text() == "data/a.csv!é"
    for code in (
        "std.loadFile('elsewhere/secret')",
        "std.writeFile('data/a.csv', '')",
        "std.loadFile('data')",
        "std.loadFile('data/\\0')",
    ):
        with pytest.raises(js.JavaScriptError, match=r"does not declare|directory|is no path"):
            js.run(f"function run() {{ {code} }}", {}, files=declared)
    (folder / "data/a.csv").write_bytes(b"\xff")
    with pytest.raises(js.JavaScriptError, match="can't decode"):
        js.run("function run() { std.loadFile('data/a.csv') }", {}, files=declared)
    with pytest.raises(js.JavaScriptError, match="directory"):
        js.run("function run() { std.writeFile('out', '') }", {}, files=declared)


OPENS = """
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "PATH")
  (func $first (param $create i32) (param $rights i64) (result i32)
    (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const SIZE)
      (local.get $create) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 100)))
  (func (export "read") (result i32) (call $first (i32.const 0) (i64.const 2)))
  (func (export "create") (result i32) (call $first (i32.const 1) (i64.const 64))))
"""


def opened(path: str, function: str, declared: dict[str, list[str]] | None) -> Any:
    """The errno of WASI for an opening in the first folder that the module was given; 0: it was opened."""
    Path("opens.wat").write_text(OPENS.replace("PATH", path).replace("SIZE", str(len(path))))
    return wasm.run("opens.wat", {}, function, files=declared)


def test_webassembly(folder: Path) -> None:
    badf, noent = 8, 44
    assert opened("a.csv", "read", None) == badf
    declared = files(folder, ["data/"], ["data/a.csv"])  # a single file is no folder that could be given
    assert opened("a.csv", "read", declared) == 0
    assert opened("none", "read", declared) == noent
    assert opened("n.txt", "create", declared) != 0
    for path in ("leak", "../elsewhere/secret"):
        assert opened(path, "read", declared) != 0
    assert opened("n.txt", "create", files(folder, [], ["made/"])) == 0
    assert os.listdir(folder / "made") == ["n.txt"]
    assert opened("a.csv", "read", files(folder, ["none/", "data/*"], [])) == badf
