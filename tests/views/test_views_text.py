"""Text: nothing hostile reaches a terminal, and widths are columns."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.views import text
from weft.views.text import Paint

WIDE = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("plain", "plain"),
        ("größe → 日本", "größe → 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("two\nlines\tand a tab", "two␤lines and a tab"),
        ("\u202eright to left", "\\u202eright to left"),
        ("half \udc80 a character", "half \\udc80 a character"),
        ("\x9b31m", "\\x9b31m"),
        ("می‌خواهم", "می‌خواهم"),  # a joiner that Persian needs
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(given_: str, shown: str) -> None:
    assert text.visible(given_) == shown


@given(st.text(max_size=60))
def test_visible_text_holds_no_control(given_: str) -> None:
    assert all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in text.visible(given_))


def test_last_lines() -> None:
    wrote = "one\n10%\r50%\r100%\r\n\ttab\n\x1b[1mbold\x1b[0m\n\n"
    assert text.last_lines(wrote, 3) == ["100%", "        tab", "bold"]
    assert text.last_lines(" \n", 3) == []


@given(WIDE, st.integers(0, 30))
def test_fitted_text_is_no_wider(given_: str, width: int) -> None:
    shown = text.visible(given_)
    for fitted in (text.fit(shown, width), text.fit_name(shown, width)):
        assert text.width_of(fitted) <= width
        assert fitted == shown or text.width_of(shown) > width
        assert fitted == shown or width == 0 or "…" in fitted


def test_fit_cuts_the_end_and_a_name_its_middle() -> None:
    assert text.fit("a long sentence", 7) == "a long…"
    assert text.fit_name("process_part_00017", 11) == "proce…00017"
    assert text.fit("日本語", 4) == "日…"
    assert text.width_of("日本語") == 6
    assert text.width_of("e\u0301") == 1


def test_names() -> None:
    assert text.names(["a", "b", "c"], 20) == "a, b, c"
    assert text.names(["alpha", "beta", "gamma", "delta"], 24) == "alpha, beta and 2 more"
    assert text.names(["alpha"], 24, total=100_001) == "alpha and 100,000 more"
    assert text.names(["a_very_long_name_indeed", "b"], 20) == "a_ve…deed, b"


def test_a_chain_keeps_the_heavy_and_their_order() -> None:
    parts = [("ann", 1.0), ("bob", 9.0), ("cat", 0.1), ("dan", 5.0), ("eve", 0.2)]
    assert text.chain(parts, 80) == "ann → bob → cat → dan → eve"
    assert text.chain(parts, 25) == "ann → bob → … → dan → eve"
    assert text.chain(parts, 23) == "ann → bob → … → dan → …"
    assert text.chain(parts, 21) == "… → bob → … → dan → …"
    assert text.chain(parts, 1) == "… → bob → …"
    assert text.chain([], 10) == ""


def test_numbers() -> None:
    assert [text.plural(n, "step") for n in (0, 1, 2, 12_345)] == ["0 steps", "1 step", "2 steps", "12,345 steps"]
    assert [text.percent(share) for share in (0.0, 0.001, 0.5, 0.996, 1.0)] == ["0%", "<1%", "50%", "100%", "100%"]


def test_paint() -> None:
    assert Paint(True)("x", "bold red") == "\x1b[1;31mx\x1b[0m"
    assert Paint(False)("x", "bold red") == "x"
    assert Paint(True)("x", "") == "x"
    assert text.width_painted(Paint(True)("日本", "red")) == 4
    for style in text.STYLES.values():
        assert Paint(True)("x", style)


def test_a_table() -> None:
    rows: list[list[text.Cell]] = [["step_number_one", ("failed", "red"), "12", ""], ["日本", "ok", "3", ""], ["x"]]
    assert text.table(rows, Paint(False), 80, head=("step", "status", "n", "empty"), right=(2,)) == [
        "step             status   n",
        "step_number_one  failed  12",
        "日本             ok       3",
        "x",
    ]
    narrow = text.table(rows, Paint(True), 20, right=(2,), keep=(1, 2), indent=1)
    assert narrow == [" ste…one  \x1b[31mfailed\x1b[0m  12", " 日本     ok       3", " x"]
    assert text.table([], Paint(False), 80) == []


def test_columns_with_a_least_width_stand_still() -> None:
    assert text.table([["a", "", "x"]], Paint(False), 40, least=(4, 3)) == ["a          x"]


@given(st.lists(st.lists(WIDE.map(text.visible), min_size=1, max_size=5), max_size=6), st.integers(40, 120))
def test_a_table_is_no_wider_than_asked(rows: list[list[str]], width: int) -> None:
    assert all(text.width_painted(line) <= width for line in text.table(rows, Paint(True), width))
