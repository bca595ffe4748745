"""What the expressions of a native file refer to: every name is looked up, and the steps among them become needs."""

from collections.abc import Collection, Mapping

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import quoted
from weft.model.expression import Expression, ExpressionError, Reference, parse
from weft.model.output import ErrorRecord
from weft.model.template import has_template, parse_template, strings
from weft.model.tokens import shown
from weft.model.workflow import Input, Value

STEP_FIELDS = ("output", "error", "status", "took_s")
RUN_FIELDS = ("id", "name", "started")
"""What the engine puts into the scope of expressions. Steps of `finally` also see `run.status`."""

ERROR_FIELDS = tuple(field for field in ErrorRecord.__struct_fields__)

_MEANT_FIELDS = dict.fromkeys(("outputs", "result", "results", "stdout", "value", "data"), "output")


def has_expressions(value: Value) -> bool:
    """Whether there is a `${{` anywhere in a value. Recursive: the depth of a document is bounded."""
    kind = value.__class__
    if kind is str:
        return has_template(value)
    if kind is dict:
        return any(map(has_expressions, value.values()))
    return kind is list and any(map(has_expressions, value))


def part_hint(name: str, steps: Collection[str]) -> str:
    """What to write instead of the id of a step that another one stands for, if this is one."""
    step = name.partition("/")[0].partition("[")[0]
    if step == name or step not in steps:
        return ""
    if "[" in name.partition("/")[0]:
        key = shown(name.partition("[")[2].rpartition("]")[0])
        return f'instances are reached through `{step}`: need it, or read `steps.{step}.output["{key}"]`'
    return f"the steps of a sub-workflow are its own: need `{step}`, or read `steps.{step}.output`"


