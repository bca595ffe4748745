"""`weft init`: every template is in the package, is in its normal spelling, and runs as it stands."""

import pytest
from door import Weft, weft

from weft.cli.init import TEMPLATES


@pytest.mark.parametrize(
    ("template", "outputs"),
    [
        ("start", {"said": "hello, world; the squares are [0,1,4,9,16]"}),
        ("pipeline", {"totals": {"Ada": 30, "Alan": 12}, "page": '2026-01-31: {"Ada":30,"Alan":12} (no headline)'}),
        ("fan_out", {"total": {"rows": 26, "files": 3, "failed": []}}),
        ("build", {"package": "app-1.0.tar.gz"}),
    ],
)
def test_it_runs_as_it_stands(weft: Weft, template: str, outputs: object) -> None:
    name = "my flow.weft.yaml"
    assert "weft run 'my flow.weft.yaml'" in weft("init", name, "--template", template).err
    text = (weft.folder / name).read_text()
    assert "{file}" not in text
    assert "weft run 'my flow.weft.yaml'" in text
    assert weft("run", name).outputs == outputs
    assert weft("fmt", "--check", name).out == ""


def test_the_default_is_the_first(weft: Weft) -> None:
    weft("init")
    assert weft("run", "workflow.weft.yaml", "name=Ada").outputs["said"].startswith("hello, Ada")
    assert all(f"`{name}`" in weft("init", "--help").out for name in TEMPLATES)


def test_nothing_is_overwritten(weft: Weft) -> None:
    weft.write("mine.yaml", "mine")
    assert "is kept" in weft("init", "mine.yaml", code=2).err
    assert (weft.folder / "mine.yaml").read_text() == "mine"
    assert "make its folder" in weft("init", "no/such.yaml", code=2).err
    weft("init", "--template", "nothing", code=2)
