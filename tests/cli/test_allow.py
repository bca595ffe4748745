"""`weft allow`: which programs may be started as servers of tools."""

import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

from door import Weft, weft

SERVER = Path(__file__).parents[1] / "runners" / "tool_server.py"
FILE: dict[str, Any] = {
    "servers": {"t": {"command": [sys.executable, str(SERVER)], "env": {"A": "b"}}},
    "steps": {"a": {"tool": "t/env", "with": {"name": "A"}}},
    "outputs": {"a": "${{ steps.a.output }}"},
}


def test_a_run_does_not_begin_before_its_servers_are_allowed(weft: Weft) -> None:
    weft.write("w.yaml", FILE)
    refused = weft("run", "w.yaml", code=2)
    assert (
        f"the server `t` is a program that nobody has allowed on this machine: `{sys.executable} {SERVER}`, given A,"
        in refused.err
    )
    assert "`weft allow FILE`" in refused.err
    assert weft("runs").out == "" or "w" not in weft("runs").out.split()
    started = weft.folder / "started"
    weft.write("w.yaml", {**FILE, "servers": {"t": {"command": [*FILE["servers"]["t"]["command"], "--started", str(started)]}}})
    for verb in ("check", "plan"):
        weft(verb, "w.yaml")
    weft("run", "w.yaml", code=2)
    assert not started.exists()


def test_yes_is_for_ever(weft: Weft) -> None:
    weft.write("w.yaml", FILE)
    assert weft("run", "-y", "w.yaml").outputs == {"a": "b"}
    assert weft("run", "w.yaml").outputs == {"a": "b"}
    assert f"{sys.executable} {SERVER}    (given A)" in weft("allow", "--list").out
    assert "nothing needs to be allowed" in weft("allow", "w.yaml").err


def test_yes_is_for_these_words_and_variables(weft: Weft) -> None:
    weft.write("w.yaml", FILE)
    weft("allow", "-y", "w.yaml")
    for change in ({"command": [*FILE["servers"]["t"]["command"], "--stubborn"]}, {"env": {"A": "b", "LD_PRELOAD": "x"}}):
        weft.write("x.yaml", {**FILE, "servers": {"t": {**FILE["servers"]["t"], **change}}})
        assert "nobody has allowed" in weft("run", "x.yaml", code=2).err
    weft.write("x.yaml", {**FILE, "servers": {"t": {**FILE["servers"]["t"], "env": {"A": "c"}}}})
    assert weft("run", "x.yaml").outputs == {"a": "c"}


def test_a_file_of_the_project_is_allowed_in_its_folder_only(weft: Weft) -> None:
    weft.write("server.py", SERVER.read_text())
    weft.write("w.yaml", {**FILE, "servers": {"t": {"command": [sys.executable, "server.py"], "env": {"A": "b"}}}})
    weft("allow", "-y", "w.yaml")
    other = weft.folder / "other"
    other.mkdir()
    for name in ("server.py", "w.yaml"):
        (other / name).write_bytes((weft.folder / name).read_bytes())
    assert "nobody has allowed" in weft("-C", "other", "run", "w.yaml", code=2).err
    assert weft("run", "w.yaml").outputs == {"a": "b"}


def test_a_resumed_run_asks_again_what_was_taken_back(weft: Weft) -> None:
    weft.write(
        "w.yaml", {**FILE, "steps": {"ask": {"approve": "Go on?"}, **FILE["steps"], "b": {"tool": "t/pid", "needs": "ask"}}}
    )
    weft("run", "-y", "w.yaml", code=3)
    book = weft.folder / ".local" / "state" / "weft" / "servers.json"
    assert book.stat().st_mode & 0o777 == 0o600
    book.write_text("[]")
    assert "nobody has allowed" in weft("approve", "@", code=2).err
    weft("cancel", "@")


def test_a_book_that_cannot_be_read(weft: Weft) -> None:
    weft.write("w.yaml", FILE)
    weft("allow", "-y", "w.yaml")
    book = weft.folder / ".local" / "state" / "weft" / "servers.json"
    book.write_text("{")
    assert f"{book} cannot be read" in weft("run", "w.yaml", code=6).err


def test_in_a_terminal_it_asks(weft: Weft) -> None:
    weft.write("w.yaml", FILE)
    for answer, expected in ((b"n\n", 2), (b"y\n", 0)):
        pid, terminal = pty.fork()
        if not pid:
            os.chdir(weft.folder)
            os.execve(sys.executable, [sys.executable, "-m", "weft.cli.main", "allow", "w.yaml"], weft.env)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(terminal, 4096)
        assert str(SERVER).encode() in shown.replace(b"\r\n", b"")
        os.write(terminal, answer)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == expected
        os.close(terminal)
    assert len(json.loads((weft.folder / ".local" / "state" / "weft" / "servers.json").read_text())) == 1
