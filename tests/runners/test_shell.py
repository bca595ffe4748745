"""How data gets into a shell step and out of it, and how its end is told."""

import asyncio
import json
import os
import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.model.output import ErrorRecord
from weft.model.workflow import Action, Argv, Shell
from weft.ports import Ended
from weft.runners.launch import ITEM_BYTES_MAX, Refused, arguments, environment
from weft.runners.shell import ShellRunner
from weft.testing.runners import Reports, make_job


def run(folder: Path, action: Action, base_env: Mapping[str, str] | None = None, **job: Any) -> Ended:
    async def main() -> Ended:
        runner, reports = ShellRunner(os.environ if base_env is None else base_env, folder), Reports()
        made = make_job(folder, action, **job)
        runner.start(made, reports)
        end = await reports.ended(made.key)
        await runner.close()
        return end

    return asyncio.run(main())


def text(end: Ended) -> str:
    assert end.outcome == "ok", end
    return (end.payload.read_bytes() if isinstance(end.payload, Path) else end.payload or b"").decode()


def error(end: Ended) -> ErrorRecord:
    assert end.outcome == "failed"
    assert end.error is not None
    return end.error


# ---- data in ----

INPUTS = {"word": "a b'c\"$(x)", "yes": True, "no": False, "n": 1.5, "nothing": None, "list": [1, "é"], "map": {"k": None}}


def test_inputs_come_as_variables_as_a_file_and_on_stdin(tmp_path: Path) -> None:
    script = 'for v in word yes no n nothing list map; do printf "%s\\0" "${!v}"; done; cat "$WEFT_INPUT" <(printf "\\0") -'
    *variables, file, stdin = text(run(tmp_path, Shell(script=script), inputs=INPUTS)).split("\0")
    assert variables == ["a b'c\"$(x)", "true", "false", "1.5", "", '[1,"é"]', '{"k":null}']
    assert json.loads(file) == json.loads(stdin) == INPUTS


def test_without_inputs_stdin_is_an_empty_mapping(tmp_path: Path) -> None:
    assert text(run(tmp_path, Shell(script='cat; cat "$WEFT_INPUT"'))) == "{}{}"


def test_what_the_environment_cannot_carry_is_in_the_file_only(tmp_path: Path) -> None:
    inputs = {"nul": "a\0b", "big": "x" * (ITEM_BYTES_MAX + 1), "not-a-name": "x", "BASH_FUNC_ls%%": "() { echo hacked; }"}
    script = 'echo "${nul-unset} ${big-unset}"; ls -d /; env | grep -c not-a-name || true; cat'
    first, listed, counted, rest = text(run(tmp_path, Shell(script=script), {**os.environ, "nul": "old"}, inputs=inputs)).split(
        "\n", 3
    )
    assert (first, listed, counted) == ("unset unset", "/", "0")
    assert json.loads(rest) == inputs


def test_many_inputs_are_left_out_before_the_kernel_refuses(tmp_path: Path) -> None:
    inputs = {f"v{i}": "x" * 90_000 for i in range(40)}
    assert text(run(tmp_path, Shell(script='echo "${#v0} ${v39-unset}"; cat | wc -c'), inputs=inputs)).startswith(
        "90000 unset\n36"
    )


def test_the_environment_is_base_then_inputs_then_env(tmp_path: Path) -> None:
    base = {"PATH": os.environ["PATH"], "A": "base", "B": "base", "C": "base"}
    end = run(tmp_path, Shell(script="echo $A $B $C"), base, inputs={"B": "input", "C": "input"}, env={"C": "env"})
    assert text(end) == "base input env\n"


def test_markers_cannot_be_overridden(tmp_path: Path) -> None:
    names = ("WEFT_RUN", "WEFT_STEP", "WEFT_ATTEMPT")
    end = run(
        tmp_path, Shell(script="echo $WEFT_RUN $WEFT_STEP $WEFT_ATTEMPT"), env=dict.fromkeys(names, "x"), step="a/b", attempt=3
    )
    assert text(end) == "test-run a/b 3\n"


def test_a_script_is_strict(tmp_path: Path) -> None:
    assert error(run(tmp_path, Shell(script="false | true; echo no"))).exit_code == 1
    assert "unbound" in error(run(tmp_path, Shell(script="echo $nosuch"), step="b")).tail


def test_another_shell(tmp_path: Path) -> None:
    assert text(run(tmp_path, Shell(script="print(6 * 7)", shell=("python3", "-c")))) == "42\n"


@pytest.mark.parametrize("shell", [(), ("sh", "-c")])
def test_a_long_script_goes_through_a_file(tmp_path: Path, shell: tuple[str, ...]) -> None:
    script = "echo " + "x" * 200_000 + " | wc -c"
    assert text(run(tmp_path, Shell(script=script, shell=shell))).strip() == "200001"


