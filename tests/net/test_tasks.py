from __future__ import annotations

import asyncio
import logging
import time

import pytest

from rtmpd.net.lag import LagMeter
from rtmpd.net.tasks import TaskSet, awaiting_others


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_is_kept_until_it_is_done() -> None:
    tasks = TaskSet()
    done = asyncio.Event()

    async def work() -> None:
        await done.wait()

    task = tasks.start(work(), name="work")
    assert (len(tasks), task.get_name()) == (1, "work")
    done.set()
    await task
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_an_exception_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise LookupError("our bug")

    task = TaskSet().start(fail(), name="doomed")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert (record.message, record.levelno, record.fields) == (
        "task failed",
        logging.ERROR,
        {"task": "doomed"},
    )
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


async def test_the_end_cancels_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    tasks = TaskSet()
    started = tasks.start(forever(), name="started")
    await asyncio.sleep(0)
    fresh = tasks.start(forever(), name="fresh")
    await tasks.wait_closed()
    assert started.cancelled()
    assert fresh.cancelled()
    assert len(tasks) == 0
    assert caplog.records == []


async def test_the_drain_waits_for_what_is_started_meanwhile_too() -> None:
    tasks = TaskSet()
    done: list[str] = []

    async def last() -> None:
        await asyncio.sleep(0.01)
        done.append("last")

    async def first() -> str:
        await asyncio.sleep(0.01)
        tasks.start(last(), name="last")
        return "what came of it"

    task = tasks.start(first(), name="first")
    await tasks.drain(5.0)
    assert (task.result(), done, len(tasks)) == ("what came of it", ["last"], 0)


async def test_the_drain_ends_when_its_time_is_up_and_ends_nothing() -> None:
    tasks = TaskSet()
    task = tasks.start(forever(), name="forever")
    await tasks.drain(0.01)
    assert not task.done()
    await tasks.wait_closed()


async def test_a_task_may_cancel_the_set_it_belongs_to() -> None:
    tasks = TaskSet()

    async def end_everything() -> None:
        tasks.cancel()

    task = tasks.start(end_everything(), name="end")
    await asyncio.wait([task])
    await tasks.wait_closed()
    assert len(tasks) == 0


async def test_lag_is_how_late_the_loop_is() -> None:
    loop = asyncio.get_running_loop()
    seen: list[float] = []
    measured = asyncio.Event()

    def observe(lag: float) -> None:
        seen.append(lag)
        measured.set()

    meter = LagMeter(observe, time.monotonic)
    meter.start()
    due = loop.time() + 0.25
    while loop.time() < due + 0.05:
        pass  # The loop is held up until after the meter's call is due.
    await asyncio.wait_for(measured.wait(), 5)
    meter.stop()
    assert 0.04 < seen[0] < 1.0
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


async def test_what_others_cancel_is_a_failure_and_no_end() -> None:
    shared = asyncio.ensure_future(forever())
    shared.cancel()
    with pytest.raises(ConnectionAbortedError), awaiting_others():
        await shared


async def test_an_own_end_is_one_whatever_is_awaited() -> None:
    async def wait() -> None:
        with awaiting_others():
            await forever()

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_time_out_is_one_whatever_is_awaited() -> None:
    with pytest.raises(TimeoutError), awaiting_others():
        async with asyncio.timeout(0.0):
            await forever()
