"""What a process of a stream does, how processes end, and what one tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.reasons import Word


class ProcessState(Word):
    WAITING = (
        "waiting",
        'for the first media of its stream, or with `start = "viewer"` for somebody who watches',
    )
    FULL = (
        "full",
        "as many processes run as `run.max_processes` or a limit beside it allows: it takes its turn",
    )
    RUNNING = "running", "the process is there"
    STOPPING = "stopping", "it was sent SIGTERM, and is killed after `stop_timeout`"
    BACKOFF = (
        "backoff",
        (
            "it ended by itself; the next one starts after between half and the whole of 1, 2, 4 ... 30 "
            "seconds, beginning anew after one that ran for 10 seconds"
        ),
    )
    FAILED = (
        "failed",
        "it could not be started: there is no such program, or no memory. Tried again as after an end",
    )
    DONE = "done", "it ended by itself, and `restart` wants no other before the stream begins anew"


class ProcessEnd(Word):
    FINISHED = "finished", "it ended by itself, with exit status 0"
    ERROR = "error", "it ended by itself, with another exit status: its last lines in the log say why"
    SIGNAL = "signal", "a signal ended it that was not ours: a crash, or somebody's `kill`"
    STOPPED = "stopped", "it was ended with SIGTERM, as it was needed no longer"
    KILLED = "killed", "the same, but it had not ended after `stop_timeout`: SIGKILL"
    NOT_STARTED = "not_started", "it could not be started: there is no such program, or no memory"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process of a stream at one moment. Nothing here is secret."""

    key: StreamKey
    """The stream that it lives as long as."""
    name: str
    """Of its table."""
    state: ProcessState
    pid: int | None
    starts: int
    """How often a process was started for it."""


@dataclass(slots=True)
class ProcessCounts:
    """What all of them have come to since the start."""

    ends: dict[ProcessEnd, int] = field(default_factory=dict)
    lines_logged: int = 0
    lines_left_out: int = 0

    def count_end(self, end: ProcessEnd) -> None:
        self.ends[end] = self.ends.get(end, 0) + 1


class HookEnd(Word):
    FINISHED = "finished", "it ended with exit status 0"
    ERROR = "error", "it ended with another exit status: its last lines in the log say why"
    SIGNAL = "signal", "a signal ended it that was not ours: a crash, or somebody's `kill`"
    TIMEOUT = "timeout", "it had not ended after its `timeout`, and was ended"
    STOPPED = "stopped", "it still ran when the server had to end"
    NOT_STARTED = "not_started", "it could not be started: there is no such program, or no memory"
    LOST = (
        "lost",
        "as many waited as `run.max_hooks_waiting` allows, or the server ended before it was its turn",
    )


@dataclass(slots=True)
class HookCounts:
    """What hooks have come to since the start, and how many there are now."""

    ends: dict[HookEnd, int] = field(default_factory=dict)
    running: int = 0
    waiting: int = 0

    def count_end(self, end: HookEnd) -> None:
        self.ends[end] = self.ends.get(end, 0) + 1


def explain_start(error: OSError | UsageError, program: str) -> str:
    """Why a process could not be started, and what to do about it."""
    if isinstance(error, FileNotFoundError):
        return f"there is no program {program!r}: install it, or write its whole path"
    if isinstance(error, PermissionError):
        return f"{program!r} may not be run: look at its mode"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
