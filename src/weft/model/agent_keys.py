"""The keys of `agent`: rows of the one table in `spec`, which holds them together with the others."""

from weft.model.keys import Key, Keys
from weft.model.shape import INTEGER_MAX, Anything, Either, Integer, MapOf, Number, Record, Text

TEMPERATURE_MAX = 2
"""What the endpoints of models accept."""

AGENT = Key(
    "agent",
    Either((Text(what="a prompt", field="data", filled=True), Record("agent"))),
    "Ask a language model: the prompt, or a mapping. `with` goes along as a block of data, apart from the prompt. The output is "
    "the answer: a text, or with `schema` a value that fits it. Tokens and cost are counted.",
    "Write a one-line headline.",
)

AGENT_RECORDS: dict[str, Keys] = {
    "agent": Keys(
        "`agent`",
        (
            Key(
                "prompt",
                Text(what="a prompt", field="data", filled=True),
                "What is asked. It may hold `${{ }}`; data belongs into `with`.",
                "Write a one-line headline.",
                required=True,
            ),
            Key(
                "model",
                Text(what="a model", field="data", filled=True),
                "The model, as `provider:name`; a name alone is one of OpenAI or of a server like it. `ollama:…` is asked at "
                "`$OLLAMA_BASE_URL`, others at `$OPENAI_BASE_URL`. `test:` answers without any model.",
                "openai:gpt-5-mini",
                "`$WEFT_MODEL`",
            ),
            Key(
                "system",
                Text(field="data", filled=True),
                "What the model is told before all else. It may hold `${{ }}`.",
                "You are brief.",
            ),
            Key(
                "schema",
                MapOf(Anything(), "a keyword", ".+", filled=True),
                "A JSON Schema of the answer. The model is asked again while its answer does not fit, a few times.",
                "{ type: object, properties: { score: { type: number } }, required: [score] }",
            ),
            Key("temperature", Number(0, TEMPERATURE_MAX), "How freely the model chooses.", "0.2", "the model's own"),
            Key("max_tokens", Integer(1, INTEGER_MAX), "How long an answer may be.", "500", "the model's own"),
        ),
        meant={
            **dict.fromkeys(("user", "message", "task", "question", "input"), "prompt"),
            **dict.fromkeys(("system_prompt", "instructions", "role"), "system"),
            **dict.fromkeys(("output_schema", "response_format", "json_schema", "output_type"), "schema"),
            **dict.fromkeys(("max_output_tokens", "num_predict"), "max_tokens"),
            "llm": "model",
        },
    ),
}
