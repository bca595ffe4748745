"""weft as a peer of the benchmark harness that `bench.py` runs.

`weft-mem` keeps its journal in memory, `weft` has the default journal that survives loss of power, and `weft-shell` has that too
and runs every step as a command (with a shell only where the command needs one, like the other peers). Each repetition is a whole
run: a new folder, journal and engine; build makes the workflow.
"""

from typing import Any

from _adapter import P, command, main  # type: ignore[import-not-found]

PYTHON = {"W1": None, "W1x": None, "W2": None, "W3": None, "W5b": None, "W7": None}
DURABLE = {"W6": None, "W6c": None}
SHELL = {"W4": None, "W5a": None, "W7": None}
VENV = {"venv": "weft", "dist": "weft"}
PEERS = {
    "weft-mem": {**VENV, "workloads": PYTHON},
    "weft": {**VENV, "workloads": {**PYTHON, **DURABLE}},
    "weft-shell": {**VENV, "workloads": {**SHELL, **DURABLE}},
}

NOOP = f"def run(values):\n    return (1 + sum(values)) % {P}\n"


def build(ctx: Any, dag: Any) -> Any:
    from weft.model.workflow import Action, Argv, Python, Shell, Sleep, Step, Workflow

    def shell(line: str) -> Action:
        return Shell(script=line) if " " in line else Argv(argv=(line,))

    tasks = dag["tasks"]
    by_value = ctx.peer != "weft-shell" and all(task["op"] == "noop" for task in tasks)

    def step(task: Any) -> Step:
        needs = tuple(task["deps"])
        if ctx.peer == "weft-shell" or task["op"] == "sh":
            return Step(id=task["id"], action=shell(command(task)), needs=needs)
        if task["op"] == "sleep":
            return Step(id=task["id"], action=Sleep(seconds=task["s"]), needs=needs)
        values = [f"${{{{ steps.{need}.output }}}}" for need in needs] if by_value else []
        return Step(id=task["id"], action=Python(code=NOOP), needs=needs, inputs={"values": values}, output="json")

    return Workflow(
        name=dag["workload"],
        steps=tuple(map(step, tasks)),
        outputs={"sink": f"${{{{ steps.{tasks[-1]['id']}.output }}}}"} if by_value else {},
        max_parallel=ctx.conc,
        durability="none" if ctx.peer == "weft-mem" else "power",
    )


def run(ctx: Any, workflow: Any) -> Any:
    from weft import app
    from weft.core.status import Status

    options = app.Options(limits=app.limits_of(ctx.conc, app.cpu_count()), signals=False)
    result = app.start(workflow, {}, ctx.dir / ".weft", options, project=ctx.dir)
    if result.status != "succeeded":
        return result.status
    if workflow.outputs:
        assert result.state.outputs is not None
        return result.state.outputs.outputs["sink"]
    return {"done": sum(status is Status.SUCCEEDED for status in result.state.status)}


if __name__ == "__main__":
    main(globals())
