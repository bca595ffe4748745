"""`weft report`: where the page goes, and what of a run may be in it."""

import pytest
from door import Weft, is_fact, read_until, weft


def test_a_page_beside_the_workflow(weft: Weft) -> None:
    weft.write("w.yaml", "name: tidy\nsteps: {a: {run: echo hi}, b: {run: exit 3, needs: a}}")
    weft("run", "w.yaml", code=1)
    name = weft("report").out.strip()
    page = (weft.folder / name).read_text()
    assert name.startswith("weft-")
    assert "<title>tidy" in page
    assert "exit 3" in page
    assert weft("report", "@", "--out", "-").out.partition("<footer")[0] == page.partition("<footer")[0]
    weft("report", "-o", "own.html")
    assert (weft.folder / "own.html").exists()
    assert sorted(path.name for path in weft.folder.glob(".*.part")) == []


def test_a_living_run_can_be_reported(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {a: {run: exec sleep 600}}")
    engine = weft.start("run", "w.yaml", "--output", "json", "--grace", "1s")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    assert "running" in weft("report", "-o", "-").out
    weft("cancel")
    engine.communicate(timeout=60)
    assert "cancelled" in weft("report", "-o", "-").out


def test_secrets_stay_out(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        """
secrets: [WEFT_TEST_TOKEN]
steps:
  told: { run: 'echo "$WEFT_TEST_TOKEN"', secrets: [WEFT_TEST_TOKEN] }
  said: { run: 'echo "$WEFT_TEST_TOKEN" >&2; exit 4', secrets: [WEFT_TEST_TOKEN], on_error: continue }
outputs: { told: "${{ steps.told.output }}" }
""",
    )
    token = {"WEFT_TEST_TOKEN": "correct-horse-battery"}
    weft("run", "w.yaml", env=token)
    for env in (token, {}):
        assert "correct-horse" not in weft("report", "-o", "-", env=env).out


@pytest.mark.parametrize(("out", "code"), [(".", 2), ("no/such/folder.html", 6)])
def test_a_place_that_takes_no_file(weft: Weft, out: str, code: int) -> None:
    weft.write("w.yaml", "steps: {a: {run: ':'}}")
    weft("run", "w.yaml")
    assert "error" in weft("report", "-o", out, code=code).err
