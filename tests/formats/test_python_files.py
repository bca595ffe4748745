"""Files of Python are no workflows, whatever stands in them: the snippets of the agent pattern are plain functions of asyncio."""

from pathlib import Path

import pytest

from weft.formats import Outside, load
from weft.host.programs import evaluate_lua

SNIPPETS = sorted((Path(__file__).parent / "seeds" / "agents").glob("*.py.txt"))


def test_all_of_them_are_here() -> None:
    assert len(SNIPPETS) == 17


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.name)
@pytest.mark.parametrize("name", ["tasks.py", "tasks.txt", "tasks"])
def test_no_format_takes_one_for_its_own(path: Path, name: str) -> None:
    loaded = load(path.read_bytes(), name, outside=Outside(evaluate_lua=evaluate_lua))
    assert (loaded.workflow, loaded.format) == (None, "")
    if name.endswith(".py"):
        (problem,) = loaded.problems
        assert (problem.code, problem.message) == ("W122", "this is a file of Python, and no workflow")
        assert "`steps: { first: { python: tasks:FUNCTION } }`" in problem.hint


def test_a_name_that_is_no_module() -> None:
    (problem,) = load(b"", "my-tasks.PY").problems
    assert "python: module:FUNCTION" in problem.hint
