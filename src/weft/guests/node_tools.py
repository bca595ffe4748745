"""How each kind of tool of Code Evolver is called: programs, Python, language models, HTTP. Part of node_runtime, which loads it.

- A child process gets its inputs as JSON on stdin; what its `args` name in braces is put into that one argument.
- A language model is asked by Ollama's `POST /api/generate` where a tool names an endpoint without a path, else by the chat
  protocol of OpenAI.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

ARGUMENT_BYTES_MAX = 100 << 10
"""The kernel takes 128 KiB for one argument."""
ANSWER_BYTES_MAX = 64 << 20
"""As for `http` steps."""
WAIT_S_MAX = 2_000_000.0
"""What the system's `poll` takes: 23 days. The timeout of the step bounds the rest."""
USED_MAX = 1e15
"""As for steps: a larger number is a mistake."""
TEMPERATURE = 0.7
"""What the documentation gives a tool that is asked in Ollama's way. Models of OpenAI know better, and some take no other."""
HOLE = re.compile(r"\{(\w+)\}")
runtime: Any = None
"""The module node_runtime that loaded this one."""


def carry_out(name: str, tool: dict[str, Any], prompt: Any, given: dict[str, Any], context: Any) -> Any:
    """What the tool gives for its inputs. Raises ToolError."""
    kind = tool["type"]
    prompt = runtime.as_text(prompt)
    if kind == "executable":
        return runtime.from_text(executable(name, tool, prompt, given, context))
    if kind == "python":
        return python(name, tool, prompt, given, context)
    if kind == "llm":
        return llm(tool, prompt, given, context)
    return api(name, tool, prompt, given)


def _timeout_s(tool: dict[str, Any]) -> float:
    return min(float(tool.get("timeout") or runtime.TIMEOUT_S), WAIT_S_MAX)


def inputs_of(prompt: str, given: dict[str, Any]) -> dict[str, Any]:
    """What stdin holds: the inputs; without any, the prompt, as it is if it is a JSON object."""
    if given:
        return given if not prompt or "prompt" in given else {"prompt": prompt, **given}
    found = runtime.from_text(prompt)
    return found if isinstance(found, dict) else {"prompt": prompt}


# ---- programs ----


def executable(name: str, tool: dict[str, Any], prompt: str, given: dict[str, Any], context: Any) -> str:
    """What the program prints: its stdout, or its stderr if there is nothing."""
    known = {**inputs_of(prompt, given), "prompt": prompt, "tool_dir": os.path.abspath(tool.get("dir") or ".")}
    argv = [_filled(part, known, name, number) for number, part in enumerate([tool["command"], *tool.get("args", ())])]
    if not shutil.which(argv[0]):
        if argv[0] not in ("python", "python3"):
            spaced = "put its arguments into `args`" if " " in argv[0] else "install it, or correct the `command` of the tool"
            hint = tool.get("install_command") or spaced
            raise runtime.ToolError(f"the tool `{name}` runs `{argv[0]}`, which is not on PATH", hint=hint)
        argv[0] = sys.executable
    out, err = _finished(name, argv, json.dumps(inputs_of(prompt, given), ensure_ascii=False), tool, context)
    return out if out.strip() else err


def _filled(part: str, known: dict[str, Any], name: str, number: int) -> str:
    """An argument with its holes filled; what cannot be one is refused."""
    text = HOLE.sub(lambda hole: runtime.as_text(known[hole[1]]) if hole[1] in known else hole[0], part)
    wrong = "holds a NUL character" if "\0" in text else ""
    if len(text.encode("utf-8", "surrogateescape")) > ARGUMENT_BYTES_MAX:
        wrong = f"has {len(text):,} characters; {ARGUMENT_BYTES_MAX:,} bytes fit into one"
    if wrong:
        where = f"argument {number}" if number else "the command"
        hint = "let the program read its inputs from stdin, where all of them are as JSON, and take this argument out of the tool"
        raise runtime.ToolError(f"{where} of the tool `{name}` {wrong}", kind="input", hint=hint)
    return text


