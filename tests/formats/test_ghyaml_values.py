"""Values in YAML workflows: what can be read, that it stays data wherever it stands, and what conditions make of it."""

import json
from pathlib import Path

import pytest
from ghyaml_workflows import outputs_of, read, run, script, whole, workflow_of

HOSTILE = {
    "quote": '"; touch X #',
    "substitution": "$(touch X)`touch X`${X}",
    "single": "it's '; touch X; '",
    "lines": "a\nb; touch X\n\nc",
    "dashes": "--version",
    "spaces": "  two  words  ",
    "template": "{{variables.secret}} ${{ inputs.secret }}",
    "glob": "* ? [a-z] ~ \\",
    "unicode": "žluť \u202e 🎉",
}


# ---- values ----


def test_everything_documented_can_be_read(tmp_path: Path) -> None:
    text = whole(
        """
- { id: cover, name: C, type: script, config: { command: printf, args: ["%s\\n", '{"coverage": 85, "list": ["a", {"b": 2}]}'] } }
- id: use
  name: U
  type: script
  config:
    command: printf
    args:
      - "%s|"
      - "{{steps.cover.result}} {{steps.cover.exitCode}} {{steps.cover.success}} {{steps.cover.status}}"
      - "{{steps.cover.stdout}}"
      - "{{steps.cover.output}}"
      - "{{steps.cover.coverage}} {{steps.cover.outputs.list[1].b}} {{ steps['cover'].outputs.list.length }}"
      - "{{variables.who}} {{variable.who}} {{who}} {{env.WHERE}} {{env('WHERE')}} {{workflow.currentStepId}}"
      - "{{variables.nobody}}{{steps.cover.nothing.at.all}}{{env.NOTHING_HERE}}"
      - "{{variables.record}}"
      - "{{ if(equals(steps.cover.coverage, 85), upper(concat), 'no') }}{{ steps.cover.coverage > 80 ? 'good' : 'bad' }}"
      - "a ${{who}} $"
"""
    )
    outputs = outputs_of(tmp_path, text, "who=bob", 'record={"a":[1,true,null]}', "concat=x", WHERE="here")
    assert outputs["use"]["stdout"].split("|") == [
        "success 0 true completed",
        '{"coverage": 85, "list": ["a", {"b": 2}]}',
        '{"coverage": 85, "list": ["a", {"b": 2}]}',
        "85 2 2",
        "bob bob bob here here use",
        "",
        '{"a":[1,true,null]}',
        "Xgood",
        "a $bob $",
        "",
    ]


def test_scripts_know_where_they_are(tmp_path: Path) -> None:
    text = whole(
        "- { id: make-it, name: M, type: script, config: { command: printf, args: ['{\"n\": 3}'] } }\n"
        "- { id: show, name: S, type: script, config: { command: env }, dependsOn: [make-it] }\n"
    )
    outputs = outputs_of(tmp_path, text, "deployStaging=true", '{"stage": "live", "nested": {"a": 1}, "five": "5"}')
    variables = dict(line.partition("=")[::2] for line in outputs["show"]["stdout"].splitlines())
    assert variables["WORKFLOW_CURRENT_STEP_ID"] == "show"
    assert variables["WORKFLOW_ID"]
    assert variables["WORKFLOW_VAR_STAGE"] == variables["WORKFLOW_VAR_stage"] == "live"
    assert (variables["WORKFLOW_VAR_DEPLOYSTAGING"], variables["WORKFLOW_VAR_NESTED"]) == ("true", '{"a":1}')
    assert variables["WORKFLOW_VAR_FIVE"] == "5"
    assert variables["WORKFLOW_OUTPUT_MAKE_IT_STDOUT"] == '{"n": 3}'
    assert (variables["WORKFLOW_OUTPUT_MAKE_IT_EXITCODE"], variables["WORKFLOW_OUTPUT_MAKE_IT_N"]) == ("0", "3")


def test_when_it_began(tmp_path: Path) -> None:
    text = whole(
        "- { id: a, name: A, type: script, config: { command: echo, args: ['{{formatDate(workflow.startTime, \"YYYY\")}}', "
        "'{{workflow.executionTime < 60000}}', '{{formatDate(now(), \"YYYY\")}}'] } }\n"
    )
    began, short, now = outputs_of(tmp_path, text)["a"]["stdout"].split()
    assert began == now
    assert short == "true"


