"""Fan-outs and sub-workflows, for stories."""

from typing import Any

from msgspec.structs import replace
from story import step

from weft.model.workflow import Flow, Step, Workflow


def each(id_: str, needs: str = "", **settings: Any) -> Step:
    return step(id_, needs, for_each="${{ inputs.list }}", **settings)


def wired(id_: str, to: str, needs: str = "", **settings: Any) -> Step:
    return each(id_, f"{to} {needs}", wired=to, each_if=True, **settings)


def inner(*steps: Step, **settings: Any) -> Flow:
    return Flow(Workflow(name="inner", steps=steps, **settings))


def sub(id_: str, needs: str = "", *, of: Flow, **settings: Any) -> Step:
    return replace(step(id_, needs, **settings), action=of)
