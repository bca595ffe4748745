"""`retry` of the native format: which failures are followed by another attempt, and when."""

import re

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import Fields, quoted
from weft.model.output import ErrorKind
from weft.model.tokens import shown
from weft.model.workflow import Retry

_ERROR_KINDS: tuple[str, ...] = ErrorKind.__args__  # type: ignore[attr-defined]
_EXIT = re.compile(r"exit ([1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])")
_EXCEPTION = re.compile(r"[A-Z]\w*")
_NO_RETRY = Retry()


def read_retry(fields: Fields, findings: Findings) -> Retry:
    """What a mapping with a field `retry` says of further attempts."""
    given = fields.get("retry")
    if given is None:
        return _NO_RETRY
    if isinstance(given, int):
        return Retry(times=given)
    delay_s = given.get("delay", _NO_RETRY.delay_s)
    max_delay_s = given.get("max_delay", max(delay_s, _NO_RETRY.max_delay_s))
    if max_delay_s < delay_s:
        findings.add("W205", "`max_delay` is shorter than `delay`", Where(given.at("max_delay")), hint="make it at least as long")
    for index, word in enumerate(given.get("when", [])):
        if word:
            _check_filter(word, given.at("when", index), findings)
    return Retry(
        times=given.get("times", 0),
        delay_s=delay_s,
        factor=given.get("factor", _NO_RETRY.factor),
        max_delay_s=max_delay_s,
        jitter=given.get("jitter", True),
        when=tuple(given.get("when", ())),
        max_elapsed_s=given.get("max_elapsed"),
    )


def _check_filter(word: str, path: Path, findings: Findings) -> None:
    """One item of `when`."""
    if word in _ERROR_KINDS or _EXIT.fullmatch(word) or _EXCEPTION.fullmatch(word):
        return
    meant = "" if word.startswith("exit") else findings.suggest(word, _ERROR_KINDS)
    hint = meant or f"it is one of {quoted(_ERROR_KINDS, 20)}, `exit 1` to `exit 255`, or the name of an exception"
    findings.add("W205", f"there is no failure of the sort `{shown(word)}`", Where(path), hint=hint)
