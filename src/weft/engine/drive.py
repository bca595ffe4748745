"""One engine's life with one run: set up, run, and leave nothing behind."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from weft.core import facts as f
from weft.core.state import State
from weft.engine.clock import SystemClock
from weft.engine.control import Control
from weft.engine.engine import Engine
from weft.engine.folder import RunFolder
from weft.engine.jobs import Jobs
from weft.engine.pressure import PressureWatch
from weft.engine.reuse import Reuse
from weft.engine.shutdown import Shutdown
from weft.engine.values import Values
from weft.model.output import Output
from weft.ports import Gauge, Journal, Observer, OutputStore, ReadAnswer, Runner, SlotLeases, Successes

SWITCH_S: Final = 0.001
"""How long the loop may keep the interpreter from the journal's writer. At the default of 5 ms a commit that ends while a turn is
made is seen 18 ms later (median, measured); at this, 3 ms."""


async def drive(
    state: State,
    *,
    folder: Path,
    journal: Journal,
    store: OutputStore,
    runners: Callable[[], Mapping[type, Runner]],
    first: Sequence[f.Observed],
    outputs: Mapping[str, Output],
    secrets: Mapping[str, str],
    successes: Successes,
    gauge: Gauge | None,
    read_answer: ReadAnswer,
    slots: SlotLeases | None = None,
    observers: Sequence[Observer],
    grace_s: float,
    signals: bool,
    say: Callable[[str], None],
) -> int:
    """Let an engine take the run with the facts `first`; comes back when the run has ended, is suspended or waits.

    Returns the signal that suspended it, else 0. `runners` is called on the loop. Raises MachineError if the journal fails.
    """
    sys.setswitchinterval(SWITCH_S)
    run_folder = RunFolder(folder)
    run_folder.create()
    created = next((fact for fact in first if isinstance(fact, f.RunCreated)), state.created)
    assert created is not None
    values = Values(state, created, store, outputs)
    jobs = Jobs(created, values, run_folder, secrets)
    engine = Engine(
        state,
        journal=journal,
        store=store,
        runners=runners(),
        clock=SystemClock(state.now),
        values=values,
        jobs=jobs,
        reuse=Reuse(state, values, jobs, store, successes, created.project or "."),
        read_answer=read_answer,
        slots=slots,
        observers=observers,
        secrets=tuple(secrets.values()),
        grace_s=grace_s,
    )
    control, shutdown, pressure = Control(engine, folder), Shutdown(engine, grace_s, say), PressureWatch(engine.post, gauge)
    await control.start()
    if signals:
        shutdown.install()
    try:
        pressure.start()
        await engine.run(first)
    finally:
        pressure.stop()
        await control.close()
        if signals:
            shutdown.remove()
        for observer in observers:
            observer.close()
    return shutdown.received