def test_a_long_script_for_a_shell_that_takes_no_file(tmp_path: Path) -> None:
    assert error(run(tmp_path, Shell(script="x" * 200_000, shell=("echo",)))).kind == "input"


def test_without_bash_it_is_sh_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(shutil.which("dash") or shutil.which("sh") or "")
    said: list[str] = []

    async def main() -> list[Ended]:
        runner, reports = ShellRunner({"PATH": str(tmp_path / "bin")}, tmp_path, said.append), Reports()
        jobs = [make_job(tmp_path, Shell(script='echo "${BASH_VERSION-no bash}"; echo $missing'), f"s{i}") for i in range(3)]
        for job in jobs:
            runner.start(job, reports)
        ends = [await reports.ended(job.key) for job in jobs]
        await runner.close()
        return ends

    assert [error(end).exit_code for end in asyncio.run(main())] == [2, 2, 2]
    assert (tmp_path / "logs" / "s0.1.out").read_text() == "no bash\n"
    assert len(said) == 1
    assert "bash is not installed" in said[0]


def test_an_argument_list_has_no_shell(tmp_path: Path) -> None:
    assert text(run(tmp_path, Argv(argv=("printf", "%s|", "a b", "$HOME", "*", "")))) == "a b|$HOME|*||"


@pytest.mark.parametrize(
    ("item", "secrets", "says"),
    [
        ("a\0b", (), "NUL"),
        ("x" * (ITEM_BYTES_MAX + 1), (), "at most 100 KiB"),
        ("--token=s3cr3t-value", ("s3cr3t-value",), "secret"),
        ("ab", ("ab",), "secret"),
    ],
)
def test_an_argument_that_cannot_be_passed_is_refused(tmp_path: Path, item: str, secrets: tuple[str, ...], says: str) -> None:
    end = run(tmp_path, Argv(argv=("touch", str(tmp_path / "ran"), item)), secrets=secrets)
    assert error(end).kind == "input"
    assert "`run[2]`" in error(end).message
    assert says in error(end).message
    assert item not in error(end).message
    assert error(end).hint
    assert not (tmp_path / "ran").exists()


def test_a_short_secret_may_be_part_of_a_word(tmp_path: Path) -> None:
    assert text(run(tmp_path, Argv(argv=("echo", "cabin")), secrets=("ab", ""))) == "cabin\n"


@pytest.mark.parametrize("env", [{"A": "x\0y"}, {"A=B": "x"}, {"": "x"}, {"A": "x" * (ITEM_BYTES_MAX + 1)}])
def test_an_environment_that_cannot_be_passed_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    assert error(run(tmp_path, Shell(script="true"), env=env)).kind == "input"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(inputs=st.dictionaries(st.text(max_size=8) | st.sampled_from(["A", "PATH"]), json_values, max_size=5))
def test_a_variable_says_what_its_input_says_or_is_not_there(inputs: dict[str, Any]) -> None:
    job = make_job(Path(), Shell(script=""), inputs=inputs)
    env = environment(job, {"A": "base"}, {})
    for name, value in inputs.items():
        if name in env and not name.startswith("WEFT_"):
            assert (
                env[name] == ("" if value is None else value) if isinstance(value, str | None) else json.loads(env[name]) == value
            )
    assert all("\0" not in text and "=" not in name for name, text in env.items())


@settings(deadline=None)
@given(items=st.lists(st.text(max_size=20), min_size=1, max_size=4), secret=st.text(min_size=1, max_size=8))
def test_no_argument_holds_a_secret(items: list[str], secret: str) -> None:
    job = make_job(Path(), Argv(argv=tuple(items)), secrets=(secret,))
    try:
        argv, _ = arguments(job, "")
    except Refused:
        assert any("\0" in item or secret in item for item in items)
    else:
        assert argv == items
        assert secret not in argv
        assert len(secret) < 6 or not any(secret in item for item in argv)


# ---- data out ----


def test_what_is_written_to_the_output_file_is_the_output(tmp_path: Path) -> None:
    end = run(tmp_path, Shell(script='echo noise; echo "[1]" > "$WEFT_OUTPUT"'), form="json", step="x/y")
    assert (text(end), end.form) == ("[1]\n", "json")
    assert (tmp_path / "logs" / "x" / "y.1.out").read_text() == "noise\n"


def test_a_silent_step_leaves_no_log(tmp_path: Path) -> None:
    assert text(run(tmp_path, Shell(script="true"))) == ""
    assert not list((tmp_path).rglob("*.out"))


