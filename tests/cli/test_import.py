"""`weft import` at the door."""

from pathlib import Path

from door import Weft, weft

DEMO = (Path(__file__).parents[2] / "examples" / "parallel_demo.lua").read_text()


def test_a_file_of_another_system_becomes_one_of_ours_with_the_same_results(weft: Weft) -> None:
    weft.write("demo.lua", DEMO)
    weft.write("own.weft.yaml", weft("import", "demo.lua").out)
    assert weft("run", "-q", "own.weft.yaml").out == weft("run", "-q", "demo.lua").out


def test_it_is_written_to_a_file_that_is_not_there_yet(weft: Weft) -> None:
    weft.write("demo.lua", DEMO)
    assert "own.weft.yaml: written" in weft("import", "demo.lua", "--to", "own.weft.yaml").err
    assert "is there already" in weft("import", "demo.lua", "--to", "own.weft.yaml", code=2).err
    weft("check", "own.weft.yaml")


def test_what_is_ours_already_is_not_imported(weft: Weft) -> None:
    weft.write("own.weft.yaml", "steps: { a: { run: echo } }\n")
    assert "`weft fmt`" in weft("import", "own.weft.yaml", code=2).err


def test_what_cannot_be_written_is_said(weft: Weft) -> None:
    weft.write("bad.lua", "workflow = { steps = { a = { code = 'x', colour = 'red' }, b = { language = 'cobol', code = '1' } } }")
    assert "W606" in weft("import", "bad.lua", code=2).err
