"""For `max_parallel: adaptive`: tells the core now and then how hard the machine works.

The core journals only what changes something, so a run that takes days does not fill its journal with samples.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from weft.core import facts as f
from weft.ports import Gauge

SAMPLE_S: Final = 2.0
"""Long enough that a step more or less shows in the sample, short enough that a machine does not suffer for long."""


class PressureWatch:
    """Samples the gauge, if there is one, from `start` to `stop`, on the running loop."""

    def __init__(self, post: Callable[[f.Observed], None], gauge: Gauge | None, period_s: float = SAMPLE_S) -> None:
        self._post = post
        self._gauge = gauge
        self._period_s = period_s
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._gauge is not None:
            self._timer = asyncio.get_running_loop().call_later(self._period_s, self._sample, self._gauge)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sample(self, gauge: Gauge) -> None:
        cpu, memory = gauge.read()
        self._post(f.PressureObserved(at=0.0, cpu=cpu, memory=memory))
        self.start()
