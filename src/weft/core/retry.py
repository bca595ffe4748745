"""Whether a failed attempt is followed by another, and when."""

from hashlib import blake2b

from weft.model.output import ErrorRecord
from weft.model.workflow import Retry


def draw(seed: int, step: str, attempt: int) -> float:
    """A number in [0, 1) that depends on nothing but these three, so that a replay, and a test, see the same jitter."""
    digest = blake2b(f"{seed}/{step}/{attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def matches(when: tuple[str, ...], error: ErrorRecord) -> bool:
    """Whether `retry.when` allows another attempt after this error: by kind, `exit N`, or exception name; empty allows all."""
    names = {error.kind, f"exit {error.exit_code}", *error.exception.split()}
    return not when or not names.isdisjoint(when)


def backoff_s(retry: Retry, failures: int, chance: float) -> float:
    """Seconds to wait after failure number `failures` (from 1): exponential, capped, with full jitter.

    Full jitter draws from [0, cap) so that many steps that failed together do not come back together (M. Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    try:
        grown = retry.delay_s and retry.delay_s * retry.factor ** (failures - 1)
    except OverflowError:
        grown = retry.max_delay_s
    cap = min(grown, retry.max_delay_s)
    return cap * chance if retry.jitter else cap


def next_start(
    retry: Retry,
    failures: int,
    error: ErrorRecord,
    *,
    now: float,
    first_started: float,
    deadline: float | None = None,
    chance: float,
) -> float | None:
    """When the next attempt may start; None: there is none. A server's Retry-After is honoured, however long."""
    if failures > retry.times or not matches(retry.when, error):
        return None
    until = now + max(backoff_s(retry, failures, chance), error.retry_after_s or 0.0)
    if retry.max_elapsed_s is not None and until > first_started + retry.max_elapsed_s:
        return None
    return None if deadline is not None and until >= deadline else until
