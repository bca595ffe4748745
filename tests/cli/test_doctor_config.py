"""`weft doctor --config`: a configuration file of the Hybrid Workflow Engine, checked."""

from door import Weft, weft


def test_a_good_file(weft: Weft) -> None:
    weft.write("config.toml", '[execution]\nmode = "parallel"\nmax_parallel_steps = 8\n')
    said = weft("doctor", "--config", "config.toml", env={"HWFE_MAX_PARALLEL_STEPS": "2"}).out
    rows = [line.split() for line in said.splitlines()]
    assert rows[0] == ["execution.mode", "parallel", "config.toml"]
    assert rows[1] == ["execution.max_parallel_steps", "2", "HWFE_MAX_PARALLEL_STEPS", "(environment)"]
    assert ["server.port", "3030", "default"] in rows


def test_the_variables_of_a_file_beside_it_count_too(weft: Weft) -> None:
    weft.write("other.toml", '[execution]\nmode = "parallel"\n[logging]\nlevel = "debug"\n')
    weft.write(".env", "HWFE_EXECUTION_MODE=sequential\n")
    said = weft("doctor", "--config", "other.toml").out
    assert said.splitlines()[0].split() == ["execution.mode", "sequential", "HWFE_EXECUTION_MODE", "(.env)"]
    assert "other.toml; not used: `-v` and `-q` say how much is shown" in said
    assert "sequential" in weft("doctor", "--config", ".env").out.splitlines()[0]


def test_a_bad_file_and_none_at_all(weft: Weft) -> None:
    weft.write("other.yaml", "execution: { mode: fast }\nexcution: {}\n")
    said = weft("doctor", "--config", "other.yaml", code=2).err
    assert "there is no mode `fast`" in said
    assert "did you mean `execution`?" in said
    assert "cannot be read" in weft("doctor", "--config", "none.toml", code=2).err
    assert "its name ends in" in weft("doctor", "--config", "config.ini", code=2).err


def test_a_configuration_of_code_evolver(weft: Weft) -> None:
    weft.write("config.yaml", "chat:\n  workflow_mode: { enabled: false, detect_keywords: [and, then] }\n")
    rows = [line.split() for line in weft("doctor", "--config", "config.yaml").out.splitlines()]
    assert rows[:2] == [["enabled", "False", "config.yaml"], ["detect_keywords", "and,", "then", "config.yaml"]]
    weft.write("config.yaml", "chat: { workflow_mode: { enabled: maybe } }\n")
    assert "`enabled` is `maybe`" in weft("doctor", "--config", "config.yaml", code=2).err
