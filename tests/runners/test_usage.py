"""What attempts report in `$WEFT_USAGE`, and by an exception: tokens, cost, when to try again."""

import time
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from weft.executors.worker import retry_after_s
from weft.host.usage import BYTES_MAX, reported
from weft.model.output import ErrorRecord, Usage, sum_of
from weft.ports import Ended

OK = Ended(key=("a", 1), outcome="ok", payload=b"")
FAILED = Ended(key=("a", 1), outcome="failed", error=ErrorRecord(kind="exit", message="exit 1", exit_code=1))


def report(tmp_path: Path, text: str, ended: Ended = OK) -> Ended:
    path = tmp_path / "usage"
    path.write_text(text)
    found = reported(ended, str(path))
    assert not path.exists()
    return found


def test_no_file(tmp_path: Path) -> None:
    assert reported(OK, str(tmp_path / "none")) is OK


@pytest.mark.parametrize("text", ["", "  \n", "{}", '{"cost": 0}'])
def test_nothing_in_it(tmp_path: Path, text: str) -> None:
    assert report(tmp_path, text) is OK


def test_tokens_and_cost(tmp_path: Path) -> None:
    found = report(tmp_path, '{"tokens_in": 3, "tokens_out": 4, "cost": 0.5}\n')
    assert found.usage == Usage(tokens_in=3, tokens_out=4, cost=0.5)
    assert found.usage.tokens == 7
    assert found.outcome == "ok"


def test_a_failure_reports_too(tmp_path: Path) -> None:
    found = report(tmp_path, '{"tokens_in": 3, "retry_after": 20}', FAILED)
    assert found.usage == Usage(tokens_in=3)
    assert found.error is not None
    assert found.error.retry_after_s == 20.0
    assert found.error.exit_code == 1


@pytest.mark.parametrize(
    "text", ["tokens", '{"tokens": 3}', '{"tokens_in": -1}', '{"cost": "3"}', '{"cost": 1e99}', "[1]", " " * BYTES_MAX + "{}"]
)
def test_nonsense_is_no_success(tmp_path: Path, text: str) -> None:
    found = report(tmp_path, text)
    assert found.outcome == "failed"
    assert found.error is not None
    assert found.error.kind == "invalid_output"
    assert "$WEFT_USAGE" in found.error.message


def test_nonsense_of_a_failure_is_a_hint(tmp_path: Path) -> None:
    found = report(tmp_path, "nonsense", FAILED)
    assert found.error is not None
    assert found.error.message == "exit 1"
    assert "tokens_in" in found.error.hint


def test_it_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    found = reported(OK, str(tmp_path / "folder"))
    assert found.error is not None
    assert found.error.kind == "invalid_output"


def test_the_sum() -> None:
    assert sum_of([]) == Usage()
    assert sum_of([Usage(tokens_in=1, cost=0.5), Usage(tokens_in=2, tokens_out=3)]) == Usage(tokens_in=3, tokens_out=3, cost=0.5)


# ---- exceptions ----


def error(**attributes: Any) -> Exception:
    found = Exception("too many")
    for name, value in attributes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("raised", "seconds"),
    [
        (error(), None),
        (error(retry_after=3), 3.0),
        (error(retry_after="2.5"), 2.5),
        (error(retry_after=timedelta(minutes=1)), 60.0),
        (error(retry_after=True), None),
        (error(retry_after=float("nan")), None),
        (error(retry_after="soon"), None),
        (error(retry_after=-4), 0.0),
        (error(headers={"Retry-After": "7"}), 7.0),
        (error(response=SimpleNamespace(headers={"Retry-After": "8"})), 8.0),
        (error(response=SimpleNamespace(headers={})), None),
        (error(headers=3), None),
    ],
)
def test_when_to_try_again(raised: Exception, seconds: float | None) -> None:
    assert retry_after_s(raised) == seconds


def test_a_date() -> None:
    found = retry_after_s(error(headers={"Retry-After": formatdate(time.time() + 100, usegmt=True)}))
    assert found is not None
    assert 50 < found <= 100
