"""`agent` in a file: what it becomes, and what it refers to."""

import msgspec
import pytest

from weft.core.facts import RunCreated
from weft.formats import load
from weft.model.workflow import WAITING_ACTIONS, Agent, Step, Workflow

FILE = """
inputs: { tone: { type: string, default: dry } }
steps:
  a: { run: echo 1 }
  b: { run: echo 2 }
  c:
    agent:
      prompt: What about ${{ steps.a.output }}?
      model: openai:gpt-5-mini
      system: Be ${{ inputs.tone }}.
      schema: { type: object, properties: { steps: { description: "${{ steps.nobody.output }}" } } }
      temperature: 0.5
      max_tokens: 100
    with: { rows: "${{ steps.b.output }}" }
  d: { agent: "Shorten ${{ steps.c.output.text }}" }
"""


def steps(text: str) -> dict[str, Step]:
    loaded = load(text.encode(), "x.weft.yaml")
    assert loaded.workflow is not None, loaded.problems
    return {step.id: step for step in loaded.workflow.steps}


def test_what_it_becomes() -> None:
    found = steps(FILE)
    assert found["c"].action == Agent(
        prompt="What about ${{ steps.a.output }}?",
        model="openai:gpt-5-mini",
        system="Be ${{ inputs.tone }}.",
        schema={"type": "object", "properties": {"steps": {"description": "${{ steps.nobody.output }}"}}},
        temperature=0.5,
        max_tokens=100,
    )
    assert found["d"].action == Agent(prompt="Shorten ${{ steps.c.output.text }}")
    assert found["c"].output == "json"
    assert isinstance(found["c"].action, WAITING_ACTIONS)


def test_it_needs_what_it_refers_to() -> None:
    found = steps(FILE)
    assert (set(found["c"].needs), found["d"].needs) == ({"a", "b"}, ("c",))


def test_it_survives_the_journal() -> None:
    found = steps(FILE)
    workflow = Workflow(name="w", steps=tuple(found.values()))
    created = RunCreated(at=0.0, run="r", workflow=workflow, inputs={}, seed=1)
    assert msgspec.json.decode(msgspec.json.encode(created), type=RunCreated) == created


def test_a_cycle_through_a_prompt_is_placed_there() -> None:
    loaded = load(b'steps:\n  a: { agent: "x ${{ steps.b.output }}" }\n  b: { run: "true", needs: a }\n', "x.weft.yaml")
    (problem,) = loaded.problems
    assert (problem.code, problem.place.line, problem.place.column) == ("W303", 2, 22)


@pytest.mark.parametrize("schema", ["{ type: string }", "{ anyOf: [{ type: [string, 'null'] }] }", "{ properties: { a: true } }"])
def test_any_schema_may_be_asked_for(schema: str) -> None:
    assert steps(f"steps: {{ a: {{ agent: {{ prompt: hi, schema: {schema} }} }} }}")["a"]
