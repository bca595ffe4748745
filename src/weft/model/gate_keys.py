"""The keys of gates: rows of the one table in `spec`, which holds them together with the others."""

import msgspec

from weft.model.keys import Key, Keys
from weft.model.shape import Anything, Choice, Duration, Either, MapOf, Record, Text

_data = Text(field="data")
_message = Key(
    "message",
    _data,
    "The question, as a sentence. It may hold `${{ }}`.",
    '"Publish ${{ steps.count.output }} rows?"',
)
_show = Key(
    "show",
    Anything(data=True),
    "What is shown with the question: any value, in which texts may hold `${{ }}`. Long ones are cut, secrets masked.",
    "${{ steps.headline.output }}",
)
_gate_timeout = Key(
    "timeout",
    Duration(positive=True),
    "How long the gate waits for an answer. The time passes also while no engine lives.",
    "2d",
    "for ever",
)
_silence = (
    "What it means that nobody answered in time. `reject`: no. `approve`: yes. `fail`: the step has failed with kind `timeout`."
)
_on_timeout = Key("on_timeout", Choice(("reject", "approve", "fail")), _silence, "approve", "reject")
_answer = Key(
    "answer",
    Anything(data=True),
    "The answer itself, so that nobody is asked: the output of an agent, say. A mapping with `decision` (`approve`, `reject`, "
    "`modify`, `replan`), and maybe `reason`, `arguments` (changes of `with`), `skip` (steps to leave out) and `tasks` (calls of "
    "tools to add). Null and what is no answer count as silence, for which `on_timeout` stands.",
    "${{ steps.review.output }}",
)

APPROVE = Key(
    "approve",
    Either((Text(what="a question", field="data"), Record("approve"))),
    "Wait until somebody answers: the question, or a mapping. Approved, the output tells who, when, why, and the values of "
    "the form; rejected, the step is cancelled and what needs it is skipped.",
    "Publish?",
)
GATE = Key(
    "gate",
    Either((Choice(("before",)), Record("gate"))),
    "Somebody must approve the step before its first attempt starts, and may change its `with`: `before`, or a mapping that "
    "says what is asked.",
    "before",
)
GATES = Key(
    "gates",
    Either((Choice(("each-layer",)), Record("gates"))),
    "A gate between each layer and the next: the run pauses, shows what the layer did and what comes next, and "
    "goes on when somebody says so. Nothing of a layer starts before that.",
    "each-layer",
)

GATE_RECORDS: dict[str, Keys] = {
    "approve": Keys(
        "`approve`",
        (
            msgspec.structs.replace(_message, required=True),
            _show,
            Key(
                "form",
                MapOf(Record("input"), "a field"),
                "Fields that the answer fills in, typed like inputs: given as `weft approve RUN --form name=value`, and part of "
                "the output of the step.",
                "{ channel: { choices: [web, mail], default: web } }",
            ),
            _gate_timeout,
            _on_timeout,
        ),
    ),
    "gate": Keys("`gate`", (_message, _show, _gate_timeout, _on_timeout, _answer)),
    "gates": Keys(
        "`gates`",
        (
            Key(
                "at",
                Choice(("each-layer",)),
                "Where the gates are: between each layer and the next.",
                "each-layer",
                required=True,
            ),
            _gate_timeout,
            Key(
                "on_timeout",
                Choice(("reject", "approve")),
                "What it means that nobody answered in time. `reject`: the run is cancelled. `approve`: it goes on.",
                "approve",
                "reject",
            ),
        ),
    ),
}
