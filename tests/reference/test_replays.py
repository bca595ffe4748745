"""The replay of a run under its own limits takes exactly as long as the run did, when nothing but the core decides when."""

from collections.abc import Iterable
from itertools import islice
from math import inf

import pytest
from cases import Case, in_turns, large, small
from hands import Hands

from weft.sim.replay import past_of
from weft.sim.what_if import makespan_s

SOME = 20
"""Every so many-th graph of four steps: all of them are compared with the model."""
LARGE = 300


def missed(cases: Iterable[Case]) -> list[tuple[Case, float, float]]:
    """Cases with how long they took and how long their replay took, where that is not the same."""
    found = []
    for case in cases:
        workflow, given = case.build()
        if given.cancel_at_s < inf:
            continue  # a replay asks for nothing: it knows the workflow's own ways to end
        hands = Hands(workflow, given)
        hands.run()
        again_s = makespan_s(past_of(hands.facts))
        if again_s != pytest.approx(hands.now):
            found.append((case, hands.now, again_s))
    return found


def test_small_runs_take_as_long_again() -> None:
    assert missed(small(2)) == []
    assert missed(islice(in_turns(4, 2), 0, None, SOME)) == []


def test_large_runs_take_as_long_again() -> None:
    """With retries, backoff, timeouts, limits, failures that stop others, fan-outs and sub-workflows."""
    assert missed(map(large, range(LARGE))) == []
