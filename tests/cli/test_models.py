"""Agent steps at the door: a model that cannot be asked is told before anything runs, with its place; tokens are counted."""

import sys
from pathlib import Path

from door import Weft, weft

sys.path.append(str(Path(__file__).parents[1] / "runners"))
from model_server import models_at

FILE = """\
secrets: [OPENAI_API_KEY]
steps:
  first: { run: touch ran }
  named: { agent: { prompt: hi, model: gpt-5-mini }, secrets: [OPENAI_API_KEY] }
  bare:
    agent: hi
  other: { agent: { prompt: hi, model: "qwen3:4b" } }
  backed: { agent: { prompt: hi, model: "nowhere:x" }, fallback: { run: echo else } }
  later: { agent: { prompt: hi, model: "${{ steps.first.output }}" } }
  inner: { flow: { steps: { x: { agent: { prompt: hi, model: "openai:x" } } } } }
"""
CLEAN = {"WEFT_MODEL": "", "OPENAI_BASE_URL": "", "OPENAI_API_KEY": "k"}


def test_what_cannot_be_asked_is_told_before_anything_runs(weft: Weft) -> None:
    weft.write("w.yaml", FILE)
    done = weft("run", "w.yaml", code=2, env=CLEAN)
    assert not (weft.folder / "ran").exists()
    assert done.err.count("error[W325]") == 3
    for said in (
        "step `bare`: no model is named\n --> w.yaml:6:5",
        "step `other`: nothing says where the provider `qwen3` of `qwen3:4b` is\n --> w.yaml:7:10",
        "step `inner/x`: the model `openai:x` needs OPENAI_API_KEY, which the step does not have\n  --> w.yaml:10:10",
        "or write `ollama:qwen3:4b`",
    ):
        assert said in done.err
    checked = weft("check", "w.yaml", env=CLEAN)
    assert checked.err.count("in this environment step") == 3


def test_a_model_by_the_environment(weft: Weft) -> None:
    weft.write("w.yaml", "steps: { a: { agent: hi }, b: { agent: { prompt: ho }, env: { WEFT_MODEL: 'test:ja' } } }\n"
               "outputs: { a: '${{ steps.a.output }}', b: '${{ steps.b.output }}' }")  # fmt: skip
    done = weft("run", "w.yaml", env={**CLEAN, "WEFT_MODEL": "openai:say:yes", "OPENAI_BASE_URL": models_at()})
    assert done.outputs == {"a": "yes", "b": "ja"}


def test_what_answers_cost_is_shown_and_bounded(weft: Weft) -> None:
    step = "{ agent: { prompt: hi, model: gpt-4o-mini } }"
    weft.write("w.yaml", f"budget: {{ cost: 0.0003 }}\nmax_parallel: 1\nsteps: {{ a: {step}, b: {step}, c: {step} }}\n")
    done = weft("run", "w.yaml", code=1, env={**CLEAN, "OPENAI_BASE_URL": models_at()})
    assert "2,200 tokens, cost 0.00042 of the budget of cost 0.0003" in done.err
    shown = weft("show", "@").out
    assert "in all: 2,200 tokens, cost 0.00042" in shown
    assert "gpt-4o-mini: 1,000 tokens in, 100 out, cost 0.00021" in weft("logs", "@", "a").out + weft("logs", "@", "a").err


def test_a_run_without_agents_does_not_load_the_library(weft: Weft) -> None:
    code = (
        "import sys; sys.argv = ['weft', 'run', 'w.yaml', '-q']\nfrom weft.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\nassert not {'pydantic_ai', 'openai', 'weft.runners.agent'} & set(sys.modules)"
    )
    weft.write("w.yaml", "steps: { a: { run: echo hi } }")
    import subprocess

    subprocess.run([sys.executable, "-c", code], cwd=weft.folder, env=weft.env, check=True, timeout=60)