class References:
    """Checks expressions against the names that exist. `steps` and `inputs` are those names, `items` what the items of fan-outs
    are called, by step, `outputs` the outputs of sub-workflows, by step.

    `own`: names that the fields which are looked at see besides, with the names inside where they are known.
    """

    def __init__(self, findings: Findings, steps: Collection[str], inputs: Mapping[str, Input]) -> None:
        self.findings, self.steps, self.inputs = findings, steps, inputs
        self.run_fields: tuple[str, ...] = RUN_FIELDS
        self.items: Mapping[str, str] = {}
        self.outputs: Mapping[str, Collection[str]] = {}
        self.own: Mapping[str, Collection[str] | None] = {}

    @property
    def fan_outs(self) -> Collection[str]:
        """The steps that have instances."""
        return self.items

    def input_type(self, name: str) -> str:
        """The type of an input; empty if there is none of this name."""
        declared = self.inputs.get(name)
        return declared.type if declared else ""

    def in_value(self, value: Value, path: Path, owner: str | None, *, steps_allowed: bool = True) -> list[str]:
        """The steps that a data field refers to, in order. `owner` is the step whose field it is; None: the workflow's."""
        found: list[str] = []
        for inner, text in strings(value):
            at = (*path, *inner)
            try:
                template = parse_template(text)
            except ExpressionError as error:
                self._bad(error, at)
                continue
            for part, offset in zip(template.parts, template.offsets, strict=True):
                if isinstance(part, Expression):
                    found += self._in_expression(part, at, offset, owner, in_condition=False, steps_allowed=steps_allowed)
        return found

    def in_condition(self, text: str, path: Path, owner: str) -> tuple[str, list[str]]:
        """The text of an `if` without `${{ }}`, and the steps that it refers to."""
        lead = len(text) - len(text.lstrip())
        text = text.strip()
        try:
            if has_template(text):
                template = parse_template(text)
                if template.whole is None:
                    hint = "write one expression, without `${{ }}` around its parts"
                    raise ExpressionError("`if` mixes text and `${{ }}`", 0, len(text), hint)
                expression, offset = template.whole, lead + template.offsets[0]
            else:
                expression, offset = parse(text), lead
        except ExpressionError as error:
            self._bad(error, path, lead)
            return "", []
        return expression.text, self._in_expression(expression, path, offset, owner, in_condition=True)

    def where(self, value: Value, path: Path, step: str) -> Where | None:
        """Where in a field a step is referred to."""
        for inner, text in strings(value):
            try:
                template = parse_template(text)
            except ExpressionError:
                continue  # it has been reported, and names no step
            for part, offset in zip(template.parts, template.offsets, strict=True):
                for reference in part.references if isinstance(part, Expression) else ():
                    if reference.root == "steps" and reference.path[:1] == (step,):
                        return Where((*path, *inner), "value", offset + reference.offset, reference.length)
        return None

    def _bad(self, error: ExpressionError, path: Path, lead: int = 0) -> None:
        self.findings.add("W210", error.message, Where(path, "value", lead + error.offset, error.length), hint=error.hint)

    def _in_expression(
        self,
        expression: Expression,
        path: Path,
        offset: int,
        owner: str | None,
        *,
        in_condition: bool,
        steps_allowed: bool = True,
    ) -> list[str]:
        found: list[str] = []
        for reference in expression.references:
            where = Where(path, "value", offset + reference.offset, reference.length)
            if reference.root == "steps":
                found += self._step(reference, where, owner, steps_allowed)
            elif reference.root == "inputs":
                self._field(reference, where, "W305", "input", self.inputs)
            elif reference.root == "run":
                self._field(reference, where, "W306", "field of `run`", self.run_fields)
            elif reference.root in self.own:
                fields = self.own[reference.root]
                if fields is not None and not reference.optional:
                    self._in_item(reference, where, fields)
            else:
                self._root(reference, where)
        reads_status = any(r.root == "steps" and r.path[1:2] == ("status",) for r in expression.references)
        if expression.uses_status and not in_condition and not reads_status:
            where = Where(path, "value", offset, len(expression.text))
            message = "`success()`, `failed()` and `always()` have a meaning only in `if`"
            self.findings.add("W210", message, where, hint="use `steps.X.status` here")
        return found

    def _step(self, reference: Reference, where: Where, owner: str | None, allowed: bool) -> list[str]:
        """Check `steps.X.field`; the step, if it is another one that exists."""
        step = reference.path[0] if reference.path else None
        add = self.findings.add
        if not allowed:
            add("W306", "a step cannot be referred to here", where, hint="put this into the `env` of the steps that need it")
        elif not isinstance(step, str):
            hint = "write it out, as in `steps.fetch.output`: weft must know which step to wait for"
            add("W306", "`steps` is used without the name of a step", where, hint=hint)
        elif step not in self.steps:
            near = part_hint(step, self.steps) or self.findings.suggest(step, self.steps)
            hint = near or f"there is {quoted(self.steps)}"
            add("W304", f"there is no step `{shown(step)}`", where, hint=hint)
        elif step == owner:
            add(
                "W302",
                f"the step `{step}` refers to itself",
                where,
                hint="refer to a step that has settled before this one starts",
            )
        else:
            self._step_field(step, reference.path[1:], where)
            return [step]
        return []

    def _step_field(self, step: str, path: tuple[str | int, ...], where: Where) -> None:
        if path[:1] == ("error",) and len(path) > 1 and path[1] not in ERROR_FIELDS:
            field = str(path[1])
            hint = self.findings.suggest(field, ERROR_FIELDS) or f"it has {quoted(ERROR_FIELDS, 20)}"
            self.findings.add("W306", f"an error has no `{shown(field)}`", where, hint=hint)
            return
        if path and path[0] in STEP_FIELDS:
            self._part(step, path, where)
            return
        if path[:1] == ("errors",) and step in self.fan_outs:
            return
        if not path:
            self.findings.add(
                "W306", f"`steps.{step}` is used without saying what of it", where, hint=f"write `steps.{step}.output`"
            )
            return
        field = str(path[0])
        meant = f"did you mean `{_MEANT_FIELDS[field]}`?" if field in _MEANT_FIELDS else self.findings.suggest(field, STEP_FIELDS)
        hint = meant or f"a step has {quoted(STEP_FIELDS)}; a part of its output is `steps.{step}.output.{shown(field)}`"
        self.findings.add("W306", f"a step has no `{shown(field)}`", where, hint=hint)

    def _part(self, step: str, path: tuple[str | int, ...], where: Where) -> None:
        """What follows `output` of a fan-out is a key, of a sub-workflow the name of an output."""
        if path[0] != "output" or len(path) < 2:
            return
        if step in self.fan_outs:
            if isinstance(path[1], int):
                message = f"the output of `{step}` is a mapping from keys, which are texts"
                hint = f'write `steps.{step}.output["{path[1]}"]`, or `values(steps.{step}.output)[{path[1]}]`'
                self.findings.add("W306", message, where, hint=hint)
        elif step in self.outputs and path[1] not in self.outputs[step]:
            name, known = str(path[1]), self.outputs[step]
            hint = self.findings.suggest(name, known) or (f"it has {quoted(known)}" if known else "it declares no `outputs`")
            self.findings.add("W306", f"the sub-workflow `{step}` has no output `{shown(name)}`", where, hint=hint)

    def _field(self, reference: Reference, where: Where, code: str, what: str, known: Collection[str]) -> None:
        """Check the name after `inputs.` or `run.`; the root alone stands for all of it."""
        if not reference.path or reference.path[0] in known:
            return
        name = shown(str(reference.path[0]))
        names = f"there is {quoted(known)}" if known else f"declare it under `{reference.root}`"
        self.findings.add(code, f"there is no {what} `{name}`", where, hint=self.findings.suggest(name, known) or names)

    def _in_item(self, reference: Reference, where: Where, known: Collection[str]) -> None:
        """Check the name after that of an item of a matrix."""
        if reference.path and reference.path[0] not in known:
            name = str(reference.path[0])
            hint = self.findings.suggest(name, known) or f"it has {quoted(known)}"
            self.findings.add("W306", f"`{reference.root}` has no `{shown(name)}`", where, hint=hint)

    def _root(self, reference: Reference, where: Where) -> None:
        root = reference.root
        if root == "secrets":
            name = str(reference.path[0]) if reference.path else "NAME"
            hint = f"add `secrets: [{shown(name)}]` to the step, and let the program read `{shown(name)}` from its environment"
            self.findings.add("W310", "a secret cannot be inserted: it would be seen in lists of processes", where, hint=hint)
            return
        if root in self.steps:
            hint = f"write `steps.{root}.output`"
        elif root in self.inputs:
            hint = f"write `inputs.{root}`"
        elif root in ("item", "key", "matrix"):
            hint = "only the fields of a step with `for_each` or `matrix` see its item"
        elif root in self.items.values():
            step = next(step for step, item in self.items.items() if item == root)
            hint = f"only the fields of the step `{step}` see its item: they are done for each, the others are not"
        elif root == "env":
            hint = "a script reads its environment itself: `$NAME`"
        else:
            hint = self.findings.suggest(root, ("inputs", "steps", "run")) or "a path begins with `inputs`, `steps` or `run`"
        self.findings.add("W306", f"there is no `{shown(root)}` here", where, hint=hint)
