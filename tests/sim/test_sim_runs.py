"""Ten thousand simulated runs, some large ones, and every seed that ever failed. A new one is printed: add it to seeds.txt."""

from pathlib import Path

import pytest

from weft.testing import Simulator

RUNS = 10_000
CHUNK = 250
LARGE_RUNS = 200
LARGE_CHUNK = 20
STEPS_MAX = 60


def failures(seeds: range | list[int], steps_max: int = 16) -> list[str]:
    found = []
    for seed in seeds:
        try:
            Simulator(seed, steps_max=steps_max).play()
        except Exception as error:  # a broken rule, or anything else that the core raises
            found.append(f"seed {seed}: {type(error).__name__}: {error}")
    return found


def test_seeds_that_failed_once() -> None:
    lines = Path(__file__).with_name("seeds.txt").read_text().splitlines()
    seeds = [int(line.split()[0]) for line in lines if line and not line.startswith("#")]
    assert failures(seeds) == []
    assert failures(seeds, STEPS_MAX) == []


@pytest.mark.parametrize("first", range(0, RUNS, CHUNK))
def test_runs(first: int) -> None:
    assert failures(range(first, first + CHUNK)) == []


@pytest.mark.parametrize("first", range(0, LARGE_RUNS, LARGE_CHUNK))
def test_large_runs(first: int) -> None:
    assert failures(range(first, first + LARGE_CHUNK), STEPS_MAX) == []
