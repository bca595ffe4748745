"""What is known of a code of a problem: the rows of `codes`."""

import msgspec


class Code(msgspec.Struct, frozen=True):
    """`title` names the problem; `why` says what it means and why it is refused; `fix` what to do."""

    title: str
    why: str
    fix: str
    wrong: str = ""
    right: str = ""
