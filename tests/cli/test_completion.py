"""`weft completion`: what is offered where, and that a real shell takes it."""

import os
import pty
import select
import shutil
import sys
import time
from pathlib import Path

import pytest
from door import Weft, weft

FLOW = """
inputs:
  day: { type: string, description: which day }
  strict: { type: boolean, default: false }
  shop: { type: string, default: a b, choices: [a b, "c'd"] }
steps: { fetch: { run: echo, title: get it }, fetch_all: { run: echo }, store: { run: echo, needs: fetch } }
"""


def offered(weft: Weft, line: str, shell: str = "zsh") -> list[str]:
    """What a shell is told for a line up to the cursor; of each candidate its value, of a file its kind."""
    rows = [row.split("\t") for row in weft("completion", shell, "--line", line).out.splitlines()]
    return [value if kind in ("word", "part") else kind for kind, value, _ in rows]


@pytest.fixture
def ran(weft: Weft) -> str:
    weft.write("w.yaml", FLOW)
    weft("run", "w.yaml", "day=x")
    (run,) = (weft.folder / ".weft" / "runs").iterdir()
    return run.name


def test_verbs_and_flags(weft: Weft) -> None:
    assert offered(weft, "weft re") == ["report", "resume", "retry", "reject"]
    assert "run" in offered(weft, "weft ")
    assert offered(weft, "weft logs --std") == ["--stdout", "--stderr"]
    assert offered(weft, "weft --versi") == ["--version"]
    assert offered(weft, "weft nonsense ") == []
    assert "word\twatch\tFollow" in weft("completion", "fish", "--line", "weft wat").out


def test_runs(weft: Weft, ran: str) -> None:
    for verb in ("show", "why", "logs", "watch", "report", "resume", "cancel"):
        assert offered(weft, f"weft {verb} ") == ["@", ran]
    assert offered(weft, f"weft show {ran[:3]}") == [ran]
    assert offered(weft, f"LANG=C weft -C {weft.folder} show {ran[:3]}") == [ran]
    assert offered(weft, "weft -C / show ") == []
    assert offered(weft, "weft show --state nowhere ") == []


def test_steps(weft: Weft, ran: str) -> None:
    assert offered(weft, "weft why @ f") == ["fetch", "fetch_all"]
    assert "get it" in weft("completion", "zsh", "--line", "weft why @ f").out
    assert offered(weft, f"weft logs {ran} store f") == ["fetch", "fetch_all"]
    assert offered(weft, f"weft logs {ran} fetch ") == ["fetch_all", "store"]
    assert offered(weft, "weft show --step s") == ["store"]
    weft.write("other.yaml", "steps: { sole: { run: echo } }")
    weft("run", "other.yaml")
    assert offered(weft, "weft show --step s") == ["sole"]
    assert offered(weft, f"weft show {ran} --step s") == ["store"]
    assert offered(weft, "weft why nowhere ") == []


def test_inputs(weft: Weft) -> None:
    weft.write("my flow.yaml", FLOW)
    assert offered(weft, "weft run 'my flow.yaml' ") == ["day=", "strict=", "shop="]
    assert offered(weft, "weft run my\\ flow.yaml s") == ["strict=", "shop="]
    assert offered(weft, "weft run 'my flow.yaml' day=1 strict=") == ["strict=true", "strict=false"]
    assert offered(weft, "weft run 'my flow.yaml' day=1 strict=t", "bash") == ["true"]
    assert offered(weft, "weft run 'my flow.yaml' shop=", "bash") == ["'a b'", "'c'\"'\"'d'"]
    assert offered(weft, "weft run 'my flow.yaml' day=1 ") == ["strict=", "shop="]
    assert offered(weft, "weft run 'my flow.yaml' -i d") == ["day="]
    assert offered(weft, "weft run nowhere.yaml ") == []


def test_choices_codes_and_files(weft: Weft) -> None:
    for shell, values in (("bash", ["layers"]), ("fish", ["--schedule=layers"])):
        assert offered(weft, "weft run w.yaml --schedule=l", shell) == values
    assert offered(weft, "weft run w.yaml --schedule l") == ["layers"]
    assert offered(weft, "weft run w.yaml -j ") == ["auto", "unlimited", "adaptive"]
    assert offered(weft, "weft init -t p") == ["pipeline"]
    assert offered(weft, "weft explain W10") == [code for code in offered(weft, "weft explain ") if code.startswith("W10")] != []
    assert offered(weft, "weft run ") == offered(weft, "weft check a.yaml b") == offered(weft, "weft report -o x") == ["file"]
    assert offered(weft, "weft -C ") == ["folder"]


def test_what_a_shell_would_obey_is_not_offered(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        'inputs: { x: { type: string, default: a, choices: ["a", "b\\n", "\\e[A"], description: "\\e[2J" } }\n'
        "steps: {a: {run: echo}}",
    )
    assert offered(weft, "weft run w.yaml x=") == ["x=a"]
    assert "\x1b" not in weft("completion", "zsh", "--line", "weft run w.yaml ").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_can_be_read_by_its_shell(weft: Weft, shell: str) -> None:
    script = weft("completion", shell).out
    assert f"completion {shell} --line" in script
    if shutil.which(shell):
        path = weft.write("script", script)
        assert os.spawnlp(os.P_WAIT, shell, shell, "-n", str(path)) == 0


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_a_real_bash_completes(weft: Weft, ran: str) -> None:
    weft.write("weft", f'#!/bin/sh\nexec "{sys.executable}" -m weft.cli.main "$@"\n').chmod(0o755)
    env = {**weft.env, "PATH": f"{weft.folder}:{os.environ['PATH']}", "PS1": "P> ", "TERM": "dumb", "INPUTRC": "/dev/null"}
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(weft.folder)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], env)
    try:
        os.write(terminal, b"source <(weft completion bash); echo re''ady\n")
        wait_for(terminal, "ready\r\n")
        os.write(terminal, b"weft why @ fetch_\t")
        wait_for(terminal, "weft why @ fetch_all ")
        os.write(terminal, b"\x15weft run w.yaml stri\t")
        wait_for(terminal, "strict=")
        os.write(terminal, b"t\t")
        wait_for(terminal, "true ")
    finally:
        os.write(terminal, b"\x15exit\n")
        os.close(terminal)
        os.waitpid(pid, 0)


def wait_for(terminal: int, text: str, within_s: float = 60) -> None:
    """Read what a terminal shows until the text is there."""
    seen, end = "", time.monotonic() + within_s
    while text not in seen:
        assert time.monotonic() < end, f"{text!r} never came: {seen!r}"
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")


def test_help_stays_light(tmp_path: Path) -> None:
    """A completion of verbs imports no verb."""
    code = "import sys; from weft.cli.completion import candidates; list(candidates([], 're')); print(*sys.modules)"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"weft.cli.run", "weft.cli.look", "sqlite3", "yaml", "asyncio"} & set(done.stdout.split())
