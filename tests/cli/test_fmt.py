"""`weft fmt` at the door: what it prints, writes and leaves alone."""

import os

from door import Weft, weft

UNTIDY = "steps:\n  b: { depends_on: a, run: echo b }\n  a: { run: echo a } # first\n"
TIDY = "steps:\n  b: { run: echo b, needs: a }\n  a: { run: echo a } # first\n"


def test_it_prints_checks_and_writes(weft: Weft) -> None:
    path = weft.write("w.yaml", "steps:\n  b: { depends_on: a, run: echo b }\n  a: { run: echo a } # first\n")
    path.chmod(0o640)
    link = weft.folder / "link.yaml"
    link.symlink_to(path)
    assert weft("fmt", "w.yaml").out == TIDY
    assert weft("fmt", "--check", "w.yaml", "link.yaml", code=1).out == "w.yaml\nlink.yaml\n"
    assert path.read_text() == UNTIDY
    assert "rewritten" in weft("fmt", "-w", "link.yaml").err
    assert path.read_text() == TIDY
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    stamp = os.stat(path).st_mtime_ns
    assert weft("fmt", "-w", "w.yaml").err == ""
    assert os.stat(path).st_mtime_ns == stamp
    assert weft("fmt", "--check", "w.yaml").out == ""


def test_a_file_with_errors_is_left_alone(weft: Weft) -> None:
    bad = weft.write("bad.yaml", "steps: { a: { timeout: 1s, run: echo, needs: nowhere } }\n")
    good = weft.write("good.yaml", UNTIDY)
    done = weft("fmt", "-w", "bad.yaml", "good.yaml", code=2)
    assert "W301" in done.err
    assert "nowhere" in bad.read_text()
    assert good.read_text() == TIDY


def test_bad_usage(weft: Weft) -> None:
    weft.write("w.yaml", UNTIDY)
    assert "--check" in weft("fmt", "-w", "--check", "w.yaml", code=2).err
    weft("fmt", code=2)
