"""What can be asked of the last seconds of streams, and of their newest pictures."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.clip_answers import ClipQuery, HeldFile
from rtmpd.control.control import Control
from rtmpd.reasons import Problem
from rtmpd.web.operations import STREAM, Asked, Operation


async def _last(control: Control, asked: Asked) -> HeldFile:
    return await control.clips.last(asked.stream, asked.query_as(ClipQuery), asked.actor)


async def _snapshot(control: Control, asked: Asked) -> HeldFile:
    return await control.clips.snapshot(asked.stream, asked.actor)


async def _picture(control: Control, asked: Asked) -> HeldFile:
    return await control.clips.picture(asked.stream, asked.actor)


_PROBLEMS: Final = (
    Problem.BAD_REQUEST,
    Problem.STREAM_NOT_FOUND,
    Problem.NOTHING_KEPT,
    Problem.CLIPS_BUSY,
    Problem.TOO_MANY_DOWNLOADS,
)

OPERATIONS: Final = (
    Operation(
        "getClip",
        "GET",
        f"{STREAM}/last.flv",
        Role.OPERATE,
        "The last seconds of a stream that has a ring, as FLV, also for a while after its end",
        None,
        download=_last,
        query=ClipQuery,
        problems=(*_PROBLEMS, Problem.NO_MEMORY),
    ),
    Operation(
        "getSnapshot",
        "GET",
        f"{STREAM}/snapshot.flv",
        Role.OPERATE,
        "The newest key frame of a stream, as FLV",
        None,
        download=_snapshot,
        problems=_PROBLEMS,
    ),
    Operation(
        "getPicture",
        "GET",
        f"{STREAM}/snapshot.jpg",
        Role.OPERATE,
        "The same as a JPEG, where PyAV is installed; at most two seconds old, and the same for all who ask",
        None,
        download=_picture,
        problems=(*_PROBLEMS, Problem.NO_PICTURE),
    ),
)
