"""Facts for the tests: a few by hand, and Hypothesis strategies for all of them made from their types."""

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from weft.core.facts import AttemptEnded, AttemptStarted, Fact, RunCreated, StepsReady
from weft.model.output import Output
from weft.model.workflow import Flow, Shell, Step, Workflow

NUMBERS = st.integers(-(2**63), 2**63) | st.integers(2**64, 10**40) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
RAW = VALUES.map(lambda value: msgspec.Raw(spell(value)))


def spell(value: Any) -> bytes:
    """JSON text with a newline wherever JSON allows one."""
    import json

    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return VALUES
    if kind is msgspec.Raw:
        return RAW
    if kind is Flow:  # a workflow has steps, whose action may be a workflow
        return st.sampled_from([Flow(Workflow(name="inner", steps=(Step(id="a", action=Shell(script="true")),)))])
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, UnionType):
        return st.one_of([of_type(arg) for arg in args])
    if origin is tuple:
        return st.lists(of_type(args[0]), max_size=2).map(tuple)
    if origin is list:
        return st.lists(of_type(args[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(of_type(args[0]), of_type(args[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return st.builds(kind, **{name: of_type(hints[name]) for name in kind.__struct_fields__})
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=10),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return simple[kind]


KINDS: tuple[type[Any], ...] = get_args(Fact)


def plain(fact: Any) -> Any:
    """For comparison: raw JSON is equal to any other spelling of the same value."""
    if isinstance(fact, msgspec.Raw):
        return msgspec.json.decode(fact) if bytes(fact) else b""
    if isinstance(fact, msgspec.Struct):
        return (type(fact), *(plain(getattr(fact, name)) for name in fact.__struct_fields__))
    if isinstance(fact, dict):
        return {key: plain(value) for key, value in fact.items()}
    if isinstance(fact, list | tuple):
        return [plain(item) for item in fact]
    return fact


def started(number: int) -> AttemptStarted:
    return AttemptStarted(at=float(number), step=f"step{number}", attempt=1)


def ended(number: int) -> AttemptEnded:
    output = Output(inline=msgspec.Raw(b'{"rows": %d}' % number), size=12)
    return AttemptEnded(at=float(number), step=f"step{number}", attempt=1, outcome="ok", output=output)


def created(steps: int = 2, run: str = "bold-otter", at: float = 1.0) -> RunCreated:
    workflow = Workflow(name="sample", steps=tuple(Step(id=f"step{n}", action=Shell(script="true")) for n in range(steps)))
    return RunCreated(at=at, run=run, workflow=workflow, inputs={}, seed=7, source="sample.weft.yaml")


def story(units: int) -> list[list[Fact]]:
    """Units of facts as an engine would append them."""
    opening: list[Fact] = [created(), StepsReady(at=1.0, steps=["step0", "step1"])]
    pairs: list[list[Fact]] = [[started(n), ended(n)] for n in range(1, units)]
    return [opening, *pairs]