@pytest.mark.parametrize("evil", HOSTILE.values(), ids=HOSTILE)
def test_values_stay_data(tmp_path: Path, evil: str) -> None:
    """In arguments, in words of a line, in lines for a shell inside of every sort of quotes, in variables, in a folder's name."""
    text = whole(
        """
- { id: made, name: M, type: script, config: { command: printenv, args: [EVIL] } }
- { id: args, name: N, type: script, config: { command: printf, args: ["[%s]", "{{variables.v}}", "--x={{steps.made.stdout}}"] } }
- { id: words, name: N, type: script, config: { command: "printf [%s] {{v}} --x={{v}} 'q {{v}}'" } }
- id: line
  name: N
  type: script
  config: { command: "printf '[%s]' {{v}} '{{v}}' \\"{{v}}\\" x\\"$(printf %s {{v}})\\"y | cat # {{v}}" }
- { id: sh, name: N, type: script, config: { command: sh, args: ["-euc", "printf '[%s]' {{v}} '{{v}}' $1", "sh", "{{v}}"] } }
- { id: bash, name: N, type: script, config: { command: "bash -o pipefail -c 'printf [%s] {{v}} \\"{{v}}\\"'" } }
- { id: env, name: N, type: script, config: { command: printenv, args: [V], env: { V: "<{{v}}>" } } }
- { id: test, name: N, type: condition, config: { expression: { equals: { left: "{{steps.made.stdout}}", right: "{{v}}" } } } }
- { id: wait, name: N, type: delay, config: { duration: 0, message: "{{v}}" } }
- { id: if, name: N, type: script, config: { command: "true" }, condition: "variables.v === steps.made.stdout" }
"""
    )
    given = json.dumps({"v": evil, "secret": "leak"})
    outputs = outputs_of(tmp_path, text, given, EVIL=evil)
    seen = evil.removesuffix("\n")
    assert outputs["made"]["stdout"] == seen
    assert outputs["args"]["stdout"] == f"[{evil}][--x={seen}]"
    assert outputs["words"]["stdout"] == f"[{evil}][--x={evil}][q {evil}]"
    assert outputs["line"]["stdout"] == f"[{evil}][{evil}][{evil}][x{evil}y]"
    assert outputs["sh"]["stdout"].startswith(f"[{evil}][{evil}][")
    assert outputs["bash"]["stdout"] == f"[{evil}][{evil}]"
    assert outputs["env"]["stdout"] == f"<{evil}>"
    assert outputs["test"]["result"] is True
    assert outputs["wait"]["message"] == evil
    assert outputs["if"]["exitCode"] == 0
    assert not (tmp_path / "X").exists()


@pytest.mark.parametrize(
    "command",
    [
        *("eval echo {{v}}; true", "eval $(echo {{v}})", "cat x | bash -c 'echo {{v}}'", "docker exec box sh -c 'echo {{v}}'"),
        *(
            "echo $(sh -c 'echo {{v}}')",
            "python3 -u -c 'print({{v}})'",
            "node -e {{v}}",
            "perl -ne 'print {{v}}' x",
            "su -c {{v}}",
        ),
    ],
)
def test_a_value_is_no_text_of_another_program(command: str) -> None:
    loaded = read(whole(f"- {{ id: a, name: N, type: script, config: {{ command: {json.dumps(command)} }} }}"))
    (problem,) = loaded.problems
    assert (problem.code, problem.place.line) == ("W911", 5)
    assert "in the text of another program" in problem.message


@pytest.mark.parametrize(
    "command",
    [
        *(
            "eval x; echo {{v}}",
            "sh -c 'x' {{v}} | cat",
            "sh run.sh -c {{v}}",
            "kubectl get node {{v}} | cat",
            "(sh -c x) && echo {{v}}",
        ),
        *("git commit -m 'sh -c' {{v}}", "eval x # sh -c\necho {{v}}", "case {{v}} in a) echo {{v}};; esac"),
    ],
)
def test_a_value_beside_such_a_text_is_fine(command: str) -> None:
    assert not read(whole(f"- {{ id: a, name: N, type: script, config: {{ command: {json.dumps(command)} }} }}")).problems


def test_what_asks_how_hundreds_of_steps_ended_is_refused() -> None:
    ids = [f"step-number-{n}" for n in range(500)]
    asks = f"dependsOn: [{', '.join(ids)}], condition: \"steps.step-number-0.result == 'failure'\""
    (problem,) = read(whole("".join(map(script, ids)) + script("last", asks))).problems
    assert (problem.code, problem.place.line) == ("W907", 505)
    assert "the step `last` depends on too many steps, 500, to ask how they ended" in problem.message


