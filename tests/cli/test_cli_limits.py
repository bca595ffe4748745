"""Limits in the real command: keys that are values, and a rate across kill -9."""

import os
import signal
from itertools import pairwise

from door import Weft, read_until, weft


def test_keys_are_values(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        """
inputs: { tenants: { type: list, default: [red, 7, true] } }
resources: { tenant: { slots: 1, per: "${{ tenant }}" } }
steps:
  call:
    for_each: ${{ inputs.tenants }}
    as: tenant
    run: echo hello
    resources: { tenant: 1 }
""",
    )
    facts = weft("run", "w.yaml", "--output", "json").facts()
    keys = {fact["step"]: fact["keys"] for fact in facts if fact["fact"] == "condition_evaluated"}
    assert keys == {"call[0]": {"tenant": "red"}, "call[1]": {"tenant": "7"}, "call[2]": {"tenant": "true"}}


def test_a_key_that_is_none(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        """
inputs: { x: { default: [1] } }
resources: { p: { slots: 1, per: "${{ inputs.x }}" } }
steps:
  a: { run: echo a, resources: { p: 1 } }
""",
    )
    done = weft("run", "w.yaml", code=1)
    assert "`per` of pool `p` is a list, and must be text, a number or a boolean" in done.err
    long = "x" * 201
    done = weft("run", "w.yaml", f"x={long}", code=1)
    assert "a key has up to 200" in done.err


def test_a_rate_across_kill_9(weft: Weft) -> None:
    """No interval is shorter than the rate says, that between the last start before the crash and the first after it included."""
    steps = "\n".join(f"  s{n}: {{ run: echo {n}, resources: {{ api: 1 }} }}" for n in range(5))
    weft.write("w.yaml", f"resources: {{ api: {{ rate: 5/s }} }}\nsteps:\n{steps}\n")
    engine = weft.start("run", "w.yaml", "--output", "json")
    before = read_until(engine, lambda fact: fact["fact"] == "attempt_started" and fact["step"] == "s1")
    os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()
    engine.stdout.close()  # type: ignore[union-attr]
    engine.stderr.close()  # type: ignore[union-attr]
    after = weft("resume", "@", "--output", "json").facts()
    starts = [fact["at"] for fact in (*before, *after) if fact["fact"] == "attempt_started"]
    assert len(starts) >= 5
    assert all(later - earlier >= 0.2 - 1e-6 for earlier, later in pairwise(starts))
