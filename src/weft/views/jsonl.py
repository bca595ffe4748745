"""The view for programs: one line of JSON for each fact, as the journal keeps it, behind a version number.

- `{"v":1,"fact":"attempt_ended","at":…,…}`; the last line is `{"v":1,"outputs":{…}}`. Unknown facts and fields are to be ignored.
- No line is lost: a reader who is slow makes the run wait (what has started goes on). One who leaves does not end it.
- An output that holds the value of a secret is null.
"""

from collections.abc import Iterable, Sequence
from typing import IO, Final

import msgspec

from weft.core.facts import AttemptEnded, Fact
from weft.model.workflow import Value
from weft.views.outlet import Outlet

VERSION: Final = 1
"""Version of the facts, the same as that of the journal: it goes up when a fact gains a field."""

_PREFIX: Final = b'{"v":%d,' % VERSION
_encode = msgspec.json.Encoder().encode


class JsonLines:
    """An Observer. The caller writes the last line with `outputs`, after `close` too."""

    def __init__(self, stream: IO[str]) -> None:
        self._outlet = Outlet(stream, patient=True)

    def recall(self, facts: Iterable[Fact]) -> None:
        """Facts of earlier engines are not written again: whoever wants them has the journal."""

    def see(self, facts: Sequence[Fact]) -> None:
        if not self._outlet.dead:
            self._outlet.write("".join(map(line, facts)))

    def outputs(self, outputs: dict[str, Value] | None) -> None:
        """The outputs of the run; None if it has none, or has not ended well."""
        self._outlet.write(_line(_encode({"outputs": outputs})))

    def close(self) -> None:
        self._outlet.close()


def line(fact: Fact) -> str:
    """A fact as a line of JSON, its newline included."""
    if isinstance(fact, AttemptEnded) and fact.output and fact.output.secret:
        hidden = msgspec.structs.replace(fact.output, inline=msgspec.Raw(b"null"), blob="")
        fact = msgspec.structs.replace(fact, output=hidden)
    return _line(_encode(fact))


def _line(mapping: bytes) -> str:
    return (_PREFIX + mapping[1:].replace(b"\n", b" ") + b"\n").decode()  # an inline output may hold newlines between its tokens
