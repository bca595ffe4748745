"""Durations, sizes and rates carry their unit: `90s`, `1h30m`, `512MiB`, `60/min`. A bare number is seconds or bytes.

What is refused is refused with a ValueError whose text says what is accepted; it starts with the value, so that a caller may
put a place before it.
"""

import re

DURATION_MAX_S = 36_500 * 86_400.0
"""A hundred years. More is a slip of the pen, and the timers of operating systems overflow not far beyond."""

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
"""Whole numbers that every part of weft, and every program it speaks to, can carry."""

SIZE_MAX_BYTES = INTEGER_MAX
"""The largest size that the operating system's calls can take."""

STARTS_MAX = 1_000_000
"""Starts of a rate. More in one window are more than a run has steps."""

RATE_MAX_PER_S = 10_000
"""The fastest rate: the core itself starts steps hardly faster, so more would limit nothing."""

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DECIMAL = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES = _DECIMAL | {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{1,20})?"
_DURATION = re.compile("".join(f"(?:({_NUMBER}){unit})?" for unit in _SECONDS))
_WINDOWS = {"ms": 0.001, **dict.fromkeys(("s", "second"), 1.0), **dict.fromkeys(("m", "min", "minute"), 60.0)}
_WINDOWS |= {**dict.fromkeys(("h", "hour"), 3_600.0), **dict.fromkeys(("d", "day"), 86_400.0)}
_RATE = re.compile(r"([0-9]{1,7}) ?/ ?(\S.*)")
_SIZE = re.compile(f"({_NUMBER}) ?({'|'.join(_BYTES)})?")


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, str) else repr(value)
    return f"`{text}`" if len(text) <= 40 else f"`{text[:40]}…`"


def parse_duration(value: str | int | float) -> float:
    """Seconds, from a number of seconds or from text with units in falling order (`2d`, `1h30m`, `90s`, `250ms`, `1.5h`)."""
    seconds = -1.0
    if isinstance(value, str):
        if re.fullmatch(_NUMBER, value):
            seconds = float(value)
        elif value and (found := _DURATION.fullmatch(value)):
            parts = zip(found.groups(), _SECONDS.values(), strict=True)
            seconds = sum(float(number) * unit for number, unit in parts if number)
    elif not isinstance(value, bool) and value <= DURATION_MAX_S:
        seconds = float(value)
    if 0 <= seconds <= DURATION_MAX_S:
        return seconds
    raise ValueError(
        f"{_shown(value)} is not a duration: write seconds, or a number with a unit like `250ms`, `90s`, `10m`, `1h30m`, `2d`"
        " (up to 36500d)"
    )


def parse_size(value: str | int | float) -> int:
    """Bytes, from a number of bytes or from text with a unit: `10kB` and `10MB` are decimal, `512MiB` and `8GiB` binary."""
    size = -1.0
    if isinstance(value, str):
        if found := _SIZE.fullmatch(value):
            unit = _BYTES[found[2] or "B"]
            size = round(float(found[1]) * unit) if "." in found[1] else int(found[1]) * unit
    elif not isinstance(value, bool) and 0 <= value <= SIZE_MAX_BYTES and value == int(value):
        size = int(value)
    if 0 <= size <= SIZE_MAX_BYTES:
        return int(size)
    raise ValueError(
        f"{_shown(value)} is not a size: write whole bytes, or a number with a unit like `10kB`, `64MB` (decimal), `512MiB`,"
        " `8GiB` (binary)"
    )


def parse_rate(value: str) -> tuple[int, float]:
    """Starts and the seconds of their window, from text: `60/min`, `10/s`, `5/100ms`, `1000/1h30m`."""
    found = _RATE.fullmatch(value)
    if found:
        starts, window = int(found[1]), found[2]
        window_s = _WINDOWS.get(window, 0.0)
        if not window_s and not re.fullmatch(_NUMBER, window):
            try:
                window_s = parse_duration(window)
            except ValueError:
                window_s = 0.0
        if 0 < starts <= STARTS_MAX and window_s and starts <= RATE_MAX_PER_S * window_s:
            return starts, window_s
    raise ValueError(
        f"{_shown(value)} is not a rate: write starts per time like `60/min`, `10/s`, `5/100ms`, `1000/h`"
        f" (up to {RATE_MAX_PER_S:,} a second)"
    )


def format_rate(starts: int, window_s: float) -> str:
    """For people, in the shortest words: `60/min`, `5/100ms`."""
    for word in ("s", "min", "h", "d"):
        if window_s == _WINDOWS[word]:
            return f"{starts}/{word}"
    return f"{starts}/{format_duration(window_s)}"


def format_units(amount: float, unit: int = 1, *, is_bytes: bool = False) -> str:
    """Units of a pool for people: `2`, `0.5`, `8GiB`. `unit`: how many make one of what people write."""
    if is_bytes:
        return format_size(int(amount))
    return f"{amount / unit:g}" if amount % unit else str(int(amount) // unit)


def format_duration(seconds: float) -> str:
    """For people, at most two units: `120ms`, `0.6s`, `42s`, `6m31s`, `1h5m`, `2d3h`."""
    if seconds < 0.5:  # below half a second, milliseconds say more than tenths
        return f"{seconds * 1000:.3g}ms" if seconds >= 1e-6 else "0s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    whole = round(seconds)
    if whole >= 86_400:
        return _pair(round(seconds / 3_600), 24, "d", "h")
    if whole >= 3_600:
        return _pair(round(seconds / 60), 60, "h", "m")
    return _pair(whole, 60, "m", "s")


def _pair(count: int, base: int, large: str, small: str) -> str:
    whole, rest = divmod(count, base)
    return (f"{whole}{large}" if whole else "") + (f"{rest}{small}" if rest else "")


def format_size(size_bytes: int) -> str:
    """For people, in binary units: `512B`, `1.5MiB`, `8GiB`."""
    amount, units = float(size_bytes), ["TiB", "GiB", "MiB", "KiB", "B"]
    while amount >= 1023.95 and len(units) > 1:
        amount /= 1024
        units.pop()
    return f"{amount:.1f}".removesuffix(".0") + units[-1]
