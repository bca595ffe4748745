"""Fan-outs and sub-workflows at the door: files beside the file, instances by their ids."""

from door import Weft, weft

__all__ = ["weft"]

SUB = "inputs: { x: { type: integer } }\nsteps: { say: { run: 'echo part $x', with: { x: '${{ inputs.x }}' } } }\n"
FLOW = """
steps:
  each: { for_each: { one: 1, "a/b": 2 }, flow: parts/sub.yaml, with: { x: "${{ item }}" } }
  plain: { run: echo plain }
"""


def made(weft: Weft) -> None:
    (weft.folder / "parts").mkdir()
    weft.write("parts/sub.yaml", SUB)
    weft.write("w.yaml", FLOW)


def test_instances_are_reached_by_their_ids(weft: Weft) -> None:
    made(weft)
    assert weft("run", "w.yaml").code == 0
    assert weft("logs", "@", "each[one]/say", "--stdout").out == "part 1\n"
    assert weft("logs", "@", "each[a%2Fb]", "--stdout").out == "==> each[a%2Fb]/say (attempt 1, stdout)\npart 2\n"
    assert weft("logs", "@", "each").out.count("part") == 2
    assert "plain" not in weft("logs", "@", "each").out
    assert "succeeded" in weft("why", "@", "each[one]").out
    assert "did you mean" in weft("logs", "@", "each[on]", code=2).err
    told = weft("completion", "zsh", "--line", "weft logs @ each[o").out
    assert "each[one]/say" in told
    assert "a%2Fb" not in told


def test_files_are_found_beside_the_file(weft: Weft) -> None:
    made(weft)
    assert "each × 2" in weft("plan", "w.yaml").out
    assert weft("fmt", "w.yaml").code == 0
    weft.write("parts/sub.yaml", SUB.replace("echo part", "echo ${{ inputs.x }}"))
    done = weft("check", "w.yaml", code=2)
    assert "parts/sub.yaml:2:" in done.err
    assert "echo ${{ inputs.x }}" in done.err
    (weft.folder / "parts" / "sub.yaml").unlink()
    done = weft("run", "w.yaml", code=2)
    assert "there is no file `parts/sub.yaml`" in done.err
    assert not (weft.folder / ".weft").exists()
