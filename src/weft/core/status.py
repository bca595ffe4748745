"""The life of a step as data. `docs/status.md` is drawn from this table, and `State.apply` obeys it.

`held` and `ready` are one status here: a ready step that a whole turn has not started is held, and `why` says by what. A step
that has been expanded into others is `running` for everybody else.
"""

from enum import IntEnum
from typing import Final


class Status(IntEnum):
    WAITING = 0
    READY = 1
    RUNNING = 2
    STOPPING = 3
    BACKING_OFF = 4
    EXPANDED = 5
    AWAITING_APPROVAL = 6
    INTERRUPTED = 7
    SUCCEEDED = 10
    FAILED = 11
    CANCELLED = 12
    SKIPPED = 13
    REUSED = 14

    @property
    def settled(self) -> bool:
        return self >= Status.SUCCEEDED

    @property
    def good(self) -> bool:
        """Whether it has succeeded, in this run or in the one that its output was taken from."""
        return self is Status.SUCCEEDED or self is Status.REUSED


class Event(IntEnum):
    """What happens to a step. Each is caused by exactly one kind of fact (and, for AttemptEnded, its outcome)."""

    READY = 0
    STARTED = 1
    STOPPING = 2
    ENDED_OK = 3
    ENDED_BADLY = 4
    LOST = 5
    BACKOFF = 6
    FAILED = 7
    CANCELLED = 8
    SKIPPED = 9
    RETRY = 10
    EXPANDED = 11
    SUCCEEDED = 12
    REOPENED = 13
    OPENED = 14
    ANSWERED = 15
    REUSED = 16
    REPEATED = 20
    INTERRUPTED = 21
    TOLD = 22


TABLE: Final[dict[tuple[Status, Event], Status]] = {
    (Status.WAITING, Event.READY): Status.READY,
    (Status.BACKING_OFF, Event.READY): Status.READY,
    (Status.READY, Event.STARTED): Status.RUNNING,
    (Status.RUNNING, Event.STOPPING): Status.STOPPING,
    (Status.RUNNING, Event.ENDED_OK): Status.SUCCEEDED,
    # between attempts a step waits for the verdict of the same turn: another attempt, or the end
    (Status.RUNNING, Event.ENDED_BADLY): Status.WAITING,
    (Status.STOPPING, Event.ENDED_BADLY): Status.WAITING,
    (Status.RUNNING, Event.LOST): Status.WAITING,
    (Status.STOPPING, Event.LOST): Status.WAITING,
    (Status.WAITING, Event.INTERRUPTED): Status.INTERRUPTED,
    (Status.INTERRUPTED, Event.TOLD): Status.WAITING,
    (Status.INTERRUPTED, Event.CANCELLED): Status.CANCELLED,
    (Status.WAITING, Event.BACKOFF): Status.BACKING_OFF,
    (Status.WAITING, Event.FAILED): Status.FAILED,
    (Status.READY, Event.FAILED): Status.FAILED,
    (Status.WAITING, Event.CANCELLED): Status.CANCELLED,
    (Status.READY, Event.CANCELLED): Status.CANCELLED,
    (Status.BACKING_OFF, Event.CANCELLED): Status.CANCELLED,
    (Status.WAITING, Event.SKIPPED): Status.SKIPPED,
    (Status.READY, Event.SKIPPED): Status.SKIPPED,
    (Status.WAITING, Event.REUSED): Status.REUSED,
    # a gate before a step: once it is answered, the step waits for the verdict of the same turn
    (Status.WAITING, Event.OPENED): Status.AWAITING_APPROVAL,
    (Status.AWAITING_APPROVAL, Event.ANSWERED): Status.WAITING,
    (Status.AWAITING_APPROVAL, Event.SKIPPED): Status.SKIPPED,
    (Status.WAITING, Event.SUCCEEDED): Status.SUCCEEDED,
    # a fan-out and a sub-workflow make no attempts: they are over when their steps are
    (Status.WAITING, Event.EXPANDED): Status.EXPANDED,
    # a step that would fail waits for its fallback in the same way
    (Status.READY, Event.EXPANDED): Status.EXPANDED,
    (Status.EXPANDED, Event.EXPANDED): Status.EXPANDED,
    (Status.EXPANDED, Event.SUCCEEDED): Status.SUCCEEDED,
    # a person says of an interrupted step that its work is done
    (Status.EXPANDED, Event.FAILED): Status.FAILED,
    (Status.EXPANDED, Event.CANCELLED): Status.CANCELLED,
    (Status.EXPANDED, Event.SKIPPED): Status.SKIPPED,
    (Status.SUCCEEDED, Event.REOPENED): Status.EXPANDED,
    (Status.FAILED, Event.REOPENED): Status.EXPANDED,
    (Status.CANCELLED, Event.REOPENED): Status.EXPANDED,
    (Status.SKIPPED, Event.REOPENED): Status.EXPANDED,
    (Status.FAILED, Event.RETRY): Status.WAITING,
    (Status.CANCELLED, Event.RETRY): Status.WAITING,
    (Status.SKIPPED, Event.RETRY): Status.WAITING,
    # steps of `finally` run again whenever the run ends again
    (Status.SUCCEEDED, Event.REPEATED): Status.WAITING,
    (Status.REUSED, Event.REPEATED): Status.WAITING,
}
