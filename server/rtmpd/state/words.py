"""Why what should outlive the process is not stored."""

from __future__ import annotations

from rtmpd.reasons import Word


class StateFailure(Word):
    """Why the file of the state cannot be used."""

    FULL = "full", "the disk is full, or the file as large as `state.max_bytes` allows"
    READ_ONLY = "read_only", "the file, its folder or its disk may only be read"
    DENIED = "denied", "the file or its folder cannot be made or opened"
    BUSY = "busy", "another program has kept the file locked for 5 seconds"
    IN_USE = "in_use", "another server keeps its state in the folder"
    CORRUPT = "corrupt", "the file is damaged, or not a file of rtmpd"
    NEWER = "newer", "a newer rtmpd has written the file, and this one cannot read it"
    IO = "io", "the disk does not read or write it: a quota, a network drive, a broken disk"
    BUG = "bug", "an error of the server's own: the log has its traceback"
