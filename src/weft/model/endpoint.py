"""Where a language model is asked: from the text `provider:name` and the environment of a step.

Every provider is a server that speaks the chat protocol of OpenAI: `NAME_BASE_URL` says where it is, `NAME_API_KEY` opens it.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from weft.model.tokens import shown

OPENAI: Final = "openai"
OLLAMA: Final = "ollama"
TEST: Final = "test"
"""Answers without a model: with its name if it has one."""

_PROVIDER: Final = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_OLLAMA_AT: Final = "http://localhost:11434/v1"
"""Where Ollama listens unless it is told otherwise."""


class Unusable(ValueError):
    """A model that cannot be asked, why, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class Endpoint(msgspec.Struct, frozen=True):
    """A model at a server. `base_url` empty: that of OpenAI itself. `key` empty: none is needed."""

    provider: str
    name: str
    base_url: str = ""
    key: str = ""

    @property
    def model(self) -> str:
        return f"{self.provider}:{self.name}"


def endpoint_of(model: str, env: Mapping[str, str]) -> Endpoint:
    """Where this model is asked. Raises Unusable.

    `model`: `provider:name`, a name alone (one of OpenAI, or of a server like it), or empty: what `WEFT_MODEL` says.
    """
    model = model or env.get("WEFT_MODEL", "")
    if not model.strip():
        raise Unusable("no model is named", "name one where it is asked, `openai:…` or `ollama:…`, or set WEFT_MODEL")
    provider, colon, name = model.partition(":")
    if not colon or not _PROVIDER.fullmatch(provider):
        provider, name = OPENAI, model
    if provider == TEST:
        return Endpoint(TEST, name)
    if not name:
        raise Unusable(f"`{shown(model)}` names no model", f"write its name: `{provider}:NAME`")
    prefix = provider.upper().replace("-", "_")
    base_url, key = env.get(f"{prefix}_BASE_URL", "").strip(), env.get(f"{prefix}_API_KEY", "").strip()
    if provider == OLLAMA:
        base_url = _with_path(base_url or _OLLAMA_AT, f"{prefix}_BASE_URL")
    elif base_url:
        _with_path(base_url, f"{prefix}_BASE_URL")
    elif provider != OPENAI:
        hint = f"set {prefix}_BASE_URL to a server that speaks the protocol of OpenAI, or write `ollama:{shown(model)}`"
        raise Unusable(f"nothing says where the provider `{provider}` of `{shown(model)}` is", hint)
    elif not key:
        hint = (
            "add `secrets: [OPENAI_API_KEY]` to the workflow and the step, and set it; or set OPENAI_BASE_URL to another server"
        )
        raise Unusable(f"the model `{shown(model)}` needs OPENAI_API_KEY, which the step does not have", hint)
    return Endpoint(provider, name, base_url, key)


def _with_path(url: str, variable: str) -> str:
    """The address, with the path under which Ollama speaks that protocol if it has none. Raises Unusable."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Unusable(f"{variable} is no address: `{shown(url)}`", "it begins with http:// or https://")
    return url if parts.path.strip("/") else f"{url.rstrip('/')}/v1"
