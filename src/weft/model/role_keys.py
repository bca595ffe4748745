"""The keys of fallbacks, `finally` and budgets: rows of the one table in `spec`, which holds them together with the others."""

from typing import Final

from weft.model.keys import Key, Keys
from weft.model.shape import INTEGER_MAX, NAME, Choice, Either, Integer, ListOf, MapOf, Number, Record, Text

COST_MAX: Final = 1_000_000_000
"""More than any run should cost in any currency."""

NOT_OF_A_FALLBACK: Final = ("on_error", "drain")
"""Keys of a step that a fallback without an id has not: its failure is that of its step."""

FINALLY: Final = Key(
    "finally",
    Either((MapOf(Record("step"), "a step"), ListOf(Record("listed_step")))),
    "Steps that run once when the run ends, however it ends: when all others have settled and nothing runs any more. They see "
    "`${{ run.status }}`, and may refer to all other steps. A failure among them makes the run fail.",
    "{ clean: { run: rm -rf scratch } }",
)
BUDGET: Final = Key(
    "budget",
    Record("budget"),
    "How many tokens, and how much of what they cost, the steps may report before nothing new starts. What runs then may end, "
    "and the run has failed.",
    "{ tokens: 200000, cost: 5 }",
)
FALLBACK: Final = Key(
    "fallback",
    Either((Text(NAME, "a name"), Record("fallback"))),
    "What is tried when the step would fail, before `on_error` applies: the id of a step, which then runs only as this, or a "
    "step without an id. Its output is taken for that of the step. It may read `${{ steps.X.error }}` of the step.",
    "{ run: cat cached.json }",
)
RERUN: Final = Key(
    "rerun",
    Choice(("always", "ask", "never")),
    "What becomes of the step if its engine dies, or is told to leave at once, while it runs. `always`: it runs again. `ask`: it "
    "is interrupted until a person says whether it runs again, is done, or has failed. `never`: the same, without a second run.",
    "ask",
    "always",
)
ROLE_RECORDS: Final[dict[str, Keys]] = {
    "budget": Keys(
        "`budget`",
        (
            Key("tokens", Integer(1, INTEGER_MAX), "Tokens, those that go into models and those that come out.", "200000"),
            Key("cost", Number(0, COST_MAX), "What attempts report as their `cost`, in whatever currency they do.", "2.5"),
        ),
    ),
}
