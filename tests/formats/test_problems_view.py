"""Problems as people see them: the shape, the caret, and nothing that a terminal would obey."""

import msgspec
import pytest

from weft.formats import load
from weft.model.problem import Place, Problem, Second
from weft.views.problems import LINE_COLUMNS_MAX, as_json, render, visible, window

TEXT = """\
steps:
  fetch:
    run: echo 1
  load:
    needs: fecth
    run: echo 2
  fetch:
    run: echo 3
"""


def test_the_shape() -> None:
    problems = load(TEXT.encode(), "nightly.weft.yaml").problems
    assert render(problems, {"nightly.weft.yaml": TEXT.encode()}) == (
        """\
error[W301]: there is no step `fecth`
 --> nightly.weft.yaml:5:12
  |
5 |     needs: fecth
  |            ^^^^^
  = hint: did you mean `fetch`?

error[W119]: the key `fetch` is given twice
 --> nightly.weft.yaml:7:3
  |
7 |   fetch:
  |   ^^^^^ here again
 ::: nightly.weft.yaml:2:3
  |
2 |   fetch:
  |   ----- first here
  = hint: remove one of them, or give it another name

2 errors in nightly.weft.yaml; `weft explain W301` says more
"""
    )


def test_line_numbers_line_up() -> None:
    text = "\n" * 9 + "last\n"
    problem = Problem(
        code="W1", message="m", place=Place("f", 10, 1, 4), seconds=(Second(Place("f", 9, 1), "l"),), severity="warning"
    )
    assert render([problem], {"f": text}) == (
        "warning[W1]: m\n  --> f:10:1\n   |\n10 | last\n   | ^^^^\n  ::: f:9:1\n   |\n 9 |\n   | - l\n"
        "\n1 warning in f; `weft explain W1` says more\n"
    )


def test_without_a_line() -> None:
    whole = Problem(code="W1", message="m", place=Place("f"), hint="h")
    beyond = Problem(code="W2", message="m", place=Place("g", 9, 1), label="why", severity="warning")
    assert render([whole, beyond], {"g": "x\n"}) == (
        "error[W1]: m\n --> f\n  = hint: h\n\nwarning[W2]: m\n --> g:9:1\n  | why\n"
        "\n1 error and 1 warning in f, g; `weft explain W1` says more\n"
    )
    assert render([], {}) == ""


def test_colour_adds_escapes_and_nothing_else() -> None:
    problems = load(TEXT.encode(), "f").problems
    coloured = render(problems, {"f": TEXT}, color=True)
    assert "\x1b[1;31m" in coloured
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(problems, {"f": TEXT})


def test_nothing_is_obeyed() -> None:
    text = "a\x1b[2J\u202eb\x07\x9b31m\u200b\r\n"
    evil = Problem(code="W1", message="m\x1b]0;x\x07\n", place=Place("f\x1b", 1, 10), label="\x1b", hint="\r")
    shown = render([evil], {"f\x1b": text.encode()})
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown.replace("\n", ""))
    assert "a␛[2J\\u202eb␇\\u009b31m\\u200b" in shown
    assert visible("\x7f\tä日") == "␡    ä日"


@pytest.mark.parametrize(
    ("line", "column", "length", "shown", "start", "width"),
    [
        ("abc", 2, 1, "abc", 1, 1),
        ("a\tbc", 3, 2, "a    bc", 5, 2),
        ("日本x", 3, 1, "日本x", 4, 1),
        ("日本x", 1, 2, "日本x", 0, 4),
        ("e\u0301x", 3, 1, "e\u0301x", 1, 1),
        ("\x1bx", 2, 1, "␛x", 1, 1),
        ("abc", 4, 5, "abc", 3, 1),
        ("abc", 99, 1, "abc", 3, 1),
        ("abc", 2, 99, "abc", 1, 2),
        ("", 0, 1, "", 0, 1),
    ],
)
def test_the_caret_stands_under_its_character(line: str, column: int, length: int, shown: str, start: int, width: int) -> None:
    assert window(line, column, length) == (shown, start, width)


@pytest.mark.parametrize("column", [1, 50, 5000, 9999, 10_000, 10_001])
@pytest.mark.parametrize("sign", ["x", "日"])
def test_long_lines_are_windowed(column: int, sign: str) -> None:
    line = "".join("!" if number == column - 1 else sign for number in range(10_000))
    shown, start, _ = window(line, column, 400)
    width = len(sign.encode()) // 2 + 1 if sign == "日" else 1
    assert len(shown) * width <= (LINE_COLUMNS_MAX + 2) * width
    if column <= 10_000:
        columns = [2 if char == "日" else 1 for char in shown]
        assert shown[next(i for i in range(len(shown)) if sum(columns[:i]) == start)] == "!"


def test_json() -> None:
    problems = load(TEXT.encode(), "f").problems
    assert msgspec.json.decode(as_json(problems), type=list[Problem]) == list(problems)
    assert as_json([]) == "[]"
