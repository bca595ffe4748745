"""What the engine may rely on, whatever the runner: one Ended for each start, nothing after it, never from inside `start`."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from runner_kits import KITS, Kit

from weft.host import procfs
from weft.model.workflow import Action
from weft.ports import Ended, Runner, Spawned
from weft.testing.runners import Reports, make_job

pytestmark = pytest.mark.parametrize("kit", KITS, ids=str)

Body = Callable[[Runner, Reports, Callable[..., tuple[str, int]]], Awaitable[None]]


def play(kit: Kit, folder: Path, body: Body) -> Reports:
    """Run the body with a runner, its reports and a function that starts an action as a step; then close and check the rules."""
    reports = Reports()

    async def main() -> None:
        runner = kit.make(folder)

        def start(action: Action, step: str = "a") -> tuple[str, int]:
            job = make_job(folder, action, step)
            before = len(reports.all)
            runner.start(job, reports)
            assert len(reports.all) == before, "reported from inside start"
            return job.key

        await body(runner, reports, start)
        await runner.close()
        quiet = len(reports.all)
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(reports.all) == quiet, "reported after close"

    asyncio.run(main())
    for key in {message.key for message in reports.all}:
        story = reports.of(key)
        assert [type(message) for message in story][-1] is Ended
        assert sum(isinstance(message, Ended) for message in story) == 1
        assert sum(isinstance(message, Spawned) for message in story) <= 1
    return reports


def test_a_success(kit: Kit, tmp_path: Path) -> None:
    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        end = await reports.ended(start(kit.quick))
        assert (end.outcome, end.error) == ("ok", None)
        assert end.payload is not None

    play(kit, tmp_path, body)


def test_a_failure(kit: Kit, tmp_path: Path) -> None:
    if kit.failing is None:
        pytest.skip("it cannot fail")

    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        end = await reports.ended(start(kit.failing))
        assert end.outcome == "failed"
        assert end.error is not None
        assert end.payload is None

    play(kit, tmp_path, body)


def test_stop_ends_what_runs_and_is_idempotent(kit: Kit, tmp_path: Path) -> None:
    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        key = start(kit.long)
        if kit.has_process:
            await reports.spawned(key)
        for _ in range(3):
            runner.stop(key, 5)
        end = await reports.ended(key)
        assert end.outcome == "cancelled"
        assert end.error is not None
        assert end.error.kind == "cancelled"
        runner.stop(key, 0)

    reports = play(kit, tmp_path, body)
    for message in reports.all:
        if isinstance(message, Spawned) and message.started:
            assert procfs.process_start_ticks(message.pid) != message.started


def test_stop_in_the_same_breath_as_start(kit: Kit, tmp_path: Path) -> None:
    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        key = start(kit.long)
        runner.stop(key, 0)
        assert (await reports.ended(key)).outcome == "cancelled"

    play(kit, tmp_path, body)


def test_unknown_keys_are_ignored(kit: Kit, tmp_path: Path) -> None:
    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        runner.stop(("nobody", 1), 0)
        assert (await reports.ended(start(kit.quick))).outcome == "ok"

    play(kit, tmp_path, body)


def test_many_at_once(kit: Kit, tmp_path: Path) -> None:
    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        keys = [start(kit.quick, f"s{i}") for i in range(12)]
        assert {(await reports.ended(key)).outcome for key in keys} == {"ok"}

    play(kit, tmp_path, body)


def test_close_ends_and_reports_all(kit: Kit, tmp_path: Path) -> None:
    keys: list[tuple[str, int]] = []

    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        keys.extend(start(kit.long, f"s{i}") for i in range(3))
        await asyncio.sleep(0)

    reports = play(kit, tmp_path, body)
    ends = [message for message in reports.all if isinstance(message, Ended)]
    assert sorted(end.key for end in ends) == keys
    assert {end.outcome for end in ends} == {"cancelled"}


def test_a_runner_works_on_after_a_stop(kit: Kit, tmp_path: Path) -> None:
    async def body(runner: Runner, reports: Reports, start: Callable[..., tuple[str, int]]) -> None:
        key = start(kit.long)
        runner.stop(key, 0)
        await reports.ended(key)
        assert (await reports.ended(start(kit.quick, "b"))).outcome == "ok"

    play(kit, tmp_path, body)
