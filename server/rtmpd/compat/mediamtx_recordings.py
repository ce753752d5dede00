"""Recordings as MediaMTX's control API tells them: by path, each with the beginnings of its files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rtmpd.compat.mediamtx import Answer
from rtmpd.control.actor import Actor
from rtmpd.control.control import Control
from rtmpd.control.recording_answers import RecordedFile, RecordingQuery

_PART = 1000
"""Of a list that is asked for at a time."""


async def all_recordings(control: Control, by: Actor, stream: str | None = None) -> list[RecordedFile]:
    """Every file that ``by`` may see of which the stream is known; of one stream if that is given."""
    found: list[RecordedFile] = []
    after: str | None = None
    while True:
        page = await control.recordings.list(RecordingQuery(limit=_PART, after=after, stream=stream), by)
        found += [each for each in page.items if each.app is not None and each.started is not None]
        after = page.next
        if after is None:
            return found


def recordings(files: Iterable[RecordedFile]) -> list[Answer]:
    """Items of ``/v3/recordings/list``."""
    by_path: dict[str, list[RecordedFile]] = {}
    for each in files:
        by_path.setdefault(f"{each.app}/{each.name}", []).append(each)
    return [recording(path, by_path[path]) for path in sorted(by_path)]


def recording(path: str, files: Iterable[RecordedFile]) -> Answer:
    """``/v3/recordings/get/{name}``"""
    begun = sorted({each.started for each in files if each.started is not None})
    return {"name": path, "segments": [{"start": spell(start)} for start in begun]}


def begun_at(files: Iterable[RecordedFile], start: str) -> list[RecordedFile]:
    """Those that began then; a recording and its MP4 file did together. Raises ValueError."""
    wanted = datetime.fromisoformat(start)
    if wanted.tzinfo is None:
        raise ValueError("start has no time zone")
    return [each for each in files if each.started == wanted]


def spell(at: datetime) -> str:
    """As RFC 3339 has it."""
    return at.isoformat().replace("+00:00", "Z")
