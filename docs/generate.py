"""Writes the pages that are made from tables in the code. Run it after a change to model/spec.py or codes.py.

A test compares the pages with what this would write.
"""

from pathlib import Path

from weft.model.codes import CODES, Code
from weft.model.keys import Keys
from weft.model.shape import (
    Amount,
    Anything,
    Boolean,
    Choice,
    Duration,
    Either,
    Frequency,
    Integer,
    ListOf,
    MapOf,
    Number,
    Record,
    Shape,
    Size,
    Text,
)
from weft.model.spec import RECORDS

HERE = Path(__file__).parent
NOTICE = "<!-- Made by docs/generate.py from the code; change it there. -->"
ANCHORS = {"step": "a-step", "listed_step": "a-step-in-a-list", "input": "an-input", "pool": "a-pool", "fallback": "a-fallback"}


def main() -> None:
    for name, text in pages().items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(text)


def pages() -> dict[str, str]:
    """The pages by their path in this folder."""
    return {"reference/format.md": format_page(), "errors.md": errors_page()}


def format_page() -> str:
    sections = [section(record) for name, record in RECORDS.items() if name != "listed_step"]
    listed = RECORDS["listed_step"]
    extra = f"## {upper(listed.what)}\n\nThe keys of a step, and `{listed.keys[0].name}`: {lower(listed.keys[0].description)}\n"
    intro = """# The file format

A workflow is one document of YAML 1.2 or JSON with the same keys, in a file that is called `*.weft.yaml` by custom. In YAML
`no`, `on` and `yes` are texts; tags, merge keys and a second document are refused. `weft schema` prints a JSON Schema with
which editors complete and check files.

`${{ }}` is evaluated in data: in `with`, `env`, `if`, `outputs`, `per` and in `run` as a list. A text that is one whole `${{ }}`
keeps the type of its value. In code, and everywhere else, it is refused; `$${{` stands for the text `${{`. More on them in
[Expressions](../expressions.md).

A duration is a number of seconds, or a text with units (`250ms`, `90s`, `1h30m`, `2d`). A size is a text with a unit (`64MB`,
`512MiB`). A rate is a number of starts for a stretch of time (`60/min`, `10/s`, `5/100ms`).
"""
    return "\n".join([NOTICE, intro, *sections, extra])


def section(record: Keys) -> str:
    lines = [f"## {upper(record.what)}", ""]
    if record.one_of:
        lines += [f"Each has exactly one of {', '.join(f'`{name}`' for name in record.one_of)}.", ""]
    if record.some_of:
        lines += [f"It has at least one of {', '.join(f'`{name}`' for name in record.some_of)}.", ""]
    lines += ["| key | type | default | meaning | example |", "|---|---|---|---|---|"]
    for key in record.keys:
        names = ", ".join(f"`{name}`" for name in (key.name, *key.spellings))
        default = "must be there" if key.required else cell(key.default)
        lines.append(
            f"| {names} | {kind(key.shape)} | {default} | {cell(key.description)} | `{cell(key.name)}: {cell(key.example)}` |"
        )
    return "\n".join(lines) + "\n"


def kind(shape: Shape) -> str:
    """The type of a value in words."""
    match shape:
        case Text():
            return {"code": "code", "condition": "expression"}.get(shape.field) or ("name" if shape.pattern else "text")
        case Integer():
            return "whole number"
        case Number():
            return "number"
        case Boolean():
            return "`true`, `false`"
        case Choice():
            return ", ".join(f"`{value}`" for value in shape.values)
        case Duration():
            return "duration"
        case Size():
            return "size"
        case Amount():
            return "number or size" + (", `auto`" if shape.auto else "")
        case Frequency():
            return "rate"
        case ListOf():
            return f"list of {kind(shape.item)}"
        case MapOf():
            return f"mapping to {kind(shape.item)}"
        case Record():
            return f"[mapping](#{ANCHORS.get(shape.name, shape.name)})"
        case Anything():
            return "anything"
        case Either():
            return " or ".join(kind(option) for option in shape.options)


def errors_page() -> str:
    intro = "# Problems and their codes\n\n`weft explain CODE` says the same without a network.\n"
    return "\n".join([NOTICE, intro, *(error(name, code) for name, code in CODES.items())])


def error(name: str, code: Code) -> str:
    lines = [f"## {name}: {code.title}", "", code.why, "", code.fix, ""]
    language = "json" if code.wrong.startswith("{") else "yaml"
    for title, text in (("Wrong:", code.wrong), ("Right:", code.right)):
        if text:
            lines += [title, "", f"```{language}", text.rstrip(), "```", ""]
    return "\n".join(lines)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    return text[:1].lower() + text[1:]


if __name__ == "__main__":
    main()
