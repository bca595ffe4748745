"""Steps of YAML workflows as steps of weft: what was read of them, put together."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.formats.ghyaml_expression import Node, Part, parts_of
from weft.formats.ghyaml_lowering import Known, Names, NotLowered, escaped, keyed, output_of, step_path, value_with
from weft.formats.ghyaml_steps import Config
from weft.model.workflow import Action, Agent, Flow, Http, Input, Pool, Python, Retry, Sleep, Step, Value, Workflow

TARGET: Final = "weft.guests.ghccli:run"
OUTPUTS_MAX: Final = 64
"""Steps before a script whose outputs it finds in its environment, the nearest ones: each may cost the engine a file to read."""


class AgentFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file of an agent says."""

    model: str = ""
    system: str = ""


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps of a file share. `env` holds trees."""

    known: Mapping[str, Known]
    parameters: Mapping[str, Value]
    env: Mapping[str, Any]
    pools: Mapping[str, Pool]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How the attempts of a step are bounded."""

    timeout_s: float | None
    retry: Retry
    resources: dict[str, int]
    max_parallel: int | None


def is_inside(config: Config, names: Names) -> bool:
    """Whether the action of a step needs one before it that evaluates its texts."""
    if config.type not in ("agent", "http"):
        return False
    try:
        _lowered(config, names)
    except NotLowered:
        return True
    return False


def _lowered(config: Config, names: Names) -> Any:
    given = {key: config.plain.get(key) for key in ("prompt", "parameters", "url", "headers", "body")}
    return value_with(given, _parts, names)


def _parts(text: str) -> Sequence[Part]:
    return parts_of(text)


def escape(value: Any) -> Any:
    """A value of the file in which nothing is a template of ours."""
    if isinstance(value, str):
        return value.replace("${{", "$${{")
    if isinstance(value, list):
        return [escape(item) for item in value]
    return {key: escape(item) for key, item in value.items()} if isinstance(value, dict) else value


def scope_of(steps: Sequence[str], around: Around) -> dict[str, Value]:
    """What the code in a worker is told: the variables, and of each of these steps what became of it."""
    told = {}
    for step in steps:
        known, at = around.known[step], step_path(step)
        took = keyed(at, ["output", "took_s"]) if known.inside else f"{at}.took_s"
        found = {"type": known.type, "output": f"${{{{ {output_of(step, known)} }}}}", "status": f"${{{{ {at}.status }}}}"}
        told[step] = {**found, "error": f"${{{{ {at}.error }}}}", "agent": known.agent, "took_s": f"${{{{ {took} }}}}"}
    return {
        "variables": "${{ inputs }}",
        "parameters": escape(around.parameters),
        "workflow": {"id": "${{ run.id }}", "name": "${{ run.name }}", "started": "${{ run.started }}"},
        "env": escape(around.env),
        "steps": told,
    }


def result_of(step: str, known: Known) -> Value:
    """What is documented as the result of a step."""
    output = f"${{{{ {output_of(step, known)} }}}}"
    return {"agentId": escape(known.agent), "response": output, "metadata": {}} if known.type == "agent" else output


def make(config: Config, step: Step, limits: Limits, around: Around, agent: AgentFile, told: Sequence[str]) -> Step:
    """The step with its action and inputs. `told`: the steps whose outputs it sees."""
    replace = msgspec.structs.replace
    bounds: dict[str, Any] = msgspec.structs.asdict(limits)
    if config.type == "delay" and config.seconds is not None:
        return replace(step, action=Sleep(config.seconds), **bounds)
    names = Names(steps=around.known, parameters=around.parameters, env=None, step=step.id)
    if config.type in ("agent", "http"):
        if around.known[step.id].inside:
            return _with_preparation(config, step, bounds, around, agent, told)
        action, inputs = _action(config, _lowered(config, names), agent)
        return replace(step, action=action, inputs=inputs, **bounds)
    inputs = {"type": config.type, "id": step.id, "config": escape(config.tree), "scope": scope_of(told, around)}
    return replace(step, action=Python(target=TARGET), inputs=inputs, output="json", **bounds)


def decision(step: Step, node: Node, around: Around, told: Sequence[str]) -> Step:
    """What decides whether a step runs, where that must be computed: the same step, with another action."""
    config = {"expression": {"e": node}, "onTrue": [], "onFalse": []}
    inputs = {"type": "condition", "id": step.id, "config": escape(config), "scope": scope_of(told, around)}
    return msgspec.structs.replace(step, action=Python(target=TARGET), inputs=inputs, output="json")


def _action(config: Config, texts: Mapping[str, Any], agent: AgentFile) -> tuple[Action, dict[str, Value]]:
    """The action, and the inputs of the step."""
    plain = config.plain
    if config.type == "agent":
        return Agent(prompt=texts["prompt"], model=escaped(agent.model), system=escaped(agent.system)), texts["parameters"]
    return (
        Http(
            url=texts["url"],
            method=plain["method"],
            headers=texts["headers"],
            body=texts["body"],
            expect=plain["expect"],
            redirects=plain["redirects"] is not False,
        ),
        {},
    )


def _with_preparation(
    config: Config, step: Step, bounds: dict[str, Any], around: Around, agent: AgentFile, told: Sequence[str]
) -> Step:
    """`prepare` evaluates the texts, `ask` has them: the limits and attempts of the step are those of `ask`."""
    made = "steps.prepare.output"
    if config.type == "agent":
        parameters = {key: f"${{{{ {made}.parameters[{_text(key)}] }}}}" for key in config.plain["parameters"]}
        texts: dict[str, Any] = {"prompt": f"${{{{ {made}.prompt }}}}", "parameters": parameters}
    else:
        headers = {key: f"${{{{ {made}.headers[{_text(key)}] }}}}" for key in config.plain["headers"]}
        texts = {"url": f"${{{{ {made}.url }}}}", "headers": headers, "body": f"${{{{ {made}.body }}}}"}
    action, inputs = _action(config, texts, agent)
    given = {"type": "values", "id": escape(step.id), "config": "${{ inputs.config }}", "scope": "${{ inputs.scope }}"}
    steps = (
        Step(id="prepare", action=Python(target=TARGET), inputs=given, output="json", resources=bounds["resources"]),
        Step(id="ask", action=action, inputs=inputs, needs=("prepare",), **bounds),
    )
    inner = Workflow(
        name=step.title or step.id,
        steps=steps,
        inputs={"config": Input(), "scope": Input()},
        outputs={"response": "${{ steps.ask.output }}", "took_s": "${{ steps.ask.took_s }}"},
        resources={name: around.pools[name] for name in bounds["resources"]},
    )
    with_ = {"config": escape(config.tree), "scope": scope_of(told, around)}
    return msgspec.structs.replace(step, action=Flow(inner), inputs=with_)


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()
