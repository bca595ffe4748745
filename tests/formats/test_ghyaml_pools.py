"""Pools of YAML workflows are numbers of steps, whatever they are called: `cpu` holds nobody to a processor."""

from pathlib import Path

from ghyaml_workflows import outputs_of, script, whole

NAMES = ("cpu", "mem", "gpu")


def test_a_pool_that_is_called_like_one_of_the_machine_is_a_pool(tmp_path: Path) -> None:
    steps = "".join(script(name, f"parallel: {{ resource: {name} }}", "echo done") for name in NAMES)
    outputs = outputs_of(tmp_path, whole(steps, "parallel: { resources: { cpu: 1, mem: 1, gpu: 1 } }"))
    assert {name: output["stdout"] for name, output in outputs.items()} == dict.fromkeys(NAMES, "done")
