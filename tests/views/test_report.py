"""The report: it holds what happened, nothing in it can run but its own script, and its size is bounded."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tale import Tale, nightly, step, whole_night

from weft.core.facts import Limits
from weft.model.output import ErrorRecord, Output
from weft.model.workflow import Pool, Workflow
from weft.views.report import Chronicle, render
from weft.views.report.charts import ROWS_MAX, TICKS, tick_s
from weft.views.report.chronicle import Bar, lanes, profile
from weft.views.report.graph import HEIGHT, LINE, STEPS_MAX, Layout

RUN = "mupid-takol"


class Page(HTMLParser):
    """What a browser would make of a page: elements with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.data: Any = None
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = "data" if dict(attrs).get("id") == "data" else tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data = json.loads(data)
        elif self._inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str, name: str = "") -> list[dict[str, str]]:
        return [
            attributes
            for found, attributes in self.elements
            if found == tag and (not name or name in attributes.get("class", "").split())
        ]


def report(tale: Tale, **more: Any) -> str:
    return render(Chronicle(tale.facts), run=RUN, **more)


def wide(n: int, **fields: Any) -> Tale:
    tale = Tale(Workflow(name="wide", steps=tuple(step(f"s{i}", **fields) for i in range(n))), limits=Limits(total=50))
    for i in range(n):
        tale.ok(f"s{i}", 0.01)
    return tale


# ---- what it says ----


def test_a_small_run_is_drawn_in_full() -> None:
    page = Page(report(whole_night()))
    assert "succeeded with errors" in page.text
    assert "exit 3" in page.text
    assert "a.py:1: too long" in page.text
    assert "hint: wrap the line" in page.text
    assert len(page.of("g", "node")) == 8
    assert [node["class"] for node in page.of("g", "path")] == ["node succeeded path"] * 4
    rows = {row[0]: row for row in page.data["rows"]}
    assert rows["lint"][2:4] == ["failed", 1]
    assert rows["load"][3] == 2
    assert rows["mail"][2] == "skipped"
    kinds = [bar["class"] for bar in page.of("i", "b") if "left:" in bar.get("style", "")]
    assert sorted(set(kinds)) == ["b backing_off", "b failed", "b held", "b succeeded"]


def test_attempts_stand_where_they_ran() -> None:
    page = Page(report(whole_night()))
    (fetch,) = [bar for bar in page.of("i", "b") if bar.get("title", "").startswith("attempt 1 succeeded: 4s, from 0s")]
    assert fetch["style"] == f"left:0.000%;width:{100 * 4 / 21.5:.3f}%"
    titles = [bar["title"] for bar in page.of("i", "backing_off") if "title" in bar]
    assert titles == ["backing off: 3s, from 5s to 8s"]  # until the next fact after it was over


def test_a_living_run_is_drawn_up_to_now() -> None:
    page = Page(report(Tale(nightly()).ok("fetch", 3.5), alive=True))
    assert next(bar["title"] for bar in page.of("i", "running") if "title" in bar).startswith("attempt 1 running: 3.5s")
    assert "engine is gone" not in page.text
    assert "engine is gone" in Page(report(Tale(nightly()), alive=False)).text


def test_the_time_between_engines_is_left_out() -> None:
    tale = Tale(nightly()).ok("fetch", 4.0).suspend("kill", 1.0).stopped("lint").stopped("load").resume(1000.0)
    assert any(bar.kind == "lost" for bars in Chronicle(tale.facts).bars.values() for bar in bars)
    assert Chronicle(tale.facts).measure.makespan_s < 100


def test_a_run_in_which_nothing_ran() -> None:
    page = Page(report(Tale(Workflow(name="none", steps=(step("a", condition="inputs.x"),)), verdicts={"a": False})))
    assert "Nothing ran" in page.text
    assert page.data["rows"][0][2] == "skipped"


# ---- nothing from outside is obeyed ----

EVIL = "</script></pre><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='alert(3)' \x1b]0;x\x07 & \u2028"


def hostile() -> Tale:
    workflow = Workflow(
        name=EVIL,
        description=EVIL,
        resources={EVIL: Pool(slots=1)},
        outputs={"x": "${{ steps.a.output }}"},
        steps=(step(f"a{EVIL}", resources={EVIL: 1}), step(f"b{EVIL}", f"a{EVIL}"), step("c")),
    )
    tale = Tale(workflow, outputs={EVIL: EVIL})
    tale.ok(f"a{EVIL}", 1.0, Output(inline=json_raw(EVIL)))
    tale.fail("c", 1.0, EVIL, tail=f"{EVIL}\n{EVIL}", hint=EVIL)
    return tale.ok(f"b{EVIL}", 1.0)


def json_raw(value: object) -> Any:
    import msgspec

    return msgspec.Raw(json.dumps(value).encode())


def test_hostile_texts_stay_texts() -> None:
    text = report(hostile(), made=EVIL)
    page = Page(text)
    assert len(page.of("script")) == 2
    assert page.of("img") == []
    assert [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)] == []
    assert "\x1b" not in text
    assert "\u2028" not in text
    assert page.text.count("<script>alert(1)</script>") > 5
    assert page.data["rows"][0][0].startswith("a</script>")


def test_nothing_is_fetched_and_only_one_script_may_run() -> None:
    text = report(whole_night())
    page = Page(text)
    assert not re.search(r"""https?:|url\(|@import|\b(src|href|action)\s*=""", text)
    (policy,) = [meta["content"] for meta in page.of("meta") if "content" in meta and "default-src" in meta["content"]]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)


