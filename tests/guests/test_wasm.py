"""WebAssembly modules in a step: JSON through the standard streams, and nothing else to be seen."""

from pathlib import Path
from typing import Any

import pytest

from weft.guests import wasm

ECHO = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 4096) "why not")
  (func $say (param $fd i32) (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 2048))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $say (i32.const 1) (i32.const 1024) (i32.load (i32.const 8))))
  (func (export "folders") (result i32) (call $prestat (i32.const 3) (i32.const 64)))
  (func (export "variables") (result i32) (drop (call $environ (i32.const 64) (i32.const 68))) (i32.load (i32.const 64)))
  (func (export "seven") (result i32) (i32.const 7))
  (func (export "nothing"))
  (func (export "leave") (call $say (i32.const 2) (i32.const 4096) (i32.const 7)) (call $exit (i32.const 3)))
  (func (export "leave_well") (call $exit (i32.const 0)))
  (func (export "trap") (unreachable))
  (func (export "grow") (result i32) (memory.grow (i32.const 1000))))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WEFT_DIR", str(tmp_path))
    path = tmp_path / "echo.wat"
    path.write_text(ECHO)
    return str(path)


def fails(module: str, function: str = "", inputs: dict[str, Any] | None = None) -> dict[str, Any]:
    with pytest.raises(wasm.WasmError) as caught:
        wasm.run(module, inputs or {}, function)
    return dict(caught.value.weft_record)


def test_data_in_and_out(module: str, tmp_path: Path) -> None:
    assert wasm.run(module, {"x": [1, "é"], "y": None}) == {"x": [1, "é"], "y": None}
    assert [path.name for path in tmp_path.iterdir()] == ["echo.wat"]


def test_exported_functions(module: str) -> None:
    assert wasm.run(module, {}, "seven") == 7
    assert wasm.run(module, {}, "nothing") is None
    assert wasm.run(module, {}, "leave_well") is None


def test_it_sees_no_folder_and_no_variable(module: str) -> None:
    assert wasm.run(module, {}, "folders") == 8  # EBADF: descriptor 3, the first that a folder would have, is not open
    assert wasm.run(module, {}, "variables") == 0


def test_memory_is_bounded(module: str) -> None:
    assert wasm.run(module, {}, "grow", memory_bytes_max=1 << 20) == -1
    assert wasm.run(module, {}, "grow") == 2


def test_failures(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = fails(module, "leave")
    assert (record["kind"], record["exit_code"], record["tail"]) == ("exit", 3, "why not")
    assert capsys.readouterr().err == "why not"
    assert "`unreachable`" in fails(module, "trap")["message"]
    record = fails(module, "nope")
    assert "exports no function `nope`" in record["message"]
    assert "`seven`" in record["hint"]
    assert "is no module" in fails(str(tmp_path / "none.wasm"))["message"]
    (tmp_path / "bad.wasm").write_bytes(b"\x00asm bad")
    assert "is no module" in fails(str(tmp_path / "bad.wasm"))["message"]
    (tmp_path / "empty.wat").write_text("(module)")
    assert fails(str(tmp_path / "empty.wat"))["hint"] == "it exports no function at all"


def test_output_that_is_not_json(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("json.dump", lambda value, file, **_: file.write("{bad"))
    assert fails(module)["kind"] == "invalid_output"