def test_words_are_split_as_a_shell_would() -> None:
    text = whole(script("a", "", json.dumps('x "a\\n" a\\ b \\\n c "\\"" \'d|$e\' "f;g"')))
    assert workflow_of(text).steps[0].inputs["config"]["words"] == ["x", "a\\n", "a b", "c", '"', "d|$e", "f;g"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("command: echo, args: ['{{v}}']", "argument 1"),
        ("command: 'echo {{v}}'", "argument 1"),
        ("command: 'echo {{v}} | cat'", "the value of `WEFT_VALUE_1`"),
        ("command: env, env: { V: '{{v}}' }", "the value of `V`"),
    ],
)
def test_what_no_program_can_be_given_is_refused(tmp_path: Path, config: str, says: str) -> None:
    text = whole(
        "- { id: big, name: B, type: script, config: { command: 'head -c 10000000 /dev/zero | tr \"\\\\0\" x' } }\n"
        f"- {{ id: use, name: U, type: script, config: {{ {config.replace('{{v}}', '{{steps.big.stdout}}')} }} }}\n"
        "- { id: text, name: T, type: script, config: { command: echo, args: ['{{length(steps.big.stdout)}}'] } }\n"
        f"- {{ id: nul, name: N, type: script, parallel: {{ isolateErrors: true }}, config: {{ {config} }} }}\n"
    ).replace("{ id: use,", "{ id: use, parallel: { isolateErrors: true },")
    printed, said, code = run(tmp_path, text, json.dumps({"v": "a\0b"}))
    assert code == 1, said
    results = printed["stepResults"]
    assert results["text"]["output"]["stdout"] == "10000000"
    assert results["use"]["error"].startswith(f"{says} has 10,000,000 characters; a program can be given 100 KiB")
    assert results["nul"]["error"].startswith(f"{says} holds a NUL character")


# ---- conditions ----


def test_conditions_trigger_steps(tmp_path: Path) -> None:
    text = whole(
        """
- id: check
  name: C
  type: condition
  config:
    expression: { or: { conditions: [ { less_than: { left: "{{n}}", right: 3 } }, { matches: { left: a, right: x } } ] } }
    onTrue: [few]
    onFalse: [many, update-changelog]
- { id: few, name: F, type: script, config: { command: echo, args: ["{{condition_check_result}}"] } }
- { id: many, name: M, type: script, config: { command: echo, args: ["{{condition_check_result}}", "{{steps.check.result}}"] } }
- { id: join, name: J, type: script, config: { command: echo }, dependsOn: [few, many] }
"""
    )
    loaded = read(text)
    assert [(problem.code, problem.severity) for problem in loaded.problems] == [("W909", "warning")]
    for n, ran, other in (("2", "few", "many"), ("7", "many", "few")):
        printed, said, code = run(tmp_path, text, f"n={n}")
        assert code == 0, said
        results = printed["stepResults"]
        assert (results[ran]["status"], results[other]["status"], results["join"]["status"]) == (
            "completed",
            "skipped",
            "completed",
        )
        assert results["check"]["output"]["result"] is (n == "2")
        assert results[ran]["output"]["stdout"] == ("true" if n == "2" else "false false")


EXPRESSIONS = [
    ("{ equals: { left: '{{variables.n}}', right: 5 } }", True),
    ("{ equals: { left: '{{variables.n}}', right: '5' } }", False),
    ("{ equals: { left: variables.n, right: 5 } }", True),
    ("{ type: not_equals, left: '{{n}}', right: 5 }", False),
    ("{ operator: and, conditions: [{ exists: { left: '{{n}}' } }, { not_exists: { left: '{{missing}}' } }] }", True),
    ("{ contains: { left: '{{variables.tags}}', right: a } }", True),
    ("{ not_contains: { left: '{{variables.tags}}', right: a } }", False),
    ("{ contains: { left: 'a text', right: 'tex' } }", True),
    ("{ greater_than: { left: '{{n}}', right: 4 } }", True),
    ("{ greater_than_or_equal: { left: '{{n}}', right: 5 } }", True),
    ("{ less_than: { left: '{{n}}', right: 5 } }", False),
    ("{ less_than_or_equal: { left: '{{n}}', right: 5 } }", True),
    ("{ matches: { left: 'v1.2', right: '^v[0-9.]+$' } }", True),
    ("{ not_matches: { left: 'v1.2', right: '^v' } }", False),
    ("{ not: { conditions: [{ equals: { left: '{{n}}', right: 5 } }] } }", False),
    ("{ not: { equals: { left: '{{n}}', right: 6 } } }", True),
    ("{ or: [{ equals: { left: a, right: b } }, 'variables.n === 5'] }", True),
    ("'{{ variables.tags.includes(\"b\") && n >= 5 }}'", True),
    ("{ less_than: { left: '{{missing}}', right: 5 } }", False),
]


