"""A file of a stream, told to whoever wants to know: where it is, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.reasons import Word


class RecordingEnd(Word):
    """Why a file of a recording ended; a word for metrics, logs and hooks."""

    PUBLISH_ENDED = "publish_ended", "the stream ended, and no encoder came back within its grace"
    SPLIT = "split", "`split_after`, `split_bytes` or a request: the next file goes on at the same key frame"
    STOPPED = "stopped", "somebody in charge stopped it, or the settings name it no more"
    FAILED = "failed", "the file could not be written any more; what was written by then is kept"
    REPAIRED = "repaired", "it was cut off, and finished at the next start"
    SHUTDOWN = "shutdown", "the server ended"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file that is finished."""

    key: StreamKey
    path: str
    """Absolute."""
    root: str
    """The folder of all recordings of its app, which ``path`` lies in."""
    part: int
    """Which of the files of one recording, from 1 on."""
    started_at: float
    """Unix time of its first frame (s)."""
    duration: float
    """Seconds of media."""
    size: int
    """Bytes."""
    codecs: tuple[str, ...]
    """As people call them, video first."""
    end: RecordingEnd


class RecordingListener(Protocol):
    """Hears of files, in the event loop. No method may block."""

    def recording_started(self, key: StreamKey, path: str, started_at: float) -> None:
        """A file was begun; until it is finished its name ends in ``.part``."""

    def recording_finished(self, recording: Recording) -> None:
        """It has its name, its index, and is no more written."""

    def recording_failed(self, key: StreamKey, path: str, problem: str) -> None:
        """Nothing can be written there for now; ``problem`` is a sentence. The stream goes on."""
