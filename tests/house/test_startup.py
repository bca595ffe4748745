"""Start-up time is a feature: what `import weft`, `weft --version` and `weft --help` may load is written down here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {"asyncio", "ctypes", "lzma", "multiprocessing", "rich", "sqlite3", "starlette", "yaml"}
"""Top-level modules that nobody who asks for help should wait for."""

DOOR = {"weft", "weft.cli", "weft.cli.main"}
LOADED_BY = {
    ("import weft",): {"weft"},
    ("from weft.cli.main import main; main()", "--version"): DOOR,
    ("from weft.cli.main import main; main()", "--help"): DOOR,
}
"""Modules of weft that each of these loads, and no other."""


PROBE = """
import json, sys
report, sys.argv = sys.argv[1], ["weft", *sys.argv[2:]]
before = set(sys.modules)
try:
    {code}
finally:
    with open(report, "w") as file:
        json.dump(sorted(set(sys.modules) - before), file)
"""


def loaded(report: Path, code: str, *args: str) -> set[str]:
    """Names of the modules that running `code` adds to a fresh interpreter."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COV_", "COVERAGE_"))}
    command = [sys.executable, "-c", PROBE.format(code=code), str(report), *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(report.read_text()))


@pytest.mark.parametrize("command", LOADED_BY)
def test_what_a_command_loads(tmp_path: Path, command: tuple[str, ...]) -> None:
    modules = loaded(tmp_path / "modules", *command)
    assert {name for name in modules if name.partition(".")[0] in SLOW} == set()
    assert {name for name in modules if name.partition(".")[0] == "weft"} == LOADED_BY[command]
    foreign = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    assert foreign <= {"weft", "click"}


def test_a_slow_import_is_seen(tmp_path: Path) -> None:
    modules = loaded(tmp_path / "modules", "import weft, sqlite3")
    assert {"weft", "sqlite3"} <= modules


def test_public_names() -> None:
    import weft

    public = {name for name, value in vars(weft).items() if not name.startswith("_") and not isinstance(value, type(sys))}
    assert public == set()
