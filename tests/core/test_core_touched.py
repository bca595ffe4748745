"""What steps touched, against the graph of the run and against what they declare."""

from typing import Any

from story import Story, flow, step

from weft.core import touched
from weft.core.touched import Clash, Filter, Said, Seen, as_pattern, compare, find_seen
from weft.model.globs import meet, pattern
from weft.model.workflow import Flow, Step


def seen(reads: str = "", writes: str = "") -> Seen:
    return Seen(frozenset(reads.split()), frozenset(writes.split()))


def story(*steps: Step, then: str = "") -> Story:
    made = Story(flow(*steps))
    for line in ("begin", *filter(None, then.split("\n"))):
        made.tell(line)
    return made


def races(told: Story, files: dict[str, Seen], started: str) -> list[tuple[str, str, str, str]]:
    found, count = find_seen(told.state, files, started.split())
    assert count == len(found)
    return [(race.first, race.second, race.change, race.needs) for race in found]


def test_pairs_without_a_path() -> None:
    told = story(step("a"), step("b"), step("c", "a"), step("d", "c b"))
    files = {"a": seen(writes="x"), "b": seen("y", "x"), "c": seen("x"), "d": seen("x", "y"), "sleeper": seen()}
    assert races(told, files, "a b c d") == [("a", "b", "b", "needs: [a]"), ("b", "c", "c", "needs: [a, b]")]
    assert races(told, files, "b a c d")[0] == ("b", "a", "a", "needs: [b]")


def test_who_writes_goes_first() -> None:
    told = story(step("reader"), step("writer"))
    assert races(told, {"reader": seen("x"), "writer": seen("x", "x")}, "reader writer") == [
        ("reader", "writer", "reader", "needs: [writer]")
    ]


def test_the_files_of_a_pair() -> None:
    told = story(step("a"), step("b"))
    one, two = seen("p q", "q r f1 f2 f3 f4"), seen("q", "p r f1 f2 f3 f4")
    (race,), _ = find_seen(told.state, {"a": one, "b": two}, ["a", "b"])
    assert race.files_count == 7
    assert len(race.files) == touched.FILES_MAX
    (race,), _ = find_seen(told.state, {"a": seen("p q", "q r"), "b": seen("q", "p r")}, ["a", "b"])
    assert race.files == (Clash("p", "reads", "writes"), Clash("q", "reads and writes", "reads"), Clash("r", "writes", "writes"))


def test_reading_alone_is_no_race() -> None:
    assert races(story(step("a"), step("b")), {"a": seen("x"), "b": seen("x")}, "a b") == []


def test_pairs_beyond_the_bound_are_counted(monkeypatch: Any) -> None:
    monkeypatch.setattr(touched, "PAIRS_MAX", 3)
    told = story(*(step(f"s{n}") for n in range(10)))
    found, count = find_seen(told.state, {f"s{n}": seen(writes="log") for n in range(10)}, [f"s{n}" for n in range(10)])
    assert (len(found), count) == (3, 45)


def test_instances_and_parts() -> None:
    inner = flow(step("u"), step("v", "u"))
    told = story(
        step("f", for_each="${{ list }}"),
        Step(id="s", action=Flow(inner), needs=("f",)),
        step("z"),
        then="f items 1 2\nf[1] ok, f[2] ok\ns items",
    )
    files = {"f[1]": seen(writes="x"), "f[2]": seen(writes="x"), "s/u": seen("x"), "s/v": seen("x"), "z": seen("x")}
    assert races(told, files, "f[1] f[2] z s/u s/v") == [
        ("f[1]", "f[2]", "", ""),
        ("f[1]", "z", "z", "needs: [f]"),
        ("f[2]", "z", "z", "needs: [f]"),
    ]
    files["z"] = seen("", "x")
    assert ("z", "s/v", "s", "needs: [f, z]") in races(told, files, "f[1] f[2] z s/u s/v")


def test_fallbacks_and_what_comes_last() -> None:
    told = story(
        step("a", fallback="g"),
        step("g", role="fallback"),
        step("unused", role="fallback"),
        step("b", fallback="unused"),
        step("z", role="finally"),
        step("y", role="finally"),
        then="a fails, b ok\ng ok",
    )
    files = dict.fromkeys(("a", "g", "z"), seen(writes="x")) | {"y": seen(writes="x"), "b": seen()}
    assert races(told, files, "a b g z y") == [("z", "y", "y", "needs: [z]")]


def test_declarations() -> None:
    told = story(
        step("a", reads=("in.csv", "never.csv", "database"), writes=("/project/out/", "lost/*")),
        step("quiet", reads=("q.txt",)),
        step("silent"),
        step("f", for_each="${{ list }}", writes=("${{ item }}.txt",)),
    )
    files = {
        "a": seen("in.csv more.csv /place/x out/r", "out/r log"),
        "quiet": seen("q.txt"),
        "silent": seen("anything"),
        "f[1]": seen(writes="1.txt"),
    }
    assert compare(told.state, files, "/project/") == [Said("a", ("never.csv",), ("lost/*",), ("more.csv",), ("log",))]


def test_which_files_count() -> None:
    files = Filter("/place/project", "/place/project/.weft", ["/opt2/python", "/"])
    assert files.shown("/place/project/a/b") == "a/b"
    assert files.shown("/place/b") == "/place/b"
    for path, reads, writes in (
        ("/place/project/a", True, True),
        ("/place/project/.weft/runs/x", False, False),
        ("/place/project/__pycache__/a.pyc", False, False),
        ("/usr/lib/x.so", False, True),
        ("/opt2/python/os.py", False, True),
        ("/dev/null", False, False),
        ("/proc/self/stat", False, False),
        ("/tmp/x", True, True),
    ):
        assert (files.counts(path, writes=False), files.counts(path, writes=True)) == (reads, writes), path


def test_a_project_below_a_system_folder() -> None:
    assert Filter("/opt/project", "/opt/project/.weft").counts("/opt/project/a", writes=False)


def test_included_and_excluded() -> None:
    files = Filter("/p", "/p/.weft", include=["*.csv", "/etc/**"], exclude=["secret.csv"])
    assert [path for path in ("/p/a.csv", "/p/a.txt", "/p/secret.csv", "/etc/passwd") if files.counts(path, writes=False)] == [
        "/p/a.csv",
        "/etc/passwd",
    ]


def test_odd_names_mean_themselves() -> None:
    for name in ("a*b", "a?b", "a[1]", "${{ x }}", "plain"):
        assert meet(as_pattern(name), pattern(name)) or name == "a[1]"
        assert not meet(as_pattern(name), pattern("axb"))
