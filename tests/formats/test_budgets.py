"""No file costs more than its budget: the nasty ones are read in a process of their own that may not use more."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bad"))

import catalogue

CPU_MAX_S = 2
MEMORY_MAX_BYTES = 300 << 20
READER = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({CPU_MAX_S}, {CPU_MAX_S}))
resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY_MAX_BYTES}, {MEMORY_MAX_BYTES}))
from weft.formats import load
from weft.views.problems import render
data = sys.stdin.buffer.read()
found = load(data, sys.argv[1])
sys.stdout.write(render(found.problems, {{sys.argv[1]: data}}))
"""

COMMON = "common: &c [" + ", ".join(["x"] * 1000) + "]\nsteps:\n"
NASTY = {
    **{name: data for name, data in catalogue.made().items() if "deep" in name or "bomb" in name},
    "open.json": b'{"steps": ' + b"[" * 1_000_000,
    "open.yaml": b"steps: " + b"[" * 1_000_000,
    "quotes.json": b'"' * 500_000,
    "long-key.yaml": b"a" * 1_000_000 + b": 1\n",
    "long-line.json": b'{"steps": {"a": {"run": "' + b"x" * 5_000_000 + b'", "x": 1}}}',
    "anchors.yaml": b"".join(b"- &a%d [*a%d]\n" % (n, n - 1) for n in range(1, 20_000)),
    "aliases.yaml": (COMMON + "".join(f"  s{n}: {{ run: x, with: {{ x: *c }} }}\n" for n in range(600))).encode(),
    "duplicates.yaml": b"a: 1\n" * 20_000,
    "duplicates.json": b"{" + b",".join([b'"a": 1'] * 50_000) + b"}",
    "unknown-needs.yaml": b"steps:\n" + b"".join(b"  s%d: { run: x, needs: t%d }\n" % (n, n) for n in range(5000)),
    "expression.yaml": b"steps: { a: { run: x, with: { x: '" + b"${{ " * 100_000 + b"' } } }",
    "code.yaml": b"steps: { a: { run: '" + b"${{ " * 20_000 + b"' } }",
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_files_cost_little(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", READER, name], input=NASTY[name], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert done.stdout.startswith(b"error[W")
    assert b"Traceback" not in done.stdout + done.stderr
