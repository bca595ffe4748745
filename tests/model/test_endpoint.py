"""Which server a model is asked at, by its name and the environment."""

import pytest

from weft.model.endpoint import Endpoint, Unusable, endpoint_of

KEY = {"OPENAI_API_KEY": "k"}


@pytest.mark.parametrize(
    ("model", "env", "endpoint"),
    [
        ("openai:gpt-5-mini", KEY, Endpoint("openai", "gpt-5-mini", "", "k")),
        ("gpt-5-mini", KEY, Endpoint("openai", "gpt-5-mini", "", "k")),
        ("", {"WEFT_MODEL": "gpt-5-mini", **KEY}, Endpoint("openai", "gpt-5-mini", "", "k")),
        ("openai:x", {"OPENAI_BASE_URL": "http://here:1/v1"}, Endpoint("openai", "x", "http://here:1/v1")),
        ("llama3.2:3b", {"OPENAI_BASE_URL": "http://here:1/v1"}, Endpoint("openai", "llama3.2:3b", "http://here:1/v1")),
        ("ollama:llama3.2:3b", {}, Endpoint("ollama", "llama3.2:3b", "http://localhost:11434/v1")),
        ("ollama:x", {"OLLAMA_BASE_URL": "http://here:1/"}, Endpoint("ollama", "x", "http://here:1/v1")),
        (
            "ollama:x",
            {"OLLAMA_BASE_URL": "http://here/o/v1", "OLLAMA_API_KEY": "k"},
            Endpoint("ollama", "x", "http://here/o/v1", "k"),
        ),
        (
            "my-gate:x",
            {"MY_GATE_BASE_URL": "https://gate/v1", "MY_GATE_API_KEY": "g"},
            Endpoint("my-gate", "x", "https://gate/v1", "g"),
        ),
        ("test:", {}, Endpoint("test", "")),
        ("test:a: b", {}, Endpoint("test", "a: b")),
    ],
)
def test_where_a_model_is(model: str, env: dict[str, str], endpoint: Endpoint) -> None:
    assert endpoint_of(model, env) == endpoint


@pytest.mark.parametrize(
    ("model", "env", "message", "hint"),
    [
        ("", {}, "no model is named", "WEFT_MODEL"),
        ("openai:", KEY, "`openai:` names no model", "`openai:NAME`"),
        ("openai:x", {}, "needs OPENAI_API_KEY", "secrets: [OPENAI_API_KEY]"),
        ("qwen3:4b", {}, "the provider `qwen3`", "`ollama:qwen3:4b`"),
        ("ollama:x", {"OLLAMA_BASE_URL": "here:11434"}, "OLLAMA_BASE_URL is no address: `here:11434`", "http://"),
        ("openai:x", {"OPENAI_BASE_URL": "http://[x"}, "OPENAI_BASE_URL is no address", "http://"),
    ],
)
def test_models_that_cannot_be_asked(model: str, env: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(Unusable) as caught:
        endpoint_of(model, env)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_what_a_model_is_called() -> None:
    assert endpoint_of("gpt-5-mini", KEY).model == "openai:gpt-5-mini"
