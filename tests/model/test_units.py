"""Durations and sizes: what is accepted, what is refused, and that people and machines read them alike."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.units import (
    DURATION_MAX_S,
    SIZE_MAX_BYTES,
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)

GARBAGE = [
    "",
    " ",
    "s",
    "m5",
    "1 s",
    "1s ",
    "1e3",
    "0x10",
    "-1",
    "-5s",
    "1h1h",
    "5m1h",
    "1,5s",
    "nan",
    "inf",
    "٣s",
    "1s\n",
    "1..5s",
]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90),
        ("2d", 172_800),
        ("1h30m", 5_400),
        ("1d2h3m4s5ms", 93_784.005),
        ("250ms", 0.25),
        ("10m", 600),
        ("1.5h", 5_400),
        ("0", 0),
        ("0s", 0),
        ("90", 90),
        ("0.25", 0.25),
        (7, 7),
        (0.5, 0.5),
        (0, 0),
        ("36500d", DURATION_MAX_S),
    ],
)
def test_durations(value: str | float, seconds: float) -> None:
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", [*GARBAGE, "5 minutes", "1w", "36501d", "9" * 21, True, False, -1, -0.1, math.nan, math.inf, -math.inf, 10**400]
)
def test_no_durations(value: str | float) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: write seconds, .*`1h30m`"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("512MiB", 512 * 2**20),
        ("8GiB", 8 * 2**30),
        ("1 TiB", 2**40),
        ("10kB", 10_000),
        ("10KB", 10_000),
        ("10MB", 10_000_000),
        ("1.5KiB", 1_536),
        ("3B", 3),
        ("17", 17),
        ("0", 0),
        (17, 17),
        (8.0, 8),
        (SIZE_MAX_BYTES, SIZE_MAX_BYTES),
        ("9223372036854775807", SIZE_MAX_BYTES),
    ],
)
def test_sizes(value: str | float, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value", [*GARBAGE, "8G", "8gib", "8  GiB", "9223372036854775808", True, -1, 8.5, math.nan, math.inf, 10**400, 2**63]
)
def test_no_sizes(value: str | float) -> None:
    with pytest.raises(ValueError, match=r"is not a size: write whole bytes, .*`8GiB`"):
        parse_size(value)


def test_what_is_refused_is_shown_cut() -> None:
    with pytest.raises(ValueError, match=r"^`x{40}…` is not a duration"):
        parse_duration("x" * 1_000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1e-9, "0s"),
        (0.0004, "0.4ms"),
        (0.12, "120ms"),
        (0.499, "499ms"),
        (0.6, "0.6s"),
        (1, "1s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (42.4, "42s"),
        (59.7, "1m"),
        (60, "1m"),
        (391, "6m31s"),
        (3_599.6, "1h"),
        (3_900, "1h5m"),
        (86_380, "24h"),
        (86_399.7, "1d"),
        (183_600, "2d3h"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (512, "512B"),
        (1_023, "1023B"),
        (1_024, "1KiB"),
        (1_536, "1.5KiB"),
        (2**20 - 1, "1MiB"),
        (8 * 2**30, "8GiB"),
        (2**60, "1048576TiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.floats(0, DURATION_MAX_S - 86_400))
def test_what_people_read_can_be_written(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.1, abs=1e-6)


@given(st.integers(0, SIZE_MAX_BYTES // 2))
def test_what_people_read_of_sizes_can_be_written(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.06)


@given(st.text(max_size=20) | st.from_regex(r"[0-9.dhmsKMGiB ]{1,12}", fullmatch=True))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    for parse, most in ((parse_duration, DURATION_MAX_S), (parse_size, SIZE_MAX_BYTES)):
        value: float = 0
        with contextlib.suppress(ValueError):
            value = parse(text)
        assert 0 <= value <= most


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("60/min", (60, 60.0), "60/min"),
        ("60/minute", (60, 60.0), "60/min"),
        ("10/s", (10, 1.0), "10/s"),
        ("5/100ms", (5, 0.1), "5/100ms"),
        ("1000 / h", (1000, 3600.0), "1000/h"),
        ("3/day", (3, 86_400.0), "3/d"),
        ("1/1h30m", (1, 5400.0), "1/1h30m"),
        ("10000/s", (10_000, 1.0), "10000/s"),
        ("1/ms", (1, 0.001), "1/1ms"),
    ],
)
def test_rates(text: str, rate: tuple[int, float], shown: str) -> None:
    assert parse_rate(text) == rate
    assert format_rate(*rate) == shown


@pytest.mark.parametrize(
    "text",
    ["", "60", "60/", "/min", "0/min", "1.5/s", "60/60", "60/fortnight", "-1/s", "10001/s", "1/0s", "9999999/h", "60/min/s"],
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a rate: write starts per time like `60/min`"):
        parse_rate(text)