def test_one_attempt_sees_nothing_of_another(tmp_path: Path) -> None:
    async def main() -> list[Ended]:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        ends: list[Ended] = []
        for script in (
            'echo one; echo 1 > "$WEFT_DIR/file"; echo two > "$WEFT_OUTPUT"; exit 1',
            'ls -A "$WEFT_DIR"; cat "$WEFT_OUTPUT" 2>/dev/null || echo none',
            'rm -rf "$WEFT_DIR"',
            'ls -A "$WEFT_DIR"; mkdir -p "$WEFT_DIR/a/b"; echo done',
            'ls -A "$WEFT_DIR"',
        ):
            job = make_job(tmp_path, Shell(script=script), f"s{len(ends)}")
            runner.start(job, reports)
            ends.append(await reports.ended(job.key))
        await runner.close()
        return ends

    first, *rest = asyncio.run(main())
    assert error(first).exit_code == 1
    assert [text(end) for end in rest] == ["none\n", "", "done\n", ""]
    assert (tmp_path / "work" / "s0.1" / "file").read_text() == "1\n", "a failed attempt keeps its scratch folder"
    assert [path.name for path in (tmp_path / "slots").iterdir()] == ["no-input.json"]


def test_slots_that_a_killed_engine_left_are_cleared(tmp_path: Path) -> None:
    slot = tmp_path / "slots" / "shell.1.dir"
    slot.mkdir(parents=True)
    (slot / "old").touch()
    for name in ("out", "err", "output"):
        (tmp_path / "slots" / f"shell.1.{name}").write_text("old")
    assert text(run(tmp_path, Shell(script='ls -A "$WEFT_DIR"'))) == ""
    assert not (tmp_path / "logs").exists()


def test_a_log_can_be_followed_while_the_step_runs(tmp_path: Path) -> None:
    async def main() -> None:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        job = make_job(tmp_path, Shell(script="echo early; sleep 1000"))
        runner.start(job, reports)
        async with asyncio.timeout(20):
            while not Path(job.stdout).exists():
                await asyncio.sleep(0.01)  # waiting for the file is the subject
        assert Path(job.stdout).read_text() == "early\n"
        runner.stop(job.key, 5)
        assert (await reports.ended(job.key)).outcome == "cancelled"
        await runner.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("script", "size"),
    [
        ("head -c 60000000 /dev/zero", 60_000_000),
        ("head -c 100000000 /dev/zero | tr '\\0' x", 100_000_000),
        ("printf '\\377\\376\\n'", 3),
    ],
)
def test_any_output_is_kept_as_it_is(tmp_path: Path, script: str, size: int) -> None:
    end = run(tmp_path, Shell(script=script))
    assert isinstance(end.payload, Path)
    assert end.payload.stat().st_size == size
    end.payload.unlink()


def test_output_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    end = run(tmp_path, Shell(script="echo hi"))
    assert "could not be kept" in error(end).message


# ---- how it ended ----


@pytest.mark.parametrize(
    ("script", "kind", "message", "hint"),
    [
        ("exit 3", "exit", "exit 3", ""),
        ("nosuchcommand", "exit", "exit 127", "was not found"),
        ("/etc/passwd", "exit", "exit 126", "could not be executed"),
        ("exit 143", "exit", "exit 143", "SIGTERM"),
        ("exit 163", "exit", "exit 163", "signal 35"),
        ("exit 255", "exit", "exit 255", ""),
        ("kill -SEGV $$", "killed", "killed by SIGSEGV (Segmentation fault)", ""),
        ("kill -KILL $$", "killed", "killed by SIGKILL (Killed)", ""),
        ("exec 1>&-; yes | head -1", "exit", "exit 1", ""),
    ],
)
def test_the_end_of_a_script(tmp_path: Path, script: str, kind: str, message: str, hint: str) -> None:
    found = error(run(tmp_path, Shell(script=script)))
    assert (found.kind, found.message) == (kind, message)
    assert hint in found.hint
    assert found.exit_code == (int(message[5:]) if kind == "exit" else None)


def test_sigpipe_ends_a_writer_quietly(tmp_path: Path) -> None:
    assert text(run(tmp_path, Shell(script="set +o pipefail; yes | head -1"))) == "y\n"
    assert not (tmp_path / "logs" / "step.1.err").exists()


def test_the_tail_is_the_end_of_stderr(tmp_path: Path) -> None:
    script = "seq 100; for i in $(seq 1000); do echo line $i; done >&2; printf 'last \\377' >&2; exit 1"
    lines = error(run(tmp_path, Shell(script=script))).tail.splitlines()
    assert lines == [*(f"line {i}" for i in range(982, 1001)), "last \ufffd"]


def test_the_tail_is_the_end_of_stdout_if_stderr_is_empty(tmp_path: Path) -> None:
    assert error(run(tmp_path, Shell(script="echo out; exit 1"))).tail == "out"


def test_the_tail_of_one_endless_line_is_bounded(tmp_path: Path) -> None:
    tail = error(run(tmp_path, Shell(script="head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 1"))).tail
    assert set(tail) == {"x"}
    assert len(tail) <= 16 << 10


