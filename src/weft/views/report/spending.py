"""What the steps of a run reported as used: tokens and cost, by step of the file, the instances of a fan-out together."""

from typing import Final

from weft.core.measure import Numbers
from weft.core.state import State
from weft.model.output import Usage
from weft.model.paths import definition
from weft.views.report.text import Write
from weft.views.text import percent, plural

ROWS_MAX: Final = 50
"""Steps that are listed, those that used most first: the table of all steps has every single one."""


def by_step(numbers: Numbers) -> list[tuple[str, int, Usage]]:
    """(step, attempts, usage) of all that used something, the dearest first, then those with most tokens."""
    found: dict[str, tuple[int, Usage]] = {}
    for step in numbers.steps:
        if step.usage:
            attempts, usage = found.get(definition(step.step), (0, Usage()))
            found[definition(step.step)] = (attempts + step.attempts, usage.plus(step.usage))
    rows = [(name, attempts, usage) for name, (attempts, usage) in found.items()]
    return sorted(rows, key=lambda row: (-row[2].cost, -row[2].tokens))


def tiles(numbers: Numbers, state: State) -> list[tuple[str, str]]:
    """What was used in all, as numbers with a label; none where nothing was reported."""
    usage, budget = numbers.usage, state.workflow.budget
    found = []
    if usage.calls:
        found.append((f"{usage.calls:,}", "calls of tools and models, made by steps"))
    if usage.tokens:
        part = f"tokens, {usage.tokens_in:,} in and {usage.tokens_out:,} out"
        share = f", {percent(usage.tokens / budget.tokens)} of the budget" if budget and budget.tokens else ""
        found.append((f"{usage.tokens:,}", part + share))
    if usage.cost:
        share = f", {percent(usage.cost / budget.cost)} of the budget" if budget and budget.cost else ""
        found.append((f"{usage.cost:,.6g}", f"cost{share}"))
    return found


def table(numbers: Numbers, write: Write) -> str:
    """Who used how much."""
    rows = by_step(numbers)
    lines = [
        f"<tr><td>{write(name)}</td><td>{attempts:,}</td><td>{usage.tokens_in:,}</td><td>{usage.tokens_out:,}</td>"
        f"<td>{f'{usage.cost:,.6g}' if usage.cost else ''}</td><td>{_share(usage, numbers.usage)}</td></tr>"
        for name, attempts, usage in rows[:ROWS_MAX]
    ]
    if not lines:
        return ""
    names = ("step", "attempts", "tokens in", "tokens out", "cost", "share")
    head = "".join(f"<th>{name}</th>" for name in names)
    more = f'<p class="soft">and {plural(len(rows) - ROWS_MAX, "step")} more</p>' if rows[ROWS_MAX:] else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="wide"><table class="spent">{body}</table></div>{more}'


def _share(usage: Usage, whole: Usage) -> str:
    """Of the cost of the run, or of its tokens where nothing costs anything."""
    if whole.cost:
        return percent(usage.cost / whole.cost)
    return percent(usage.tokens / whole.tokens) if whole.tokens else ""
