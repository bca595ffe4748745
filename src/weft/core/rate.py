"""A rate limit as arithmetic on instants: a token bucket that remembers one number.

The bucket holds up to `burst` tokens and gets one every `interval_s`; a start takes one. What is remembered is the instant at
which the bucket will be full again, had nobody taken more: the "theoretical arrival time" of the generic cell rate algorithm
(ITU-T Recommendation I.371, annex A; ATM Forum Traffic Management Specification 4.0, section 4.4.3). Both are the same limit: in
no stretch of t seconds are there more than burst + t ÷ interval_s starts.
"""

from weft.model.workflow import Rate

NEVER = float("-inf")
"""When a bucket was last taken from that nobody has taken from: it is full."""


def opens(full_at: float, rate: Rate, burst: int) -> float:
    """The instant from which the bucket has a token."""
    return full_at - (burst - 1) * rate.interval_s


def taken(full_at: float, rate: Rate, now: float) -> float:
    """`full_at` after a start at `now`."""
    return max(full_at, now) + rate.interval_s


def emptied(full_at: float, rate: Rate, burst: int, now: float) -> float:
    """`full_at` of a bucket in which nothing is left at `now`, as after a crash: the last starts may not have been saved."""
    return max(full_at, now + burst * rate.interval_s)
