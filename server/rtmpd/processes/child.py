"""One process and all that it starts: a session of its own, and no part of it outlives the rest."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rtmpd.processes.output import Output
from rtmpd.processes.words import ProcessEnd

_LAST_WORDS: Final = 1.0
"""Seconds for what a process has written to be read, after its end."""
_LOOK: Final = 0.01
"""Seconds between the first looks at whether the last of a group has gone."""
_DEAD: Final = frozenset("ZX")
_EXPENDABLE: Final = "500"
"""Of oom_score_adj(5): when memory is short the kernel ends processes of streams before the server."""


class Child:
    """A process that runs, or has ended. It is given no input."""

    def __init__(self, process: asyncio.subprocess.Process, output: Output) -> None:
        self._process = process
        self._output = output
        self._asked = False
        self._killed = False
        self._gone = False
        """The last of its group is no more, and its number may be somebody else's."""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Task[ProcessEnd] = loop.create_task(self._wait(), name=f"process-{process.pid}")
        """Done when it has ended, and all that it started: how."""

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environment: Mapping[str, str], output: Callable[[], Output]
    ) -> Child:
        """Start a program, found by PATH. Raises OSError."""
        reading, writing = os.pipe()
        file = os.fdopen(reading, "rb", buffering=0)
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=dict(environment),
                start_new_session=True,
            )
        except BaseException:
            file.close()
            raise
        finally:
            os.close(writing)
        try:
            _offer_when_memory_is_short(process.pid)
            _, protocol = await asyncio.get_running_loop().connect_read_pipe(output, file)
        except BaseException:  # Nobody else would ever end it.
            _signal(process.pid, signal.SIGKILL)
            raise
        return cls(process, protocol)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, or less than 0 for the number of a signal; None while it runs."""
        return self._process.returncode

    async def stop(self, patience: float) -> ProcessEnd:
        """Ask it to end with SIGTERM, and end it after ``patience`` seconds; how it has ended."""
        self._asked = True
        self._signal(signal.SIGTERM)
        await asyncio.wait([self.ended], timeout=patience)
        if not self.ended.done():
            self.kill()
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        """End it at once, with SIGKILL; ``ended`` tells when it has."""
        self._asked = self._killed = True
        self._signal(signal.SIGKILL)

    async def _wait(self) -> ProcessEnd:
        status = await self._process.wait()
        await self._end_rest()
        await asyncio.wait([self._output.over], timeout=_LAST_WORDS)
        self._output.close()
        if self._killed:
            return ProcessEnd.KILLED
        if self._asked:
            return ProcessEnd.STOPPED
        if status < 0:
            return ProcessEnd.SIGNAL
        return ProcessEnd.ERROR if status else ProcessEnd.FINISHED

    async def _end_rest(self) -> None:
        """End what it has started and left behind, which nobody else would, and wait until that is gone.

        When it was asked to end the rest was, too, and whoever waits in ``stop`` loses patience.
        """
        clock = asyncio.get_running_loop().time
        if not self._asked:
            self._signal(signal.SIGTERM)
        kill_at, look = clock() + _LAST_WORDS, _LOOK
        while _lives(self._process.pid):
            if self._killed or (not self._asked and clock() >= kill_at):
                self._signal(signal.SIGKILL)
                if clock() >= kill_at + _LAST_WORDS:
                    return  # The kernel does not let go of it.
            await asyncio.sleep(look)
            look = min(2 * look, _LAST_WORDS / 4)
        self._gone = True

    def _signal(self, number: signal.Signals) -> None:
        if not self._gone:
            _signal(self._process.pid, number)


def _lives(group: int) -> bool:
    """Whether anybody in a process group is alive; to be asked once its first process is no more."""
    with contextlib.suppress(ChildProcessError):
        # Process 1, as in a container, is given those whose parent has left, and has to bury them.
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # The latter is what macOS says of the dead.
        return False
    # Whoever has inherited them may not have buried them.
    states = list(map(_state, _members(group)))
    return not states or not _DEAD.issuperset(states)


def _members(group: int) -> Iterator[int]:
    """Who is seen in a process group, the dead among them; nobody but on Linux.

    All processes of the machine are asked, in a microsecond each: files of /proc take twenty times as long.
    """
    with contextlib.suppress(OSError), os.scandir("/proc") as entries:
        for pid in [int(entry.name) for entry in entries if entry.name.isdecimal()]:
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) == group:
                    yield pid


def _state(pid: int) -> str:
    """A letter, see proc(5); that of the dead for one that has gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _offer_when_memory_is_short(pid: int) -> None:
    with contextlib.suppress(OSError):  # Not Linux, or not ours to say.
        Path(f"/proc/{pid}/oom_score_adj").write_text(_EXPENDABLE)
