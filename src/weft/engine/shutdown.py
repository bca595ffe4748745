"""Signals: the first drains, the second kills, the third leaves at once. A run that is left this way can be resumed."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

from weft.core import facts as f
from weft.engine.engine import Engine

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Shutdown:
    """Handles signals while an engine runs. `received` is the first signal, 0 if there was none; `say` tells the user."""

    def __init__(self, engine: Engine, grace_s: float, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._grace_s = grace_s
        self._say = say
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self.received = 0

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    def remove(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        if self._timer:
            self._timer.cancel()

    def _on_signal(self, number: int) -> None:
        self._count += 1
        self.received = self.received or number
        by = signal.Signals(number).name
        if self._count == 1:
            self._say(f"{by}: nothing new starts; what runs has {self._grace_s:g} s to end (again: kill it)")
            self._engine.post(f.SuspendRequested(at=0.0, how="drain", by=by))
            self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._kill, by)
        elif self._count == 2:
            self._say(f"{by}: killing what runs (again: leave at once)")
            self._engine.hurry()
            self._kill(by)
        else:
            os._exit(128 + number)

    def _kill(self, by: str) -> None:
        self._engine.post(f.SuspendRequested(at=0.0, how="kill", by=by))
