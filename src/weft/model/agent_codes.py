"""Codes of problems with language models: rows of the one table in `codes`."""

from typing import Final

from weft.model.code import Code

AGENT_CODES: Final[dict[str, Code]] = {
    "W325": Code(
        "a model that cannot be asked",
        "An `agent` step asks a language model, whose address and key come from the environment. Nothing has been run, as the "
        "step could only fail. `weft check` says the same without refusing the file: elsewhere the environment may be another.",
        "Set what is missing: `WEFT_MODEL` names a model for steps that name none, `OPENAI_API_KEY` is the key, "
        "`OPENAI_BASE_URL` or `OLLAMA_BASE_URL` another server. A key that the workflow lists under `secrets` reaches only the "
        "steps that list it too.",
    ),
}
