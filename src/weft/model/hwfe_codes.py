"""Codes of problems with files of the Hybrid Workflow Engine: rows of the one table in `codes`."""

from typing import Final

from weft.model.code import Code

HWFE_CODES: Final[dict[str, Code]] = {
    "W601": Code(
        "the language of the file is not installed",
        "A workflow file in Lua is a program: to know what it says it is evaluated, confined, in a process of its own.",
        "Install the extra: `pip install 'weft[lua]'`.",
    ),
    "W602": Code(
        "the Lua file cannot be evaluated",
        "The file has a mistake, does something that a description has no need of (files, programs, modules), or does not come "
        "to an end within two seconds.",
        "Let the file only describe: a table `workflow`, and the work in the code of its steps.",
    ),
    "W603": Code(
        "the workflow table is not as it should be",
        "The file must define a global `workflow` with `name`, `description` and `steps`, a table of tables by name.",
        'Write `workflow = { name = "…", steps = { first = { language = "lua", code = [[ … ]] } } }`.',
    ),
    "W604": Code(
        "a key that a step or the workflow does not have",
        "A key that is not known would be ignored, and with it what it was meant to do.",
        "Correct it: a step has `language`, `code`, `depends_on`, and for WebAssembly `module` and `function`; a workflow has "
        "`name`, `description` and `steps`.",
    ),
    "W605": Code(
        "a dependency that does not exist",
        "`depends_on` names a step that is not in the file, so nobody could say when it is done.",
        "Correct the name, or add the step.",
    ),
    "W606": Code(
        "a language that there is not",
        "Steps are written in lua, python, shell (bash, sh), javascript (js, node) or wasm.",
        "Use one of these.",
    ),
    "W607": Code(
        "a step without code or module",
        "A step of a language has `code`; one of WebAssembly has `module`, the path of a file.",
        "Add it.",
    ),
    "W608": Code(
        "code that cannot be read",
        "The code of a step is no program in its language.",
        "Correct it at the line that the message names.",
    ),
    "W609": Code(
        "a circular dependency",
        "Steps that depend on each other would wait for ever. The message has the whole circle.",
        "Remove one of its dependencies.",
    ),
    "W610": Code(
        "a setting of the configuration that has no effect",
        "HWFE_* variables, `.env` or the configuration file in the current folder say something misspelt or of the wrong type, "
        "or something that nothing here depends on, so the default, or what a weaker source says, counts.",
        "Correct or remove it; `weft doctor --config FILE` shows what counts.",
    ),
}