def _finished(name: str, argv: list[str], stdin: str, tool: dict[str, Any], context: Any) -> tuple[str, str]:
    """Both outputs of a program that succeeded. What it reports as used counts as used by the step."""
    timeout_s = _timeout_s(tool)
    usage = context.path("usage")  # a file for each: those that run at once would overwrite each other
    env, data = {**os.environ, "WEFT_USAGE": str(usage)}, stdin.encode("utf-8", "replace")
    try:
        done = subprocess.run(argv, input=data, capture_output=True, timeout=timeout_s, env=env, check=False)
    except subprocess.TimeoutExpired:
        _count(name, usage, context)
        raise runtime.ToolError(f"the tool `{name}` took longer than {timeout_s:g} s", kind="timeout") from None
    except OSError as error:
        raise runtime.ToolError(f"the tool `{name}` cannot be started: {error}") from None
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    sys.stderr.write(err)
    after_s, wrong = _count(name, usage, context)
    if done.returncode:
        code = done.returncode if done.returncode > 0 else 128 - done.returncode
        last = next((line.strip() for line in reversed((err or out).splitlines()) if line.strip()), "")
        message = f"the tool `{name}` failed with exit {code}" + (f": {last[:200]}" if last else "")
        failure = runtime.ToolError(message, kind="exit", exit_code=code, tail=(err or out).strip())
        failure.weft_record |= {} if after_s is None else {"retry_after_s": after_s}
        raise failure
    if wrong:
        raise runtime.ToolError(wrong, kind="invalid_output", hint='{"tokens_in": 10, "tokens_out": 20, "cost": 0.5}')
    return out, err


def _count(name: str, usage: Path, context: Any) -> tuple[float | None, str]:
    """Count what a child reports in the file that it was given for it: when to try again, and what is wrong with the report."""
    try:
        data = usage.read_bytes()
        usage.unlink()
    except OSError:
        return None, ""
    try:
        told = json.loads(data) if data.strip() else {}
        after_s = told.pop("retry_after", None)
        for key, number in {**told, "retry_after": after_s or 0}.items():
            whole = key in ("calls", "tokens_in", "tokens_out")
            if not (whole or key in ("cost", "retry_after")) or type(number) not in (int, *[float] * (not whole)):
                raise ValueError(f"{key}: {number!r:.50}")
            if not 0 <= number <= USED_MAX:
                raise ValueError(f"{key}: {number}")
    except (AttributeError, ValueError, RecursionError) as error:
        return None, f"what the tool `{name}` wrote to $WEFT_USAGE cannot be read: {error}"
    context.use(**told)
    return after_s, ""


def python(name: str, tool: dict[str, Any], prompt: str, given: dict[str, Any], context: Any) -> Any:
    """What a Python tool gives: a process of its own, which finds `node_runtime` and the same tools."""
    if context.depth >= runtime.DEPTH_MAX:
        raise runtime.ToolError(f"the tool `{name}` is called {runtime.DEPTH_MAX} tools deep", hint="does it call itself?")
    path = tool.get("path", "")
    try:
        code = tool["source_code"] if "source_code" in tool else Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise runtime.ToolError(f"the tool `{name}` cannot be read: {error}") from None
    spec, result = context.path("json"), context.path("result")
    folder = os.path.abspath(os.path.dirname(path)) if path else ""
    wanted = {"code": code, "name": path or f"<{name}>", "tools": context.tools, "scratch": context.scratch}
    wanted |= {"depth": context.depth + 1, "result": str(result), "folder": folder}
    spec.write_text(json.dumps(wanted), encoding="utf-8")
    argv = [sys.executable, runtime.__file__, str(spec)]
    stdin = json.dumps(inputs_of(prompt, given), ensure_ascii=False)
    try:
        out, _ = _finished(name, argv, stdin, tool, context)
        answer = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {"result": runtime.from_text(out)}
        sys.stderr.write(out)  # what it said beside its result: the step that called it may be writing its own to stdout
        if record := answer.get("error"):
            told = {key: record[key] for key in ("kind", "exit_code", "hint", "tail") if key in record}
            raise runtime.ToolError(f"the tool `{name}` failed: {record['message']}", **told)
        return answer["result"]
    finally:
        for each in (spec, result):
            each.unlink(missing_ok=True)


# ---- language models and HTTP ----


