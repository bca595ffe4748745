"""Which model is asked belongs to the fingerprint of an agent step, also when only the environment names it."""

import pytest

from weft.engine.fingerprint import parts_of
from weft.model.workflow import Agent, Step


def parts(model: str, env: dict[str, str]) -> dict[str, str]:
    step = Step(id="a", action=Agent(prompt="hi", model=model))
    return parts_of(step, step.action, {}, env, {}, "/")


def test_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_MODEL", "a")
    assert parts("x", {}) != parts("y", {})
    named = parts("", {})
    assert named["WEFT_MODEL"] == parts("", {"WEFT_MODEL": "a"})["WEFT_MODEL"]
    monkeypatch.setenv("WEFT_MODEL", "b")
    assert parts("", {})["WEFT_MODEL"] != named["WEFT_MODEL"]
    assert "WEFT_MODEL" not in parts("x", {})
