"""Steps with a role of their own in the native format: `fallback` of a step, and the steps of `finally`.

A fallback may read the error of its step, and does not wait for it; nobody else may need it, for its output is that of its step.
The steps of `finally` may read all others, which have settled by then, and nobody may wait for them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import Fields
from weft.model.tokens import shown
from weft.model.workflow import Budget, Role, Value

Read = tuple[Fields, str]
"""The fields of a step, and its id."""


def named_steps(fields: Fields, written: Value, findings: Findings) -> tuple[dict[str, Path], dict[str, Value]]:
    """The path of every step of a workflow, also of those that are wrong otherwise (it is no second problem to need one of them),
    and what is written there. `written`: the workflow as it stands in the document."""
    ids: dict[str, Path] = {}
    raw: dict[str, Value] = {}
    for key in ("steps", "finally"):
        steps, base = written.get(key), fields.at(key)
        named: list[tuple[Value, Path, Value]] = []
        if isinstance(steps, dict):
            named = [(id_, (*base, id_), item) for id_, item in steps.items()]
        elif isinstance(steps, list):
            items = [(item.get("id") if isinstance(item, dict) else None, (*base, n), item) for n, item in enumerate(steps)]
            named = [each for each in items if isinstance(each[0], str)]
        for id_, path, item in named:
            if id_ in ids:
                message, hint = f"the step `{shown(id_)}` is given twice", "give one of them another id"
                seconds = [(_place_of_id(ids[id_]), "first here")]
                findings.add("W119", message, _place_of_id(path), label="here again", seconds=seconds, hint=hint)
            else:
                ids[id_], raw[id_] = path, item
    return ids, raw


def _place_of_id(path: Path) -> Where:
    """Where the id of a step stands: it is a key, or an item of a list has it."""
    return Where((*path, "id")) if isinstance(path[-1], int) else Where(path, "key")


class Roles:
    """`steps` and `last` are those of `steps` and of `finally`, as they were read; `ids`: the paths of all that can be named."""

    def __init__(self, steps: list[Read], last: list[Read], ids: Mapping[str, Path], findings: Findings) -> None:
        self.findings = findings
        self.ids = ids
        self._last = {id_ for _, id_ in last}
        self.users: dict[str, str] = {}
        """A fallback → the step that names it."""
        self.read = [*steps, *last]
        for fields, id_ in self.read:  # grows while it is walked
            self._note(fields, id_)

    def _note(self, fields: Fields, id_: str) -> None:
        given = fields.get("fallback")
        if isinstance(given, Fields):
            self.users[f"{id_}/fallback"] = id_
            self.read.append((given, f"{id_}/fallback"))
        elif given is not None:
            self._named(given, Where(fields.at("fallback")), id_)

    def _named(self, name: str, where: Where, id_: str) -> None:
        add = self.findings.add
        if name == id_:
            add("W302", f"the step `{id_}` is its own fallback", where, hint="name another step, or use `retry`")
        elif name not in self.ids:
            hint = self.findings.suggest(name, self.ids) or "add that step, or write what is to be done: `fallback: { run: … }`"
            add("W301", f"there is no step `{shown(name)}`", where, hint=hint)
        elif name in self.users:
            hint = "write it twice, or write what is to be done under `fallback` of one of them: its output stands for one step's"
            add("W312", f"`{name}` is the fallback of `{self.users[name]}` already", where, hint=hint)
        elif (name in self._last) != self.is_last(id_):
            hint = "a step of `finally` has its fallback there, any other under `steps`"
            add("W312", f"`{name}` cannot stand in for `{id_}`: one of them belongs to `finally`", where, hint=hint)
        else:
            self.users[name] = id_

    def name_of(self, fields: Fields, id_: str) -> str:
        """The id of the fallback of a step, empty if it has none that can be one."""
        given = fields.get("fallback")
        name: str = f"{id_}/fallback" if isinstance(given, Fields) else given or ""
        return name if self.users.get(name) == id_ else ""

    def is_last(self, id_: str) -> bool:
        """Whether a step belongs to `finally`."""
        return bool(self._last) and any(each in self._last for each in (id_, *self.stands_for(id_)))

    def stands_for(self, id_: str) -> Iterator[str]:
        """The steps whose failure this one is the answer to: whose fallback it is, and whose fallback that is."""
        seen = {id_}
        while (user := self.users.get(id_)) is not None and user not in seen:
            seen.add(user)
            yield user
            id_ = user

    def role(self, id_: str) -> Role:
        return "fallback" if id_ in self.users else "finally" if id_ in self._last else "step"

    def check_keys(self, fields: Fields, id_: str) -> None:
        """A failure in these roles has no consequences for others to be chosen."""
        role = self.role(id_)
        if role == "fallback" and "on_error" in fields:
            hint = f"say it of the step itself, `{self.users[id_]}`"
            self._no_meaning("`on_error` says nothing about a fallback", fields, "on_error", hint)
        elif self.is_last(id_) and str(fields.get("on_error")).startswith("stop"):
            hint = "use `continue`, if its failure shall not make the run fail"
            self._no_meaning("a step of `finally` stops nothing", fields, "on_error", hint)

    def _no_meaning(self, message: str, fields: Fields, key: str, hint: str) -> None:
        self.findings.add("W214", message, Where(fields.at(key), "key"), hint=hint)

    def needs(self, id_: str, written: list[str], referred: list[str], where: Callable[[str], Where]) -> tuple[str, ...]:
        """What a step waits for, of what it names and refers to; what it cannot wait for is reported, at `where`."""
        if not self._last and not self.users:
            return tuple(dict.fromkeys([*written, *referred]))
        stands_for, found = set(self.stands_for(id_)), dict[str, None]()
        for name in dict.fromkeys([*written, *referred]):
            if name in stands_for:
                continue  # it has failed by then
            if self.is_last(id_) and not self.is_last(name):
                if name in written:
                    hint = "remove it; its output and its status can be read all the same"
                    self.findings.add("W313", f"`{name}` has settled when the steps of `finally` run", where(name), hint=hint)
            elif self._may_wait(id_, name, where):
                found[name] = None
        return tuple(found)

    def _may_wait(self, id_: str, name: str, where: Callable[[str], Where]) -> bool:
        if self.is_last(name) and not self.is_last(id_):
            hint = "move this step to `finally` too, or the other one to `steps`" if id_ else "the outputs are evaluated before"
            self.findings.add("W313", f"`{name}` runs when all other steps have settled", where(name), hint=hint)
            return False
        if name in self.users:
            user = self.users[name]
            hint = f"write `{user}`: the output of its fallback is its own"
            self.findings.add("W313", f"`{name}` runs only as the fallback of `{user}`", where(name), hint=hint)
            return False
        return True

    def check_outputs(self, referred: Iterable[str], where: Callable[[str], Where]) -> None:
        """The outputs of the run are evaluated before `finally`, and know a fallback by its step."""
        for name in dict.fromkeys(referred):
            self._may_wait("", name, where)


def read_budget(fields: Fields | None) -> Budget | None:
    """What a mapping with a field `budget` allows to be spent."""
    return None if fields is None else Budget(tokens=fields.get("tokens"), cost=fields.get("cost"))