def test_expressions_of_conditions(tmp_path: Path) -> None:
    steps = "".join(
        f"- {{ id: c{n}, name: C, type: condition, config: {{ expression: {text} }} }}\n"
        for n, (text, _) in enumerate(EXPRESSIONS)
    )
    outputs = outputs_of(tmp_path, whole(steps), "n=5", 'tags=["a", "b"]')
    assert [outputs[f"c{n}"]["result"] for n in range(len(EXPRESSIONS))] == [expected for _, expected in EXPRESSIONS]


def test_types_are_not_converted(tmp_path: Path) -> None:
    text = whole(
        "- { id: n, name: N, type: script, config: { command: echo, args: ['85'] } }\n"
        "- { id: c, name: C, type: condition, config: "
        "{ expression: { greater_than: { left: '{{steps.n.stdout}}', right: 80 } } } }\n"
        "- { id: d, name: D, type: condition, config: "
        "{ expression: { greater_than: { left: '{{toNumber(steps.n.stdout)}}', right: 80 } } } }\n"
    ).replace("{ id: c, name: C,", "{ id: c, name: C, continueOnError: true,")
    printed, said, code = run(tmp_path, text)
    assert code == 0, said
    assert "`85` and `80` cannot be put in order" in printed["stepResults"]["c"]["error"]
    assert printed["stepResults"]["d"]["output"]["result"] is True


CONDITIONS = [
    ("variables.deployStaging === true", True),
    ("variables.deployStaging == false", False),
    ("deployStaging", True),
    ("!variables.deployStaging", False),
    ("variables.missing === true", False),
    ("variables.missing", False),
    ("variables.tags.includes('x')", True),
    ('variables.tags.includes("y") || variables.n > 4', True),
    ("variables.n >= 5 && variables.n < 6", True),
    ("variables.missing > 4", False),
    ("variables.name.startsWith('re') && variables.name.toUpperCase() === 'RELEASE'", True),
    ("{{variables.n}} == 5", True),
    ("{{variables.n === 5}}", True),
    ("env.STAGE === 'live'", True),
    ("env.STAGE !== 'live'", False),
    ("env.NOT_THERE", False),
    ("steps.ok.result == 'success'", True),
    ("steps.ok.exitCode === 0 && steps.ok.stdout.includes('fine')", True),
    ("steps.bad.result === 'failure'", True),
    ("steps.bad.exitCode === 3", True),
    ("steps.bad.success", False),
    ("steps.ok.coverage > 80", True),
    ("length(variables.tags) === 1 && variables.tags.length === 1", True),
    ("variables.missing || variables.n", True),
    ("empty(variables.missing) && notEmpty(variables.tags)", True),
    ("default(variables.missing, 'a') === 'a'", True),
    ("variables.tags[0] === 'x' && variables.record.a.b?.c === undefined", True),
    ("true", True),
    ("workflow.name === 'w'", True),
    ("'{{variables.name}}' == 'release' && \"{{name}}-{{n}}\" === 'release-5'", True),
    ("'{{env.STAGE}}' === 'test'", False),
    ("variables.n + 1 > 5 && variables.n -1 === 4 && (n + 1) * 2 === 12 && n % 2 === 1 && n / 2 > 2 && -n < 0", True),
    ("variables.n * 2 === 11", False),
    ("variables.name + '-' + n === 'release-5'", True),
    ("variables.missing ?? 'x' === 'x'", True),
    ("date() >= '2026-01-01' && addDays(date(), 1) > now()", True),
    ("fileExists('w.yaml') && !fileExists('nothing.txt')", True),
    ("fileExists('nothing.txt')", False),
    ("steps.bad.result == 'failure' && date() > '2026'", True),
    ("workflow.executionTime < 60000 && hasEnv('STAGE')", True),
    ("Number('5') === n && String(n) === '5'", True),
    ("steps.d.executionTime >= 0 && steps.d.executionTime < 60000", True),
]