def test_cpu_time_and_memory_are_measured(tmp_path: Path) -> None:
    end = run(tmp_path, Argv(argv=("python3", "-c", "x = 'x' * 900_000_000; sum(range(2_000_000))")))
    assert end.cpu_s is not None
    assert end.cpu_s > 0.01
    assert end.rss_bytes is not None
    assert end.rss_bytes > 300_000_000


# ---- starting ----


def test_another_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "tool").write_text("#!/bin/sh\npwd; cat\n")
    (tmp_path / "there" / "tool").chmod(0o700)
    for action in (Shell(script="pwd; cat"), Argv(argv=("./tool",)), Argv(argv=("sh", "-c", "pwd; cat"))):
        end = run(tmp_path, action, cwd=tmp_path / "there", inputs={"a": 1})
        assert text(end) == f"{tmp_path / 'there'}\n" + '{"a":1}'


@pytest.mark.parametrize(
    ("argv", "says", "hint"),
    [
        (("sleeep", "1"), "there is no program `sleeep`", "did you mean `sleep`?"),
        (("tool",), "there is no program `tool`", "write `./tool`"),
        (("./tool",), "`./tool` is not executable", "chmod +x"),
        (("./nosuch",), "there is no program `./nosuch`", "`cwd`"),
        (("./script",), "is not a program", "#!/bin/sh"),
        (("./orphan",), "could not be started", ""),
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_program_that_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], says: str, hint: str, elsewhere: bool
) -> None:
    (tmp_path / "tool").touch()
    for name, content in (("script", "echo hi\n"), ("orphan", "#!/nonexistent/interpreter\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o700)
    if not elsewhere:
        monkeypatch.chdir(tmp_path)
    found = error(run(tmp_path, Argv(argv=argv), cwd=tmp_path))
    assert found.kind == "error"
    assert says in found.message
    assert hint in found.hint


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    assert "does not exist" in error(run(tmp_path, Shell(script="true"), cwd=tmp_path / "nosuch")).message


def test_inputs_that_are_not_text(tmp_path: Path) -> None:
    assert error(run(tmp_path, Shell(script="true"), inputs={"a": "\ud800"})).kind == "input"


def test_arguments_that_are_too_many(tmp_path: Path) -> None:
    end = run(tmp_path, Argv(argv=("true", *["x" * 100_000] * 40)))
    assert error(end).kind == "input"
    assert "too large" in error(end).message


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Every descriptor below the limit of this process is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    hoard: list[int] = []
    try:
        while len(hoard) < 200:
            with suppress(OSError):  # Some are in use already.
                hoard.append(os.open(os.devnull, os.O_RDONLY))
                continue
            break
        yield
    finally:
        for fd in hoard:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_shortage_puts_a_start_off_until_an_attempt_ends(tmp_path: Path) -> None:
    async def main() -> None:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        first, second, third = (make_job(tmp_path, Shell(script=s), s, cwd=tmp_path) for s in ("sleep 1000", "echo 2", "echo 3"))
        runner.start(first, reports)
        await reports.spawned(first.key)
        with no_descriptors():
            runner.start(second, reports)
            runner.start(third, reports)
            runner.stop(third.key, 0)
            assert (await reports.ended(third.key)).outcome == "cancelled"
            assert reports.of(second.key) == []
        runner.stop(first.key, 0)
        assert text(await reports.ended(second.key)) == "2\n"
        await runner.close()

    asyncio.run(main())


def test_a_shortage_that_nobody_can_end_is_a_failure(tmp_path: Path) -> None:
    async def main() -> ErrorRecord:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        job = make_job(tmp_path, Shell(script="true"), cwd=tmp_path)
        with no_descriptors():
            runner.start(job, reports)
        end = await reports.ended(job.key)
        await runner.close()
        return error(end)

    found = asyncio.run(main())
    assert found.kind == "error"
    assert "Too many open files" in found.message


def test_more_steps_than_descriptors_wait_for_their_turn(tmp_path: Path) -> None:
    async def main() -> int:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        runner._alive_max = 3
        jobs = [make_job(tmp_path, Shell(script="true"), f"s{i}") for i in range(12)]
        most = 0
        for job in jobs:
            runner.start(job, reports)
        for job in jobs:
            most = max(most, len(runner._alive))
            assert (await reports.ended(job.key)).outcome == "ok"
        await runner.close()
        return most

    assert asyncio.run(main()) == 3


def test_a_child_that_somebody_else_waited_for(tmp_path: Path) -> None:
    async def main() -> Ended:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        job = make_job(tmp_path, Shell(script="true"))
        runner.start(job, reports)
        os.waitpid(next(iter(runner._alive.values())).pid, 0)
        end = await reports.ended(job.key)
        await runner.close()
        return end

    assert error(asyncio.run(main())).exit_code == 255
