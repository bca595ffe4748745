"""Kinds of steps that other packages bring: entry points of the group `weft.kinds`, read from metadata. Nothing is imported."""

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

from weft.model.suggest import did_you_mean

GROUP: Final = "weft.kinds"


def missing(package: str, kind: str) -> tuple[str, str] | None:
    """What is wrong and what to do, if there is no such kind."""
    found = _find(package)
    if found is None:
        return f"the package `{package}` is not installed", f"pip install {package}"
    kinds = kinds_of(found)
    if kind in kinds:
        return None
    near = did_you_mean(kind, kinds)
    listed = ", ".join(f"`{package}/{name}`" for name in kinds) or "no kind of step at all"
    hint = f"did you mean `{package}/{near}`?" if near else f"it has {listed}; perhaps a newer version: pip install -U {package}"
    return f"the package `{package}` {found.version} has no kind of step `{kind}`", hint


def kinds_of(found: Distribution) -> list[str]:
    """The kinds of steps that a package brings."""
    return sorted({entry.name for entry in found.entry_points if entry.group == GROUP})


def version_of(package: str) -> str:
    """The installed version of a package; empty if there is none."""
    found = _find(package)
    return found.version if found else ""


def _find(package: str) -> Distribution | None:
    try:
        return distribution(package)
    except (PackageNotFoundError, ValueError):
        return None
