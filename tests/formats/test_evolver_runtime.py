"""`node_runtime`, as the Python code of Code Evolver's steps and tools sees it."""

import json
import subprocess
from pathlib import Path

import pytest
from evolver_kit import WEFT, model_server, run

HEAD = """
workflow_id: w
tools:
  t:
    type: executable
    command: sh
    args: [-c, 'case "$1" in fail*) echo "$1" >&2; exit 3;; esac; touch "$1"; echo "$1$2"', t, "{prompt}", "{more}"]
  code:
    type: python
    source_code: |
      from node_runtime import call_tool
      def main():
          print("said beside the result")
          return {"got": call_tool("t", inputs["prompt"], more="!")}
  prints: { type: python, source_code: "import sys, json\\nprint(json.dumps({'n': len(json.load(sys.stdin))}))" }
  again: { type: python, source_code: "from node_runtime import call_tool\\ndef main(): return call_tool('again', 'x')" }
  odd: { type: python, source_code: "def main(): return eval(inputs['prompt'])" }
  leaves: { type: python, source_code: "import sys\\nsys.exit('no more')" }
  counts: { type: executable, command: sh, args: [-c, 'printf %s "$1" > "$WEFT_USAGE"; echo', t, "{prompt}"] }
  replaced: { type: executable, command: none-such, install_command: apt install it, fallback_tool: t }
steps:
- step_id: a
  code: |
"""


def code(folder: Path, text: str, head: str = HEAD, *arguments: str, **variables: str) -> tuple[object, str]:
    """The result of a step with this code, and what was said."""
    indented = "".join(f"    {line}\n" for line in ("import json", "from node_runtime import *", *text.splitlines()))
    outputs, said, _ = run(folder, head + indented, *arguments, **variables)
    return outputs["a"], said


def test_results_come_in_the_order_of_the_calls(tmp_path: Path) -> None:
    calls = '[("t", "1"), ("t", "2", {"more": "x"}), {"tool": "t", "prompt": "3"},'
    calls += '{"tool": "t", "prompt": "4", "kwargs": {"more": "y"}}]'
    result, said = code(tmp_path, f"result = [call_tools_parallel({calls}), call_tools_parallel([])]")
    assert result == [["1{more}", "2x", "3{more}", "4y"], []], said


def test_all_end_before_the_first_failure_is_raised(tmp_path: Path) -> None:
    calls = '[("t", "a"), ("t", "fail1"), ("t", "fail2"), ("t", "b")]'
    result, said = code(tmp_path, f"try:\n  call_tools_parallel({calls})\nexcept ToolError as error:\n  result = str(error)")
    assert result == "the tool `t` failed with exit 3: fail1", said
    assert (tmp_path / "a").exists()
    assert (tmp_path / "b").exists()


def test_chains_and_python_tools(tmp_path: Path) -> None:
    text = 'chain = ToolChain().call("t", "x", more="").then("t", "({result})", more="").get()\n'
    text += 'result = [chain, call_tool("code", "y"), call_tool("prints", "z", disable_tracking=True, k=1)]\n'
    text += 'result.append(call_tool("replaced", "r", more=""))'
    result, said = code(tmp_path, text)
    assert result == ["(x)", '{"got": "y!"}', '{"n": 2}', "r"], said


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('call_tool("tt")', "there is no tool `tt` among those that this step can call"),
        ('call_tools_parallel(["t"])', "a call is (tool, prompt), (tool, prompt, kwargs)"),
        ('call_tools_parallel([{"tool": "t", "prompt": "a", "more": "b"}])', "a call is (tool, prompt), (tool, prompt, kwargs)"),
        ('call_tools_parallel([("t", "a", {"prompt": "b"})])', "with one prompt and a mapping, not ('t', 'a', {'prompt': 'b'})"),
        ('call_tools_parallel([("t", "a", ["b"])])', "with one prompt and a mapping, not ('t', 'a', ['b'])"),
        ('call_tools_parallel([(["t"], "a")])', "with one prompt and a mapping, not (['t'], 'a')"),
        ('call_llm("", "x")', "no model is named that could be asked"),
        ('call_tool("counts", "tokens")', "what the tool `counts` wrote to $WEFT_USAGE cannot be read"),
        ('call_tool("counts", json.dumps({"tokens_in": 0.5}))', "cannot be read: tokens_in: 0.5"),
        ('call_tool("counts", json.dumps({"cost": -1}))', "cannot be read: cost: -1"),
        ('call_tool("counts", json.dumps({"tokens": 1}))', "cannot be read: tokens: 1"),
        ('call_tool("again", "x")', "the tool `again` is called 8 tools deep"),
        ('call_tool("odd", "object()")', "the tool `odd` failed: what it returned is no JSON: Object of type object"),
        ('call_tool("odd", "float(\'nan\')")', "the tool `odd` failed: what it returned is no JSON: Out of range"),
        ('call_tool("odd", "chr(0xd800)")', "the tool `odd` failed: what it returned is no JSON: 'utf-8' codec"),
        ('call_tool("leaves")', "the tool `leaves` failed with exit 1: no more"),
        ('call_tool("t", "fail")', "the tool `t` failed with exit 3: fail"),
        ('call_llm("m", "x", endpoint="ftp://x")', "the language model has no address"),
        ('call_llm("m", "x", endpoint="http://127.0.0.1:1")', "the language model cannot be reached at http://127.0.0.1:1"),
    ],
)
def test_what_fails(tmp_path: Path, call: str, message: str) -> None:
    result, said = code(tmp_path, f"result = {call}")
    assert result is None
    assert message in said
    assert "node_runtime.py" not in said


