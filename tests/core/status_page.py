"""Writes docs/status.md from the status table; run it when the table has changed: `python tests/core/status_page.py`."""

from pathlib import Path

from weft.core.status import TABLE, Event, Status

PAGE = Path(__file__).parents[2] / "docs" / "status.md"

HEAD = """\
# The life of a step

Drawn from the table in `core/status.py`; `tests/core/status_page.py` writes this page. A ready step that a whole turn has not
started is shown as `held`. After an attempt a step is waiting only until the verdict of the same turn, or, if the run is being
suspended, until it is resumed. What is settled (an arrow to the end) does not change any more, unless the run has ended and
somebody asks for a retry; what succeeded never does, but a step of `finally` runs at each end, and a fan-out or a sub-workflow
that succeeded although some of its parts did not goes on with them.

"""

CAUSES = {
    Event.READY: "all that it waited for is there (`steps_ready`)",
    Event.STARTED: "an attempt was started (`attempt_started`)",
    Event.STOPPING: "the attempt is being ended: timeout, cancel, stop, suspend (`attempt_stopping`)",
    Event.ENDED_OK: "the attempt succeeded (`attempt_ended`)",
    Event.ENDED_BADLY: "the attempt failed or was cancelled (`attempt_ended`)",
    Event.LOST: "the attempt's engine died, or was told to leave (`attempt_lost`)",
    Event.BACKOFF: "there will be another attempt, not before some instant (`backoff_started`)",
    Event.FAILED: "no attempt is left, or its `if` cannot be evaluated (`step_failed`)",
    Event.CANCELLED: "it is not wanted any more, after at least one attempt, or was rejected (`step_cancelled`)",
    Event.SKIPPED: "it will not run (`steps_skipped`)",
    Event.RETRY: "somebody asked the ended run to go on (`retry_requested`)",
    Event.EXPANDED: "a fan-out or a sub-workflow got its steps (`steps_added`), or a fallback is tried (`fallback_started`)",
    Event.REOPENED: "parts of it did not succeed, and somebody asked the ended run to go on (`retry_requested`)",
    Event.REUSED: "its output was taken from an earlier run: of the same fingerprint (`step_reused`), or as the run was created",
    Event.INTERRUPTED: "its attempt was lost, and `rerun` lets a person decide (`step_interrupted`)",
    Event.TOLD: "somebody has decided about the interrupted step (`interrupt_answered`)",
    Event.REPEATED: "it belongs to `finally`, and somebody asked the ended run to go on (`retry_requested`)",
    Event.SUCCEEDED: "it succeeded without an attempt of its own (`step_succeeded`)",
    Event.OPENED: "somebody is asked at its gate (`gate_opened`)",
    Event.ANSWERED: "somebody answered, or silence did (`gate_answered`)",
}


def page() -> str:
    diagram = ["```mermaid", "stateDiagram-v2", "    [*] --> waiting"]
    for (before, event), after in TABLE.items():
        diagram.append(f"    {before.name.lower()} --> {after.name.lower()}: {event.name.lower()}")
    diagram += [f"    {status.name.lower()} --> [*]" for status in Status if status.settled]
    words = ["| event | what happened, and the fact that says so |", "|---|---|"]
    words += [f"| {event.name.lower()} | {CAUSES[event]} |" for event in Event]
    return HEAD + "\n".join([*diagram, "```", "", *words, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
