"""The same seed gives the same facts, byte for byte, in any process."""

import os
import subprocess
import sys

import msgspec

from weft.core.facts import AttemptEnded, EngineAttached, Fact
from weft.testing import Simulator

SEEDS = 150

PRINT_FACTS = f"""
import hashlib, msgspec
from weft.testing import Simulator
for seed in range({SEEDS}):
    facts = Simulator(seed).play()
    print(len(facts), hashlib.sha256(msgspec.json.encode(facts)).hexdigest())
"""


def facts_under(hash_seed: str) -> list[str]:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", PRINT_FACTS], env=env, capture_output=True, text=True, timeout=100, check=True)
    return done.stdout.splitlines()


def test_facts_do_not_depend_on_hashes() -> None:
    first = facts_under("0")
    assert len(set(first)) > SEEDS * 0.9  # they are not all alike
    assert facts_under("1") == first
    assert facts_under("4242") == first


def play(seed: int) -> list[Fact]:
    return Simulator(seed).play()


def test_facts_depend_on_the_seed_alone() -> None:
    assert [msgspec.json.encode(play(seed)) for seed in range(20)] == [msgspec.json.encode(play(seed)) for seed in range(20)]
    assert play(1) != play(2)


def test_everything_happens_in_some_run() -> None:
    """Or the simulator would prove little."""
    facts = [fact for seed in range(300) for fact in play(seed)]
    assert {type(fact).__name__ for fact in facts} == {kind.__name__ for kind in Fact.__args__}
    assert sum(isinstance(fact, EngineAttached) for fact in facts) > 500
    kinds = {fact.error.kind for fact in facts if isinstance(fact, AttemptEnded) and fact.error}
    assert kinds >= {"timeout", "exit", "error", "cancelled"}
