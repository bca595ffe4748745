"""The files of agents that YAML workflows name: looked for beside the workflow, read for their model and their system prompt."""

from typing import Any, Final

from weft.formats.document import Path, Where
from weft.formats.flows import Sources
from weft.formats.ghyaml_actions import AgentFile
from weft.formats.ghyaml_reading import Reading
from weft.formats.shapes import quoted
from weft.model.tokens import shown

FOLDERS: Final = ("", "agents/", "../agents/")
KEYS: Final = ("name", "description", "version", "metadata", "systemPrompt")
"""Of the file of an agent."""
_OF_TOOLS: Final = ("toolPreferences", "executionConfig.maxRounds")
PROVIDER: Final = "openai"
"""Whose interface a model without a provider before its name is asked through: nearly all have it."""


def read_agent(name: str, path: Path, reading: Reading, sources: Sources) -> AgentFile:
    """What the file says; nothing, with a warning, if there is none."""
    if "{{" in name:
        hint = "name one agent, or give each its own step with a `condition`"
        reading.wrong("the agent must be known before the workflow runs", path, hint, "W913")
        return AgentFile()
    if not name or "/" in name or "\0" in name or name.startswith("."):
        if name:
            reading.wrong(
                f"`{shown(name)}` cannot be the name of an agent", path, "it is the name of a file without its folder", "W913"
            )
        return AgentFile()
    files = [f"{folder}{name}{ending}" for folder in FOLDERS for ending in (".yaml", ".yml")]
    wrong = len(sources.problems)
    found = sources.document(files)
    if found is None and len(sources.problems) > wrong:
        return AgentFile()  # it cannot be read, which has been told
    if found is None:
        message = f"there is no file of the agent `{shown(name)}`: it is asked without a system prompt"
        hint = f"write it beside this file, as {quoted(files[2:3])}; $WEFT_MODEL names its model"
        reading.warn("W913", message, Where(path), hint)
        return AgentFile()
    value, file = found[0].value, found[1]
    if not isinstance(value, dict):
        reading.wrong(f"`{file}` is no file of an agent", path, "it is a mapping with `name` and `systemPrompt`", "W913")
        return AgentFile()
    _report_unread(name, value, file, path, reading)
    return AgentFile(model=_model(value), system=_system(value, file, path, reading, sources))


def _report_unread(name: str, value: dict[str, Any], file: str, path: Path, reading: Reading) -> None:
    """What somebody may count on that is not there: tools, and keys that are misspelled."""
    told = [key for key in _OF_TOOLS if _inside(value, "metadata", *key.split("."))]
    if told:
        message = (
            f"the agent `{shown(name)}` has no tools here, and answers at once: {quoted(told)} of `{file}` say nothing to it"
        )
        hint = "let steps before it do what needs tools, and put what they found into its `prompt`"
        reading.warn("W913", message, Where(path), hint)
    for key in value:
        if key not in KEYS and (near := reading.findings.meant(key, KEYS)):
            reading.wrong(f"`{file}` has no use for `{shown(key)}`", path, f"did you mean `{near}`?", "W913")


def _inside(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _model(value: dict[str, Any]) -> str:
    preferred = _inside(value, "metadata", "languageModel", "preferred")
    model = preferred[0] if isinstance(preferred, list) and preferred else preferred
    if not isinstance(model, str) or not model:
        return ""
    return model if ":" in model else f"{PROVIDER}:{model}"


def _system(value: dict[str, Any], file: str, path: Path, reading: Reading, sources: Sources) -> str:
    prompt = value.get("systemPrompt")
    text = prompt if isinstance(prompt, str) else _inside(prompt, "value")
    if not isinstance(text, str):
        if prompt is not None:
            hint = "systemPrompt: { type: content, value: You are … }"
            reading.wrong(f"`systemPrompt` of `{file}` has no text as its `value`", path, hint, "W913")
        return ""
    if _inside(prompt, "type") != "file":
        return text
    data = sources.content(text, file)
    if data is None:
        reading.wrong(
            f"the system prompt of `{file}` cannot be read: there is no file `{shown(text)}` beside it", path, code="W913"
        )
    try:
        return (data or b"").decode()
    except UnicodeDecodeError:
        reading.wrong(f"the system prompt of `{file}`, `{shown(text)}`, is no text", path, "save it as UTF-8", "W913")
        return ""
