"""Kinds of steps that another package brings: the one of the examples, installed for real and run by a real `weft`."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from weft.host.plugins import missing, version_of

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"
BROKEN = """
class Fails:
    def run(self):
        raise ConnectionError("nobody there")

class Useless:
    pass

class Waits:
    def run(self):
        import time
        time.sleep(60)
"""


def install(target: Path, source: Path = EXAMPLE) -> None:
    """Into a folder of its own: by pip where the build backend of the package is there, else as pip would leave it."""
    if importlib.util.find_spec("hatchling"):
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*command, "--target", str(target), str(source)], check=True, timeout=100)
        return
    shutil.copytree(source / "src", target, dirs_exist_ok=True)
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    info = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["weft.kinds"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[weft.kinds]", *lines, ""]))


def make(folder: Path, name: str, code: str, **kinds: str) -> Path:
    """A package with these kinds of steps."""
    module = name.replace("-", "_")
    (folder / "src" / module).mkdir(parents=True)
    (folder / "src" / module / "__init__.py").write_text(code)
    lines = [f'{kind} = "{module}:{value}"' for kind, value in kinds.items()]
    text = f'[project]\nname = "{name}"\nversion = "2.0"\n\n[project.entry-points."weft.kinds"]\n' + "\n".join(lines)
    text += '\n\n[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    (folder / "pyproject.toml").write_text(text)
    return folder


def weft(folder: Path, target: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(target), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "weft.cli.main", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    install(tmp_path / "target")
    return tmp_path / "target"


def test_the_example_package(tmp_path: Path, target: Path) -> None:
    done = weft(tmp_path, target, "run", str(EXAMPLE / "words.weft.yaml"))
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout) == {"common": {"be": 2, "to": 2, "is": 1}, "longest": "question"}
    assert weft(tmp_path, target, "logs", "@", "longest", "--stdout").stdout == "looking at 10 words\n"
    assert "uses        weft-words/count" in weft(tmp_path, target, "show", "--step", "count").stdout
    again = weft(tmp_path, target, "run", str(EXAMPLE / "words.weft.yaml"))
    assert "reused     longest  as in run" in again.stderr
    (info,) = target.glob("*.dist-info")
    (info / "METADATA").write_text((info / "METADATA").read_text().replace("Version: 1.0", "Version: 1.1"))
    newer = weft(tmp_path, target, "run", str(EXAMPLE / "words.weft.yaml"))
    assert "changed    longest  version of weft-words" in newer.stderr


def test_the_tests_of_the_example(tmp_path: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(EXAMPLE / "tests")]
    env = {**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_imports_nothing(tmp_path: Path, target: Path) -> None:
    (target / "weft_words" / "__init__.py").write_text("raise SystemExit('imported')\n")
    for verb in (["check"], ["plan"], ["run", "-n"]):
        done = weft(tmp_path, target, *verb, str(EXAMPLE / "words.weft.yaml"))
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("uses", "says", "hint"),
    [
        ("weft-words/coutn", "the package `weft-words` 1.0 has no kind of step `coutn`", "did you mean `weft-words/count`?"),
        ("weft-words/translate", "has no kind of step `translate`", "it has `weft-words/count`, `weft-words/longest`"),
        ("weft-wrods/count", "step `a`: the package `weft-wrods` is not installed", "pip install weft-wrods"),
    ],
)
def test_what_is_not_installed_is_an_error_before_anything_runs(
    tmp_path: Path, target: Path, uses: str, says: str, hint: str
) -> None:
    text = f"steps:\n  z: {{ run: touch ran }}\n  a:\n    uses: {uses}\n    needs: z\n"
    (tmp_path / "w.weft.yaml").write_text(text)
    for verb in ("check", "run"):
        done = weft(tmp_path, target, verb, "w.weft.yaml")
        assert done.returncode == 2
        assert "error[W320]" in done.stderr
        assert "w.weft.yaml:4:5" in done.stderr
        assert says in done.stderr
        assert hint in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_package_that_has_gone_keeps_a_run_from_being_resumed(tmp_path: Path, target: Path) -> None:
    (tmp_path / "w.weft.yaml").write_text(
        "steps:\n  b: { run: test -e there }\n  a: { uses: weft-words/longest, with: { text: x }, needs: b }\n"
    )
    assert weft(tmp_path, target, "run", "w.weft.yaml").returncode == 1
    gone = weft(tmp_path, tmp_path / "nothing", "retry")
    assert gone.returncode == 6
    assert "step `a`: the package `weft-words` is not installed: pip install weft-words" in gone.stderr
    (tmp_path / "there").touch()
    assert weft(tmp_path, target, "retry").returncode == 0


def test_how_a_plugin_fails(tmp_path: Path) -> None:
    source = make(tmp_path / "source", "weft-bad", BROKEN, fails="Fails", useless="Useless", waits="Waits", gone="Gone")
    install(tmp_path / "target", source)
    (tmp_path / "w.weft.yaml").write_text(
        "steps:\n"
        "  fails: { uses: weft-bad/fails, retry: { times: 1, delay: 0s, when: [ConnectionError] } }\n"
        "  useless: { uses: weft-bad/useless }\n"
        "  waits: { uses: weft-bad/waits, timeout: 200ms }\n"
        "  gone: { uses: weft-bad/gone }\n"
        "  more: { uses: weft-bad/fails, with: { x: 1 } }\n"
    )
    done = weft(tmp_path, tmp_path / "target", "run", "w.weft.yaml")
    assert done.returncode == 1
    for text in (
        "retry      fails    ConnectionError: nobody there",
        "`weft_bad:Useless` of the package `weft-bad` has no method `run`",
        "it had not ended after 200ms",
        "AttributeError: module 'weft_bad' has no attribute 'Gone'",
        "it does not take `x`",
    ):
        assert text in done.stderr
    assert 'raise ConnectionError("nobody there")' in done.stderr
    assert "worker.py" not in done.stderr


def test_metadata() -> None:
    assert missing("msgspec", "x") is not None
    assert "no kind of step at all" in (missing("msgspec", "x") or ("", ""))[1]
    assert version_of("msgspec") == msgspec.__version__
    assert version_of("no-such-package-at-all") == ""
