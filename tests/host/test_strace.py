"""Traces read: lines as strace writes them, of several versions, and those of a real one."""

import os
import subprocess
from pathlib import Path

import pytest

from weft.host.strace import Opened, find_strace, parse, read_trace

TRACER = find_strace()


def told(*lines: str, cwd: str = "/w") -> list[str]:
    how = {(False, False): "r", (True, False): "w", (False, True): "m"}
    return [f"{how[opened.writes, opened.missed]} {opened.path}" for opened in parse(lines, cwd)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('1 openat(AT_FDCWD</w/s>, "a", O_RDONLY|O_CLOEXEC) = 3</w/s/a>', ["r /w/s/a"]),
        ('1 openat(AT_FDCWD, "a", O_RDONLY) = 3', ["r /w/a"]),
        ('1 openat(AT_FDCWD, "a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</w/a>', ["w /w/a"]),
        ('1 openat(AT_FDCWD, "a", O_RDWR) = 3</w/a>', ["r /w/a", "w /w/a"]),
        ('1 openat(AT_FDCWD, "a", O_RDONLY|O_CREAT, 0666) = 3</w/a>', ["r /w/a", "w /w/a"]),
        ('1 openat(5</w/d>, "../a", O_RDONLY) = 3', ["r /w/a"]),
        ('1 openat2(AT_FDCWD, "a", {flags=O_WRONLY, resolve=0}, 24) = 3</w/a>', ["w /w/a"]),
        ('1 open("/x/a", O_RDONLY) = 3', ["r /x/a"]),
        ('1 open("a", O_RDONLY) = 3</w/link\\76target>', ["r /w/link>target"]),
        ('1 open("a", O_RDONLY) = 3<pipe:[12]>', []),
        ('1 open("d", O_RDONLY|O_DIRECTORY) = 3</w/d>', []),
        ('1 open("d", O_RDONLY|O_PATH) = 3</w/d>', []),
        ('1 openat(AT_FDCWD, "/tmp", O_RDWR|O_TMPFILE, 0600) = 3</tmp/#12>', []),
        ('1 open("O_WRONLY", O_RDONLY) = 3', ["r /w/O_WRONLY"]),
        ('1 open("a", O_RDONLY) = -1 ENOENT (No such file or directory)', ["m /w/a"]),
        ('1 open("a", O_RDWR|O_CREAT, 0600) = -1 ENOENT (No such file or directory)', ["m /w/a"]),
        ('1 open("a", O_RDONLY) = -1 EACCES (Permission denied)', []),
        ('1 unlink("a") = -1 ENOENT (No such file or directory)', []),
        ('1 open("a", O_RDONLY) = ?', []),
        ('1 creat("a", 0644) = 3</w/a>', ["w /w/a"]),
        ('1 creat("a", 0644) = 3', ["w /w/a"]),
        ('1 rename("a", "b") = 0', ["w /w/a", "w /w/b"]),
        ('1 renameat2(AT_FDCWD</w>, "a", 4</v>, "b", RENAME_NOREPLACE) = 0', ["w /w/a", "w /v/b"]),
        ('1 unlinkat(AT_FDCWD</w>, "a", 0) = 0', ["w /w/a"]),
        ('1 unlinkat(AT_FDCWD</w>, "d", AT_REMOVEDIR) = 0', []),
        ('1 link("a", "b") = 0', ["r /w/a", "w /w/b"]),
        ('1 symlinkat("a", AT_FDCWD</w>, "b") = 0', ["w /w/b"]),
        ('1 truncate("a", 0) = 0', ["w /w/a"]),
        ('1 execve("./p", ["./p", "x"], 0x1 /* 3 vars */) = 0', ["r /w/p"]),
        ('1 open("\\303\\274\\n \\"q\\", b", O_RDONLY) = 3', ['r /w/ü\n "q", b']),
        ('1 open("\\x41\\t\\\\", O_RDONLY) = 3', ["r /w/A\t\\"]),
        ("1 +++ exited with 0 +++", []),
        ("nonsense", []),
        ("", []),
        ("1 futex(0x1, FUTEX_WAKE, 1) = 0", []),
    ],
)
def test_one_line(line: str, expected: list[str]) -> None:
    assert told(line) == expected


def test_a_call_in_two_lines() -> None:
    lines = ['1 openat(AT_FDCWD, "a", O_RDONLY <unfinished ...>', '2 unlink("b") = 0', "1 <... openat resumed>) = 3</w/a>"]
    assert told(*lines) == ["w /w/b", "r /w/a"]
    assert told("1 <... openat resumed>) = 3</w/a>") == []


def test_folders_belong_to_processes() -> None:
    lines = [
        '1 chdir("s") = 0',
        "1 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 2",
        '2 chdir("..") = 0',
        '2 unlink("a") = 0',
        '1 unlink("b") = 0',
        '1 chdir("gone") = -1 ENOENT (No such file or directory)',
        "1 fchdir(3</v>) = 0",
        '1 unlink("c") = 0',
    ]
    assert told(*lines) == ["w /w/a", "w /w/s/b", "w /v/c"]


def test_threads_share_a_folder() -> None:
    lines = ["1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD}, 88) = 2", '2 chdir("s") = 0', '1 unlink("a") = 0']
    assert told(*lines) == ["w /w/s/a"]


def test_a_child_that_speaks_before_its_parent() -> None:
    lines = ['1 chdir("s") = 0', "1 vfork( <unfinished ...>", '2 unlink("a") = 0', "1 <... vfork resumed>) = 2"]
    assert told(*lines) == ["w /w/s/a"]
    assert told('1 chdir("s") = 0', '3 openat(AT_FDCWD</q>, "x", O_RDONLY) = 3</q/x>', '3 unlink("a") = 0')[-1] == "w /q/a"


def test_a_trace_that_was_never_written(tmp_path: Path) -> None:
    assert list(read_trace(tmp_path / "none", "/")) == []


@pytest.mark.skipif(TRACER is None, reason="strace is not here, or may not trace")
def test_a_real_trace(tmp_path: Path) -> None:
    assert TRACER is not None
    (tmp_path / "in").write_text("x")
    (tmp_path / "sub").mkdir()
    script = 'cat in > "sub/a b"; cd sub; mv "a b" c; (cd ..; echo >> log); rm c; cat nothing || true; ln -s x link'
    subprocess.run(
        [*TRACER, str(tmp_path / "trace"), "--", "/bin/sh", "-c", script], cwd=tmp_path, check=True, capture_output=True
    )
    found = [opened for opened in read_trace(tmp_path / "trace", str(tmp_path)) if opened.path.startswith(f"{tmp_path}/")]
    assert set(found) == {
        Opened(str(tmp_path / name), writes, missed)
        for name, writes, missed in (
            ("in", False, False),
            ("sub/a b", True, False),
            ("sub/c", True, False),
            ("log", True, False),
            ("sub/nothing", False, True),
            ("sub/link", True, False),
        )
    }


def test_no_strace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_strace() is None
    broken = tmp_path / "strace"
    broken.write_text("#!/bin/sh\nexit 1\n")
    os.chmod(broken, 0o755)
    assert find_strace() is None
