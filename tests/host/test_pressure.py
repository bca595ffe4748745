"""What the machine says of itself, from files as the kernel writes them, and from those of this machine."""

from pathlib import Path

import pytest

from weft.host.pressure import MachineGauge


class Proc:
    """A folder like /proc, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100.0
        (folder / "pressure").mkdir()

    def stalled(self, kind: str, total_us: int) -> None:
        lines = [f"{name} avg10=0.00 avg60=0.00 avg300=0.00 total={total_us}" for name in ("some", "full")]
        (self.folder / "pressure" / kind).write_text("\n".join(lines) + "\n")

    def memory(self, available_kib: int) -> None:
        text = f"MemTotal:        1000000 kB\nMemFree:           50000 kB\nMemAvailable:   {available_kib:>7} kB\n"
        (self.folder / "meminfo").write_text(text)

    def gauge(self) -> MachineGauge:
        return MachineGauge(2, proc=self.folder, clock=lambda: self.now)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_stalls_since_the_last_call(proc: Proc) -> None:
    proc.stalled("cpu", 5_000_000)
    proc.stalled("memory", 1_000_000)
    proc.memory(900_000)
    gauge = proc.gauge()
    proc.now += 2.0
    proc.stalled("cpu", 6_000_000)
    proc.stalled("memory", 1_100_000)
    assert gauge.read() == pytest.approx((0.5, 0.05))
    proc.now += 2.0
    assert gauge.read() == (0.0, 0.0)
    assert gauge.read() == (0.0, 0.0)


def test_load_where_stalls_are_not_counted(proc: Proc) -> None:
    proc.memory(900_000)
    (proc.folder / "loadavg").write_text("3.00 1.00 1.00 2/300 4000\n")
    assert proc.gauge().read() == (0.5, 0.0)
    (proc.folder / "loadavg").write_text("9.00 1.00 1.00 2/300 4000\n")
    assert proc.gauge().read() == (1.0, 0.0)
    (proc.folder / "loadavg").write_text("1.00 1.00 1.00 2/300 4000\n")
    assert proc.gauge().read() == (0.0, 0.0)


@pytest.mark.parametrize(("available_kib", "pressure"), [(1_000_000, 0.0), (100_000, 0.0), (50_000, 0.5), (0, 1.0)])
def test_memory_that_is_scarce(proc: Proc, available_kib: int, pressure: float) -> None:
    proc.memory(available_kib)
    assert proc.gauge().read() == pytest.approx((0.0, pressure))


def test_nothing_can_be_read(proc: Proc) -> None:
    assert proc.gauge().read() == (0.0, 0.0)
    (proc.folder / "loadavg").write_text("?")
    (proc.folder / "meminfo").write_bytes(b"\xff")
    assert proc.gauge().read() == (0.0, 0.0)


def test_this_machine() -> None:
    gauge = MachineGauge(2)
    for share in gauge.read():
        assert 0.0 <= share <= 1.0
