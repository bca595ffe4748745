"""What expressions see: `inputs`, `steps`, `run`, and in a fan-out the item. Outputs are read from the store only when an
expression asks for them.

The steps of a sub-workflow see its own inputs and each other, and nothing of what is around it.
"""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping

import msgspec

from weft.core import facts as f
from weft.core.state import State
from weft.core.status import Status
from weft.core.verdict import any_succeeded, failed_need
from weft.core.why import status_word
from weft.engine.items import Items
from weft.model.errors import MachineError
from weft.model.evaluate import verdict
from weft.model.expression import parse
from weft.model.frame import Scope
from weft.model.inputs import check_inputs
from weft.model.output import ErrorRecord, Output
from weft.model.paths import definition
from weft.model.template import expressions, resolve
from weft.model.workflow import Flow, Step, Value, Workflow
from weft.ports import OutputStore

KEY_LENGTH_MAX = 200
"""A key of a pool is journalled with each step that has it, and shown beside the name of the pool."""
SCOPES_MAX = 4096
"""Scopes of sub-workflows that are kept; one that is asked for again later is made again."""


class Values:
    """The outputs of a run by step, and the scopes that expressions are evaluated in."""

    def __init__(self, state: State, created: f.RunCreated, store: OutputStore, outputs: Mapping[str, Output]) -> None:
        self.state = state
        self.outputs = {**{step: given.output for step, given in created.given.items() if given.output}, **outputs}
        self._store = store
        self._run: Mapping[str, Value] = _Run(state, created)
        self.scope: dict[str, Value] = {"inputs": created.inputs, "steps": _Steps(self, ""), "run": self._run}
        self._items = Items(state, self.scope_of, self.output)
        self._flows: dict[int, dict[str, Value]] = {}

    def output(self, step: str) -> Value:
        """The output of a step, null if it has none; of a fan-out, those of its instances that succeeded, by key."""
        state, i = self.state, self.state.graph.index.get(step)
        if i in state.stand_ins and state.status[i].good:
            return self.output(state.graph.ids[state.stand_ins[i]])
        output = self.outputs.get(step)
        if output is not None:
            return self._store.load(output)
        return _Collected(self, i) if i is not None and self.state.steps[i].for_each is not None else None

    def forget(self) -> None:
        """The run goes on after its end: what runs again has no output any more."""
        status, index = self.state.status, self.state.graph.index
        self.outputs = {step: output for step, output in self.outputs.items() if status[index[step]].good}

    # ---- scopes ----

    def scope_of(self, step: str) -> Scope:
        """What the data fields of a step see. Raises ValueError if there is no such item, or a sub-workflow cannot be entered."""
        i = self.state.graph.index[step]
        state, flow = self.state, self._flow_of(i)
        scope: Scope = self.scope if flow is None else self._flow_scope(flow)
        if state.ending and i in state.last:
            scope = {**scope, "run": {**self._run, "status": state.ending.status}}
        if i in state.keys:
            around = state.graph.parent[i]
            scope = self.scope_of(state.graph.ids[around]) if state.steps[around].role == "fallback" else scope
            return {**scope, **self._items.scope(i)}
        return self._fallback_scope(i, scope) if state.steps[i].role == "fallback" else scope

    def _fallback_scope(self, i: int, scope: Scope) -> Scope:
        """A fallback of an instance sees the item of that instance, and the instance under the name of its fan-out."""
        state, seen = self.state, dict[str, Value]()
        while state.steps[i].role == "fallback" and state.graph.ids[i] in state.users:
            i = state.users[state.graph.ids[i]]
            seen[definition(state.graph.ids[i]).rpartition("/")[2]] = _Step(self, state.graph.ids[i])
        if i not in state.keys:
            return scope
        return {**scope, **self._items.scope(i), "steps": ChainMap(seen, scope["steps"])}

    def _flow_of(self, i: int) -> int | None:
        """The sub-workflow that step i belongs to."""
        if i not in self.state.graph.parent:
            return None
        return next((above for above in self.state.graph.above(i) if self.state.steps[above].for_each is None), None)

    def _flow_scope(self, i: int) -> dict[str, Value]:
        if i not in self._flows:
            step = self.state.steps[i]
            assert isinstance(step.action, Flow)
            inputs = check_inputs(step.action.workflow, self.inputs(step.id))
            if len(self._flows) >= SCOPES_MAX:
                self._flows.pop(next(iter(self._flows)))
            self._flows[i] = {"inputs": inputs, "steps": _Steps(self, f"{step.id}/"), "run": self._run}
        return self._flows[i]

    def inputs(self, step: str) -> dict[str, Value]:
        """The `with` of a step, with what was changed at its gate, or at that of the fan-out that it is an instance of. What
        somebody wrote there is data: nothing in it is evaluated."""
        state, i = self.state, self.state.graph.index[step]
        own = state.steps[i].inputs
        if not state.answers:
            found: dict[str, Value] = resolve(own, self.scope_of(step)) if own else {}
            return found
        changed: dict[str, Value] = {}
        parent = state.graph.parent.get(i, i)
        for j in (parent, i) if state.steps[parent].for_each is not None else (i,):
            answer = state.answers.get(state.graph.ids[j])
            changed |= answer.inputs if answer else {}
        found = resolve({name: value for name, value in own.items() if name not in changed}, self.scope_of(step))
        return {**found, **changed}

    def environment(self, step: str) -> dict[str, str]:
        """The `env` of the workflow, of each sub-workflow around the step, and of the step itself, the innermost last."""
        i = self.state.graph.index[step]
        flow = self._flow_of(i)
        if flow is None:
            env, scope = self.state.workflow.env, self.scope
            outer = {name: str(resolve(text, scope)) for name, text in env.items()}
        else:
            action = self.state.steps[flow].action
            assert isinstance(action, Flow)
            outer = self.environment(self.state.graph.ids[flow])
            inner = action.workflow.env
            outer |= {name: str(resolve(text, self._flow_scope(flow))) for name, text in inner.items()}
        own = self.state.steps[i].env
        return outer | {name: str(resolve(text, self.scope_of(step))) for name, text in own.items()} if own else outer

    # ---- what the core asks for ----

    def condition(self, step: str) -> f.ConditionEvaluated:
        """The verdict of the `if` of a step, and the keys of its pools if it may run; or why there is none."""
        of = self.state.steps[self.state.graph.index[step]]
        try:
            scope = self.scope_of(step)
            answer = not of.condition or verdict(parse(of.condition), scope, self._status_functions(step))
            keys = pool_keys(self.state.workflow, of, scope) if answer else {}
        except (ValueError, MachineError) as error:
            return f.ConditionEvaluated(at=0.0, step=step, verdict=False, error=input_error(error))
        return f.ConditionEvaluated(at=0.0, step=step, verdict=answer, keys=keys)

    def items(self, step: str) -> f.ItemsEvaluated:
        """The keys of a fan-out's items; for a sub-workflow, none, if its inputs are what it declares."""
        i = self.state.graph.index[step]
        try:
            if self.state.steps[i].for_each is not None:
                return f.ItemsEvaluated(at=0.0, step=step, keys=self._items.keys(i))
            self._flow_scope(i)
            return f.ItemsEvaluated(at=0.0, step=step)
        except (ValueError, MachineError) as error:
            return f.ItemsEvaluated(at=0.0, step=step, error=input_error(error))

    def flow_outputs(self, step: str) -> Value:
        """The outputs of a sub-workflow. Raises ValueError or MachineError."""
        i = self.state.graph.index[step]
        action = self.state.steps[i].action
        assert isinstance(action, Flow)
        return resolve(self._selected(action.workflow.outputs, f"{step}/"), self._flow_scope(i))

    def _selected(self, outputs: dict[str, Value], prefix: str) -> dict[str, Value]:
        """Without those that refer to a step which was not selected, or was skipped in a run that leaves some out."""
        state = self.state
        if not state.left_out:
            return outputs

        def skipped(name: str) -> bool:
            i = state.graph.index.get(prefix + name)
            return i is not None and state.status[i] is Status.SKIPPED

        used = {
            name: [str(found.path[0]) for _, _, each in expressions(value) for found in each.references if found.root == "steps"]
            for name, value in outputs.items()
        }
        return {name: value for name, value in outputs.items() if not any(map(skipped, used[name]))}

    def run_outputs(self, *, partial: bool = False) -> f.OutputsEvaluated:
        """The outputs of the run, or why there are none; `partial`: each that there is, as it has failed, and null for others."""
        outputs = self.state.workflow.outputs
        if partial:
            return f.OutputsEvaluated(at=0.0, outputs={name: self._if_any(value) for name, value in outputs.items()})
        try:
            outputs = self._selected(self.state.workflow.outputs, "")
            return f.OutputsEvaluated(at=0.0, outputs=resolve(outputs, self.scope))
        except (ValueError, MachineError) as error:
            return f.OutputsEvaluated(at=0.0, outputs={}, error=input_error(error))

    def _if_any(self, value: Value) -> Value:
        try:
            return resolve(value, self.scope)
        except (ValueError, MachineError):
            return None

    def _status_functions(self, step: str) -> dict[str, Callable[[], bool]]:
        """`success()`, `failed()` and `always()` as the `if` of a step means them: about its own needs."""
        state, i = self.state, self.state.graph.index[step]
        return {
            "success": lambda: failed_need(state, i) is None and any_succeeded(state, i),
            "failed": lambda: failed_need(state, i) is not None,
            "always": lambda: True,
        }


