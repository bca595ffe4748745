"""The keys of pools: rows of the one table in `spec`, which holds them together with the others."""

from weft.model.keys import Key, Keys
from weft.model.shape import INTEGER_MAX, Amount, Boolean, Choice, Duration, Either, Frequency, Integer, Record, Size, Text
from weft.model.units import SIZE_MAX_BYTES, STARTS_MAX

BREAKER_FAILURES_MAX = 1_000
"""A breaker that lets more pass protects nobody."""

SIZE = Either((Integer(1, SIZE_MAX_BYTES), Size()))

STEP_MAX_PARALLEL = Key(
    "max_parallel",
    Integer(1, INTEGER_MAX),
    "How many attempts of this step may be alive at once: of a fan-out, those of its instances.",
    "4",
    "as many as other limits allow",
)

LIMITS = ("slots", "rate", "breaker")
"""A pool without any of them limits nothing."""

POOL_RECORDS: dict[str, Keys] = {
    "pool": Keys(
        "a pool",
        (
            Key(
                "slots",
                Amount(auto=True),
                "How many units are held at most at once: a number, or a size like `8GiB`. For `cpu`, `mem` and `gpu` also "
                "`auto`: what this machine has, and lets weft use.",
                "8",
                "no limit",
            ),
            Key(
                "rate",
                Frequency(),
                "How many attempts start in a stretch of time: `60/min`, `10/s`, `5/100ms`. Each start takes one token, whatever "
                "its weight; a step that waits for a token holds nothing.",
                "60/min",
                "no limit",
            ),
            Key(
                "burst",
                Integer(1, STARTS_MAX),
                "With `rate`: how many attempts may start together after a rest. With 1 the starts are spread evenly, and no "
                "stretch of time has more of them than the rate says.",
                "10",
                "1",
            ),
            Key(
                "per",
                Text(field="data"),
                "An expression that is evaluated for each step that takes the pool, in the scope of that step. Each value has "
                "slots, rate and breaker of its own.",
                '"${{ inputs.day }}"',
            ),
            Key(
                "adaptive",
                Boolean(),
                "Whether the pool has fewer slots while there are signs of overload (a timeout, a wait that a server asks for): "
                "half as many after each, one more after as many successes as it has slots, never more than `slots`.",
                "true",
                "false",
            ),
            Key(
                "breaker",
                Either((Integer(1, BREAKER_FAILURES_MAX), Record("breaker"))),
                "A circuit breaker: a number of failures in a row, or a mapping. After so many nothing that takes the pool "
                "starts for a while; then one attempt tries whether it is closed again.",
                "{ failures: 5, cooldown: 60s }",
            ),
            Key(
                "scope",
                Choice(("run", "engine")),
                "Who shares the slots. `run`: the steps of one run. `engine`: all runs on this machine that use the same state "
                "folder; rate and breaker remain those of each run. Where files declare different sizes, the smallest "
                "counts for all.",
                "engine",
                "run",
            ),
        ),
        some_of=LIMITS,
        meant={
            **dict.fromkeys(("size", "capacity", "limit", "units", "max_parallel", "concurrency"), "slots"),
            **dict.fromkeys(("rate_limit", "throttle", "rps", "starts"), "rate"),
            **dict.fromkeys(("key", "by", "group", "each"), "per"),
            **dict.fromkeys(("circuit_breaker", "breaks"), "breaker"),
        },
    ),
    "breaker": Keys(
        "a breaker",
        (
            Key("failures", Integer(1, BREAKER_FAILURES_MAX), "Failed attempts in a row that open it.", "3", "5"),
            Key("cooldown", Duration(positive=True), "How long it stays open before one attempt may try.", "30s", "60s"),
        ),
        meant={
            **dict.fromkeys(("threshold", "max_failures", "failure_threshold"), "failures"),
            **dict.fromkeys(("timeout", "reset_timeout", "wait", "pause"), "cooldown"),
        },
    ),
}
