"""The status table: complete, without dead ends, and the same as the page that is drawn from it."""

import re
import typing

import msgspec
from status_page import PAGE, page

from weft.core import facts as f
from weft.core.apply import _APPLY
from weft.core.status import TABLE, Event, Status


def test_the_page_is_drawn_from_the_table() -> None:
    assert PAGE.read_text() == page(), "run: python tests/core/status_page.py"


def test_a_step_can_get_everywhere_and_from_everywhere_to_an_end() -> None:
    reached = {Status.WAITING}
    for _ in Status:
        reached |= {after for (before, _), after in TABLE.items() if before in reached}
    assert reached == set(Status)
    ending = {status for status in Status if status.settled}
    for _ in Status:
        ending |= {before for (before, _), after in TABLE.items() if after in ending}
    assert ending == set(Status)


def test_what_is_settled_stays_so() -> None:
    assert {event for before, event in TABLE if before.settled} == {Event.RETRY, Event.REOPENED, Event.REPEATED}
    assert (Status.SUCCEEDED, Event.RETRY) not in TABLE  # what makes attempts is never REOPENED: apply sees to that
    assert [status for status in Status if status.settled] == [
        Status.SUCCEEDED,
        Status.FAILED,
        Status.CANCELLED,
        Status.SKIPPED,
        Status.REUSED,
    ]


def test_every_event_happens_somewhere() -> None:
    assert {event for _, event in TABLE} == set(Event)


def test_every_fact_can_be_applied_and_written() -> None:
    kinds = typing.get_args(f.Fact)
    assert set(_APPLY) == set(kinds)
    tags = [kind.__struct_config__.tag for kind in kinds]
    assert len(set(tags)) == len(tags)
    assert tags[:2] == ["run_created", "engine_attached"]
    assert set(re.findall(r"\(`(\w+)`\)", page())) <= set(tags)
    fact = f.StepsSkipped(at=1.5, steps=["a"], reason="need_failed", because="b")
    assert msgspec.json.decode(msgspec.json.encode(fact), type=f.Fact) == fact