def test_conditions_of_steps(tmp_path: Path) -> None:
    steps = script("ok", "", "'echo ''{\"coverage\": 85, \"it\": \"fine\"}'' | cat'")
    steps += script("bad", "continueOnError: true", "'exit 3; date'")
    steps += "- { id: d, name: D, type: delay, config: { duration: 1 } }\n"
    for n, (text, _) in enumerate(CONDITIONS):
        steps += f"- {{ id: s{n}, name: S, type: script, config: {{ command: 'true' }}, condition: {json.dumps(text)} }}\n"
    given = json.dumps({"deployStaging": True, "tags": ["x"], "n": 5, "name": "release", "record": {"a": {}}})
    printed, said, code = run(tmp_path, whole(steps), given, "-j1", STAGE="live")
    assert code == 0, said
    statuses = [printed["stepResults"][f"s{n}"]["status"] for n in range(len(CONDITIONS))]
    wanted = ["completed" if expected else "skipped" for _, expected in CONDITIONS]
    assert dict(zip([text for text, _ in CONDITIONS], statuses, strict=True)) == dict(
        zip([text for text, _ in CONDITIONS], wanted, strict=True)
    )


@pytest.mark.parametrize(
    "text", ["env.TOKEN !== ''", "env.TOKEN", "'{{env.TOKEN}}' != ''", "env.TOKEN.includes('3')", "upper(env.TOKEN) + 'x'"]
)
def test_the_environment_is_not_kept_in_the_journal(text: str) -> None:
    step = workflow_of(whole(script("a", f"condition: {json.dumps(text)}")), variables={"TOKEN": "s3cret"}).steps[0]
    assert step.condition == "(true)"


def test_what_is_computed_decides_in_a_step_before(tmp_path: Path) -> None:
    """It is not shown among the steps of the file, which keep their groups; what fails there is the failure of its step."""
    condition = "condition: \"fileExists('made.txt') && steps.make.exitCode + 1 === 1\""
    text = whole(
        script("make", "", "touch, args: [made.txt]")
        + script("use", condition)
        + script("use-condition", "dependsOn: [use]")
        + script("never", "condition: 'date() === variables.day'")
        + script("after", "dependsOn: [never]")
        + script("wrong", "parallel: { isolateErrors: true }, condition: \"readFile('../x') === ''\"")
    )
    assert [step.id for step in workflow_of(text).steps if "condition" in step.id] == [
        *("use-condition-", "use-condition", "never-condition", "wrong-condition")
    ]
    printed, said, code = run(tmp_path, text)
    assert code == 1, said
    assert {id_: (result["status"], result["parallelGroup"]) for id_, result in printed["stepResults"].items()} == {
        "make": ("completed", 1),
        "use": ("completed", 2),
        "use-condition": ("completed", 3),
        "never": ("skipped", 1),
        "after": ("skipped", 2),
        "wrong": ("skipped", 1),
    }
    assert printed["parallelStats"]["totalGroups"] == 3
    assert "outside of the project's folder" in said


@pytest.mark.parametrize(
    "text", ["||".join(["a"] * 3000), "a" + ".trim()" * 2000, "a" + "[b]" * 3000, "default(" * 25 + "a" + ")" * 25]
)
def test_hostile_expressions_end_in_a_message(text: str) -> None:
    for step in (script("s", f"condition: {json.dumps(text)}"), script("s", "", json.dumps(f"{{{{{text}}}}}"))):
        loaded = read(whole(step))
        assert loaded.workflow is not None or [problem.code for problem in loaded.problems] == ["W907"]


def test_what_a_skipped_step_holds_back(tmp_path: Path) -> None:
    """All that depends on nothing else; not where it says that the workflow goes on without it."""
    text = whole(
        script("off", "condition: 'false'")
        + script("off-too", "condition: 'false', continueOnError: true")
        + script("bad", "parallel: { isolateErrors: true }", "'false'")
        + script("after", "dependsOn: [off]")
        + script("after-too", "dependsOn: [off-too]")
        + script("join", "dependsOn: [off, after-too]")
        + script("bad-too", "dependsOn: [off-too, bad]")
        + script("last", "dependsOn: [after, after-too]")
    )
    printed, said, code = run(tmp_path, text)
    assert code == 1, said
    statuses = {id_: result["status"] for id_, result in printed["stepResults"].items()}
    assert statuses == {
        "off": "skipped",
        "off-too": "skipped",
        "bad": "failed",
        "after": "skipped",
        "after-too": "completed",
        "join": "completed",
        "bad-too": "skipped",
        "last": "completed",
    }
