"""Codes of problems with YAML workflows: rows of the one table in `codes`."""

from typing import Final

from weft.model.code import Code

GHYAML_CODES: Final[dict[str, Code]] = {
    "W901": Code(
        "a fragment of a YAML workflow",
        "A whole workflow has a `name` and a `version` of three numbers. What stands without them is run all the same.",
        "Add `name: My Workflow` and `version: 1.0.0` at the top.",
    ),
    "W902": Code(
        "a key that a YAML workflow does not have",
        "A key that nobody reads does nothing. If it looks like a misspelled one it is refused, else there is a warning.",
        "Correct it, or remove it.",
        "name: w\nversion: 1.0.0\nsteps:\n  - id: a\n    name: A\n    type: script\n    config: { comand: date }\n",
        "name: w\nversion: 1.0.0\nsteps:\n  - id: a\n    name: A\n    type: script\n    config: { command: date }\n",
    ),
    "W903": Code(
        "a value of a YAML workflow that does not fit",
        "The value is of another type than this key has, or is missing, or out of bounds.",
        "Give it what the message names.",
        "name: w\nversion: 1.0.0\nsteps:\n  - id: a\n    name: A\n    type: script\n    config: { command: date, args: now }\n",
        "name: w\nversion: 1.0.0\nsteps:\n  - id: a\n    name: A\n    type: script\n    config: { command: date, args: [now] }\n",
    ),
    "W904": Code(
        "a step that a YAML workflow does not have",
        "`dependsOn` or `{{steps.…}}` names a step that is not in the file, so nobody could say when it is done.",
        "Correct the name, or add the step.",
    ),
    "W905": Code(
        "a resource pool that is not defined",
        "A step uses a pool that `parallel.resources` of the workflow does not define, so nothing would be limited.",
        "Define it: `parallel: { resources: { cpu: 2 } }`.",
    ),
    "W906": Code(
        "a type of step that there is not",
        "A step of a YAML workflow is a script, agent, condition, delay (wait, sleep) or http.",
        "Use one of these; a `script` runs any program.",
    ),
    "W907": Code(
        "an expression of a YAML workflow that cannot be read",
        "What stands in `{{ }}` or in `condition` breaks the grammar, names a function that there is not, is too long, or "
        "means something else than it seems to.",
        "Correct it at the place. A step of type `condition` can ask for anything, as it runs itself.",
    ),
    "W908": Code(
        "a circular dependency in a YAML workflow",
        "Steps that depend on each other would wait for ever. References in `{{ }}` and conditions that trigger steps count too.",
        "Remove one of the dependencies.",
    ),
    "W909": Code(
        "a step to trigger that there is not",
        "`onTrue` or `onFalse` of a condition names a step that is not in the file. Nothing happens in its place.",
        "Correct the name, add the step, or remove it from the list.",
    ),
    "W910": Code(
        "a timeout that was meant in seconds",
        "`timeout` counts milliseconds in YAML workflows. A number up to 3600 is so short that it was probably meant in seconds.",
        "Multiply it by 1000, or read the file with `--timeout-unit s`.",
    ),
    "W911": Code(
        "a value that would not stay one argument",
        "A value in a command is one argument, whatever is in it. In arithmetic, backquotes, here-documents and the like the "
        "shell would read it as program text.",
        'Give the value to the step as `env`, and write "$NAME" in the command.',
    ),
    "W912": Code(
        "a template or its parameters do not fit",
        "An instance names a template that is not beside it, or gives a parameter that the template does not take as it is.",
        "Correct the name or the value; the message says what the template wants.",
    ),
    "W913": Code(
        "the file of an agent",
        "An agent is described in a file of its name beside the workflow, or in `agents/`. Without it the agent is asked without "
        "a system prompt; one that cannot be read is refused. Agents have no "
        "tools here.",
        "Write the file: `systemPrompt: { type: content, value: … }`, `metadata: { languageModel: { preferred: … } }`.",
    ),
    "W914": Code(
        "two steps of a YAML workflow have the same id",
        "An id stands for one step: for its output, its dependencies, its logs.",
        "Give one of them another id.",
    ),
}
