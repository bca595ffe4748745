"""`weft watch`: a run as its journal tells it, with the views of `weft run`, from another terminal.

- Nothing is written and no lock is taken: watching cannot disturb a run, and any number may watch.
- What has happened is told first, then what happens; it ends when the run ends, is suspended, or has lost its engine.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from select import select
from signal import Signals
from typing import Any, Final

import click

from weft import app
from weft.cli.common import find_run, leave, settings_options, take_settings
from weft.core import facts as f
from weft.core.apply import apply
from weft.core.facts import Fact
from weft.core.state import State
from weft.journal.lock import Holder, holder
from weft.journal.reader import Reader, read_facts
from weft.model.errors import MachineError

POLL_S: Final = 0.1
"""How often the journal and its lock are looked at: what happens is seen before anybody wonders."""


@click.command("watch")
@click.argument("name", metavar="RUN", default="@")
@settings_options("output", "color", "state")
@click.option("--verbose", "-v", count=True, help="Show more.")
def watch(name: str, verbose: int, **options: Any) -> None:
    """Follow a RUN, living or over, as `weft run` shows it. `@` is the last run.

    Exit code: that of the run; 6 if its engine is gone before it ended. Ctrl-C ends the watching, not the run.
    """
    from weft.cli.run import View

    settings = take_settings(options)
    folder = find_run(name, settings)
    clock, bell = RunClock(), Bell()
    view = View(settings, verbose=verbose, clock=clock, later=bell.later)
    watcher = Watcher(folder, view.see, clock, bell)
    try:
        watcher.follow()
    except KeyboardInterrupt:
        view.close()
        click.echo(f"run {folder.name} goes on; `weft watch {folder.name}` looks at it again", err=True)
        leave(130)
    except BaseException:
        view.close()
        raise
    view.close()
    state = watcher.state
    if not (state.ended or state.left):
        who = f", {watcher.last_holder}," if watcher.last_holder else ""
        raise MachineError(f"the engine of run `{folder.name}`{who} is gone; `weft resume {folder.name}` goes on with it")
    leave(view.finish(_result(folder, watcher)))


def _result(folder: Path, watcher: "Watcher") -> app.Result:
    from weft.journal.store import Store

    return app.Result(
        run=folder.name,
        folder=folder,
        state=watcher.state,
        facts=lambda: read_facts(folder),
        store=Store(folder),
        signal=watcher.signal,
    )


class RunClock:
    """The time of the run, in seconds since the epoch: that of the last fact while its past is told, then that of the machine."""

    def __init__(self) -> None:
        self.past: float | None = 0.0

    def __call__(self) -> float:
        return time.time() if self.past is None else self.past


class Bell:
    """Calls one thing later, for views that live on no event loop: whoever waits calls `ring`."""

    def __init__(self) -> None:
        self._call: Callable[[], None] | None = None
        self._when = 0.0

    def later(self, delay_s: float, call: Callable[[], None]) -> "Bell":
        self._call, self._when = call, time.monotonic() + delay_s
        return self

    def cancel(self) -> None:
        self._call = None

    def ring(self) -> None:
        """Call it if it is time."""
        if self._call and time.monotonic() >= self._when:
            call, self._call = self._call, None
            call()


class Watcher:
    """Shows facts as they become durable, until no more will come. `last_holder`: the engine that was seen last."""

    def __init__(self, folder: Path, show: Callable[[Sequence[Fact]], None], clock: RunClock, bell: Bell) -> None:
        self.state = State()
        self.signal = 0
        self.last_holder: Holder | None = None
        self._folder = folder
        self._show = show
        self._clock = clock
        self._bell = bell
        self._reader = Reader(folder)

    def follow(self) -> None:
        """Raises JournalDamaged once all that is good has been shown."""
        while True:
            engine = holder(self._folder)  # before the journal: what an engine wrote before it left is then surely read
            self.last_holder = engine or self.last_holder
            news = self._read()
            if engine is None and not news:
                return
            if not news:
                self._clock.past = None
                if self.state.ended or self.state.left:
                    return  # its engine is only tidying up
                self._bell.ring()
                select([], [], [], POLL_S)

    def _read(self) -> bool:
        """Show one portion of what is new; whether there was any."""
        facts = self._reader.poll()
        for fact in facts:
            apply(self.state, fact)
            if isinstance(fact, f.EngineAttached):
                self.signal = 0
            elif isinstance(fact, f.SuspendRequested):
                self.signal = self.signal or _number(fact.by)
        if facts:
            if self._clock.past is not None:
                self._clock.past = facts[-1].at
            self._show(facts)
            self._bell.ring()
        return bool(facts)


def _number(by: str) -> int:
    """The number of the signal that somebody was suspended by; 0 if it was none."""
    return Signals[by].value if by in Signals.__members__ else 0
