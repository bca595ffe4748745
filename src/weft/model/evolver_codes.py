"""Codes of problems with files of Code Evolver: rows of the one table in `codes`."""

from typing import Final

from weft.model.code import Code

_SHAPE: Final = '{ "workflow_id": "two", "steps": [{ "step_id": "a", "description": "Write a joke", "tool": "writer" }] }'
EVOLVER_CODES: Final[dict[str, Code]] = {
    "W801": Code(
        "a workflow without steps",
        "A file of Code Evolver has `steps`, a list of mappings with a `step_id`; one of its Forge has `tasks` with an `id`.",
        f"Write `{_SHAPE}`.",
    ),
    "W802": Code(
        "a value of a wrong type",
        "A field holds something else than it is for: a text where a list must be, or a number where a text must be.",
        "Correct the value. Numbers and true or false stand without quotes.",
    ),
    "W803": Code(
        "a key that is not known",
        "A key that is not known does nothing, and what it was meant to do is not done. It is a warning, as Code Evolver itself "
        "keeps data of its own in its files.",
        "Correct it, or remove it.",
    ),
    "W804": Code(
        "a step is given twice",
        "Two steps have the same `step_id`, so that nobody could say which one another step depends on.",
        "Give one of them another id.",
    ),
    "W805": Code(
        "a reference to a step that does not exist",
        "`depends_on` or a reference (`steps.a.output`, `${steps.a.output}`) names a step that is not in the file.",
        "Correct the name, or add the step.",
    ),
    "W806": Code(
        "an input that does not exist, is missing, or does not fit",
        "A reference (`inputs.topic`) names an input that the workflow does not declare; or a step does not give a workflow that "
        "it runs the inputs which that declares.",
        "Declare it under `inputs`, correct the name, or give it in `input_mapping`.",
    ),
    "W807": Code(
        "a tool that does not exist",
        "Tools are looked for in `tools` of the file, and in the YAML and Python files of the folder `tools` beside it and the "
        "folders in that. Code Evolver would call the tool that a language model finds most alike; weft calls what is named, or "
        "nothing.",
        "Correct the name, define the tool in the file, or write `tools/NAME.yaml`.",
    ),
    "W808": Code(
        "a step or a tool that cannot be called",
        "What is needed to call it is missing: a program has a `command`, Python has `source_code` or a path, a service has a "
        "`url`, a step has a tool, code, a prompt or at least a description. Tools that a language model shall write "
        "(`generate_tool`), and tools that are classes of Code Evolver itself (`type: custom`), are not called here.",
        "Add what the message names.",
    ),
    "W810": Code(
        "code or text that cannot be read",
        "The Python code of a step or a tool is no Python, or a text holds a NUL character.",
        "Correct it at the line that the message names.",
    ),
    "W811": Code(
        "a part of a workflow",
        "The file has steps and nothing else, as a plan of the overseer. It runs, and is called like its file.",
        'Add `"workflow_id": "…"`.',
    ),
    "W812": Code(
        "something that has no meaning here",
        "A placeholder (`{name}`) stands for nothing and stays as it is; a candidate of a task is not there; a key is not used "
        "beside another (`tool` beside `code`), or contradicts it (`type` the type of the tool); or something speaks of many "
        "runs (`min_correctness`, `optimization`), not of one.",
        "Correct it, or remove it.",
    ),
    "W813": Code(
        "a condition that cannot be read",
        "A condition compares inputs and outputs of steps with values, joined with AND, OR and NOT.",
        "Write `inputs.summarize == true AND steps.first.output.score >= 0.8`.",
    ),
    "W814": Code(
        "a setting that does not count",
        "`chat.workflow_mode` in the config.yaml of the current folder has a key that is not known, or a value of a wrong type: "
        "the default counts in its place.",
        "Correct it; `weft doctor --config config.yaml` shows what counts.",
    ),
}