def llm(tool: dict[str, Any], prompt: str, given: dict[str, Any], context: Any) -> str:
    """What a language model answers."""
    known = {**given, "prompt": prompt}
    template = tool.get("prompt_template", "")
    text = (
        HOLE.sub(lambda hole: runtime.as_text(known.get(hole[1], hole[0])), template) if template else _with_data(prompt, given)
    )
    endpoint, named = tool.get("endpoint", ""), tool.get("model") or os.environ.get("WEFT_MODEL", "")
    if named.startswith("test:"):
        return named[5:]
    if not named:
        hint = "name the `model` of the tool, or set WEFT_MODEL"
        raise runtime.ToolError("no model is named that could be asked", kind="input", hint=hint)
    provider, model = _model(named, endpoint)
    base, ollama = _address(endpoint, provider)
    system, temperature = tool.get("system_prompt") or tool.get("system", ""), tool.get("temperature")
    timeout_s = _timeout_s(tool)
    if ollama:
        temperature = TEMPERATURE if temperature is None else temperature
        body: dict[str, Any] = {"model": model, "prompt": text, "stream": False}
        body |= {"system": system} if system else {}
        # where upstream writes it, and where the server reads it
        body |= {"temperature": temperature, "options": {"temperature": temperature}}
        answer = _asked(f"{base}/api/generate", body, {}, timeout_s)
        used: Any = {"prompt_tokens": answer.get("prompt_eval_count"), "completion_tokens": answer.get("eval_count")}
        found = answer.get("response")
    else:
        messages = [{"role": "system", "content": system}] * bool(system) + [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages} | ({} if temperature is None else {"temperature": temperature})
        key = os.environ.get(f"{provider.upper()}_API_KEY", "")
        answer = _asked(f"{base}/chat/completions", body, {"Authorization": f"Bearer {key}"} if key else {}, timeout_s)
        used = answer.get("usage")
        try:
            found = answer["choices"][0]["message"]["content"]
        except (LookupError, TypeError):
            found = None
    _spend(model, provider, used, context)
    if not isinstance(found, str):
        raise runtime.ToolError(f"`{model}` gave an answer without a text", kind="invalid_output")
    return found


def _spend(model: str, provider: str, used: Any, context: Any) -> None:
    """Count the tokens of an answer, and its cost: as its server says, else by the list of prices that comes with weft[llm]."""
    told = (
        {key: number for key, number in used.items() if type(number) in (int, float) and 0 <= number <= USED_MAX}
        if isinstance(used, dict)
        else {}
    )
    tokens_in, tokens_out = (int(told.get(f"{which}_tokens", 0)) for which in ("prompt", "completion"))
    context.use(tokens_in=tokens_in, tokens_out=tokens_out)
    cost = told.get("cost")
    if cost is None and provider != "ollama":
        with suppress(ImportError, LookupError):  # the library, or the model in its list
            from genai_prices import Usage, calc_price

            cost = calc_price(Usage(input_tokens=tokens_in, output_tokens=tokens_out), model, provider_id=provider).total_price
    price = "no price is known, so that it counts as free" if cost is None else f"cost {float(cost):,.6g}"
    context.use(cost=float(cost or 0))
    sys.stderr.write(f"{model}: {tokens_in:,} tokens in, {tokens_out:,} out, {price}\n")


def _with_data(prompt: str, given: dict[str, Any]) -> str:
    """The prompt, and below it as JSON what is given beside it."""
    rest = {name: value for name, value in given.items() if name != "prompt"}
    return f"{prompt}\n\n{json.dumps(rest, ensure_ascii=False, indent=1)}" if rest else prompt


def _model(text: str, endpoint: str) -> tuple[str, str]:
    """Provider and name of `provider:name`. A name alone is one of OpenAI if only that has it, or if the endpoint speaks as it
    does, else of Ollama, whose names may have a colon too (`llama3:8b`)."""
    provider, colon, name = text.partition(":")
    if colon and (provider in ("openai", "ollama") or f"{provider.upper()}_BASE_URL" in os.environ):
        return provider, name
    ours = text.startswith(("gpt-", "chatgpt-")) and not text.startswith("gpt-oss")
    return "openai" if ours or endpoint.rstrip("/").endswith(("/v1", "/chat/completions")) else "ollama", text


