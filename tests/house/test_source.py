"""Budgets, banned calls, sleeps, docstrings and private addresses: the tree is clean, and each checker sees a bad sample."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import house_checks as checks
import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "weft"


def findings(check: Callable[[str], list[str]], *folders: str) -> list[str]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert paths, f"no Python file in {folders}"
    return [f"{path.relative_to(ROOT)}:{what}" for path in paths for what in check(path.read_text())]


def tracked() -> list[Path]:
    """What git holds, or everything but hidden folders where there is no git (an unpacked archive)."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [ROOT / name for name in listed.split("\0") if name]
    return [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]


def test_budgets() -> None:
    assert findings(checks.over_budget, "src", "tests", "benchmarks") == []


def test_banned() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{what}"
        for path in sorted(SRC.rglob("*.py"))
        for what in checks.banned(path.read_text(), path.relative_to(SRC).as_posix())
    ] == []


def test_catching_everything_has_a_reason() -> None:
    assert findings(checks.catches_all_without_reason, "src") == []


def test_no_sleeps_in_tests() -> None:
    assert findings(checks.sleeps, "tests") == []


def test_docstrings() -> None:
    assert findings(checks.without_docstring, "src") == []


def test_nothing_private_is_tracked() -> None:
    found = []
    for path in tracked():
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            found += [f"{path.relative_to(ROOT)}:{what}" for what in checks.private(text)]
    assert found == []


LONG = "def f():\n" + "    pass\n" * 60
METHODS = "class C:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(21))
CATCH = "try:\n    f()\nexcept Exception:{}\n    pass\n"


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.over_budget, LONG.replace("    pass\n", "", 1), LONG),
        (checks.over_budget, "x = 1\n" * 500, "x = 1\n" * 501),
        (checks.over_budget, METHODS.replace("    def m20(self): ...\n", ""), METHODS),
        (checks.catches_all_without_reason, CATCH.format("  # the author's code may raise anything"), CATCH.format("")),
        (
            checks.catches_all_without_reason,
            CATCH.replace("Exception", "OSError"),
            CATCH.replace("Exception", "(OSError, BaseException)"),
        ),
        (
            checks.catches_all_without_reason,
            CATCH.format("").replace("pass", "raise"),
            CATCH.format("").replace(" Exception", ""),
        ),
        (checks.sleeps, "import time\ntime.sleep(0)", "import time\ntime.sleep(0.1)"),
        (checks.sleeps, "import time\ntime.sleep(1)  # the subject: a hang", "from time import sleep as nap\nnap(1)"),
        (checks.sleeps, "async def f(): await asyncio.sleep(0)", "async def f(): await asyncio.sleep(x)"),
        (checks.without_docstring, '"""What it is."""\nx = 1', "x = 1"),
        (checks.without_docstring, "", "import os"),
        (checks.private, "see https://example.com and /tmp/x", "pip install --index" + "-url http://x"),
        (checks.private, "framework/x", "cd /wo" + "rk/main"),
        (checks.private, "pypi is a registry", "https://pypi" + ".org/simple"),
    ],
)
def test_a_bad_sample_is_seen(check: Callable[[str], list[str]], good: str, bad: str) -> None:
    assert check(good.replace("{}", "")) == []
    assert len(check(bad.replace("{}", ""))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "eval(x)",
        "import builtins\nbuiltins.exec(x)",
        "import os\nos.system('ls')",
        "from os import system\nsystem('ls')",
        "import subprocess as s\ns.run('ls', shell=True)",
        "Popen(argv, preexec_fn=setup)",
        "import tempfile\ntempfile.mktemp()",
        "import time\ntime.sleep(1)",
        "print(1)",
        "import importlib\nimportlib.import_module(name)",
        "import yaml\nyaml.safe_load(text)",
    ],
)
def test_a_banned_call_is_seen(source: str) -> None:
    assert len(checks.banned(source, "engine/bad.py")) == 1


def test_what_is_allowed_somewhere_is_not_allowed_elsewhere() -> None:
    assert checks.banned("print(1)", "cli/main.py") == []
    assert checks.banned("exec(compile(code, name, 'exec'))", "executors/worker.py") == []
    assert len(checks.banned("exec(code)", "executors/workers.py")) == 1
    assert checks.banned("Shell(shell=words)\nast.literal_eval(x)\nre.compile(x)", "host/a.py") == []