def test_secrets_are_masked_and_what_holds_one_is_left_out() -> None:
    secret = "correct-horse & battery"
    steps = (step("a"), step("b", on_error="continue"))
    workflow = Workflow(name="w", secrets=("TOKEN",), outputs={"x": "1"}, steps=steps)
    tale = Tale(workflow, outputs={"x": "from a"}).ok("a", 1.0, Output(secret=True, size=3))
    text = report(tale.fail("b", 1.0, f"said {secret}", tail=secret), secrets=[secret])
    assert "correct-horse" not in text
    assert "said ***" in text
    assert "from a" not in text
    assert "some step put the value of a secret" in text
    plain = Tale(workflow, outputs={"x": secret}).ok("a", 1.0).ok("b", 1.0)
    assert "correct-horse" not in report(plain, secrets=[secret])
    assert "correct-horse" in report(plain)


# ---- large runs ----


def test_a_large_run_stays_small() -> None:
    tale = wide(10_000)
    text = report(tale)
    page = Page(text)
    assert len(text) < 5_000_000
    assert len(page.elements) < 2_000
    assert len(page.data["rows"]) == 10_000
    assert sum(map(len, page.data["lanes"])) == 10_000
    assert len(page.data["lanes"]) == 50
    assert page.of("g", "node") == []
    assert "layer 0" in page.text


def test_a_deep_graph_is_told_in_few_rows() -> None:
    steps = tuple(step(f"s{i}", *([f"s{i - 1}"] if i else [])) for i in range(1000))
    tale = Tale(Workflow(name="deep", steps=steps))
    for i in range(1000):
        tale.ok(f"s{i}", 0.01)
    page = Page(report(tale))
    assert "layers 0 to 16" in page.text
    assert len(page.elements) < 2_000


def test_thresholds() -> None:
    assert len(Page(report(wide(STEPS_MAX))).of("g", "node")) == STEPS_MAX
    assert Page(report(wide(ROWS_MAX))).of("div", "lanes") == []
    assert len(Page(report(wide(ROWS_MAX + 1))).of("div", "lanes")) == 1


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium to look at the page")
def test_a_browser_fills_the_table(tmp_path: Path) -> None:
    tale = wide(300)
    (tmp_path / "page.html").write_text(report(tale))
    (tmp_path / "evil.html").write_text(report(hostile()))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]

    def seen(name: str) -> Page:
        address = (tmp_path / name).as_uri()
        return Page(subprocess.run([*command, address], capture_output=True, text=True, timeout=100, check=True).stdout)

    page, evil = seen("page.html"), seen("evil.html")
    assert len(page.of("tr", "succeeded")) == 200
    assert "show 100 more of 100" in page.text
    assert len(evil.of("tr")) == 4
    assert evil.of("img") == []


# ---- pieces ----

spans = st.lists(
    st.tuples(st.floats(0, 9.9), st.floats(0, 9.9), st.integers(1, 5)).map(lambda s: (min(s[:2]), max(s[:2]), float(s[2])))
)


@given(spans, st.integers(1, 50))
def test_a_profile_keeps_the_area(spans: list[tuple[float, float, float]], buckets: int) -> None:
    levels = profile(spans, 10.0, buckets)
    assert len(levels) == buckets
    assert sum(levels) * 10.0 / buckets == pytest.approx(sum((end - start) * weight for start, end, weight in spans), abs=1e-3)
    assert all(-1e-6 <= level <= sum(weight for *_, weight in spans) + 1e-6 for level in levels)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), max_size=40))
def test_lanes_hold_each_attempt_once_and_no_two_at_once(pairs: list[tuple[int, int]]) -> None:
    bars = [(i, Bar("succeeded", float(start), float(start + length), 1)) for i, (start, length) in enumerate(pairs)]
    rows = lanes(bars)
    assert sorted(item for row in rows for item in row) == sorted(bars)
    for row in rows:
        assert all(before.end_s <= after.start_s for (_, before), (_, after) in pairwise(row))
    most = max((sum(bar.start_s <= at < bar.end_s for _, bar in bars) for _, (_, at, _, _) in bars), default=0)
    assert len(rows) == most


@given(st.floats(1e-5, 1e8))
def test_ticks_are_few(end_s: float) -> None:
    assert 1 <= end_s / tick_s(end_s) <= TICKS * 1.0001


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60))
    )
)
def test_no_two_steps_of_a_layer_overlap(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    n, pairs = drawn
    needs: list[list[int]] = [[] for _ in range(n)]
    for a, b in pairs:
        if a % n < b % n and a % n not in needs[b % n]:
            needs[b % n].append(a % n)
    layer = [0] * n
    for i in range(n):
        layer[i] = max((layer[need] + 1 for need in needs[i]), default=0)
    layout = Layout(layer, needs)
    assert sorted(place for places in layout.layers for place in places if place[0] >= 0) == sorted(
        (i, layer[i]) for i in range(n)
    )
    for places in layout.layers:
        edges = [(layout.y[place], HEIGHT if place[0] >= 0 else LINE) for place in places]
        assert all(y1 + h1 / 2 < y2 - h2 / 2 for (y1, h1), (y2, h2) in pairwise(edges))
    for before, after in layout.links:
        assert after[1] == before[1] + 1


def test_what_failed_is_bounded() -> None:
    tale = Tale(Workflow(name="w", steps=tuple(step(f"s{i}") for i in range(120))), limits=Limits(total=200))
    for i in range(120):
        tale.fail(f"s{i}", 0.01)
    page = Page(report(tale))
    assert len(page.of("details", "card")) == 50
    assert len([card for card in page.of("details", "card") if "open" in card]) == 3
    assert "70 more failed" in page.text


def test_outputs_that_could_not_be_evaluated() -> None:
    tale = Tale(Workflow(name="w", outputs={"x": "1"}, steps=(step("a"),)), outputs=ErrorRecord(kind="input", message="no `x`"))
    assert "no `x`" in Page(report(tale.ok("a", 1.0))).text
