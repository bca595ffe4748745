"""Which steps of a run are run: what `--from`, `--downstream`, `--only`, `--until`, `--skip` and `--reuse-from` mean.

A step is run, given (its output is taken from an earlier run), or left out (skipped, as if its `if` were false). Names are ids as
they are shown: a fan-out stands for all its instances, a sub-workflow for all its steps; parts that are known only from the
earlier run can be named too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.estimates import kind_of
from weft.core.state import State
from weft.core.status import Status
from weft.model.errors import UsageError
from weft.model.expression import parse
from weft.model.output import Output
from weft.model.suggest import did_you_mean
from weft.model.template import expressions
from weft.model.workflow import Flow, Step, Value, Workflow

_ENDS = {Status.FAILED: "it failed", Status.CANCELLED: "it was cancelled", Status.SKIPPED: "it was skipped"}

LISTED_MAX = 3
"""Steps that a refusal names."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """`from_`: these and all that comes after them; `downstream`: what comes after, without them; `only`: these alone. All else
    is given. `until`: nothing but these and what they need; `skip`: not these."""

    from_: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    @property
    def names_what_runs(self) -> bool:
        """Whether it says itself what runs, so that all else must be given."""
        return bool(self.from_ or self.downstream or self.only)


class Before(msgspec.Struct, kw_only=True):
    """An earlier run: its state, the outputs of its steps, and whether the files that a step reads are what they were."""

    run: str
    state: State
    outputs: dict[str, Output]
    same_files: Callable[[str], bool]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """`given` and `left_out` are for RunCreated. `changed`: steps whose definition or inputs are not what they were, and that are
    given all the same, because the selection says so."""

    given: dict[str, f.Given]
    left_out: tuple[str, ...]
    changed: tuple[str, ...] = ()


def choose(workflow: Workflow, inputs: Mapping[str, Value], selection: Selection, before: Before | None = None) -> Chosen:
    """What is run. Raises UsageError for names that do not exist, and where a step needs an output that there is none of."""
    return _Choice(workflow, inputs, selection, before).made()


class _Choice:
    def __init__(self, workflow: Workflow, inputs: Mapping[str, Value], selection: Selection, before: Before | None) -> None:
        self.workflow, self.inputs, self.selection, self.before = workflow, inputs, selection, before
        self.grown: dict[str, tuple[str, ...]] = {}
        self.state = self._laid_out(_grown_before(before.state) if before else {})
        self.graph = self.state.graph
        self.apart = {i for i in range(len(self.state.steps)) if self._runs_apart(i)}
        if before:
            before.outputs |= {before.state.graph.ids[i]: output for i, output in _rescued(before)}

    def made(self) -> Chosen:
        said, everything = self.selection, range(len(self.state.steps))
        wanted = self._with_needs(self._steps(said.until)) if said.until else set(everything)
        out = self._with_parts(self._steps(said.skip)) | {i for i in everything if i not in wanted and i not in self.apart}
        if self.before is None:
            return Chosen(given={}, left_out=self._outermost(out))
        changed = {i for i in everything if i not in self.apart and self._changed(i, self.before)}
        if said.names_what_runs:
            again = self._after(self._steps((*said.from_, *said.downstream)), beginning=self._steps(said.from_))
            again |= self._with_parts(self._steps(said.only))
        else:
            again = self._after(changed, beginning=changed)
        for i in self._outside_in():  # the items of a fan-out may be others, if what it needs is run
            if self.state.steps[i].grows and not again.isdisjoint(self._parts(i)) and not again.isdisjoint(self.graph.before(i)):
                again |= self._with_parts([i])
        return self._given(again, out, changed, self.before)

    def _given(self, again: set[int], out: set[int], changed: set[int], before: Before) -> Chosen:
        graph, given, missing, forced = self.graph, dict[str, f.Given](), set[int](), list[str]()
        for i in self._outside_in():
            id_ = graph.ids[i]
            if i in again or i in out or i in self.apart or any(above in again for above in graph.above(i)):
                continue
            old = before.state.graph.index.get(id_, -1)
            if self.state.steps[i].grows:
                if id_ in self.grown:
                    given[id_] = f.Given(run=before.run, keys=self.grown[id_])
                elif not _unwanted(before.state, old):
                    missing.add(i)
            elif old >= 0 and before.state.status[old].good and id_ in before.outputs:
                given[id_] = f.Given(run=before.state.reused.get(old, before.run), output=before.outputs[id_])
            elif not _unwanted(before.state, old):
                missing.add(i)
            if id_ in given and i in changed:
                forced.append(id_)
            if id_ not in given:
                out.add(i)
        self._refuse(again - out, missing, before)
        return Chosen(given=given, left_out=self._outermost(out), changed=tuple(forced))

    def _refuse(self, again: set[int], missing: set[int], before: Before) -> None:
        """Raises UsageError if a step that runs needs the output of one that has none."""
        incomplete = missing | {above for i in missing for above in self.graph.above(i)}
        for i in sorted(again):
            lacking = [need for need in self.graph.before(i) if need in incomplete and need not in again]
            if not lacking:
                continue
            first = min((j for j in missing if j == lacking[0] or lacking[0] in self.graph.above(j)), default=lacking[0])
            id_ = self.graph.ids[first]
            old = before.state.graph.index.get(id_)
            how = _ENDS.get(before.state.status[old], "it had not ended") if old is not None else "there was no such step"
            raise UsageError(
                f"step `{self.graph.ids[i]}` needs the output of `{id_}`, of which run `{before.run}` has none: {how}; "
                f"let it run too: `--from {id_}`"
            )

    # ---- the graph ----

    def _laid_out(self, before: Mapping[str, tuple[str, ...]]) -> State:
        """The workflow with what the earlier run has expanded, if it still can be, and all sub-workflows that the file has."""
        state = State()
        apply(state, f.RunCreated(at=0.0, run="", workflow=self.workflow, inputs={}, seed=0))
        for id_, keys in before.items():
            i = state.graph.index.get(id_, -1)
            if i >= 0 and state.steps[i].grows and self._fits(state, i, keys):
                apply(state, f.StepsAdded(at=0.0, parent=id_, keys=list(keys)))
                self.grown[id_] = keys
        for step in state.steps:  # grows while it is walked
            waits = state.status[state.graph.index[step.id]] is Status.WAITING
            if waits and isinstance(step.action, Flow) and step.for_each is None:
                apply(state, f.StepsAdded(at=0.0, parent=step.id))
        return state

    def _fits(self, state: State, i: int, keys: tuple[str, ...]) -> bool:
        """Whether these can be the keys of step i: a sub-workflow has none, and what is wired to another has those of that."""
        step = state.steps[i]
        if step.for_each is None or not step.wired:
            return step.for_each is not None or not keys
        others = state.graph.children.get(state.graph.index[step.wired], ())
        return {state.keys[part] for part in others} == set(keys)

    def _runs_apart(self, i: int) -> bool:
        """Whether step i is run when it is needed, whatever is selected: fallbacks, `finally`, and their parts."""
        return i in self.state.last or any(self.state.steps[j].role == "fallback" for j in (i, *self.graph.above(i)))

    # ---- names ----

    def _steps(self, names: Iterable[str]) -> set[int]:
        found = set()
        for name in names:
            if name not in self.graph.index:
                near = did_you_mean(name, self.graph.ids)
                base = name.partition("[")[0]
                if near:
                    hint = f"did you mean `{near}`?"
                elif base in self.graph.index and self.state.steps[self.graph.index[base]].for_each is not None:
                    hint = f"which instances `{base}` has is known when it has run: name `{base}`, or a run that has it"
                else:
                    hint = f"there is {', '.join(f'`{id_}`' for id_ in self.graph.ids[:LISTED_MAX])}"
                raise UsageError(f"there is no step `{name}`; {hint}")
            found.add(self.graph.index[name])
        return found

    # ---- sets of steps ----

    def _parts(self, i: int) -> Iterator[int]:
        for part in self.graph.children.get(i, ()):
            yield part
            yield from self._parts(part)

    def _with_parts(self, steps: Collection[int]) -> set[int]:
        return {part for i in steps for part in (i, *self._parts(i))}

    def _with_needs(self, steps: Collection[int]) -> set[int]:
        """These steps, all that they need, and what they are parts of."""
        found = self._with_parts(steps)
        front = list(found)
        for i in front:  # grows while it is walked
            more = self._with_parts(self.graph.needs[i])
            if i in self.graph.parent:
                more.add(self.graph.parent[i])
            more -= found
            found |= more
            front += more
        return found

    def _after(self, steps: Collection[int], *, beginning: Collection[int]) -> set[int]:
        """All that comes after these steps, and those among them with which it begins. What depends on an instance of a fan-out
        depends on the fan-out too, unless it is wired to it."""
        again, touched = set[int](), set[int]()
        front: list[int] = list(beginning)
        for i in set(steps) - set(beginning):
            parts = self._with_parts([i])
            front += [j for part in parts for j in self.graph.dependents[part] if j not in parts]
            front += [j for above in self.graph.above(i) for j in self._dependents(above)]
        while front:
            i = front.pop()
            if i in again:
                continue
            again.add(i)
            front += [*self.graph.dependents[i], *self.graph.children.get(i, ())]
            for above in self.graph.above(i):
                if above not in touched and above not in again:
                    touched.add(above)
                    front += self._dependents(above)
        return again

    def _dependents(self, i: int) -> list[int]:
        """Those that depend on step i as a whole: not those whose instances are wired to its own, one to one."""
        name, steps, children = self.graph.ids[i], self.state.steps, self.graph.children
        return [j for j in self.graph.dependents[i] if steps[j].wired != name or j not in children]

    def _outside_in(self) -> list[int]:
        """All steps, what a step is wired to and what it is a part of before it."""
        order = list(self.grown)
        place = {id_: n for n, id_ in enumerate(order)}
        return sorted(range(len(self.state.steps)), key=lambda i: place.get(self.graph.ids[i], len(order)))

    def _outermost(self, steps: set[int]) -> tuple[str, ...]:
        """Their ids, without parts of what is among them."""
        return tuple(self.graph.ids[i] for i in sorted(steps) if not any(above in steps for above in self.graph.above(i)))

    # ---- what has changed ----

    def _changed(self, i: int, before: Before) -> bool:
        """Whether step i is not known to be what it was in the earlier run."""
        old = before.state.graph.index.get(self.graph.ids[i])
        if old is None:
            return True
        step = self.state.steps[i]
        there = self.graph.ids[i] in (self.grown if step.grows else before.outputs)
        if not _unwanted(before.state, old) and not (there and (step.grows or before.state.status[old].good)):
            return True
        asks = kind_of(step.action) == "approve"  # who said yes to that run did not say it to this one
        if asks or _definition(step) != _definition(before.state.steps[old]):
            return True
        if old in before.state.stand_ins and self._changed_by_name(step.fallback, before):
            return True  # its output is that of its fallback
        top = not any(isinstance(self.state.steps[above].action, Flow) for above in self.graph.above(i))
        if top and self._inputs_changed(step, before):
            return True
        return bool(step.reads) and not step.grows and not before.same_files(self.graph.ids[i])

    def _changed_by_name(self, id_: str, before: Before) -> bool:
        return id_ not in self.graph.index or self._changed(self.graph.index[id_], before)

    def _inputs_changed(self, step: Step, before: Before) -> bool:
        created = before.state.created
        if created is None or created.workflow.env != self.workflow.env:
            return True
        fields = [step.inputs, step.env, list(_texts(step)), step.versions, step.for_each, step.key, self.workflow.env]
        fields += [list(step.reads), list(step.writes)]
        used = [reference for value in fields for _, _, found in expressions(value) for reference in found.references]
        used += parse(step.condition).references if step.condition else ()
        names = {str(reference.path[0]) if reference.path else "" for reference in used if reference.root == "inputs"}
        if "" in names:
            return created.inputs != dict(self.inputs)
        return any(created.inputs.get(name) != self.inputs.get(name) for name in names)


def _texts(step: Step) -> tuple[str, ...]:
    return tuple(getattr(step.action, "argv", ()))


def _definition(step: Step) -> tuple[object, ...]:
    """What the result of a step depends on, as it is written. The steps of a sub-workflow are looked at one by one."""
    action: object = step.action
    if isinstance(step.action, Flow):
        action = (step.action.workflow.env, step.action.workflow.inputs)
    return (
        *(action, sorted(step.needs), step.inputs, step.condition, step.env, step.secrets, step.cwd, step.output, step.versions),
        *(step.reads, step.writes, step.for_each, step.item, step.key, step.matrix, step.wired, step.each_if),
    )


def _rescued(before: Before) -> Iterator[tuple[int, Output]]:
    """The steps of an earlier run that succeeded by their fallback, with the output of that, where it has one of its own."""
    state = before.state
    for i in state.stand_ins:
        by = i
        while by in state.stand_ins:
            by = state.stand_ins[by]
        output = before.outputs.get(state.graph.ids[by])
        if state.status[i].good and output is not None:
            yield i, output


def _unwanted(state: State, i: int) -> bool:
    """Whether a step of the earlier run was skipped by an `if`, its own or another's: then null is its output. What that run left
    out, and what was skipped with it, is not known."""
    reason = state.skips[i].reason if i >= 0 and state.status[i] is Status.SKIPPED else ""
    return reason == "condition" or (reason == "needs_skipped" and not state.left_out)


def _grown_before(state: State) -> dict[str, tuple[str, ...]]:
    """The fan-outs and sub-workflows that the earlier run has expanded, with the keys of their instances, in the order in which
    it did: what one is wired to or a part of comes before it."""
    return {
        state.graph.ids[i]: tuple(state.keys[part] for part in parts if part in state.keys)
        for i, parts in state.graph.children.items()
    }