def pool_keys(workflow: Workflow, step: Step, scope: Scope) -> dict[str, str]:
    """The key of each pool with `per` that the step takes. Raises ValueError for one that is no text, number or boolean."""
    keys = {}
    for name in step.resources:
        per = workflow.resources[name].per
        if per:
            key = resolve(per, scope)
            if not isinstance(key, str | int | float):
                raise ValueError(f"`per` of pool `{name}` is {_what(key)}, and must be text, a number or a boolean")
            keys[name] = key if isinstance(key, str) else msgspec.json.encode(key).decode()
            if len(keys[name]) > KEY_LENGTH_MAX:
                raise ValueError(f"`per` of pool `{name}` has {len(keys[name])} characters; a key has up to {KEY_LENGTH_MAX}")
    return keys


def _what(value: Value) -> str:
    return "null" if value is None else "a list" if isinstance(value, list) else "a mapping"


def input_error(error: ValueError | MachineError) -> ErrorRecord:
    """What could not be resolved, as the error of an attempt: an ExpressionError, a value that is too large, a lost blob."""
    return ErrorRecord(kind="input", message=str(error), hint=getattr(error, "hint", ""))


class _Run(Mapping[str, Value]):
    """`id` and `name` of the run, and when it `started`, in seconds since the epoch: it has that from its first turn."""

    def __init__(self, state: State, created: f.RunCreated) -> None:
        self._state = state
        self._known = {"id": created.run, "name": created.workflow.name, "started": created.at}

    def __getitem__(self, name: str) -> Value:
        if name == "started" and self._state.created:
            return self._state.created.at
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class _Steps(Mapping[str, Value]):
    """The steps of the workflow, or of the sub-workflow whose path `prefix` is, by the names that they have in it."""

    def __init__(self, values: Values, prefix: str) -> None:
        self._values = values
        self._prefix = prefix

    def __getitem__(self, name: str) -> Value:
        step = self._prefix + name
        if step not in self._values.state.graph.index or not _is_name(name):
            raise KeyError(name)
        return _Step(self._values, step)

    def __iter__(self) -> Iterator[str]:
        length = len(self._prefix)
        ids = self._values.state.graph.ids
        return iter([id_[length:] for id_ in ids if id_.startswith(self._prefix) and _is_name(id_[length:])])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _is_name(path: str) -> bool:
    """Whether this is one step of the file, rather than a part of one."""
    return "/" not in path and "[" not in path


