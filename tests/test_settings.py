"""Settings: who wins, where each value comes from, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from weft.model.errors import UsageError
from weft.model.options import SETTINGS
from weft.model.workflow import Workflow
from weft.settings import Settings


def settings(tmp_path: Path, flags: dict[str, str] | None = None, env: dict[str, str] | None = None) -> Settings:
    return Settings(flags or {}, {"HOME": str(tmp_path / "home"), **(env or {})}, tmp_path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_stronger_source_wins(tmp_path: Path) -> None:
    def grace(**sources: Any) -> tuple[object, str]:
        found = settings(tmp_path, **sources).origins["grace"]
        return found.value, found.origin

    assert grace() == (10.0, "default")
    write(tmp_path / "home/.config/weft/weft.toml", 'grace = "1s"')
    assert grace() == (1.0, str(tmp_path / "home/.config/weft/weft.toml"))
    write(tmp_path / "pyproject.toml", '[tool.weft]\ngrace = "2s"\n[tool.other]\nx = 1')
    assert grace() == (2.0, str(tmp_path / "pyproject.toml"))
    write(tmp_path / "weft.toml", "grace = 3")
    assert grace() == (3.0, str(tmp_path / "weft.toml"))
    assert grace(env={"WEFT_GRACE": "4s"}) == (4.0, "WEFT_GRACE")
    assert grace(env={"WEFT_GRACE": "4s"}, flags={"grace": "5s"}) == (5.0, "--grace")


def test_the_workflow_file_stands_between_environment_and_files(tmp_path: Path) -> None:
    write(tmp_path / "weft.toml", 'max_parallel = 2\nschedule = "layers"')
    workflow = Workflow(name="w", steps=(), max_parallel=7)
    found = settings(tmp_path)
    found.with_workflow(workflow)
    assert (found["max_parallel"], found.origins["max_parallel"].origin) == (7, "the workflow file")
    assert found["schedule"] == "layers"
    found = settings(tmp_path, env={"WEFT_MAX_PARALLEL": "9"})
    found.with_workflow(workflow)
    assert found["max_parallel"] == 9


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_parallel", "8", 8),
        ("max_parallel", "auto", "auto"),
        ("max_parallel", "unlimited", "unlimited"),
        ("schedule", "layers", "layers"),
        ("fail_fast", "true", True),
        ("durability", "none", "none"),
        ("output", "json", "json"),
        ("size_max", "20MB", 20_000_000),
        ("size_max", "1000", 1000),
        ("time_scale", "0.001", 0.001),
        ("grace", "1m30s", 90.0),
        ("state", "elsewhere", "elsewhere"),
    ],
)
def test_flags_are_read_by_shape(tmp_path: Path, name: str, text: str, value: object) -> None:
    assert settings(tmp_path, {name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("max_parallel", "many", "--max-parallel: `max_parallel` cannot be `many`"),
        ("max_parallel", "-1", "`max_parallel` cannot be `-1`"),
        ("schedule", "random", "one of dataflow, layers, sequential"),
        ("grace", "soon", "`grace` cannot be `soon`"),
        ("time_scale", "fast", "must be a number"),
        ("size_max", "huge", "`size_max` cannot be `huge`"),
    ],
)
def test_a_wrong_flag_is_refused(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings(tmp_path, {name: text})
    assert says in str(caught.value)


def test_all_that_is_wrong_is_said(tmp_path: Path) -> None:
    write(tmp_path / "weft.toml", 'grcae = 1\nschedule = "x"')
    with pytest.raises(UsageError) as caught:
        settings(tmp_path, env={"WEFT_GRACE": "x"})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "`grcae` is not a setting; did you mean `grace`?" in lines[0]


def test_broken_toml_is_named(tmp_path: Path) -> None:
    write(tmp_path / "weft.toml", "= 1")
    with pytest.raises(UsageError, match=r"weft\.toml"):
        settings(tmp_path)


def test_a_pyproject_without_weft_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "this is [[ no toml")
    assert settings(tmp_path)["grace"] == 10.0


def test_every_default_is_of_its_own_shape(tmp_path: Path) -> None:
    for setting in SETTINGS:
        if setting.default is not None:
            assert settings(tmp_path, {setting.name: str(setting.default).lower()})[setting.name] == setting.default
