"""Did you mean: finds slips, stays silent where there is nothing alike, and is bounded."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.suggest import CANDIDATES_MAX, NAME_CHARS_MAX, ROWS_MAX, did_you_mean

NAMES = ["fetch", "build-frontend", "build_backend", "maxParallel", "on_error", "a", "publish", "retry"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("fecth", "fetch"),
        ("ftech", "fetch"),
        ("etch", "fetch"),
        ("fetchh", "fetch"),
        ("packs", None),
        ("build_frontend", "build-frontend"),
        ("BuildFrontend", "build-frontend"),
        ("build backend", "build_backend"),
        ("max_parallel", "maxParallel"),
        ("A", "a"),
        ("b", None),
        ("", None),
        ("fetch", None),
        ("zzzzzzzz", None),
        ("publsh", "publish"),
        ("retyr", "retry"),
    ],
)
def test_slips(name: str, meant: str | None) -> None:
    assert did_you_mean(name, NAMES) == meant


def test_the_nearest_is_named_and_of_equals_the_first() -> None:
    assert did_you_mean("steps", ["stops!", "stops", "stepp"]) == "stops"


def test_a_name_is_not_suggested_for_itself() -> None:
    assert did_you_mean("fetch", ["fetch", "fetch2"]) == "fetch2"


def test_long_names_are_compared_whole_only() -> None:
    name = "x" * (NAME_CHARS_MAX + 1)
    assert did_you_mean(name, [name + "y"]) is None
    assert did_you_mean(name.upper(), [name + "y", name]) == name


def test_work_is_bounded() -> None:
    looked_at = 0

    def many() -> Iterator[str]:
        nonlocal looked_at
        for n in range(CANDIDATES_MAX + 10):
            looked_at += 1
            yield f"step{n:06}"

    assert did_you_mean("none", many()) is None
    assert looked_at == CANDIDATES_MAX
    family = ["abcdfehi"] * (ROWS_MAX // 8 + 1)  # three slips each, so each is compared to the end
    assert did_you_mean("abcdefgh", [*family, "abcdefg"]) == "abcdfehi"


@given(st.text("abcdefgh", min_size=5, max_size=12), st.data())
def test_one_slip_is_always_found(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 2))
    slips = [
        name[:at] + name[at + 1 :],
        name[:at] + "z" + name[at:],
        name[:at] + "z" + name[at + 1 :],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    ]
    slip = data.draw(st.sampled_from(slips))
    assert did_you_mean(slip, ["other", name]) == (name if slip != name else None)
