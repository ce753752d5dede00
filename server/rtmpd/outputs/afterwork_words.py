"""What is done with finished recordings, and why it is not: closed lists of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rtmpd.reasons import Word


class Step(Word):
    """What a finished file waits for."""

    NONE = "none", "nothing: it is as it is to be"
    REMUX = "remux", "an MP4 file is to be made of it"
    UPLOAD = "upload", "it is to be stored in a bucket"


class RemovalReason(Word):
    """Why a recorded file was removed."""

    AGE = "age", "it was older than `max_age` of [`keep`](recording.md#how-long-files-stay)"
    COUNT = "count", "there were more files than `max_files` there"
    SIZE = "size", "the files were larger together than `max_bytes` there"
    UPLOADED = (
        "uploaded",
        "it is in the bucket, was looked at there, and [`delete`](recording.md#uploads) is on",
    )
    REMUXED = (
        "remuxed",
        "an [MP4 file](recording.md#mp4-files) was made of it, and was looked at",
    )
    ASKED = "asked", "somebody in charge wanted it gone"


class RemovalFailure(Word):
    """Why a recorded file that was to be removed is still there."""

    IN_USE = "in_use", "it is written, or read; tried again a minute later"
    DENIED = "denied", "the file or its folder belongs to somebody else, or may only be read"
    IO = "io", "the disk did not do it: a network drive that is away, a broken disk"


class AfterworkFailure(Word):
    """Why a finished file was not remuxed or uploaded. Those of ``FINAL`` are not tried again."""

    NOT_INSTALLED = "not_installed", "`rtmpd[mp4]` or `rtmpd[s3]` is not installed"
    CODEC = "codec", "MP4 cannot hold a codec of it; the FLV file stays, and is what is uploaded"
    UNREADABLE = "unreadable", "the file is none that can be read"
    DIFFERS = "differs", "what came of it is not what it was made of: shorter, or of another sum"
    GONE = "gone", "the file is not there any more, or has changed meanwhile"
    FULL = "full", "there is no room on the disk for an MP4 file beside it"
    BUSY = "busy", "another server that has the same folder of recordings is at it"
    DISK = "disk", "the disk does not read or write it"
    CREDENTIALS = "credentials", "there are no credentials for the bucket, or they are wrong or too old"
    DENIED = "denied", "the credentials are right, and may not do that"
    NO_BUCKET = "no_bucket", "there is no bucket of that name at that endpoint"
    UNREACHABLE = "unreachable", "nobody answers at the endpoint, or its certificate is not good"
    SERVER_ERROR = "server_error", "the endpoint says that it is broken or busy, or its answers do not end"
    REJECTED = "rejected", "the endpoint refuses the request; the log says how it puts it"
    SILENT = "silent", "it came no further for 15 minutes, and a second more for each 10 MB of the file"
    CRASHED = "crashed", "the process that did it ended without a word; the log has its last lines"
    BUG = "bug", "an error of the server's own: the log has its traceback"


FINAL: Final[Mapping[Step, frozenset[AfterworkFailure]]] = {
    Step.NONE: frozenset(),
    Step.REMUX: frozenset({AfterworkFailure.CODEC, AfterworkFailure.UNREADABLE, AfterworkFailure.DIFFERS}),
    Step.UPLOAD: frozenset(),
}
"""Failures behind which another attempt would end in the same way. What is gone is forgotten besides."""
