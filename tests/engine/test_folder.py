"""Names of the files of an attempt: any id of a step makes one name that a file system takes, and no two the same."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from weft.engine.folder import NAME_BYTES_MAX, RunFolder, file_name
from weft.model.paths import instance_id

keys = st.text(max_size=300)


def test_what_they_look_like() -> None:
    folder = RunFolder(Path("run"))
    assert folder.stdout("fetch[web]", 2) == "run/logs/fetch[web].2.out"
    assert folder.stderr("archive/upload", 1) == "run/logs/archive+upload.1.err"
    assert folder.scratch_of("a[x]/b", 1) == "run/work/a[x]+b.1"


@given(keys, keys, st.booleans(), st.booleans())
def test_any_two_steps(one: str, two: str, deep_one: bool, deep_two: bool) -> None:
    ids = [instance_id("a", key) + "/b" * deep for key, deep in ((one, deep_one), (two, deep_two))]
    names = [file_name(id_) for id_ in ids]
    assert (names[0] == names[1]) == (ids[0] == ids[1])
    for name in names:
        assert len(name.encode()) <= NAME_BYTES_MAX
        assert "/" not in name
        assert "\0" not in name


def test_a_file_can_be_called_so(tmp_path: Path) -> None:
    for key in ("日" * 5000, "a/b", "..", "", "new\nline", "\ud800", "x" * 10_000):
        path = tmp_path / f"{file_name(instance_id('s', key))}.1.out"
        path.write_text(key.encode("utf-8", "replace").decode())
    assert len(list(tmp_path.iterdir())) == 7
