"""The watch tells what the gauge says, again and again, until it is stopped; without a gauge it does nothing."""

import asyncio

from weft.core import facts as f
from weft.engine.pressure import PressureWatch


class Gauge:
    def __init__(self) -> None:
        self.reads = 0

    def read(self) -> tuple[float, float]:
        self.reads += 1
        return 0.1 * self.reads, 0.0


def test_it_tells_until_it_is_stopped() -> None:
    async def watch() -> list[f.Observed]:
        told: list[f.Observed] = []
        twice = asyncio.Event()

        def post(fact: f.Observed) -> None:
            told.append(fact)
            if len(told) == 2:
                pressure.stop()
                asyncio.get_running_loop().call_later(0.02, twice.set)

        pressure = PressureWatch(post, Gauge(), period_s=0.001)
        pressure.start()
        await asyncio.wait_for(twice.wait(), timeout=10)
        pressure.stop()
        return told

    told = asyncio.run(watch())
    assert [fact.cpu for fact in told if isinstance(fact, f.PressureObserved)][:2] == [0.1, 0.2]


def test_without_a_gauge() -> None:
    async def watch() -> None:
        pressure = PressureWatch(lambda fact: None, None)
        pressure.start()
        pressure.stop()

    asyncio.run(watch())
