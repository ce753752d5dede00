"""Why recordings fail, and what they lose: closed lists of words for metrics, logs and the API."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import Final

from rtmpd.engine.stats import Histogram
from rtmpd.outputs.recording import RecordingEnd
from rtmpd.reasons import Word


class RecordingFailure(Word):
    """Why nothing can be recorded for now."""

    FULL = "full", "the file system is full, our share of it used up, or `min_free` is not left"
    READ_ONLY = "read_only", "the file system may not be written to"
    FORBIDDEN = "forbidden", "the server's user may not write there"
    MISSING = "missing", "`root` is not there, or somebody has taken the file away, or its drive"
    UNSAFE = "unsafe", "a folder below `root` is a symbolic link, or no folder"
    FILES = "files", "the process may open no more files, but for a reserve that others have (`LimitNOFILE`)"
    STUCK = "stuck", "the drive has not answered for 10 seconds"
    DRIVE = "drive", "any other error of the drive or of the network to it"
    INTERNAL_ERROR = "internal_error", "a bug of rtmpd; the log has its traceback"


class RecordingLoss(Word):
    """Why a packet is not in a recording."""

    BEHIND = "behind", "the drive did not keep up: all that came, and video up to the next key frame"
    MEMORY = "memory", "memory was short, or what waited for one drive was more than it may be"
    UNWRITABLE = "unwritable", "nothing could be written then"


_FAILURES: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), RecordingFailure.FULL),
    errno.EROFS: RecordingFailure.READ_ONLY,
    **dict.fromkeys((errno.EACCES, errno.EPERM), RecordingFailure.FORBIDDEN),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), RecordingFailure.FILES),
    errno.ENOENT: RecordingFailure.MISSING,
    **dict.fromkeys((errno.ELOOP, errno.ENOTDIR), RecordingFailure.UNSAFE),
}
_WRITE_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def failure_of(error: OSError) -> RecordingFailure:
    """What an error of a file comes to."""
    return _FAILURES.get(error.errno or 0, RecordingFailure.DRIVE)


def problem_of(error: OSError) -> str:
    """The same in words for people."""
    if error.errno is None:
        return str(error)
    text = error.strerror or os.strerror(error.errno)
    return text[:1].lower() + text[1:]


@dataclass(slots=True)
class RecordStats:
    """What all recordings have come to."""

    active: int = 0
    """Streams that are recorded now, or would be if it were possible."""
    failing: int = 0
    """Of them, those of which nothing can be written."""
    bytes_written: int = 0
    finished: dict[RecordingEnd, int] = field(default_factory=lambda: dict.fromkeys(RecordingEnd, 0))
    """Files."""
    failures: dict[RecordingFailure, int] = field(default_factory=lambda: dict.fromkeys(RecordingFailure, 0))
    lost: dict[RecordingLoss, int] = field(default_factory=lambda: dict.fromkeys(RecordingLoss, 0))
    """Packets."""
    write_seconds: Histogram = field(default_factory=lambda: Histogram(_WRITE_BOUNDS))
    """What one turn of a stream with the drive takes."""
