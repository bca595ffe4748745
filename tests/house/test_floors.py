"""The floors hold, and each contract that says so breaks on a tree that breaks it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).with_name("floors.toml")
PACKAGES = (
    "bench",
    "cli",
    "core",
    "engine",
    "executors",
    "formats",
    "guests",
    "host",
    "journal",
    "model",
    "runners",
    "server",
    "sim",
    "testing",
    "views",
)


def lint(source: Path, contract: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(CONTRACTS), "--no-cache", "--no-logo"]
    if contract:
        command += ["--contract", contract]
    env = {**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200"}
    return subprocess.run(command, env=env, cwd=source, capture_output=True, text=True, timeout=100, check=False)


def test_floors_hold() -> None:
    done = lint(Path(__file__).parents[2] / "src")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("contract", "module", "source"),
    [
        ("floors", "core/bad", "import weft.host"),
        ("floors", "views/bad", "def late():\n    import weft.journal"),
        ("floors", "stray", ""),
        ("ports", "engine/bad", "from weft.runners import __doc__"),
        ("pure", "core/bad", "def now():\n    from time import time\n    return time()"),
        ("pure", "model/bad", "import os.path"),
        ("dice", "core/bad", "import random"),
        ("msgspec", "ports", "import yaml"),
        ("loading", "formats/bad", "import subprocess"),
        ("floors", "cli/bad", "import weft.testing"),
        ("cycles", "core/bad", "import weft.core.worse"),
    ],
)
def test_a_broken_floor_is_seen(tmp_path: Path, contract: str, module: str, source: str) -> None:
    files = {f"{package}/__init__": "" for package in PACKAGES}
    files |= {"__init__": "", "ports": "", "core/worse": "import weft.core.bad" if contract == "cycles" else "", module: source}
    for name, text in files.items():
        path = tmp_path / "weft" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = lint(tmp_path, contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 kept, 1 broken" in done.stdout
