"""Threads for what blocks."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from net_kit import eventually

from rtmpd.net.workers import Workers


async def test_jobs_run_in_a_few_threads_and_answer_in_the_loop() -> None:
    workers = Workers("job", 2)
    go_on, seen = threading.Event(), set[str]()

    def job(number: int) -> int:
        seen.add(threading.current_thread().name)
        go_on.wait(5)
        return number

    tasks = [asyncio.ensure_future(workers.run(lambda number=number: job(number))) for number in range(10)]
    await eventually(lambda: len(seen) == 2)
    go_on.set()
    assert await asyncio.gather(*tasks) == list(range(10))
    assert seen == {"job-1", "job-2"}
    workers.close()
    workers.close()


async def test_one_job_at_a_time_is_one_thread() -> None:
    workers = Workers("job", 4)
    names = {await workers.run(lambda: threading.current_thread().name) for _ in range(5)}
    assert names == {"job-1"}
    workers.close()


async def test_what_a_job_raises_is_raised_and_a_bug_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers("job", 1)

    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(FileNotFoundError):
        await workers.run(lambda: fail(FileNotFoundError()))
    assert not caplog.records
    with pytest.raises(ZeroDivisionError), caplog.at_level(logging.ERROR):
        await workers.run(lambda: fail(ZeroDivisionError()))
    assert [record.message for record in caplog.records] == ["a job of a thread failed"]
    assert await workers.run(lambda: 5) == 5
    workers.close()


async def test_what_nobody_awaits_any_more_is_given_back() -> None:
    workers, go_on, abandoned = Workers("job", 1), threading.Event(), asyncio.Event()

    def job() -> str:
        go_on.wait(5)
        return "descriptor"

    given_back = []

    def abandon(outcome: str) -> None:
        given_back.append(outcome)
        abandoned.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await workers.run(job, abandon)
    go_on.set()
    async with asyncio.timeout(5):
        await abandoned.wait()
    assert given_back == ["descriptor"]
    workers.close()


async def test_without_a_thread_for_it_a_job_is_refused_and_the_next_may_have_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers("job", 2)

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", fail)
        with pytest.raises(OSError, match="no more threads"):
            await workers.run(lambda: 1)
    assert await workers.run(lambda: 2) == 2
    # One thread that is there does what a second would.
    go_on = threading.Event()
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", fail)
        first = asyncio.ensure_future(workers.run(lambda: go_on.wait(5)))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(workers.run(lambda: 3))
        await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, second) == [True, 3]
    workers.close()
