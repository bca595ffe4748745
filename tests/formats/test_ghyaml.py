"""YAML workflows: read, planned and run as their documentation says. `seeds/ghyaml` has its workflows as printed."""

import subprocess
from pathlib import Path

import pytest
from ghyaml_workflows import SEEDS, WEFT, read, run, script, step_of, whole, workflow_of

from weft.formats import load
from weft.model.graph import Graph
from weft.model.workflow import Agent, Breaker, Flow, Http, Pool, Python, Retry, Sleep

FRAGMENTS = {"automatic": ["W901"], "errors": ["W901"], "resources": ["W901"], "workflow_level": [], "complex": []}


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """Programs that say how they were called, one argument a line in brackets, in place of npm, curl and docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("npm", "curl", "docker", "kubectl"):
        program = folder / name
        program.write_text('#!/bin/sh\nprintf "%s" "${0##*/}"\nfor word; do printf " [%s]" "$word"; done\necho\n')
        program.chmod(0o755)
    for name in ("setup-env", "validate-config", "check-deps", "prepare-db", "deploy", "sync-api", "process-data"):
        program = tmp_path / f"{name}.sh"
        program.write_text(f"#!/bin/sh\necho {name} done\n")
        program.chmod(0o755)
    for name in ("critical-task", "optional-task", "independent-task"):
        program = tmp_path / f"{name}.sh"
        program.write_text(f'#!/bin/sh\necho {name} done\n[ "$FAILS" != {name} ]\n')
        program.chmod(0o755)
    return tmp_path


# ---- the workflows of the documentation ----


@pytest.mark.parametrize("name", FRAGMENTS)
def test_they_load_as_printed(name: str) -> None:
    loaded = load((SEEDS / f"{name}.yaml").read_bytes(), f"{name}.yaml")
    assert loaded.format == "ghyaml"
    assert [problem.code for problem in loaded.problems] == FRAGMENTS[name]
    assert loaded.workflow is not None


def test_pools_that_are_not_defined_are_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(WEFT), "run", str(SEEDS / "step_level.yaml")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    for pool, step in (("cpu", "cpu-intensive-task"), ("memory", "memory-task"), ("network", "network-task")):
        assert f"the step `{step}` uses the pool `{pool}`, which the workflow does not define" in done.stderr
    assert not (tmp_path / ".weft").exists()


def test_with_its_pools_the_fragment_says_what_it_says() -> None:
    pools = "parallel: { resources: { cpu: 1, memory: 3, network: 5 } }\n"
    workflow = workflow_of(pools + (SEEDS / "step_level.yaml").read_text())
    cpu, memory, network = workflow.steps
    assert (cpu.resources, cpu.max_parallel, cpu.on_error) == ({"cpu": 1}, 1, "isolate")
    assert (memory.resources, memory.on_error) == ({"memory": 1}, "stop")
    assert memory.action == Agent(prompt="Process large dataset")
    assert memory.timeout_s == 60
    assert network.resources == {"network": 1}


def test_the_plan_of_the_complex_one(tmp_path: Path) -> None:
    command = [str(WEFT), "plan", str(SEEDS / "complex.yaml")]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    said = " ".join(said.split())
    assert "layer 1 setup-env validate-config check-dependencies layer 2 build-frontend" in said
    assert "prepare-database needs validate-config database 1 layer 3 test-frontend" in said
    assert "layer 4 deploy needs test-frontend and 2 more" in said
    workflow = workflow_of((SEEDS / "complex.yaml").read_text())
    assert (workflow.max_parallel, workflow.first_layer, workflow.schedule) == (6, 1, "dataflow")
    assert workflow.resources == {"cpu": Pool(slots=2), "network": Pool(slots=4), "database": Pool(slots=1)}
    assert [len(layer) for layer in Graph(workflow.steps).layers()] == [3, 3, 3, 1]


def test_the_complex_one_runs(stand_ins: Path) -> None:
    printed, said, code = run(stand_ins, (SEEDS / "complex.yaml").read_text(), "-v")
    assert code == 0, said
    results = printed["stepResults"]
    assert results["build-frontend"]["output"]["stdout"] == "npm [run] [build:frontend]"
    assert results["deploy"]["output"]["stdout"] == "deploy done"
    groups: dict[int, list[str]] = {}
    for id_, result in results.items():
        assert (result["success"], result["status"], result["error"]) == (True, "completed", None)
        assert result["executionTime"] >= result["output"]["executionTime"] >= 0
        groups.setdefault(result["parallelGroup"], []).append(id_)
    assert [len(groups[group]) for group in (1, 2, 3, 4)] == [3, 3, 3, 1]
    stats = printed["parallelStats"]
    assert stats["totalGroups"] == 4
    assert 1 <= stats["maxConcurrentSteps"] <= 6
    assert set(stats["resourceUtilization"]) == {"cpu", "network", "database"}
    assert all(0 < share <= 1 for share in stats["resourceUtilization"].values())
    for line in (
        "Parallel Execution Statistics:",
        "- Total parallel groups: 4",
        "Resource Utilization:",
        "Step deploy executed in parallel group 4",
    ):
        assert line in said


@pytest.mark.parametrize("name", ["automatic", "workflow_level", "resources"])
def test_the_others_run(stand_ins: Path, name: str) -> None:
    printed, said, code = run(stand_ins, (SEEDS / f"{name}.yaml").read_text())
    assert code == 0, said
    assert all(result["success"] for result in printed["stepResults"].values())
    if name == "automatic":
        assert printed["stepResults"]["type-check"]["output"]["stdout"] == "npm [run] [type-check]"


def test_errors_as_documented(stand_ins: Path) -> None:
    text = (SEEDS / "errors.yaml").read_text()
    workflow = workflow_of(text)
    assert [step.on_error for step in workflow.steps] == ["stop", "continue", "isolate"]
    printed, _, code = run(stand_ins, text, FAILS="optional-task")
    assert (code, printed["success"]) == (0, True)
    assert {id_: result["status"] for id_, result in printed["stepResults"].items()} == {
        "critical-step": "completed",
        "optional-step": "failed",
        "independent-step": "completed",
    }
    assert printed["stepResults"]["optional-step"]["error"] == "exit 1: optional-task done"
    printed, _, code = run(stand_ins, text, FAILS="independent-task")
    assert (code, printed["success"]) == (1, False)
    assert printed["stepResults"]["optional-step"]["status"] == "completed"
    printed, _, code = run(stand_ins, text, "-j1", FAILS="critical-task")
    assert code == 1
    assert printed["stepResults"]["independent-step"]["success"] is False


# ---- parallel ----


@pytest.mark.parametrize(
    ("head", "max_parallel", "schedule"),
    [
        ("", 4, "dataflow"),
        ("parallel: { enabled: true }", 4, "dataflow"),
        ("parallel: { enabled: false }", 4, "sequential"),
        ("parallel: { defaultMaxConcurrency: 6 }", 6, "dataflow"),
        ("parallel: { defaultMaxConcurrency: 6, maxConcurrency: 2 }", 2, "dataflow"),
    ],
)
def test_how_many_at_once(head: str, max_parallel: int, schedule: str) -> None:
    workflow = workflow_of(whole(script("a"), head))
    assert (workflow.max_parallel, workflow.schedule) == (max_parallel, schedule)


@pytest.mark.parametrize(
    ("isolates", "goes_on", "on_error"),
    [
        ("true", "false", "isolate"),
        ("true", "true", "continue"),
        ("true", "", "isolate"),
        ("false", "false", "stop"),
        ("false", "true", "stop_layer"),
        ("false", "", "stop"),
        ("", "", "stop"),
        ("", "false", "stop"),
        ("", "true", "continue"),
    ],
)
def test_what_a_failure_means(isolates: str, goes_on: str, on_error: str) -> None:
    more = [f"parallel: {{ isolateErrors: {isolates} }}"] * bool(isolates) + [f"continueOnError: {goes_on}"] * bool(goes_on)
    assert workflow_of(whole(script("a", ", ".join(more)))).steps[0].on_error == on_error


def test_a_step_that_runs_alone() -> None:
    text = whole(script("a") + script("b", "parallel: { enabled: false }") + script("c"))
    workflow = workflow_of(text)
    assert workflow.resources == {"alone": Pool(slots=3)}, "-j may ask for more than max_parallel"
    assert [step.resources for step in workflow.steps] == [{"alone": 1}, {"alone": 3}, {"alone": 1}]


def test_a_pool_of_the_file_may_be_called_alone() -> None:
    head = "parallel: { resources: { alone: 1 } }"
    workflow = workflow_of(whole(script("a", "parallel: { resource: alone, enabled: false }") + script("b"), head))
    assert workflow.resources == {"alone": Pool(slots=1), "alone-": Pool(slots=2)}
    assert [step.resources for step in workflow.steps] == [{"alone": 1, "alone-": 2}, {"alone-": 1}]


def test_dependencies_come_from_references_too() -> None:
    text = whole(
        script("fetch-data")
        + "- { id: b, name: B, type: script, config: { command: echo, args: ['{{steps.fetch-data.stdout}}'] } }\n"
        + "- { id: c, name: C, type: script, config: { command: date }, condition: \"steps.b.result == 'success'\" }\n"
        + script("d", "depends_on: c")
    )
    assert [step.needs for step in workflow_of(text).steps] == [(), ("fetch-data",), ("b",), ("c",)]


def test_retries() -> None:
    head = "retryOptions: { maxAttempts: 5, initialDelayMs: 200, circuitBreaker: true, "
    head += "stepSpecificRetry: { b: { maxAttempts: 2 } } }\n"
    head += "parallel: { resources: { api: 2 } }"
    more = script("c", "retryOptions: { enableRetry: false }")
    workflow = workflow_of(whole(script("a") + script("b") + more, head))
    first, second, third = (step.retry for step in workflow.steps)
    assert (first.times, first.delay_s, first.max_delay_s, first.factor, first.jitter) == (4, 0.2, 10.0, 2, True)
    assert {"timeout", "Transient", "HTTP429"} <= set(first.when)
    assert second.times == 1
    assert third == Retry()
    assert workflow.resources == {"api": Pool(slots=2, breaker=Breaker(failures=5, cooldown_s=60.0))}
    assert workflow_of(whole(script("a"))).steps[0].retry == Retry(times=2, max_delay_s=10, when=first.when), "on, as documented"
    assert workflow_of(whole(script("a"), "retryOptions: { enableRetry: false }")).steps[0].retry == Retry()
    assert step_of("type: delay, config: { duration: '{{n}}' }").retry == Retry()


@pytest.mark.parametrize(
    ("options", "breaker"),
    [
        ("maxAttempts: 5", None),
        ("maxAttempts: 6", Breaker(failures=5, cooldown_s=60)),
        ("maxAttempts: 3, circuitBreaker: { failureThreshold: 2, resetTimeoutMs: 500 }", Breaker(failures=2, cooldown_s=0.5)),
        ("maxAttempts: 6, circuitBreaker: false", None),
        ("maxAttempts: 6, circuitBreaker: { enabled: false }", None),
    ],
)
def test_a_step_of_many_attempts_has_a_circuit_breaker(options: str, breaker: Breaker | None) -> None:
    workflow = workflow_of(whole(script("a", f"retryOptions: {{ {options} }}") + script("b")))
    assert workflow.resources == ({"circuit-a": Pool(breaker=breaker)} if breaker else {})
    assert [step.resources for step in workflow.steps] == [{"circuit-a": 1} if breaker else {}, {}]


def test_only_what_may_pass_is_tried_again(tmp_path: Path) -> None:
    flaky = tmp_path / "flaky.sh"
    flaky.write_text('#!/bin/sh\necho x >> tries-$1\n[ "$(wc -l < tries-$1)" -ge 3 ] && exit 0\necho "connect: $2" >&2; exit 7\n')
    flaky.chmod(0o755)
    steps = "".join(
        f"- {{ id: {id_}, name: N, type: script, config: {{ command: ./flaky.sh, args: [{id_}, '{says}'] }}, "
        "parallel: { isolateErrors: true } }\n"
        for id_, says in (("passes", "ECONNRESET"), ("stays", "refused"))
    )
    printed, _, code = run(tmp_path, whole(steps, "retryOptions: { initialDelayMs: 1 }"))
    assert code == 1
    assert printed["stepResults"]["passes"]["success"] is True
    assert printed["stepResults"]["stays"]["error"].startswith("exit 7: connect: refused")
    assert (tmp_path / "tries-stays").read_text() == "x\n"


# ---- timeouts ----


def test_timeouts_count_milliseconds() -> None:
    step = step_of("type: script, config: { command: date, timeout: 90000 }", "timeout: 600000")
    assert step.timeout_s == 90
    assert workflow_of(whole(script("a"), "timeout: 600000")).timeout_s == 600


@pytest.mark.parametrize("seconds", [900, 1200, 1800, 2400])
def test_timeouts_that_are_seconds_are_noticed(seconds: int) -> None:
    text = whole(f"- {{ id: a, name: A, type: agent, config: {{ agent: x, prompt: y, timeout: {seconds} }} }}")
    loaded = read(text, files={"x.yaml": "name: x\n"})
    (problem,) = loaded.problems
    assert (problem.code, problem.severity, problem.place.line) == ("W910", "warning", 5)
    assert f"`timeout: {seconds}` is in milliseconds: it ends after {seconds / 1000:g} seconds" in problem.message
    in_seconds = read(text, files={"x.yaml": "name: x\n"}, timeout_unit="s")
    assert not in_seconds.problems
    assert in_seconds.workflow is not None
    assert in_seconds.workflow.steps[0].timeout_s == seconds


def test_the_unit_can_be_said(tmp_path: Path) -> None:
    text = whole(script("a", "", "'true'").replace("command:", "timeout: 60, command:"))
    (tmp_path / "w.yaml").write_text(text)
    for verb in ("check", "plan", "run"):
        command = [str(WEFT), verb, "w.yaml", "--timeout-unit", "s"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "W910" not in done.stderr
    done = subprocess.run([str(WEFT), "check", "w.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "W910" in done.stderr


# ---- types of steps ----


def test_delays() -> None:
    assert step_of("type: delay, config: { duration: 250 }").action == Sleep(0.25)
    assert step_of("type: wait, config: { duration: 2, unit: minutes }").action == Sleep(120)
    assert step_of("type: sleep, config: { duration: 1.5, unit: hours }").action == Sleep(5400)
    assert isinstance(step_of("type: sleep, config: { duration: '{{variables.n}}' }").action, Python)


def test_requests() -> None:
    step = step_of(
        "type: http, config: { url: 'https://example.com/{{path}}', method: post, headers: { X-Id: '{{workflow.id}}' }, "
        "body: { a: '{{variables.record}}' }, retries: 2, timeout: 5000, validateStatus: [200, 404], followRedirects: false }"
    )
    assert step.action == Http(
        url="https://example.com/${{ inputs.path }}",
        method="POST",
        headers={"X-Id": "${{ run.id }}"},
        body={"a": "${{ inputs.record }}"},
        expect=(200, 404),
        redirects=False,
    )
    assert (step.retry.times, step.timeout_s) == (2, 5)
    assert step_of("type: http, config: { url: 'https://example.com', retries: 0 }").retry.times == 0


def test_what_cannot_be_lowered_is_prepared() -> None:
    workflow = workflow_of(
        whole(
            script("a") + "- { id: ask, name: Ask, type: agent, config: "
            "{ agent: x, prompt: 'On {{date()}}: {{steps.a.stdout}}', timeout: 9000 }, "
            "parallel: { resource: api, maxConcurrency: 1 } }\n"
            + "- { id: b, name: B, type: script, config: { command: echo, args: ['{{steps.ask.response}}'] } }\n",
            "parallel: { resources: { api: 1 } }",
        ),
        files={"x.yaml": "name: x\n"},
    )
    action = workflow.steps[1].action
    assert isinstance(action, Flow)
    prepare, ask = action.workflow.steps
    assert isinstance(prepare.action, Python)
    assert ask.action == Agent(prompt="${{ steps.prepare.output.prompt }}")
    assert prepare.resources == {"api": 1}
    assert (ask.resources, ask.timeout_s, ask.max_parallel, workflow.steps[1].resources) == ({"api": 1}, 9, 1, {})
    scope = workflow.steps[2].inputs["scope"]["steps"]["ask"]
    assert scope["output"] == "${{ steps['ask'].output.response? }}"


def test_agents_are_read_from_their_files() -> None:
    files = {
        "sub/agents/reviewer.yaml": "name: reviewer\nmetadata: { languageModel: { preferred: gpt-5 } }\n"
        "systemPrompt: { type: file, value: ./prompt.md }\n",
        "sub/agents/prompt.md": "You review ${{ nothing }}.",
        "sub/writer.yml": "name: writer\nmetadata: { languageModel: { preferred: 'ollama:x' } }\n"
        "systemPrompt: { type: content, value: You write. }\n",
    }
    text = whole(
        "- { id: a, name: A, type: agent, config: "
        "{ agent: reviewer, prompt: 'Look at {{file}}', parameters: { n: 1, t: '{{x}}' } } }\n"
        "- { id: b, name: B, type: agent, config: { agent: writer, prompt: '{{steps.a.response}} and {{steps.a.agentId}}' } }\n"
    )
    loaded = read(text, "sub/w.yaml", files)
    assert not loaded.problems
    assert loaded.workflow is not None
    first, second = loaded.workflow.steps
    assert first.action == Agent(prompt="Look at ${{ inputs.file }}", model="openai:gpt-5", system="You review $${{ nothing }}.")
    assert first.inputs == {"n": 1, "t": "${{ inputs.x }}"}
    assert second.action == Agent(
        prompt="${{ steps['a'].output }} and ${{ \"reviewer\" }}", model="ollama:x", system="You write."
    )


def test_what_an_agent_has_not_is_told() -> None:
    head = "name: x\nmetadata: { toolPreferences: { allowedToolRegex: ['.*'] }, executionConfig: { maxRounds: 5 } }\n"
    text = whole("- { id: a, name: A, type: agent, config: { agent: x, prompt: y } }")
    (told,) = read(text, files={"x.yaml": head}).problems
    assert (told.code, told.severity, told.place.line) == ("W913", "warning", 5)
    assert "the agent `x` has no tools here" in told.message
    assert "`toolPreferences`, `executionConfig.maxRounds` of `x.yaml`" in told.message
    (wrong,) = read(text, files={"x.yaml": "name: x\nsystemPromt: { type: content, value: y }\n"}).problems
    assert (wrong.severity, wrong.hint) == ("error", "did you mean `systemPrompt`?")


# ---- detection ----


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("steps: [{ id: a, type: script, config: { command: x } }]", "ghyaml"),
        ("steps: [{ id: a, type: script }]", "ghyaml"),
        ("steps: [{ id: a, run: x }]", "native"),
        ("steps: { a: { run: x } }", "native"),
        ("templateId: x", "ghyaml"),
        ("metadata: { id: x }\ntemplate: { steps: [] }", "ghyaml"),
    ],
)
def test_it_is_known_by_its_content(text: str, form: str) -> None:
    assert read(text).format == form


def test_native_yaml_is_not_read_as_one_but_can_be() -> None:
    loaded = load(b"steps: { a: { run: x } }", "w.yaml", format="ghyaml")
    assert [problem.message for problem in loaded.problems if problem.severity == "error"] == [
        "`steps` is a mapping, where a list must be"
    ]


@pytest.mark.parametrize("name", FRAGMENTS)
def test_they_can_be_imported(tmp_path: Path, name: str) -> None:
    command = [str(WEFT), "import", str(SEEDS / f"{name}.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = load(done.stdout.encode(), "w.weft.yaml")
    assert not loaded.problems
    assert loaded.workflow is not None
    assert [step.id for step in loaded.workflow.steps] == [
        step.id for step in workflow_of((SEEDS / f"{name}.yaml").read_text()).steps
    ]


def test_names_and_pools_are_imported_all_the_way_in(tmp_path: Path) -> None:
    text = whole(
        script("1-a") + "- { id: b, name: B, type: script, config: { command: echo, args: ['{{steps.1-a.stdout}}'] }, "
        "condition: 'steps.1-a.exitCode === 0', parallel: { resource: cpu } }\n"
        "- { id: c, name: C, type: http, config: { url: 'http://localhost/{{date()}}/{{steps.1-a.stdout}}' }, "
        "parallel: { resource: mem } }\n",
        "parallel: { resources: { cpu: 1, mem: 1 } }",
    )
    (tmp_path / "w.yaml").write_text(text)
    done = subprocess.run([str(WEFT), "import", "w.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    workflow = load(done.stdout.encode(), "w.weft.yaml").workflow
    assert workflow is not None
    assert [step.id for step in workflow.steps] == ["s_1-a", "b", "c"]
    action = workflow.steps[2].action
    assert isinstance(action, Flow)
    assert [step.resources for step in action.workflow.steps] == [{"mem_slots": 1}] * 2
