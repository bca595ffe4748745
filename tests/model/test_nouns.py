"""Errors say whose fault they are; outputs, errors and workflows survive being written down."""

import msgspec
import pytest

from weft.model import errors
from weft.model.output import ErrorRecord, Output
from weft.model.workflow import Action, Argv, Pool, Python, Retry, Shell, Sleep, Step, Workflow


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.WeftError, 5),
        (errors.UsageError, 2),
        (errors.MachineError, 6),
        (errors.JournalDamaged, 6),
        (errors.RunLocked, 6),
        (errors.Bug, 5),
    ],
)
def test_exit_codes(error: type[errors.WeftError], exit_code: int) -> None:
    assert error("why").exit_code == exit_code
    assert issubclass(error, errors.WeftError)
    assert str(error("why")) == "why"


def test_a_workflow_survives_being_written_down() -> None:
    actions: list[Action] = [Shell(script="x", shell=("sh",)), Argv(argv=("a", "b")), Python(target="m:f"), Sleep(seconds=1.5)]
    steps = [
        Step(id=f"s{i}", action=action, inputs={"k": [1, None, {"x": 2.5}]}, resources={"p": 1}, retry=Retry(times=i))
        for i, action in enumerate(actions)
    ]
    workflow = Workflow(name="w", steps=tuple(steps), resources={"p": Pool(slots=2)}, outputs={"o": "${{ steps.s0.output }}"})
    assert msgspec.json.decode(msgspec.json.encode(workflow), type=Workflow) == workflow


def test_what_is_not_said_is_not_written() -> None:
    step = Step(id="a", action=Sleep(seconds=1.0))
    assert msgspec.json.encode(step) == b'{"id":"a","action":{"kind":"sleep","seconds":1.0}}'
    assert (
        msgspec.json.encode(ErrorRecord(kind="exit", message="m", exit_code=3)) == b'{"kind":"exit","message":"m","exit_code":3}'
    )


def test_an_output_keeps_its_bytes() -> None:
    output = Output(form="json", inline=msgspec.Raw(b'{"b": 1,  "a": 2}'), size=17)
    written = msgspec.json.encode(output)
    read = msgspec.json.decode(written, type=Output)
    assert bytes(read.inline) == b'{"b": 1,  "a": 2}'
    assert msgspec.json.encode(read) == written
