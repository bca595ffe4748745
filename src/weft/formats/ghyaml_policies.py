"""What becomes of a YAML workflow's failures, conditions, pools and retries in weft."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.formats.document import Path, Where
from weft.formats.ghyaml_actions import OUTPUTS_MAX, Limits
from weft.formats.ghyaml_expression import Node, paths_in
from weft.formats.ghyaml_lowering import Names, NotLowered, reads_status, step_path, truth
from weft.formats.ghyaml_reading import Reading
from weft.formats.ghyaml_steps import Config
from weft.formats.shapes import described
from weft.model.cycle import find_cycle
from weft.model.shape import NAME
from weft.model.tokens import shown
from weft.model.workflow import Breaker, OnError, Pool, Retry, Sleep, Value

GATE: Final = Sleep(0)
"""Stands for the action of a step until that is made."""

NO_LIMITS: Final = Limits(timeout_s=None, retry=Retry(), resources={}, max_parallel=None)

RETRY_KEYS: Final = (
    *("enableRetry", "maxAttempts", "initialDelayMs", "maxDelayMs", "backoffMultiplier", "stepSpecificRetry", "circuitBreaker"),
)
ATTEMPTS: Final = 3
"""What is documented where `retryOptions` does not say."""
RETRIED: Final = ("script", "agent", "http")
"""What else a step can be does nothing that may pass."""
BREAKER_KEYS: Final = ("enabled", "failureThreshold", "resetTimeoutMs")
TRANSIENT: Final = (
    *("timeout", "Transient", "HTTP429", "HTTP502", "HTTP503", "HTTP504"),
    *("ConnectError", "TimeoutException", "NetworkError", "ConnectionError", "TimeoutError"),
)
"""What is tried again: what is documented as such, by the names that it has in weft."""
_OF_CONDITION = re.compile(r"condition_([a-zA-Z0-9_-]+)_(result|triggered_steps)")


# ---- failure ----


def on_error_of(reading: Reading, fields: Mapping[str, Value], parallel: Mapping[str, Value], path: Path) -> OnError:
    isolates = reading.flag(parallel, "isolateErrors", (*path, "parallel"))
    goes_on = reading.flag(fields, "continueOnError", path)
    config = fields.get("config")
    if goes_on is None and isinstance(config, dict) and fields.get("type") == "condition":
        goes_on = reading.flag(config, "continueOnError", (*path, "config"))
    if isolates:
        return "continue" if goes_on else "isolate"
    if goes_on:
        return "stop_layer" if isolates is False else "continue"
    return "stop"


# ---- conditions ----


def may_skip(needs: Mapping[str, Sequence[str]], conditional: Sequence[str]) -> set[str]:
    """The steps that may be skipped although nothing failed: those with a condition, and what depends on them."""
    after: dict[str, list[str]] = {}
    for id_, wanted in needs.items():
        for need in wanted:
            after.setdefault(need, []).append(id_)
    found, todo = set(conditional), list(conditional)
    while todo:
        new = [id_ for id_ in after.get(todo.pop(), ()) if id_ not in found]
        found.update(new)
        todo += new
    return found


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """The `if` of a step. `before`: that of a step before it, which finds it out where no `if` can; None: none is needed."""

    condition: str
    before: str | None = None


def condition_of(
    node: Node | None,
    gates: Sequence[tuple[str, bool]],
    needs: Sequence[str],
    forgiven: Sequence[str],
    names: Names,
    decider: str,
) -> Decided:
    """What triggers a step, and what it says itself. `forgiven`: steps that hold it back neither by being skipped nor by failing.
    `decider`: the id of the step that decides, should one be needed."""
    tests, own, told = [], "", set[str]()
    if gates:
        asked = [f"{step_path(id_)}.output.result? == {str(yes).lower()}" for id_, yes in dict.fromkeys(gates)]
        tests.append(" || ".join(asked))
    if node is not None:
        try:
            own = truth(node, names)
        except NotLowered:
            own = f"{step_path(decider)}.output.result? == true"
        told = {
            str(keys[0])
            for root, keys in paths_in(node)
            if root == "steps" and keys and reads_status(keys[1:], names.steps[str(keys[0])])
        }
    if told:  # it says itself what the end of those steps means; of the others it is that they may not have failed
        others = [f'!({step_path(id_)}.status in ["failed", "cancelled"])' for id_ in needs if id_ not in told]
        tests = [*others, f'{step_path(min(told))}.status != ""', *tests]
    elif forgiven:
        skips = [f'{step_path(id_)}.status == "skipped"' for id_ in forgiven]
        tests = ["!failed()", " || ".join(["success()", *skips]), *tests]
    before, whole = (" && ".join(f"({test})" for test in each) for each in (tests, [*tests, *[own] * bool(own)]))
    return Decided(condition=whole, before=before if own.startswith(step_path(decider)) else None)


def name_conditions(node: Any, ids: Iterable[str]) -> None:
    """Turn the variables that conditions set (`condition_<id>_result`) into parts of what those steps leave behind."""
    todo = [node]
    while todo:
        node = todo.pop()
        if not isinstance(node, list):
            continue
        if node[:2] == ["path", "variables"] and node[2] and (found := _OF_CONDITION.fullmatch(str(node[2][0]))):
            if found[1] in ids:
                part = "result" if found[2] == "result" else "triggeredSteps"
                node[1], node[2][0:1] = "steps", [found[1], part]
        elif node[:1] != ["lit"]:
            todo += node


# ---- pools ----


def read_pools(reading: Reading, given: Value, retry: Value, path: Path) -> dict[str, Pool]:
    at = (*path, "parallel", "resources")
    wanted = retry.get("circuitBreaker") if isinstance(retry, dict) else None
    breaker = None if wanted is None else _breaker(reading, wanted, (*path, "retryOptions", "circuitBreaker"))
    pools = {}
    for name in reading.mapping(given, at, "resources: { cpu: 2 }"):
        if not re.fullmatch(NAME, name):
            hint = "a name begins with a letter and has letters, digits, `_` and `-`"
            reading.findings.add("W905", f"no pool can be called `{shown(name)}`", Where((*at, name), "key"), hint=hint)
        elif slots := reading.count(given, name, at):
            pools[name] = Pool(slots=slots, breaker=breaker)
    return pools


def unused(name: str, taken: Collection[str]) -> str:
    """The name, or one like it that is free."""
    while name in taken:
        name += "-"
    return name


def _breaker(reading: Reading, given: Value, path: Path) -> Breaker | None:
    """What `circuitBreaker` says; None if it is off."""
    if given is False:
        return None
    fields = {} if given is True else reading.mapping(given, path)
    reading.check_keys(fields, BREAKER_KEYS, path, "`circuitBreaker`")
    if reading.flag(fields, "enabled", path) is False:
        return None
    failures = reading.count(fields, "failureThreshold", path) or 5
    return Breaker(failures=failures, cooldown_s=_ms(reading, fields, path, "resetTimeoutMs", 60_000) / 1000)


# ---- retries ----


def check_step_retries(reading: Reading, whole: Value, steps: Collection[str], root: Path) -> None:
    """Whether `stepSpecificRetry` speaks of steps that there are."""
    path = (*root, "retryOptions", "stepSpecificRetry")
    given = whole.get("stepSpecificRetry") if isinstance(whole, dict) else None
    for id_ in given if isinstance(given, dict) else ():
        if id_ not in steps:
            hint = reading.findings.suggest(id_, steps) or "remove it"
            reading.findings.add("W904", f"there is no step `{shown(id_)}` to try again", Where((*path, id_), "key"), hint=hint)


def retry_of(
    reading: Reading, whole: Value, fields: Mapping[str, Value], config: Config, path: Path, root: Path
) -> tuple[Retry, Breaker | None]:
    """What the file says of the attempts of a step, the step last; and what else holds them back, where they are so many."""
    everywhere, id_ = (*root, "retryOptions"), str(fields.get("id"))
    of_all = reading.mapping(whole, everywhere)
    by_step = reading.mapping(of_all.get("stepSpecificRetry"), (*everywhere, "stepSpecificRetry"))
    layers: list[tuple[Mapping[str, Value], Path]] = [
        (reading.mapping(fields.get("retryOptions"), (*path, "retryOptions")), (*path, "retryOptions")),
        (reading.mapping(by_step.get(id_), (*everywhere, "stepSpecificRetry", id_)), (*everywhere, "stepSpecificRetry", id_)),
        (of_all, everywhere),
    ]
    for layer, at in layers:
        reading.check_keys(layer, RETRY_KEYS, at, "`retryOptions`")

    def said(key: str) -> tuple[Mapping[str, Value], Path]:
        """Where a key is given, the step first."""
        return next(((layer, at) for layer, at in layers if key in layer), layers[-1])

    if config.retries is not None and not layers[0][0] and not layers[1][0]:
        return Retry(times=config.retries, when=TRANSIENT), None
    layer, at = said("enableRetry")
    if reading.flag(layer, "enableRetry", at) is False or config.type not in RETRIED:
        return Retry(), None
    layer, at = said("maxAttempts")
    attempts = reading.count(layer, "maxAttempts", at) or ATTEMPTS
    retry = Retry(
        times=attempts - 1,
        delay_s=_ms(reading, *said("initialDelayMs"), "initialDelayMs", 1000) / 1000,
        max_delay_s=_ms(reading, *said("maxDelayMs"), "maxDelayMs", 10_000) / 1000,
        factor=max(1.0, _ms(reading, *said("backoffMultiplier"), "backoffMultiplier", 2)),
        when=TRANSIENT,
    )
    layer, at = said("circuitBreaker")
    breaker = _breaker(reading, layer.get("circuitBreaker"), (*at, "circuitBreaker"))
    return retry, breaker if breaker and attempts > breaker.failures else None


def _ms(reading: Reading, fields: Mapping[str, Value], path: Path, key: str, otherwise: float) -> float:
    value = reading.constant(fields.get(key), (*path, key))
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:
        what = described(value) if not isinstance(value, int | float) else str(value)
        reading.wrong(f"`{key}` is {shown(what)}, where a number must be", (*path, key), f"{key}: {otherwise:g}")
        return otherwise
    return value


# ---- what is before what ----


def first_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The ids of steps that wait for each other, in order; none if there are none."""
    ids = list(needs)
    number: dict[str, Any] = {id_: n for n, id_ in enumerate(ids)}
    cycle = find_cycle([[number[need] for need in needs[id_] if need in number] for id_ in ids])
    return [ids[n] for n in cycle] if cycle else []


def before(step: str, needs: Mapping[str, list[str]]) -> list[str]:
    """The steps that have settled when this one starts, the nearest first."""
    found: dict[str, None] = {}
    level = needs[step]
    while level and len(found) < OUTPUTS_MAX:
        new = [id_ for id_ in dict.fromkeys(level) if id_ not in found]
        found |= dict.fromkeys(new[: OUTPUTS_MAX - len(found)] if found else new)
        level = [above for id_ in new for above in needs[id_]]
    return list(found)