def _address(endpoint: str, provider: str) -> tuple[str, bool]:
    """Where to ask, and whether it is Ollama's own protocol."""
    defaults = {"ollama": "http://localhost:11434", "openai": "https://api.openai.com/v1"}
    if not endpoint and provider == "ollama" and "OLLAMA_BASE_URL" not in os.environ and "OPENAI_BASE_URL" in os.environ:
        provider = "openai"
    base = (endpoint or os.environ.get(f"{provider.upper()}_BASE_URL") or defaults.get(provider, "")).rstrip("/")
    base = base.removesuffix("/api/generate").removesuffix("/chat/completions")
    return base, not base.endswith("/v1") and (bool(endpoint) or provider == "ollama")


def api(name: str, tool: dict[str, Any], prompt: str, given: dict[str, Any]) -> Any:
    """What an HTTP service answers: JSON if it says so, else text."""
    from urllib.parse import quote, urlencode

    known = {**inputs_of(prompt, given), "prompt": prompt}

    def filled(value: Any, escape: Any = lambda text: text) -> Any:
        if isinstance(value, str):
            whole = HOLE.fullmatch(value)
            if whole and whole[1] in known and escape("/") == "/":
                return known[whole[1]]
            return HOLE.sub(lambda hole: escape(runtime.as_text(known[hole[1]])) if hole[1] in known else hole[0], value)
        if isinstance(value, dict):
            return {key: filled(item, escape) for key, item in value.items()}
        return [filled(item, escape) for item in value] if isinstance(value, list) else value

    method = str(tool.get("method", "GET")).upper()
    url = filled(tool["url"], lambda text: quote(text, safe=""))
    plain = method in ("GET", "DELETE", "HEAD")
    query = filled(tool.get("query", {}))
    if not query and plain and not HOLE.search(tool["url"]):
        inside = HOLE.findall(json.dumps(tool.get("headers", {})))  # a key in a header does not belong into an address
        query = {key: value for key, value in inputs_of(prompt, given).items() if key not in inside}
    if pairs := {key: runtime.as_text(value) for key, value in query.items() if value is not None}:
        url += ("&" if "?" in url else "?") + urlencode(pairs)
    body = None if plain else filled(tool["body"]) if "body" in tool else inputs_of(prompt, given)
    headers = {key: runtime.as_text(value) for key, value in filled(tool.get("headers", {})).items()}
    for key, value in headers.items():
        if not value.isascii() or not value.isprintable():
            hint = "it goes into one line of ASCII: put the value into the `body` or the `query`"
            raise runtime.ToolError(f"the header `{key}` of the tool `{name}` cannot hold this value", kind="input", hint=hint)
    return _exchanged(url, method, body, headers, _timeout_s(tool), f"the tool `{name}`")


def _asked(url: str, body: dict[str, Any], headers: dict[str, str], timeout_s: float) -> dict[str, Any]:
    answer = _exchanged(url, "POST", body, headers, timeout_s, "the language model")
    if not isinstance(answer, dict):
        raise runtime.ToolError(f"{url} answered with something that is no JSON object", kind="invalid_output")
    return answer


def _exchanged(url: str, method: str, body: Any, headers: dict[str, str], timeout_s: float, who: str) -> Any:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    if not url.startswith(("http://", "https://")):
        raise runtime.ToolError(f"{who} has no address: `{url[:200]}`", kind="input", hint="it begins with http:// or https://")
    data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    if data is not None:
        headers = {"Content-Type": "application/json", **headers}
    try:
        with urlopen(Request(url, data, headers, method=method), timeout=timeout_s) as answer:
            content = answer.read(ANSWER_BYTES_MAX + 1)
    except HTTPError as error:
        tail = error.read(4096).decode("utf-8", "replace")
        failure = runtime.ToolError(f"{who} was answered with {error.code} by {method} {url[:200]}", tail=tail)
        after = error.headers.get("Retry-After", "")
        failure.weft_record |= {"retry_after_s": float(after)} if after.strip().isdecimal() else {}
        failure.weft_record["exception"] = f"HTTP{error.code} HTTPError ToolError"
        raise failure from None
    except (URLError, TimeoutError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        kind = "timeout" if isinstance(reason, TimeoutError) else "error"
        raise runtime.ToolError(f"{who} cannot be reached at {url[:200]}: {reason}", kind=kind, hint="is it up?") from None
    if len(content) > ANSWER_BYTES_MAX:
        raise runtime.ToolError(f"{who} got more than {ANSWER_BYTES_MAX >> 20} MiB from {url[:200]}", kind="invalid_output")
    return runtime.from_text(content.decode("utf-8", "replace"))
