"""Interrupted steps: their attempt was lost, and `rerun` does not let them run again by themselves, so a person is asked.

The first answer counts, as at a gate. It stands until the step is interrupted once more.
"""

from weft.core import facts as f
from weft.core.fallback import over
from weft.core.state import State


def asked_about(state: State) -> dict[int, int]:
    """Steps that wait for a person in a run without an engine, with the attempt that was lost: those that are interrupted, and
    those that the next engine will find so, as they were running when the last one died."""
    lost = {i: attempt.number for i, attempt in state.alive.items() if state.steps[i].rerun != "always" and not over(state, i)}
    return state.interrupted | lost


def refused(state: State, fact: f.InterruptAnswered, asked: dict[int, int]) -> str:
    """Why an answer does not count, as a sentence for whoever gave it; empty if it does. `asked`: the steps that wait for one."""
    i = state.graph.index.get(fact.step)
    if i is None or i not in asked:
        first = None if i is None else state.told.get(i)
        if first is not None:
            return f"`{fact.step}` has been answered: {told_words(first)}"
        named = ", ".join(f"`{state.graph.ids[j]}` is" for j in asked) or "none is"
        return f"step `{fact.step}` is not interrupted; {named}"
    if fact.answer == "again" and state.steps[i].rerun == "never":
        ways = f"`weft approve RUN {fact.step} --done` says that its work is done, `weft reject RUN {fact.step}` gives it up"
        return f"step `{fact.step}` says `rerun: never`, so it does not run again: {ways}"
    return ""


def told_words(told: f.InterruptAnswered) -> str:
    """Who said what of an interrupted step, and why, as a sentence."""
    reason = f": {told.reason}" if told.reason else ""
    return f"{told.by} {DID[told.answer]}{reason}"


DID = {"again": "let it run again", "done": "said that its work is done", "give_up": "gave it up"}
"""What somebody did who answered so."""
