"""Leading tabs in YAML. YAML forbids them; real files have them. Used alone they are clear, so they are read as spaces.

A file that indents some lines with tabs and others with spaces is refused: what it means depends on the width of a tab.
Inside a block (`run: |`) only the tabs that make up its indentation are replaced: the others belong to the script.
"""

import re

from weft.formats.text import TAB, Text
from weft.model.problem import Problem, Second

_TABBED = re.compile(r"^\t+(?=[^\s#])", re.M)
_BLOCK_BEGINS = re.compile(r"(?:^|[:\-]\s+(?:&\S+\s+)?)[|>][-+0-9]{0,2}\s*(?:\s#.*)?$")


def spaces_for_tabs(text: Text) -> tuple[Text, Problem | None]:
    first = _TABBED.search(text.text)
    if not first:
        return text, None
    lines = text.text.split("\n")
    tabs: dict[int, int] = {}
    parent = content = -1  # leading tabs of the line that opened a block, and of the block's first line; -1: none
    offset = 0
    for number, line in enumerate(lines):
        rest = line.lstrip("\t")
        count = len(line) - len(rest)
        inside = parent >= 0 and (count > parent or not rest.strip())
        if inside and rest.strip() and content < 0:
            content = count
        if not inside:
            parent = content = -1
            if rest.startswith(" ") and rest.strip() and not rest.lstrip().startswith("#"):
                return text, _mixed(text, offset, len(line) - len(line.lstrip()), first)
            if _BLOCK_BEGINS.search(rest):
                parent = count
        offset += len(line) + 1
        tabs[number] = min(count, content) if inside and content >= 0 else count
        lines[number] = TAB * tabs[number] + line[tabs[number] :]
    return Text(text.file, "\n".join(lines), tabs), None


def _mixed(text: Text, start: int, length: int, tabbed: re.Match[str]) -> Problem:
    return Problem(
        code="W113",
        message="tabs and spaces are mixed in the indentation",
        place=text.place(start, start + length),
        label="spaces here",
        seconds=(Second(text.place(*tabbed.span()), "a tab here"),),
        hint="indent with spaces only, two for each level",
    )
