"""Tokens and cost in every view of a run: the list of steps, the summary, JSON, and the report."""

import json
from importlib.resources import files
from typing import Any

import pytest
from tale import Tale, step
from test_report import Page, report

from weft.core.measure import Measure
from weft.model.output import Usage
from weft.model.workflow import Budget, Workflow
from weft.views import show, summary
from weft.views.report.spending import by_step

ASKED = Usage(tokens_in=1000, tokens_out=204, cost=0.3)


def spending(budget: Budget | None = None, used: Usage = ASKED) -> Tale:
    steps = (step("ask"), step("ask2", "ask"), step("quiet", "ask2"))
    tale = Tale(Workflow(name="w", steps=steps, budget=budget))
    tale.ok("ask", 1.0, usage={"tokens_in": used.tokens_in, "tokens_out": used.tokens_out, "cost": used.cost})
    return tale.ok("ask2", 1.0, usage={"tokens_in": 10}).ok("quiet", 1.0)


def measured(tale: Tale) -> Measure:
    measure = Measure()
    for fact in tale.facts:
        measure.see(fact)
    return measure


def test_the_report_says_who_used_what() -> None:
    page = Page(report(spending(Budget(tokens=2428, cost=3.0))))
    assert "1,214 tokens, 1,010 in and 204 out, 50% of the budget" in page.text
    assert "0.3 cost, 10% of the budget" in page.text
    assert "Tokens and cost step attempts tokens in tokens out cost share ask 1 1,000 204 0.3 100% ask2 1 10 0 0%" in page.text
    assert [row[10:] for row in page.data["rows"]] == [[1204, 0.3], [10, 0.0], [0, 0.0]]
    assert page.data["columns"] == [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 8]


def test_without_a_price_the_share_is_that_of_the_tokens() -> None:
    page = Page(report(spending(used=Usage(tokens_in=90))))
    assert "ask 1 90 0 90% ask2 1 10 0 10%" in page.text
    assert "budget" not in page.text
    assert "cost 0" not in page.text


def test_a_run_that_reports_nothing_has_no_such_parts() -> None:
    page = Page(report(Tale(Workflow(name="w", steps=(step("a"),))).ok("a", 1.0)))
    assert "Tokens" not in page.text
    assert page.data["columns"] == list(range(9))


def test_instances_of_a_fan_out_count_together() -> None:
    measure = measured(spending())
    numbers = measure.numbers()
    numbers.steps[0].step, numbers.steps[1].step = "each[a]", "each[b]"
    assert by_step(numbers) == [("each", 2, Usage(tokens_in=1010, tokens_out=204, cost=0.3))]


def test_show_summary_and_json_say_the_same() -> None:
    measure = measured(spending(Budget(tokens=2428)))
    numbers = measure.numbers()
    text = show.render(numbers, measure.state, run="r", color=False)
    assert "in all: 1,214 tokens, cost 0.3" in text
    assert "1,214 tokens, cost 0.3 of the budget of 2,428 tokens" in summary.render(
        numbers, measure.state, run="r", color=False, possible_makespan_s=None
    )
    data = json.loads(json.dumps(show.as_json(numbers, measure.state, run="r")["numbers"]["usage"]))
    assert data == {"tokens_in": 1010, "tokens_out": 204, "cost": 0.3, "calls": 0}


DOM = """
const made = (tag) => ({ tag, children: [], textContent: "", listeners: {}, hidden: false, value: "", attributes: {},
  appendChild(child) { this.children.push(child); return child; },
  replaceChildren(...children) { this.children = children; },
  addEventListener(name, done) { this.listeners[name] = done; },
  setAttribute(name, value) { this.attributes[name] = value; }, removeAttribute(name) { delete this.attributes[name]; },
  querySelector(name) { return this.button; } });
const known = {};
const body = made("tbody");
const heads = JSON.parse(columns).map(() => { const head = made("th"); head.button = made("button"); return head; });
globalThis.document = { createElement: made, body: made("body"), documentElement: made("html"),
  getElementById: (id) => known[id] ??= made(id),
  querySelector: (what) => what === "#steps tbody" ? body : null, querySelectorAll: () => heads };
document.getElementById("data").textContent = data;
globalThis.table = () => JSON.stringify(body.children.map((tr) => tr.children.map((td) => String(td.textContent))));
globalThis.press = (n) => heads[n].button.listeners.click();
globalThis.find = (text) => { known.find.value = text; known.find.listeners.input(); };
"""


def test_the_table_shows_sorts_and_finds_them() -> None:
    quickjs = pytest.importorskip("quickjs")
    page = Page(report(spending()))
    context = quickjs.Context()
    context.set("data", json.dumps(page.data))
    context.set("columns", json.dumps(page.data["columns"]))
    context.eval(DOM)
    context.eval("Number.prototype.toLocaleString = function () { return String(this).replace(/\\B(?=(\\d{3})+$)/g, ','); }")
    context.eval(files("weft.views.report").joinpath("page.js").read_text())

    def rows() -> Any:
        return json.loads(context.eval("table()"))

    first = rows()[0]
    assert (first[0], first[2], first[8:11]) == ("ask", "✓ succeeded", ["1,204", "0.3", ""])
    assert rows()[2][8:11] == ["", "", ""]
    context.eval("press(8)")
    assert [row[0] for row in rows()] == ["ask", "ask2", "quiet"]
    context.eval("press(8)")
    assert [row[0] for row in rows()] == ["quiet", "ask2", "ask"]
    context.eval("find('ask2')")
    assert [row[0] for row in rows()] == ["ask2"]
