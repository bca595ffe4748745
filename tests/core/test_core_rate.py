"""The token bucket as arithmetic, against one that counts tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core import rate
from weft.model.workflow import Rate


def starts(of: Rate, burst: int, asked: list[float], full_at: float = rate.NEVER) -> list[float]:
    """Which of these instants somebody starts at."""
    found = []
    for at in asked:
        if rate.opens(full_at, of, burst) <= at:
            full_at = rate.taken(full_at, of, at)
            found.append(at)
    return found


def test_evenly_spread() -> None:
    assert starts(Rate(60, 60.0), 1, [0.0, 0.5, 1.0, 1.5, 2.0, 9.0, 9.5]) == [0.0, 1.0, 2.0, 9.0]


def test_a_burst_after_a_rest() -> None:
    assert starts(Rate(1, 1.0), 3, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0]) == [0.0, 0.0, 0.0, 1.0, 9.0, 9.0, 9.0]


def test_a_bucket_that_was_emptied() -> None:
    one = Rate(1, 10.0)
    assert rate.opens(rate.emptied(rate.NEVER, one, 3, 100.0), one, 3) == 110.0
    assert starts(one, 3, [109.0, 110.0, 110.0, 120.0], rate.emptied(rate.NEVER, one, 3, 100.0)) == [110.0, 120.0]


waits = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 8.0]), min_size=1, max_size=40)


@given(count=st.integers(1, 8), window_s=st.sampled_from([0.5, 1.0, 4.0, 60.0]), burst=st.integers(1, 6), waits=waits)
def test_it_is_a_token_bucket(count: int, window_s: float, burst: int, waits: list[float]) -> None:
    of, tokens, last, expected = Rate(count, window_s), float(burst), 0.0, []
    asked = [sum(waits[: n + 1]) for n in range(len(waits))]
    for at in asked:
        tokens = min(float(burst), tokens + (at - last) * count / window_s)
        last = at
        if tokens >= 1 - 1e-9:
            tokens -= 1
            expected.append(at)
    found = starts(of, burst, asked)
    # where the last bit decides whether a token is whole, the two may differ by one start
    assert abs(len(found) - len(expected)) <= 1


@given(count=st.integers(1, 8), burst=st.integers(1, 6), waits=waits)
def test_no_stretch_of_time_has_too_many(count: int, burst: int, waits: list[float]) -> None:
    of = Rate(count, 4.0)
    found = starts(of, burst, [sum(waits[: n + 1]) for n in range(len(waits))])
    for first in range(len(found)):
        for last in range(first, len(found)):
            assert last - first + 1 <= burst + (found[last] - found[first]) / of.interval_s + 1e-6


@pytest.mark.parametrize(("of", "burst"), [(Rate(60, 60.0), 1), (Rate(7, 3.0), 1), (Rate(1000, 1.0), 1)])
def test_without_a_burst_a_window_has_no_more_than_the_rate_says(of: Rate, burst: int) -> None:
    found = starts(of, burst, [n * of.interval_s / 3 for n in range(6 * of.starts)])
    assert max(sum(at <= other < at + of.window_s * 0.999 for other in found) for at in found) <= of.starts
