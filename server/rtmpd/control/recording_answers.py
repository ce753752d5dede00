"""What is told of recordings, and asked of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Page, PageQuery


class RecordingState(StrEnum):
    """Of a file."""

    RECORDING = "recording"
    """It is being written."""
    FINISHED = "finished"
    """It is whole."""


class RecordedFile(Answer):
    """A file of a recording, or one that lies beside those."""

    id: str
    """Names it here."""
    state: RecordingState
    """Whether it is still written."""
    app: str | None
    """Of its stream; null if that is not known, as of a file that somebody has put there."""
    name: str | None
    """Of its stream."""
    file: str
    """Its path below the folder of recordings."""
    path: str
    """Its whole path on the server."""
    part: int | None
    """Which of the files of one recording it is."""
    started: datetime | None
    """When it began."""
    changed: datetime
    """When it was finished, or last written."""
    seconds: float | None
    """How long its media last."""
    bytes: int
    """Its size."""
    codecs: tuple[str, ...]
    """Of its media, as people call them; empty if they are not known."""
    reason: str | None
    """Why it ended; the list of reasons is in the operations manual."""
    waits_for: str
    """none, remux or upload: what is still to be done with it."""
    problem: str | None
    """Why that has not been done when it was last tried."""
    uploaded: str | None
    """Where it is stored besides, such as s3://bucket/live/show/2026-11-26.mp4."""


class RecordingPage(Page):
    """Recorded files, those that are written first, then the newest first."""

    items: tuple[RecordedFile, ...]
    """One part of them."""


class RecordingQuery(PageQuery):
    """Which files are wanted."""

    app: Annotated[str, Field(max_length=256)] | None = None
    """Of this app alone."""
    stream: Annotated[str, Field(max_length=1024)] | None = None
    """Of this stream alone, such as live/show."""
    state: RecordingState | None = None
    """In this state alone."""
    waiting: bool | None = None
    """Those alone with which something is still to be done, or nothing."""


class Recorder(Answer):
    """A stream, as it is recorded now."""

    app: str
    """Of the stream."""
    name: str
    """Of the stream."""
    recording: bool
    """Whether it is."""
    file: str | None
    """The file that is written, its path below the folder of recordings; null until the next key frame."""
    path: str | None
    """The same with the folder."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A finished file that does not go while it is sent."""

    path: str
    filename: str
    close: Callable[[], None]
    """To be called when it has been read."""
