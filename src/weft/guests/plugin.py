"""The other end of `uses`: finds the class that an installed package names for a kind of step. Imports nothing of weft."""

from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

GROUP = "weft.kinds"


class Missing(Exception):
    """There is no such kind; `weft_record` says so in the words of a step's failure."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.weft_record = {"kind": "error", "message": message, "hint": hint}


def find(package: str, kind: str) -> Any:
    """The `run` of a new object of the class."""
    try:
        entries = [entry for entry in distribution(package).entry_points if (entry.group, entry.name) == (GROUP, kind)]
    except PackageNotFoundError:
        raise Missing(f"the package `{package}` is not installed", f"pip install {package}") from None
    if not entries:
        raise Missing(f"the package `{package}` has no kind of step `{kind}`", f"pip install -U {package}")
    made = entries[0].load()
    run = getattr(made() if isinstance(made, type) else made, "run", None)
    if not callable(run):
        raise Missing(f"`{entries[0].value}` of the package `{package}` has no method `run`", "tell its author")
    return run
