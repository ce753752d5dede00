"""What can be asked of recordings."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.recording_answers import (
    OpenedFile,
    RecordedFile,
    Recorder,
    RecordingPage,
    RecordingQuery,
)
from rtmpd.reasons import Problem
from rtmpd.web.operations import STREAM, Asked, Operation


async def _list(control: Control, asked: Asked) -> RecordingPage:
    return await control.recordings.list(asked.query_as(RecordingQuery), asked.actor)


async def _get(control: Control, asked: Asked) -> RecordedFile:
    return await control.recordings.get(asked.path["id"], asked.actor)


async def _open(control: Control, asked: Asked) -> OpenedFile:
    return await control.recordings.open(asked.path["id"], asked.actor)


async def _delete(control: Control, asked: Asked) -> None:
    await control.recordings.delete(asked.path["id"], asked.actor)


async def _retry(control: Control, asked: Asked) -> RecordedFile:
    return await control.recordings.retry(asked.path["id"], asked.actor)


async def _start(control: Control, asked: Asked) -> Recorder:
    return await control.recordings.start(asked.stream, asked.actor)


async def _stop(control: Control, asked: Asked) -> Recorder:
    return await control.recordings.stop(asked.stream, asked.actor)


async def _split(control: Control, asked: Asked) -> Recorder:
    return await control.recordings.split(asked.stream, asked.actor)


_OF_STREAMS: Final = (Problem.BAD_REQUEST, Problem.STREAM_NOT_FOUND, Problem.RECORDING_REFUSED)

OPERATIONS: Final = (
    Operation(
        "listRecordings",
        "GET",
        "/recordings",
        Role.READ,
        "Recorded files: those that are written, then the newest first",
        _list,
        RecordingPage,
        query=RecordingQuery,
    ),
    Operation(
        "getRecording",
        "GET",
        "/recordings/{id}",
        Role.READ,
        "A recorded file",
        _get,
        RecordedFile,
        problems=(Problem.RECORDING_NOT_FOUND,),
    ),
    Operation(
        "downloadRecording",
        "GET",
        "/recordings/{id}/file",
        Role.OPERATE,
        "What is in a finished file, or the parts of it that Range names",
        None,
        file=_open,
        problems=(Problem.RECORDING_NOT_FOUND, Problem.RECORDING_BUSY, Problem.TOO_MANY_DOWNLOADS),
    ),
    Operation(
        "deleteRecording",
        "DELETE",
        "/recordings/{id}",
        Role.OPERATE,
        "Remove a finished file from this server; what was uploaded stays where it is",
        _delete,
        status=204,
        problems=(Problem.RECORDING_NOT_FOUND, Problem.RECORDING_BUSY),
    ),
    Operation(
        "retryRecording",
        "POST",
        "/recordings/{id}/retry",
        Role.OPERATE,
        "Try now what is still to be done with a file: its MP4 file, its upload",
        _retry,
        RecordedFile,
        problems=(Problem.RECORDING_NOT_FOUND, Problem.RECORDING_BUSY),
    ),
    Operation(
        "startRecording",
        "POST",
        f"{STREAM}/recording/start",
        Role.OPERATE,
        "Record a stream from its next key frame on, for as long as it is published",
        _start,
        Recorder,
        problems=_OF_STREAMS,
    ),
    Operation(
        "stopRecording",
        "POST",
        f"{STREAM}/recording/stop",
        Role.OPERATE,
        "Finish the file of a stream, and record it no more until it is published anew",
        _stop,
        Recorder,
        problems=(*_OF_STREAMS, Problem.NOT_RECORDED),
    ),
    Operation(
        "splitRecording",
        "POST",
        f"{STREAM}/recording/split",
        Role.OPERATE,
        "Have a recording go on in another file from the next key frame on",
        _split,
        Recorder,
        problems=(*_OF_STREAMS, Problem.NOT_RECORDED),
    ),
)
