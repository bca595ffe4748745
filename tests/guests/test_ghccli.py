"""The functions of `{{ }}` in YAML workflows, and that an expression means the same wherever it is evaluated."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from weft.formats.ghyaml_expression import FUNCTIONS, parse, parts_of
from weft.formats.ghyaml_lowering import Known, Names, lower, value_with
from weft.guests import ghccli
from weft.guests.ghccli import StepError, call, evaluate, fill, functions
from weft.model.evaluate import evaluate as evaluate_ours
from weft.model.expression import parse as parse_ours
from weft.model.template import resolve

SCOPE: dict[str, Any] = {"env": {"HOME_OF": "here"}, "variables": {}, "parameters": {}, "steps": {}, "workflow": {"id": "r"}}

RESULTS: list[tuple[str, Any]] = [
    ("formatDate('2026-01-31T12:05:09.042Z')", "2026-01-31"),
    ("formatDate('2026-01-31T12:05:09.042Z', 'DD/MM/YYYY HH:mm:ss.SSS')", "31/01/2026 12:05:09.042"),
    ("formatDate(0, 'YYYY')", "1970"),
    ("addDays('2026-01-31', 1)", "2026-02-01T00:00:00.000Z"),
    ("addHours('2026-01-31', -1)", "2026-01-30T23:00:00.000Z"),
    ("addMinutes('2026-01-31T00:00:00+01:00', '30')", "2026-01-30T23:30:00.000Z"),
    ("env('HOME_OF')", "here"),
    ("env.HOME_OF", "here"),
    ("env('nothing')", None),
    ("hasEnv('HOME_OF')", True),
    ("hasEnv('nothing')", False),
    ("envDefault('nothing', 5)", 5),
    ("envDefault('HOME_OF', 5)", "here"),
    ("fileExists('data/a.json')", True),
    ("fileExists('data/b.json')", False),
    ("readFile('data/a.json')", '{"n": [1, "zwölf"]}'),
    ("readJson('data/a.json').n[1]", "zwölf"),
    ("fileSize('data/a.json')", 20),
    ("fileName('data/a.tar.gz')", "a.tar.gz"),
    ("fileExt('data/a.json')", ".json"),
    ("filePath('data/a.json')", "data"),
    ("joinPath('data', '', '../x', 'y')", "x/y"),
    ("upper('ß')", "SS"),
    ("lower('ABC')", "abc"),
    ("trim('  a ')", "a"),
    ("replace('a-b-c', '-', '+')", "a+b+c"),
    ("replace('abc', '')", "abc"),
    ("substring('abcdef', 1, 3)", "bc"),
    ("substring('abcdef', 3, 1)", "bc"),
    ("substring('abc', -5)", "abc"),
    ("length('abc')", 3),
    ("length([1, 2])", 2),
    ("split('a,b')", ["a", "b"]),
    ("split('abc', '')", ["a", "b", "c"]),
    ("join([1, 'b', true, null], '+')", "1+b+true+"),
    ("startsWith('abc', 'ab')", True),
    ("endsWith('abc', 'ab')", False),
    ("contains('abc', 'b')", True),
    ("contains([1, 2], 2)", True),
    ("contains([1, true], '1')", False),
    ("first([5, 6])", 5),
    ("last([5, 6])", 6),
    ("first([])", None),
    ("first('abc')", "a"),
    ("at([5, 6], -2)", 5),
    ("at([5, 6], 7)", None),
    ("slice([1, 2, 3, 4], 1, -1)", [2, 3]),
    ("slice('abcd', -2)", "cd"),
    ("filter([1, 0, '', 'a', null])", [1, "a"]),
    ("filter(fromJson('[{\"a\": 1}, {\"a\": 0}]'), 'a')", [{"a": 1}]),
    ('filter(fromJson(\'[{"a": {"b": 1}}, {"a": 2}]\'), \'a.b\', 1)', [{"a": {"b": 1}}]),
    ("map(fromJson('[{\"a\": 1}, {}]'), 'a')", [1, None]),
    ("map(['a', 'b'], 'upper')", ["A", "B"]),
    ("add(1, '2', 3.5)", 6.5),
    ("add('1.50', 0.5)", 2),
    ("subtract(1, 3)", -2),
    ("multiply(2, 3, 0.5)", 3),
    ("divide(7, 2)", 3.5),
    ("round(2.5)", 3),
    ("round(-2.5)", -2),
    ("round(1.2345, 2)", 1.23),
    ("floor(1.9)", 1),
    ("ceil('1.1')", 2),
    ("default('', 'x')", "x"),
    ("default(0, 'x')", 0),
    ("empty('')", True),
    ("notEmpty([])", False),
    ("equals(1, 1)", True),
    ("equals(1, '1')", False),
    ("equals(1, true)", False),
    ("toNumber(' 5 ')", 5),
    ("toString([1, 'a'])", '[1,"a"]'),
    ("toBoolean('Yes')", True),
    ("toBoolean('false')", False),
    ("toJson('a')", '"a"'),
    ("fromJson('{\"a\": [1]}').a[0]", 1),
    ("if(true, 'a', divide(1, 0))", "a"),
    ("if('', 'a')", ""),
    ("'a' || 'b'", "a"),
    ("null || 'b'", "b"),
    ("0 && 'b'", 0),
    ("!'' ? 'yes' : 'no'", "yes"),
    ("[1, 2][divide(2, 2)]", 2),
    ("'abc'.length", 3),
    ("1 + 2 * 3 - 4 / 2 % 3", 5),
    ("-7 % 3", -1),
    ("(1 + 2) * -3", -9),
    ("'5' * '2'", 10),
    ("+'5' + 1", 6),
    ("'a' + 1 + null + true", "a1true"),
    ("1 + 1 + 'a'", "2a"),
    ("5-3", 2),
    ("null ?? 0 ?? 1", 0),
    ("Number('5')", 5),
    ("'abc'.charAt(1)", "b"),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.json").write_text('{"n": [1, "zwölf"]}')
    (tmp_path / "secret").write_text("s3cret")
    (folder / "link").symlink_to(tmp_path / "secret")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("text", "expected"), RESULTS)
def test_functions(text: str, expected: Any) -> None:
    found = evaluate(parse(text), SCOPE)
    assert (found, type(found)) == (expected, type(expected))


def test_what_the_clock_and_chance_give() -> None:
    now = evaluate(parse("now()"), SCOPE)
    assert evaluate(parse("date()"), SCOPE) >= now[:10]
    assert len(evaluate(parse("time()"), SCOPE)) == 8
    assert evaluate(parse("timestamp()"), SCOPE) > 1_700_000_000_000
    assert 0 <= evaluate(parse("random()"), SCOPE) < 1
    assert evaluate(parse("random(3, 3)"), SCOPE) == 3
    assert 0 <= evaluate(parse("random(2)"), SCOPE) <= 2


def test_the_grammar_knows_the_functions_as_they_are() -> None:
    assert len(FUNCTIONS) >= 52
    assert set(functions.FUNCTIONS) == set(FUNCTIONS) - {"if"}
    for name, function in functions.FUNCTIONS.items():
        parameters = inspect.signature(function).parameters.values()
        positional = [each for each in parameters if each.kind is not each.VAR_POSITIONAL]
        least, most = FUNCTIONS[name]
        assert len([each for each in positional if each.default is each.empty]) <= least, name
        assert most == len(positional) or (most > 9 and len(positional) < len(parameters)), name


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "link", "data/../../secret", "a\0b"])
@pytest.mark.parametrize("function", ["readFile", "readJson", "fileExists", "fileSize"])
def test_files_outside_of_the_project_are_nobodys_business(function: str, name: str) -> None:
    with pytest.raises(StepError, match=r"outside of the project's folder|NUL"):
        call(function, [name], SCOPE)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("divide(1, 0)", "`divide`: `1` cannot be divided by zero"),
        ("add('a', 1)", "`add`: `a` is not a number"),
        ("add(null)", "`add`: nothing is not a number"),
        ("add(true)", "`add`: `true` is not a number"),
        ("formatDate('soon')", "`formatDate`: `soon` is not a date"),
        ("addDays('2026-01-01', 99999999999)", "`addDays`: the date is out of range"),
        ("fromJson('{')", "`fromJson`: the text is not JSON"),
        ("first(5)", "`first` takes a list, not `5`"),
        ("readFile('nothing')", "`readFile`: the file `nothing` cannot be read"),
        ("readFile('data')", "`readFile`: `data` is no file"),
        ("5 > 'a'", "cannot be put in order"),
        ("5 % 0", "`%`: `5` cannot be divided by zero"),
        ("true + 1", "`+`: `true` is not a number"),
    ],
)
def test_what_cannot_be_evaluated(text: str, says: str) -> None:
    with pytest.raises(StepError) as caught:
        evaluate(parse(text), SCOPE)
    assert says in str(caught.value)
    assert caught.value.weft_record["kind"] == "input"


# ---- the same in both languages ----

KNOWN = {
    "s-1": (
        "script",
        {"exitCode": 0, "stdout": "out\nput", "stderr": "", "executionTime": 5, "outputs": {"n": 7, "l": [1, {"x": "y"}]}},
    ),
    "bad": ("script", None),
    "c": ("condition", {"result": True, "triggeredSteps": ["x"], "skippedSteps": []}),
    "a": ("agent", "an answer"),
    "h": ("http", {"status": 201, "headers": {"x-id": "1"}, "url": "u", "body": {"ok": True}}),
    "skip": ("script", None),
}
STATUS = {"bad": "failed", "skip": "skipped"}
ERROR = {"exit_code": 3, "message": "exit 3: no", "tail": "no", "kind": "exit"}
VARIABLES = {"n": 5, "t": "text", "l": ["a", "b"], "m": {"k-1": {"x": 1}}, "yes": True, "none": None, "empty": ""}

EXPRESSIONS = [
    *("variables.n", "n", "t", "l[1]", "l[5]", "m['k-1'].x", "m.k-1.y.z", "nothing", "l.length", "t.length", "workflow.id"),
    *(
        "steps.s-1.stdout",
        "steps.s-1.output",
        "steps.s-1.exitCode",
        "steps.s-1.result",
        "steps.s-1.n",
        "steps.s-1.outputs.l[1].x",
    ),
    *("steps.s-1.success", "steps.s-1.status", "steps.s-1.nothing.there", "steps.s-1.l.length", "steps.s-1.error"),
    *("steps.bad.exitCode", "steps.bad.stderr", "steps.bad.result", "steps.bad.status", "steps.bad.error", "steps.bad.stdout"),
    *("steps.skip.result", "steps.skip.status", "steps.skip.stdout", "steps.skip.success", "steps.c.result", "steps.c.output"),
    *("steps.c.triggeredSteps", "steps.a.response", "steps.a.output", "steps.a.agentId", "steps.h.status", "steps.h.statusCode"),
    *("steps.h.body.ok", "steps.h.data.ok", "steps.h.ok", "steps.h.headers['x-id']", "steps.h.output.ok", "steps.h.result"),
    *("n === 5", "n == '5'", "n != 5", "n > 4", "none > 4", "n <= 5 && t === 'text'", "nothing || t", "empty || n", "yes && t"),
    *(
        "!yes",
        "!nothing",
        "yes ? 1 : 2",
        "empty ? 1 : 2",
        "if(n, 'a', 'b')",
        "upper(t)",
        "lower('X')",
        "trim(' a ')",
        "toString(l)",
    ),
    *("startsWith(t, 'te')", "t.endsWith('xt')", "split('a,b', ',')", "split('a,b')", "replace(t, 't', '')", "l.includes('a')"),
    *("contains(t, 'ex')", "first(l)", "last(l)", "length(nothing)", "join(l)", "join(l, '+')", "default(nothing, 'd')"),
    *("default(empty, 'd')", "equals(n, 5)", "empty(nothing)", "empty(l)", "notEmpty(m)", "toNumber('5')", "toJson(m)"),
    *("'a' + n + nothing + m", "none ?? t", "empty ?? t", "t + 'x' === 'textx'"),
    *("fromJson('[1]')", "[n, 'x', null]", "parameters.p", "parameters.q.z", "parameters.list[0]", "true", "'q\"uo\\'te'"),
]


def _scope() -> tuple[dict[str, Any], dict[str, Any]]:
    theirs: dict[str, Any] = {"steps": {}, "variables": VARIABLES, "parameters": {"p": 1, "q": {"z": "a"}, "list": ["x"]}}
    theirs |= {"workflow": {"id": "run-1"}, "env": {}}
    ours: dict[str, Any] = {"steps": {}, "inputs": {**VARIABLES, "nothing": None}, "run": {"id": "run-1", "name": "w"}}
    for id_, (kind, output) in KNOWN.items():
        status = STATUS.get(id_, "succeeded")
        error = ERROR if status == "failed" else None
        theirs["steps"][id_] = {"type": kind, "output": output, "status": status, "error": error, "agent": "writer"}
        ours["steps"][id_] = {"output": output, "status": status, "error": error}
    return theirs, ours


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_means_the_same_in_both_languages(text: str) -> None:
    theirs, ours = _scope()
    known = {id_: Known(type=kind, agent="writer") for id_, (kind, _) in KNOWN.items()}
    names = Names(steps=known, parameters=theirs["parameters"], env=None, step="x")
    lowered = lower(parse(text), names)
    expected = evaluate(parse(text), theirs)
    assert evaluate_ours(parse_ours(lowered), ours) == expected, lowered
    template = f"$ {{{{{text}}}}} ${{{{ x }}}}$"  # what is a template of ours is text there
    parts = [part.text if part.node is None else {"e": part.node} for part in parts_of(template.replace("${{ x }}", "$"))]
    written = value_with(template.replace("${{ x }}", "$"), parts_of, names)
    assert resolve(written, ours) == fill({"t": parts}, theirs)


def test_how_long_a_step_took() -> None:
    theirs, _ = _scope()
    for id_ in KNOWN:
        theirs["steps"][id_]["took_s"] = 1.5
    taken = {id_: evaluate(parse(f"steps.{id_}.executionTime"), theirs) for id_ in ("s-1", "a", "h", "c")}
    assert taken == {"s-1": 5, "a": 1500, "h": 1500, "c": 1500}


def test_values_are_not_read_as_expressions() -> None:
    scope = {**SCOPE, "variables": {"a": "{{ variables.b }} ${{ inputs.b }}", "b": "secret"}}
    assert fill({"m": {"x": {"t": ["<", {"e": ["path", "variables", ["a"]]}, ">"]}}}, scope) == {
        "x": "<{{ variables.b }} ${{ inputs.b }}>"
    }


def test_what_a_script_says_is_kept_when_it_fails() -> None:
    error = ghccli._failed(3, "out", "one\nERR ECONNRESET\n")
    assert error.weft_record == {
        "kind": "exit",
        "message": "exit 3: ERR ECONNRESET",
        "hint": "",
        "exit_code": 3,
        "exception": "Transient",
        "tail": "one\nERR ECONNRESET",
    }
    assert "exception" not in ghccli._failed(1, "429429 rows", "").weft_record
    for transient in (
        "503",
        "The requested URL returned error: 503",
        "HTTP/1.1 502 Bad Gateway",
        "npm ERR! 429 Too Many",
        "timed out",
    ):
        assert ghccli._failed(1, "", f"one\n{transient}\n").weft_record["exception"] == "Transient", transient
    for other in ("504 passed, 2 failed", "Tests: 503 total", "took 429 ms", "no timeouts"):
        assert "exception" not in ghccli._failed(1, other, "").weft_record, other
    assert ghccli._failed(-9, "", "").weft_record["kind"] == "killed"
    assert json.dumps(error.weft_record)