def test_models_are_asked_and_their_tokens_counted_in_processes_of_tools_too(tmp_path: Path) -> None:
    source = "from node_runtime import *\\ndef main(): return call_llm('ollama:m', 'deep')"
    asks = f'  asks: {{ type: python, source_code: "{source}" }}\n'
    head = HEAD.replace("steps:\n", f"{asks}steps:\n")
    with model_server() as model:
        text = 'result = [call_llm("openai:m", "near", system="s", temperature=0), call_tool("asks")]'
        variables = {"OPENAI_BASE_URL": f"{model.url}/v1", "OLLAMA_BASE_URL": model.url, "OPENAI_API_KEY": "k"}
        result, said = code(tmp_path, text, head, **variables)
    assert result == ["[near]", "[deep]"], said
    assert [path for path, _ in model.asked] == ["/v1/chat/completions", "/api/generate"]
    assert model.asked[0][1]["messages"][0] == {"role": "system", "content": "s"}
    assert "3 calls, 14 tokens" in said


def test_what_the_calls_of_a_step_use_is_counted_whoever_makes_them(tmp_path: Path) -> None:
    used = '{"tokens_in": 2, "cost": 0.25}'
    text = f"result = call_tools_parallel([('counts', '{used}')] * 8 + [('t', 'x', None)])"
    result, said = code(tmp_path, text)
    assert result == [*[""] * 8, "x{more}"], said
    assert "9 calls, 16 tokens, cost 2" in said
    shown = subprocess.run([WEFT, "show", "@", "--json"], cwd=tmp_path, capture_output=True, check=True, timeout=60).stdout
    step = json.loads(shown)["steps"][0]
    assert step["usage"] == {"tokens_in": 16, "tokens_out": 0, "cost": 2, "calls": 9}
    assert step["layer"] == 1  # as the plan says


def test_a_failed_call_tells_when_to_try_again(tmp_path: Path) -> None:
    asks = '  busy: { type: executable, command: sh, args: [-c, \'echo "{\\"retry_after\\": 7}" > "$WEFT_USAGE"; exit 1\'] }\n'
    head = HEAD.replace("steps:\n", f"{asks}steps:\n")
    text = "try:\n  call_tool('busy')\nexcept ToolError as error:\n  result = error.weft_record['retry_after_s']"
    assert code(tmp_path, text, head)[0] == 7


def test_models_have_prices_keys_and_a_stand_in(tmp_path: Path) -> None:
    text = "result = [call_llm('gpt-5-mini', 'a', endpoint=inputs['url']), call_llm('test:b', '')]\n"
    head = HEAD.replace("workflow_id: w\n", "workflow_id: w\ninputs: { url: { type: string } }\n")
    head = head.replace("- step_id: a\n", "- step_id: a\n  input_mapping: { url: inputs.url }\n")
    with model_server() as model:
        result, said = code(tmp_path, text, head, f"url={model.url}/v1", OPENAI_API_KEY="k")
    assert result == ["[a]", "b"], said
    assert model.keys == ["Bearer k"]
    assert "7 tokens, cost 8.75e-06" in said
