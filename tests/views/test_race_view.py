"""What `weft race` shows beyond what a small run makes it show."""

from weft.core.touched import Clash, Said, SeenRace
from weft.views.race import Found, Watched, as_json, render


def found(*races: SeenRace, count: int = 0, said: tuple[Said, ...] = (), status: str = "succeeded", steps: int = 1) -> Found:
    watched = [Watched(step=f"s{n}", by="strace", blind="much") for n in range(steps)]
    return Found(run="r", status=status, races=races, count=count or len(races), said=said, watched=watched, files={})


def test_instances_of_one_step() -> None:
    race = SeenRace("f[1]", "f[2]", (Clash("x", "writes", "reads"),), 7, "", "")
    shown = render(found(race, count=300), color=False)
    assert "and 6 more files" in shown
    assert "instances of one step: give each a file of its own" in shown
    assert "299 more pairs are not listed" in shown


def test_many_names_are_cut_and_made_harmless() -> None:
    said = Said("a\x1b", (), (), tuple(f"f{n}" for n in range(9)), ("w\x07",))
    shown = render(found(said=(said,), steps=7, status="cancelled"), color=True)
    assert "and 4 more" in shown
    assert "`s4` and 2 more" in shown
    assert "\x07" not in shown
    assert "did not succeed (cancelled)" in shown


def test_json_has_it_all() -> None:
    race = SeenRace("a", "b", (Clash("x", "writes", "reads"),), 1, "b", "needs: [a]")
    told = as_json(found(race))
    assert told["races"][0]["files"] == [{"path": "x", "first": "writes", "second": "reads"}]
    assert told["races_found"] == 1
