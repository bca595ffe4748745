"""Templates of YAML workflows, and their instances."""

import subprocess
from pathlib import Path

import pytest
from ghyaml_workflows import WEFT, outputs_of, read, run, workflow_of

from weft.model.workflow import Pool

# ---- templates ----

TEMPLATE = """
metadata: { id: deploy, name: Deploy, version: 1.0.0 }
parameters:
  - { name: app, type: string, required: true, validation: { pattern: "^[a-z]+$", minLength: 2 } }
  - { name: replicas, type: integer, default: 2, validation: { minimum: 1, maximum: 5 } }
  - { name: stage, type: string, default: test, validation: { enum: [test, live] } }
template:
  name: "Deploy {{parameters.app}}"
  version: 1.0.0
  parallel: { resources: { cluster: "{{parameters.replicas}}" } }
  steps:
    - id: build
      name: "Build {{parameters.app}}"
      type: script
      config: { command: "echo {{parameters.app}} {{variables.v}}" }
    - id: roll
      name: Roll
      type: script
      config: { command: echo, args: ["{{parameters.replicas}}", "{{parameters.stage}}", "{{parameters.note}}"], timeout: 60000 }
      dependsOn: [build]
      parallel: { resource: cluster, maxConcurrency: "{{parameters.replicas}}" }
""".replace(', "{{parameters.note}}"', "")


def test_an_instance(tmp_path: Path) -> None:
    instance = "templateId: deploy\nparameters: { app: shop, replicas: 3 }\nname: Shop\n"
    instance += "overrides: { steps: [{ id: roll, config: { timeout: 90000 } }] }\n"
    loaded = read(instance, "shop.yaml", {"templates/deploy.yaml": TEMPLATE})
    assert not loaded.problems
    assert loaded.workflow is not None
    build, roll = loaded.workflow.steps
    assert (loaded.workflow.name, build.title, roll.timeout_s, roll.max_parallel) == ("Shop", "Build shop", 90, 3)
    assert loaded.workflow.resources == {"cluster": Pool(slots=3)}
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "deploy.yaml").write_text(TEMPLATE)
    outputs = outputs_of(tmp_path, instance, "v=two words")
    assert [outputs[id_]["stdout"] for id_ in ("build", "roll")] == ["shop two words", "3 test"]


def test_a_template_is_run_with_its_parameters(tmp_path: Path) -> None:
    outputs = outputs_of(tmp_path, TEMPLATE, "app=shop", "replicas=5", "v=x")
    assert outputs["roll"]["stdout"] == "5 test"
    _, said, code = run(tmp_path, TEMPLATE, "replicas=9")
    assert code == 2
    assert "the parameter `app` of the template is not given" in said
    assert "the parameter `replicas` does not fit: `maximum` is 5" in said
    done = subprocess.run([str(WEFT), "check", "w.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("{}", "the parameter `app` of the template is not given"),
        ("{ app: A }", "the parameter `app` does not fit: `minLength` is 2"),
        ("{ app: A2 }", "the parameter `app` does not match the pattern `^[a-z]+$`"),
        ("{ app: 5 }", "the parameter `app` is a number, where a string must be"),
        ("{ app: shop, replicas: '3' }", "the parameter `replicas` is text, where an integer must be"),
        ("{ app: shop, replicas: true }", "the parameter `replicas` is `true`, where an integer must be"),
        ("{ app: shop, stage: prod }", 'the parameter `stage` is none of ["test","live"]'),
        ("{ app: shop, stagge: live }", "the template has no parameter `stagge`"),
    ],
)
def test_parameters_are_checked(parameters: str, says: str) -> None:
    loaded = read(f"templateId: deploy\nparameters: {parameters}\n", "i.yaml", {"deploy.yaml": TEMPLATE})
    assert loaded.workflow is None
    assert [problem.message for problem in loaded.problems] == [says]
    assert loaded.problems[0].place.file == "i.yaml"


def test_templates_extend_each_other() -> None:
    base = TEMPLATE
    child = """
metadata: { id: child, name: Child, version: 1.0.0 }
extends: deploy
parameters: [{ name: stage, default: live }, { name: note, type: string, default: "$(touch X) {{env.HOME}}" }]
template:
  steps:
    - { id: check, name: Check, type: script, config: { command: echo, args: ["{{parameters.note}}"] }, dependsOn: [roll] }
"""
    files = {
        "deploy.yaml": base,
        "child.yaml": child,
        "a.yaml": child.replace("deploy", "b"),
        "b.yaml": child.replace("deploy", "a"),
    }
    workflow = workflow_of("templateId: child\nparameters: { app: shop }\n", files=files)
    assert [step.id for step in workflow.steps] == ["build", "roll", "check"]
    assert workflow.steps[1].inputs["scope"]["parameters"]["stage"] == "live"
    loaded = read("templateId: a\n", files=files)
    assert "these templates extend each other: a.yaml → b.yaml → a.yaml" in [problem.message for problem in loaded.problems]


def test_a_template_may_only_change_another() -> None:
    """With `extends` and `overrides` and no `template` of its own; what that one overrides stays so."""
    files = {
        "deploy.yaml": TEMPLATE,
        "live.yaml": "extends: deploy\noverrides: { timeout: 90000, steps: [{ id: build, name: First }] }\n",
        "slow.yaml": "metadata: { id: slow }\nextends: live\noverrides: { timeout: 95000 }\n",
    }
    workflow = workflow_of("templateId: slow\nparameters: { app: shop }\n", files=files)
    assert (workflow.timeout_s, [step.title for step in workflow.steps]) == (95, ["First", "Roll"])
    assert workflow_of(files["live.yaml"], files=files, given={"app": "shop"}).timeout_s == 90


def test_problems_of_a_template_point_into_it() -> None:
    template = TEMPLATE.replace("dependsOn: [build]", "dependsOn: [biuld]")
    loaded = read("templateId: deploy\nparameters: { app: shop }\n", "i.yaml", {"deploy.yaml": template})
    (problem,) = loaded.problems
    assert (problem.code, problem.place.file, problem.place.line) == ("W904", "deploy.yaml", 20)
    assert problem.hint == "did you mean `build`?"
