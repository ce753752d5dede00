"""Processes of the system: how they end, what they leave behind, and that nothing of them stays."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rtmpd.processes.child import Child
from rtmpd.processes.output import Output
from rtmpd.processes.words import ProcessEnd
from rtmpd.rtmp.scrubbing import Scrubber

PATIENCE = 10.0
AGES = "for _ in $(seq 3000); do sleep 0.01; done"
"""Not for ever: nobody ends it when the tests themselves are killed."""


class Nursery:
    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self._children: list[Child] = []

    async def start(self, *arguments: str) -> Child:
        def output() -> Output:
            return Output(Scrubber(()), time.monotonic, 1000, self.lines.put_nowait, lambda lines: None)

        child = await Child.start(arguments, os.environ, output)
        self._children.append(child)
        return child

    async def line(self) -> str:
        return await asyncio.wait_for(self.lines.get(), PATIENCE)

    async def hears(self, wanted: str) -> None:
        """Until it writes so; a shell may tell of those who were terminated before."""
        while await self.line() != wanted:
            pass

    async def close(self) -> None:
        for child in self._children:
            child.kill()
            await asyncio.wait_for(child.ended, PATIENCE)


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    nursery = Nursery()
    yield nursery
    await nursery.close()


def is_there(pid: int) -> bool:
    """Whether there is such a process, be it dead and unburied."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has not come")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def badness(pid: int) -> str:
    return Path(f"/proc/{pid}/oom_score_adj").read_text().strip()


@pytest.mark.parametrize(
    ("script", "end", "status"),
    [
        ("exit 0", ProcessEnd.FINISHED, 0),
        ("exit 3", ProcessEnd.ERROR, 3),
        ("kill -9 $$", ProcessEnd.SIGNAL, -9),
    ],
)
async def test_how_it_ends_by_itself(nursery: Nursery, script: str, end: ProcessEnd, status: int) -> None:
    child = await nursery.start("sh", "-c", script)
    assert await asyncio.wait_for(child.ended, PATIENCE) is end
    assert child.status == status
    assert not is_there(child.pid)


async def test_what_it_writes_on_both_outputs_is_read_to_the_end(nursery: Nursery) -> None:
    child = await nursery.start("sh", "-c", "echo out; echo err >&2; printf last")
    await asyncio.wait_for(child.ended, PATIENCE)
    assert [nursery.lines.get_nowait() for _ in range(3)] == ["out", "err", "last"]


async def test_it_has_no_input_and_a_session_of_its_own(nursery: Nursery) -> None:
    child = await nursery.start("sh", "-c", "cat; echo end; exec sleep 60")
    assert await nursery.line() == "end"
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


async def test_one_that_listens_is_asked_and_may_finish(nursery: Nursery) -> None:
    script = f"trap 'sleep 0.1; echo finished; exit 0' TERM; echo ready; {AGES}"
    child = await nursery.start("sh", "-c", script)
    assert await nursery.line() == "ready"
    assert await child.stop(PATIENCE) is ProcessEnd.STOPPED
    await nursery.hears("finished")


async def test_one_that_does_not_listen_is_killed(nursery: Nursery) -> None:
    child = await nursery.start("sh", "-c", f"trap '' TERM; echo ready; {AGES}")
    assert await nursery.line() == "ready"
    assert await child.stop(0.05) is ProcessEnd.KILLED
    assert child.status == -signal.SIGKILL
    assert not is_there(child.pid)


async def test_what_it_has_started_ends_with_it(nursery: Nursery) -> None:
    child = await nursery.start("sh", "-c", "sleep 60 & echo $!; exit 0")
    left = int(await nursery.line())
    assert await asyncio.wait_for(child.ended, PATIENCE) is ProcessEnd.FINISHED
    await until(lambda: not is_there(left) or is_dead(left))


async def test_what_it_has_started_may_finish_too_when_it_is_stopped(nursery: Nursery) -> None:
    script = f"(trap 'sleep 0.2; echo finished; exit' TERM; echo ready; {AGES}) & wait"
    child = await nursery.start("sh", "-c", script)
    assert await nursery.line() == "ready"
    assert await child.stop(PATIENCE) is ProcessEnd.STOPPED
    await nursery.hears("finished")


async def test_who_leaves_the_group_does_not_hold_up_the_end(nursery: Nursery) -> None:
    child = await nursery.start("sh", "-c", "setsid sleep 60 & echo $!; exec sleep 0.2")
    stray = int(await nursery.line())
    files = open_files()
    assert await asyncio.wait_for(child.ended, PATIENCE) is ProcessEnd.FINISHED
    await until(lambda: open_files() < files)
    assert is_there(stray)
    os.kill(stray, signal.SIGKILL)


async def test_there_is_no_such_program(nursery: Nursery) -> None:
    files = open_files()
    with pytest.raises(FileNotFoundError):
        await nursery.start("/nowhere/ffmpeg")
    assert open_files() == files


@pytest.mark.parametrize("turns", range(1, 8))
async def test_a_start_that_is_cancelled_leaves_nothing(nursery: Nursery, tmp_path: Path, turns: int) -> None:
    """However far it has come."""
    told = tmp_path / "pid"
    starting = asyncio.create_task(nursery.start("sh", "-c", f"echo $$ >{told}; exec sleep 20"))
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    await nursery.close()
    for _ in range(20):  # It may take a moment to begin.
        await asyncio.sleep(0.01)
        pid = told.read_text().strip() if told.exists() else ""
        assert not pid or is_dead(int(pid))


async def test_a_number_that_may_be_somebody_elses_is_left_alone(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await nursery.start("true")
    await asyncio.wait_for(child.ended, PATIENCE)
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: signalled.append(group))
    child.kill()
    assert await child.stop(0.0) is ProcessEnd.FINISHED
    assert signalled == []


async def test_it_goes_before_the_server_when_memory_is_short(nursery: Nursery) -> None:
    child = await nursery.start("sleep", "60")
    assert badness(child.pid) == "500"


def is_dead(pid: int) -> bool:
    """Whether it is dead, and whoever inherited it has not buried it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
