"""JSON lines: the facts of the journal, one a line, with nothing secret in them and nothing lost."""

import os
from io import StringIO

import msgspec
from tale import Tale, step, whole_night

from weft.core.facts import Fact
from weft.journal import codec
from weft.model.output import Output
from weft.model.workflow import Workflow
from weft.views import jsonl
from weft.views.jsonl import JsonLines


def test_the_lines_are_the_facts_behind_a_version() -> None:
    tale = whole_night()
    stream = StringIO()
    view = JsonLines(stream)
    view.recall(tale.facts[:2])
    view.see(tale.facts[2:])
    view.close()
    lines = stream.getvalue().splitlines()
    assert [msgspec.json.decode(line, type=Fact) for line in lines] == tale.facts[2:]
    assert all(line.startswith('{"v":1,"fact":"') for line in lines)


def test_the_version_is_that_of_the_journal() -> None:
    assert jsonl.VERSION == codec.FORMAT


def test_an_output_with_newlines_between_its_tokens_is_one_line() -> None:
    tale = Tale(Workflow(name="w", steps=(step("a"),))).ok("a", 1.0, Output(inline=msgspec.Raw(b'{"rows":\n12}'), size=12))
    lines = "".join(map(jsonl.line, tale.facts)).splitlines()
    assert [msgspec.json.decode(line)["output"]["inline"] for line in lines if "attempt_ended" in line] == [{"rows": 12}]


def test_a_secret_output_is_null() -> None:
    workflow = Workflow(name="w", steps=(step("a"), step("b"), step("c")))
    tale = Tale(workflow)
    tale.ok("a", 1.0, Output(inline=msgspec.Raw(b'"hunter2"'), size=9, secret=True))
    tale.ok("b", 1.0, Output(blob="ab" * 32, size=1 << 20, secret=True))
    tale.ok("c", 1.0, Output(blob="cd" * 32, size=1 << 20))
    text = "".join(map(jsonl.line, tale.facts))
    assert "hunter2" not in text
    assert "abab" not in text
    assert "cdcd" in text
    outputs = [fact["output"] for line in text.splitlines() if (fact := msgspec.json.decode(line))["fact"] == "attempt_ended"]
    assert [output.get("inline", "left out") for output in outputs] == [None, None, "left out"]


def test_the_last_line_holds_the_outputs() -> None:
    stream = StringIO()
    view = JsonLines(stream)
    view.close()
    view.outputs({"rows": 12, "day": "ß"})
    view.outputs(None)
    assert stream.getvalue() == '{"v":1,"outputs":{"rows":12,"day":"ß"}}\n{"v":1,"outputs":null}\n'


def test_a_reader_who_leaves_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        view = JsonLines(stream)
        for fact in whole_night().facts:
            view.see([fact])
        view.outputs({})
        view.close()
