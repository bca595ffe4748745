"""What a gate shows: the question, and what to look at, evaluated once when it opens, cut to a size, secrets masked. And the
answer, of a gate that has one of its own."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from weft.core import facts as f
from weft.core.why import status_word
from weft.engine.secrets import masked_value
from weft.engine.values import Values, input_error
from weft.model.errors import MachineError
from weft.model.masking import mask
from weft.model.output import Output
from weft.model.template import expressions, resolve
from weft.model.units import format_size
from weft.model.workflow import Approve, Flow, Step, Value
from weft.ports import ReadAnswer

MESSAGE_CHARS_MAX: Final = 2_000
"""A question; what is longer belongs into `show`."""
SHOW_CHARS_MAX: Final = 16_384
"""Of JSON: what somebody reads before he answers. It is part of a fact, and every view keeps it."""
STEPS_MAX: Final = 50
"""Steps of a layer that a gate names; the rest is counted."""
PREVIEW_CHARS_MAX: Final = 200
"""Of each output at a gate between layers."""
PREVIEW_BYTES_MAX: Final = 64 * 1024
"""An output larger than this is not loaded to show its beginning."""


class Questions:
    """Evaluates what is asked. `secrets` are values that nobody may see, `kinds` the types of actions that can be run."""

    def __init__(self, values: Values, secrets: Sequence[str], read_answer: ReadAnswer, kinds: Collection[type]) -> None:
        self._values = values
        self._secrets = secrets
        self._read_answer = read_answer
        self._kinds = kinds

    def open(self, gate: str) -> f.GateOpened:
        """The question of a gate; with `error` if it cannot be evaluated."""
        state = self._values.state
        i = state.graph.index.get(gate)
        if i is None:
            return self._between_layers(gate)
        step = state.steps[i]
        question = step.question
        assert question is not None
        try:
            message, show = self._asked(step, question)
        except (ValueError, MachineError) as error:
            return f.GateOpened(at=0.0, gate=gate, error=input_error(error))
        opened = self._opened(gate, message, show)
        return opened if question.answer is None else self._answered(opened, step, question.answer)

    def _answered(self, opened: f.GateOpened, step: Step, written: Value) -> f.GateOpened:
        """A gate with its answer, or with why there is none."""
        state = self._values.state
        by = next((str(each.path[0]) for _, _, of in expressions(written) for each in of.references if each.root == "steps"), "")
        try:
            value = resolve(written, self._values.scope_of(step.id))
            if value is None:
                error = state.errors.get(state.graph.index.get(by, -1))
                raise ValueError(f"there is no answer ({error.message})" if error else "there is no answer")
            said = self._read_answer(value, opened.gate, state)
            if wrong := cannot_run(self._kinds, said.inject):
                raise ValueError(wrong)
        except (ValueError, MachineError) as error:
            return msgspec.structs.replace(opened, by=by, unsaid=mask(_cut(str(error), MESSAGE_CHARS_MAX), self._secrets))
        reason = mask(_cut(said.reason, MESSAGE_CHARS_MAX), self._secrets)
        return msgspec.structs.replace(opened, by=by, said=msgspec.structs.replace(said, by=by, reason=reason))

    def _opened(self, gate: str, message: str, show: Value) -> f.GateOpened:
        message = mask(message, self._secrets)
        return f.GateOpened(
            at=0.0, gate=gate, message=_cut(message, MESSAGE_CHARS_MAX), show=_bounded(masked_value(show, self._secrets))
        )

    def _asked(self, step: Step, question: Approve) -> tuple[str, Value]:
        """Raises ValueError or MachineError. A gate before an action shows the `with` that can be changed."""
        scope = self._values.scope_of(step.id)
        message = resolve(question.message, scope)
        show = resolve(question.show, scope)
        if question is step.gate:
            message = message or f"run `{step.id}`?"
            alone = step.for_each is None  # the `with` of a fan-out may speak of items
            show = self._values.inputs(step.id) or None if show is None and alone else show
        return message if isinstance(message, str) else msgspec.json.encode(message).decode(), show

    # ---- between layers ----

    def _between_layers(self, gate: str) -> f.GateOpened:
        """What the layers since the last gate did, and what comes next."""
        state = self._values.state
        done = [i for layer in state.layers[state.passed : state.front] for i in layer]
        counts = Counter(status_word(state, i) for i in done)
        told = ", ".join(f"{count} {word}" for word, count in counts.items())
        coming = state.layers[state.front]
        results = {state.graph.ids[i]: self._result(i) for i in done[:STEPS_MAX]}
        if len(done) > STEPS_MAX:
            results["…"] = f"and {len(done) - STEPS_MAX} more"
        ahead = [state.graph.ids[i] for i in coming[:STEPS_MAX]]
        more = [f"… and {len(coming) - STEPS_MAX} more"] if len(coming) > STEPS_MAX else []
        front = state.front + state.workflow.first_layer
        message = f"layer {front - 1} is done ({told}); go on with layer {front}?"
        return self._opened(gate, message, {"next": [*ahead, *more], "results": results})

    def _result(self, i: int) -> Value:
        state = self._values.state
        error, output = state.errors.get(i), self._values.outputs.get(state.graph.ids[i])
        result: dict[str, Value] = {"status": status_word(state, i)}
        if error:
            result["error"] = _cut(error.message, PREVIEW_CHARS_MAX)
        if output:
            result["output"] = self._preview(state.graph.ids[i], output)
        return result

    def _preview(self, step: str, output: Output) -> Value:
        if output.secret:
            return "(secret)"
        if output.size > PREVIEW_BYTES_MAX:
            return f"({format_size(output.size)})"
        try:
            value = self._values.output(step)
        except (ValueError, MachineError):
            return "(lost)"
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return value if len(text) <= PREVIEW_CHARS_MAX else _cut(text, PREVIEW_CHARS_MAX)


def cannot_run(kinds: Collection[type], steps: Sequence[Step]) -> str:
    """Why an engine that runs actions of these types cannot be given the steps, as a sentence; empty if it can."""
    missing = [step.id for step in steps if type(step.action) not in (Approve, Flow, *kinds)]
    lacks = "a kind of step that its workflow lacks: suspend the run, then try again"
    return f"the engine cannot run `{missing[0]}`, {lacks}" if missing else ""


def _bounded(value: Value) -> Value:
    text = msgspec.json.encode(value).decode()
    if len(text) <= SHOW_CHARS_MAX:
        return value
    return _cut(value if isinstance(value, str) else text, SHOW_CHARS_MAX)


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else f"{text[:chars_max]}… ({len(text) - chars_max:,} more characters)"
