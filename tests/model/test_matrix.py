"""`matrix`: every combination, less what is excluded, with what is included."""

import pytest

from weft.model.matrix import combinations
from weft.model.workflow import Value

AXES: dict[str, Value] = {"os": ["linux", "mac"], "py": [3.11, "3.12"]}
ALL = {
    "linux-3.11": {"os": "linux", "py": 3.11},
    "linux-3.12": {"os": "linux", "py": "3.12"},
    "mac-3.11": {"os": "mac", "py": 3.11},
    "mac-3.12": {"os": "mac", "py": "3.12"},
}


def test_every_combination_in_the_order_of_the_axes() -> None:
    assert combinations(AXES, 4) == ALL
    assert list(combinations(AXES, 4)) == list(ALL)
    assert combinations({}, 4) == {}
    assert combinations({"os": []}, 4) == {}


def test_what_is_excluded_is_left_out() -> None:
    found = combinations({**AXES, "exclude": [{"os": "mac", "py": 3.11}, {"os": "none"}, {"arm": True}]}, 4)
    assert list(found) == ["linux-3.11", "linux-3.12", "mac-3.12"]


def test_what_is_included_adds_to_combinations_or_is_one() -> None:
    include = [{"os": "linux", "fast": True}, {"all": 1}, {"os": "bsd", "py": 4}, {"os": "plan9"}]
    found = combinations({**AXES, "include": include}, 4)
    assert found["linux-3.12"] == {"os": "linux", "py": "3.12", "fast": True, "all": 1}
    assert found["mac-3.11"] == {"os": "mac", "py": 3.11, "all": 1}
    assert list(found)[4:] == ["bsd-4", "plan9"]
    assert combinations({"include": [{"a": 1}, {"a": 2}]}, 4) == {"1": {"a": 1}, "2": {"a": 2}}


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ({"os": "linux"}, "the axis `os` of `matrix` is not a list"),
        ({"a": [1, 2], "b": [1, 2, 3]}, "`matrix` has 6 combinations, `items_max` is 5"),
        ({"a": [1], "exclude": {"a": 1}}, "`exclude` of `matrix` is not a list of mappings"),
        ({"a": [1], "include": [1]}, "`include` of `matrix` is not a list of mappings"),
        ({"a": ["1", 1]}, "two combinations of `matrix` are called `1`"),
    ],
)
def test_what_is_wrong_with_it(matrix: dict[str, Value], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        combinations(matrix, 5)
