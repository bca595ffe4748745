"""`resources` of the native format: the pools of the file, and what each step takes of them."""

from typing import Any

import msgspec

from weft.formats.document import Findings, Path, Where
from weft.formats.references import has_expressions
from weft.formats.shapes import Fields
from weft.model.pool_keys import LIMITS
from weft.model.tokens import shown
from weft.model.workflow import FRACTIONS, MACHINE_POOLS, Breaker, Pool, Rate, Value

_NO_BREAKER = Breaker()
WRONG = Pool()
"""Stands for a pool that was wrong, which has been reported."""


def read_pool(name: str, value: int | str | Fields, path: Path, findings: Findings) -> Pool:
    """A pool, from its slots or from a mapping. `path`: where it stands."""
    if not isinstance(value, Fields):
        return _sized(name, value, path, findings)
    if not value.keys() & set(LIMITS):
        if not value.refused:
            message, hint = f"the pool `{shown(name)}` limits nothing", "add `slots: 8`, `rate: 60/min` or `breaker: 5`"
            findings.add("W203", message, Where(value.path, "key"), hint=hint)
        return WRONG
    _check_meaning(value, findings)
    _check_shared(value, findings)
    if name in MACHINE_POOLS and value.get("per"):
        where, hint = Where(value.at("per"), "key"), "make a pool of another name for it, and let the steps take both"
        findings.add("W214", f"`per` says nothing about `{name}`: there is one machine", where, hint=hint)
    rate = value.get("rate")
    return msgspec.structs.replace(
        _sized(name, value.get("slots"), value.at("slots") if "slots" in value else value.path, findings),
        scope=value.get("scope", "run"),
        rate=Rate(*rate) if rate else None,
        burst=value.get("burst", 1),
        per=value.get("per", ""),
        adaptive=value.get("adaptive", False),
        breaker=_breaker(value.get("breaker")),
    )


def _sized(name: str, slots: int | str | None, path: Path, findings: Findings) -> Pool:
    """A pool with so many slots; of those of the machine it is known what their units are."""
    auto, unit = slots == "auto", MACHINE_POOLS.get(name, 1)
    if name == "gpu" and isinstance(slots, int) and slots % FRACTIONS:
        findings.add("W205", "there is no part of a GPU to declare", Where(path), hint="a whole number; steps may ask for parts")
    return Pool(slots=None if isinstance(slots, str) else slots, auto=auto, unit=unit, is_bytes=name == "mem")


def _check_shared(fields: Fields, findings: Findings) -> None:
    """`scope: engine` is about slots, of which every run must mean the same. A rate and a breaker remain those of each run."""
    if fields.get("scope") != "engine":
        return
    if "slots" not in fields and "slots" not in fields.refused:
        message = "`scope: engine` says nothing about a pool without slots"
        findings.add("W214", message, Where(fields.at("scope"), "key"), hint="add `slots: 8`, or remove it")
    for key in ("per", "adaptive"):
        if fields.get(key):
            hint = "make two pools of it, and let the steps take both"
            findings.add("W214", f"`{key}` cannot be shared: it belongs to one run", Where(fields.at(key), "key"), hint=hint)


def _breaker(given: int | Fields | None) -> Breaker | None:
    if given is None:
        return None
    if isinstance(given, int):
        return Breaker(failures=given)
    return Breaker(failures=given.get("failures", _NO_BREAKER.failures), cooldown_s=given.get("cooldown", _NO_BREAKER.cooldown_s))


def _check_meaning(fields: Fields, findings: Findings) -> None:
    """Keys that are right by themselves and say nothing beside the others."""

    def add(key: str, message: str, hint: str) -> None:
        findings.add("W214", message, Where(fields.at(key), "key"), hint=hint)

    if "burst" in fields and "rate" not in fields and "rate" not in fields.refused:
        add("burst", "`burst` says nothing about a pool without a rate", "add `rate: 60/min`, or remove it")
    if fields.get("slots") == "auto" and fields.get("adaptive"):
        add("adaptive", "`adaptive` says nothing about what the machine has", "give the pool a number of slots, or remove it")
    elif fields.get("adaptive") and "slots" not in fields and "slots" not in fields.refused:
        add("adaptive", "`adaptive` says nothing about a pool without slots", "add `slots: 8`, or remove it")
    if "per" in fields and not has_expressions(fields["per"]):
        hint = 'refer to what tells the steps apart, as in `per: "${{ inputs.tenant }}"`, or remove it'
        add("per", "`per` is the same for every step", hint)


def check_demand(pool: str, weight: int, limits: Pool, written: Value, has: Value, path: Path, declared: Path) -> dict[str, Any]:
    """What is wrong with a step that takes so much of a pool, as arguments for Findings.add; empty: nothing.

    `written` and `has` are the weight and the pool as they stand in the file, `path` and `declared` where.
    """
    if pool == "gpu" and weight > FRACTIONS and weight % FRACTIONS:
        hint = "write a whole number, or a part of one: `gpu: 0.5`"
        return {"code": "W205", "message": f"nobody can have {written} GPUs", "where": Where(path), "hint": hint}
    if limits.auto:
        return {}
    if limits.slots is None:
        if weight == 1 or limits is WRONG:
            return {}
        message = f"the step asks for {written} of the pool `{pool}`, which has no slots: a start counts once"
        return {"code": "W214", "message": message, "where": Where(path), "hint": f"write `{pool}: 1`, or give the pool slots"}
    if weight <= limits.slots:
        return {}
    size = has["slots"] if isinstance(has, dict) else has
    return {
        "code": "W308",
        "message": f"the step asks for {written} of the pool `{pool}`, which has {size}",
        "where": Where(path),
        "seconds": [(Where(declared), "its size")],
        "hint": "ask for less, or make the pool larger: as it is, the step could never start",
    }
