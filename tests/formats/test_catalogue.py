"""Every file of tests/bad: exactly the problems that are expected, at the right places, and they can be shown."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bad"))

import catalogue

from weft.formats import Outside, load
from weft.host.programs import evaluate_lua
from weft.model.codes import CODES
from weft.model.problem import Place
from weft.views.problems import render

DOCUMENTED = ("Circular dependency", "Step not found")
"""Messages of other systems, kept as their users know them."""
CASES = catalogue.cases()


def at(place: Place) -> str:
    return f"{place.line}:{place.column}"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_file(case: catalogue.Case) -> None:
    loaded = load(case.data, case.name, read=catalogue.read, outside=Outside(evaluate_lua=evaluate_lua))
    assert loaded.workflow is None
    shown = render(loaded.problems, {case.name: case.data})
    told = [(problem.code, at(problem.place), [at(second.place) for second in problem.seconds]) for problem in loaded.problems]
    assert told == [(expected.code, expected.at, expected.seconds) for expected in case.problems], shown
    for problem, expected in zip(loaded.problems, case.problems, strict=True):
        assert all(part in problem.message for part in expected.says), problem.message
        assert all(part in problem.hint for part in expected.hint), problem.hint
        assert problem.code in CODES
        assert problem.message[0].islower() or problem.message[0] == "`" or problem.message.startswith(DOCUMENTED)
        assert not problem.message.endswith(".")
        assert f"[{problem.code}]" in shown
    assert "\x1b" not in shown


def test_the_catalogue_is_large_and_knows_every_code() -> None:
    assert len(CASES) >= 100
    told = {expected.code for case in CASES for expected in case.problems}
    by_reading = {"W101", "W102", "W103", "W104", "W105"}  # of files that are not there or too large: test_read_source.py
    warnings = {"W501", "W502"}  # of files that are good: test_races_warned.py
    warnings |= {"W216"}  # test_native.py
    warnings |= {"W803", "W811", "W812", "W814"}  # test_evolver.py
    warnings |= {"W610"}  # of the configuration beside a file: test_hwfe.py
    by_machine = {"W320", "W325"}  # what is installed, or can be asked, no file can tell: test_plugins.py, test_models.py
    assert told | by_reading | warnings | by_machine | {"W199", "W601"} == set(CODES)