class _Step(Mapping[str, Value]):
    """`output`, `error` and `status` of one step, how long the attempt took that succeeded, and of a fan-out the `errors` of its
    instances by key."""

    def __init__(self, values: Values, step: str) -> None:
        self._values = values
        self._i = values.state.graph.index[step]
        self._fields: tuple[str, ...] = ("output", "error", "status", "took_s")
        if values.state.steps[self._i].for_each is not None:
            self._fields += ("errors",)

    def __getitem__(self, field: str) -> Value:
        if field not in self._fields:
            raise KeyError(field)
        state, i = self._values.state, self._i
        if field == "output":
            return self._values.output(state.graph.ids[i])
        if field == "status":  # to those who depend on it, a reused step is like one that ran
            return status_word(state, i) if not state.status[i].good else "succeeded"
        if field == "took_s":
            return state.took_s.get(i)
        if field == "error":
            error = state.errors.get(i)
            return None if error is None else msgspec.structs.asdict(error)
        parts = [part for part in state.graph.children.get(i, ()) if part in state.errors and not state.status[part].good]
        return {state.keys[part]: msgspec.structs.asdict(state.errors[part]) for part in parts}

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class _Collected(Mapping[str, Value]):
    """The outputs of the instances of a fan-out that succeeded, by key, in the order of its items."""

    def __init__(self, values: Values, i: int) -> None:
        state = values.state
        self._values = values
        parts = state.graph.children.get(i, ())
        self._ids = {state.keys[part]: state.graph.ids[part] for part in parts if state.status[part].good}

    def __getitem__(self, key: str) -> Value:
        return self._values.output(self._ids[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)
