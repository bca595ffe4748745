"""Whatever loads is written in the native format, and is the same when it is read again."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.formats import FORMATS, Outside, load
from weft.formats.emit import differs, emit, imported
from weft.formats.spelled import NOT_WRITTEN, renamed, spelled
from weft.host.programs import evaluate_lua
from weft.host.source import read_source
from weft.model.shape import Record
from weft.model.spec import RECORDS
from weft.model.workflow import (
    Action,
    Agent,
    Approve,
    Breaker,
    Budget,
    Flow,
    Http,
    Input,
    Js,
    Lua,
    Plugin,
    Pool,
    Python,
    Rate,
    Retry,
    Server,
    Shell,
    Sleep,
    Step,
    Tool,
    Wasm,
    Workflow,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
REFERENCE = "${{ steps['2nd one'].output }}"


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | st.sampled_from(
    [
        "1e3",
        "0o17",
        "yes",
        "~",
        "null",
        " a",
        "a ",
        "\n",
        "a\n b\n",
        "\n\n",
        "- a",
        "# a",
        "a: b",
        "{",
        "'",
        "1_000",
        "12:30",
        "<<",
        "=",
    ]
)


def nested(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=4) | st.dictionaries(TEXTS.filter(bool), values, max_size=4)


def kinds() -> list[Step]:
    """A step of each kind, with what it can say."""
    return [
        Step(id="shell", action=Shell(script="echo ${{\n  trailing \n", shell=("zsh", "-c")), output="lines", title="${{ no"),
        Step(id="target", action=Python(target="os:getcwd"), inputs={"x": "${{ inputs.n }}"}),
        Step(id="lua", action=Lua(code="function run() return '$${{ x' end"), reuse=True, versions={"lua": "5.4"}),
        Step(id="js", action=Js(code="function run() {\n\treturn 1\n}")),
        Step(id="wasm", action=Wasm(module="a.wasm", function="f", report=True)),
        Step(id="wasi", action=Wasm(module="b.wasm"), rerun="ask"),
        Step(id="http", action=Http(url="http://127.0.0.1/", method="POST", body={"a": [1, None, "yes"]}, expect=(200, 404))),
        Step(id="get", action=Http(url="http://127.0.0.1/", bearer="KEY"), secrets=("KEY",)),
        Step(id="agent", action=Agent(prompt="Say: hello\nworld", schema={"type": "string"}, temperature=0.5)),
        Step(id="ask", action=Approve(message="Yes?", form={"n": Input(type="integer", default=3)}, timeout_s=90.0)),
        Step(id="tool", action=Tool(server="files", name="read"), inputs={"path": "x"}, resources={"files/read": 1}),
        Step(id="plugin", action=Plugin(package="some-package", name="kind"), inputs={"d": "0x10", "e": "1e3", "f": "~"}),
        Step(id="sleep", action=Sleep(seconds=0.25), expect_s=7.123456789, priority=-3),
        Step(
            id="flow",
            action=Flow(Workflow(name="flow", steps=(Step(id="in", action=Shell(script="true")),), outputs={"o": "x"})),
            max_parallel=2,
            for_each={"a": [1], "b": "${{ inputs.n }}"},
            item="one",
        ),
    ]


EVERYTHING = Workflow(
    name="all",
    description="Two\nlines",
    inputs={"n": Input(type="integer", required=True, description="how many"), "m": Input(type="any", choices=(None, 1))},
    outputs={"done": "${{ steps.wasm.output }}", "n": 1},
    secrets=("KEY",),
    env={"A": "b"},
    resources={
        "db": Pool(slots=3, rate=Rate(5, 0.1), burst=2, adaptive=True, breaker=Breaker(failures=2, cooldown_s=9.0)),
        "api": Pool(rate=Rate(60, 60.0), per="${{ inputs.n }}"),
        "cpu": Pool(auto=True, unit=1000),
        "mem": Pool(slots=8 << 30, is_bytes=True, scope="engine"),
        "gpu": Pool(slots=2000, unit=1000),
        "files/read": Pool(rate=Rate(10, 1.0), burst=10),
    },
    servers={
        "files": Server(command=("files", "--root", "."), env={"A": "b"}, secrets=("KEY",), rate=Rate(10, 1.0)),
        "web": Server(url="https://127.0.0.1/mcp", headers={"X": "y"}, bearer="KEY"),
    },
    max_parallel="adaptive",
    schedule="layers",
    durability="process",
    timeout_s=3600.0,
    gates=Approve(timeout_s=60.0),
    budget=Budget(tokens=5, cost=0.5),
    steps=(
        *kinds(),
        Step(id="2nd one", action=Shell(script="true"), resources={"cpu": 500, "mem": 512 << 20, "gpu": 1000, "db": 2}),
        Step(
            id="last",
            action=Shell(script="true"),
            needs=("2nd one", "shell"),
            inputs={"x": REFERENCE},
            condition="steps['2nd one'].output == 'a' && always()",
            on_error="stop",
            drain=True,
            retry=Retry(times=2, delay_s=0.5, max_delay_s=90.0, jitter=False, when=("timeout", "exit 3"), max_elapsed_s=600.0),
            timeout_s=86_400.0,
            deadline_s=90_000.0,
            gate=Approve(message="Sure?", on_timeout="approve", timeout_s=5.0),
            fallback="other",
            reads=("in/",),
            writes=("out/*", "x"),
            races="allow",
            cwd="sub",
            env={"B": REFERENCE},
        ),
        Step(id="other", action=Shell(script="true"), role="fallback"),
        Step(id="each", action=Shell(script="true"), for_each=[1, 2], key="k${{ item }}", items_max=5, retry=Retry(times=1)),
        Step(id="axes", action=Shell(script="true"), for_each={"os": ["a"]}, matrix=True, item="matrix"),
        Step(
            id="wired",
            action=Shell(script="true"),
            needs=("each",),
            for_each="${{ steps.each.output }}",
            wired="each",
            each_if=True,
        ),
        Step(id="clean", action=Shell(script="true"), role="finally", inputs={"s": "${{ run.status }}"}, resources={"db": 1}),
    ),
)


def test_everything_that_a_workflow_can_say_is_written_and_read_again() -> None:
    text = emit(EVERYTHING, {}, "x", "y")
    assert differs(EVERYTHING, text) is None, text


def test_the_workflow_above_says_everything() -> None:
    """A new field that is not in it would not be tested; a new kind of action neither."""
    assert {type(step.action) for step in EVERYTHING.steps} >= set(get_args(Action)) - {_argv()}
    for kind, values in ((Workflow, [EVERYTHING]), (Step, list(EVERYTHING.steps))):
        for field in msgspec.structs.fields(kind):
            default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
            written = field.name not in NOT_WRITTEN[kind]
            assert not written or any(getattr(value, field.name) != default for value in values), f"{kind.__name__}.{field.name}"


def _argv() -> type:
    from weft.model.workflow import Argv

    return Argv


def test_names_become_ours() -> None:
    workflow, names = renamed(EVERYTHING)
    assert names == {"2nd one": "s_2nd_one"}
    last = next(step for step in workflow.steps if step.id == "last")
    assert last.needs == ("s_2nd_one", "shell")
    assert last.inputs == {"x": "${{ steps['s_2nd_one'].output }}"}
    assert last.condition.startswith("steps['s_2nd_one'].output == 'a'")
    assert "# `2nd one` is called `s_2nd_one` here" in emit(EVERYTHING, {}, "x", "y")


def test_needs_that_references_say_are_not_written() -> None:
    text = emit(EVERYTHING, {}, "x", "y")
    assert "needs: [shell]" in text


def test_keys_stand_in_the_order_of_the_reference() -> None:
    value = spelled(renamed(EVERYTHING)[0])
    assert list(value) == [key.name for key in RECORDS[Record("workflow").name].keys if key.name in value]


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.weft.yaml")), ids=lambda path: path.name)
def test_examples_are_the_same_again(path: Path) -> None:
    loaded = load(path.read_bytes(), str(path), read=read_source)
    assert loaded.workflow is not None
    text = emit(loaded.workflow, {}, path.name, "a workflow")
    assert differs(loaded.workflow, text) is None, text


@pytest.mark.parametrize("name", ["parallel_demo.lua"])
def test_files_of_other_systems_are_imported_with_a_word_on_each_key(name: str) -> None:
    path = EXAMPLES / name
    loaded = load(path.read_bytes(), str(path), read=read_source, outside=Outside(evaluate_lua=evaluate_lua))
    text = imported(loaded, path.name)
    lines = text.splitlines()
    said = {line.split(":")[0].strip(" #") for line in lines if line.strip().startswith("# ") and ": " in line}
    written = {line.split(":")[0].strip() for line in lines if ":" in line and not line.strip().startswith("#")}
    assert said >= written & {key.name for key in RECORDS["step"].keys}


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        nested,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_value_is_written_and_read_again(value: Any) -> None:
    workflow = Workflow(name="w", steps=(Step(id="a", action=Shell(script="true"), inputs={"x": value}),))
    assert differs(workflow, emit(workflow, {}, "x", "y")) is None


@given(text=TEXTS.filter(str.strip))
@settings(max_examples=300, deadline=None)
def test_any_script_is_written_and_read_again(text: str) -> None:
    workflow = Workflow(name="w", steps=(Step(id="a", action=Shell(script=text)),))
    assert differs(workflow, emit(workflow, {}, "x", "y")) is None


def test_every_format_says_what_it_is_and_where_keys_come_from() -> None:
    from importlib import import_module

    keys = {key.name for record in ("workflow", "step") for key in RECORDS[record].keys}
    for form in FORMATS:
        module = import_module(f"weft.formats.{form}")
        assert module.SYSTEM
        assert module.WORDS.keys() <= keys, form
        assert module.WORDS or form == "native"


def test_a_reference_to_what_a_need_needs_adds_nothing() -> None:
    def steps(*needs: str, said: str = "x") -> Workflow:
        last = Step(id="c", action=Shell(script="true"), needs=needs, inputs={"a": "${{ steps.a.output }}", "b": said})
        middle = Step(id="b", action=Shell(script="true"), needs=("a",))
        return Workflow(name="w", steps=(Step(id="a", action=Shell(script="true")), middle, last))

    assert differs(steps("b"), emit(steps("b"), {}, "x", "y")) is None
    assert differs(steps("b"), emit(steps("b", said="other"), {}, "x", "y")) is not None
    assert differs(steps("b"), emit(steps("a"), {}, "x", "y")) is not None


def test_a_pool_that_is_only_called_like_one_of_the_machine_gets_another_name() -> None:
    step = Step(id="a", action=Shell(script="true"), resources={"cpu": 1})
    workflow = Workflow(name="w", steps=(step,), resources={"cpu": Pool(slots=2)})
    text = emit(workflow, {}, "x", "y")
    assert differs(workflow, text) is None, text
    assert "# `cpu` is called `cpu_slots` here: that is a pool of the machine." in text
