"""FLV files that were cut off, by a process that was killed or a machine that failed: they are finished."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import FlvError
from rtmpd.media import flv
from rtmpd.media.codec_names import spoken
from rtmpd.media.metadata import live_metadata
from rtmpd.media.tags import CODED_FRAME, KEYFRAME, audio_codec, audio_flags, video_codec, video_flags
from rtmpd.outputs.flv_file import give_name
from rtmpd.outputs.flv_head import (
    HEAD_BYTES,
    SOUND_INDEX,
    KeyframeIndex,
    Told,
    build_head,
    is_begun,
    milliseconds,
    payload_of,
    read_head,
)
from rtmpd.outputs.flv_tags import TagAt, parse_head
from rtmpd.outputs.names import FILE_MODE, MAX_LEVELS, PART, SUFFIX
from rtmpd.outputs.recording import Recording, RecordingEnd
from rtmpd.reasons import FlvFailure
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.constants import ON_META_DATA, MessageType
from rtmpd.rtmp.messages import Message

_LOOK_BYTES: Final = 64
"""Of a payload, to see what it is."""
_BREATH: Final = 256
"""Tags, or entries of folders, after which the event loop has its turn."""
_FIRST_STEP: Final = 40
"""How long the last frame of a file of one frame lasts (ms)."""
_USUAL_STEP: Final = 1000
_FRESH: Final = 60.0
"""Seconds for which a file without anything in it may be one that begins just now."""
_COPY_BYTES: Final = 1024 * 1024


class Locked(OSError):
    """Somebody writes the file."""


@dataclass(slots=True)
class Findings:
    """What is in a file, as far as it is whole."""

    size: int
    """Bytes up to the end of the last whole tag."""
    told: Told
    metadata: bytes = b""
    index: KeyframeIndex = field(default_factory=KeyframeIndex)
    codecs: dict[int, str] = field(default_factory=dict)
    """By message type."""
    lost: int = 0
    """Bytes behind that."""
    steps: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Time of the last frame and what it lasts (ms), by message type."""

    indexed: int = 0
    """From when on sound has its next place in the index (ms)."""

    @property
    def spoken(self) -> tuple[str, ...]:
        """Codecs as people call them, video first."""
        return tuple(spoken(self.codecs[kind]) for kind in sorted(self.codecs, reverse=True))

    def note(self, tag: TagAt, begin: bytes, offset: int) -> None:
        """One more tag, whose payload begins so, and which will be ``offset`` bytes further on."""
        self.size = tag.end
        if tag.kind == MessageType.DATA_AMF0:
            return
        video = tag.kind == MessageType.VIDEO
        flags = video_flags(begin) if video else audio_flags(begin)
        if not flags & CODED_FRAME:
            return
        self.codecs[tag.kind] = video_codec(begin) if video else audio_codec(begin)
        now = tag.timestamp
        last, step = self.steps.get(tag.kind, (now - _FIRST_STEP, _FIRST_STEP))
        self.steps[tag.kind] = (now, now - last if 0 < now - last < _USUAL_STEP else step)
        if video and flags & KEYFRAME:
            self.index.add(now, tag.offset + offset)
        told = self.told
        told.video, told.audio = told.video or video, told.audio or not video
        if not told.video and now >= self.indexed:
            self.indexed = now + SOUND_INDEX
            self.index.add(now, tag.offset + offset)
        told.last = max(told.last, now)
        told.duration = max(time + step for time, step in self.steps.values())


def look_through(fd: int) -> Findings | None:
    """What is in a recording of ours, tag by tag; None if it is none. Raises OSError."""
    found, _ = _by_head(fd)
    if found is not None:
        for tag, begins in _tags(fd, HEAD_BYTES, os.fstat(fd).st_size):
            found.note(tag, begins, 0)
    return found


def finished(fd: int, key: StreamKey) -> Findings | None:
    """What is in a finished recording of the stream, as its head says it; None if it is none. Of codecs it
    says nothing. Raises OSError.
    """
    found, values = _by_head(fd)
    if found is None or (found.told.app, found.told.name) != (key.app, key.name):
        return None
    return found if _believe(found, values, os.fstat(fd).st_size) else None


def _by_head(fd: int) -> tuple[Findings | None, dict[str, AmfValue]]:
    """What a recording of ours is, with nothing in it yet, and all that its head says."""
    head = payload_of(os.pread(fd, HEAD_BYTES, 0))
    read = read_head(head)
    if read is None:
        return None, {}
    told, values = read
    return Findings(HEAD_BYTES, told, metadata=live_metadata(_script(head)) or b""), values


def _believe(found: Findings, values: dict[str, AmfValue], size: int) -> bool:
    """Take what the head of a finished file says; False if it is not finished."""
    match values:
        case {
            "filesize": float(told_size),
            "duration": float(duration),
            "lasttimestamp": float(last),
            "hasVideo": bool(video),
            "hasAudio": bool(audio),
            "keyframes": {"times": [*times], "filepositions": [*places]},
        } if told_size == size:
            told = found.told
            took, until = milliseconds(duration), milliseconds(last)
            if took is None or until is None:
                return False
            index = KeyframeIndex()
            for when, place in zip(times, places, strict=False):
                time = milliseconds(when) if isinstance(when, float) else None
                if time is None or not isinstance(place, float) or not HEAD_BYTES <= place < size:
                    return False
                index.add(time, int(place))
            told.duration, told.last, told.video, told.audio = took, until, video, audio
            found.index, found.size = index, size
            return True
    return False


def repair_recording(folder: int, name: str, path: str, root: str) -> Recording | None:
    """Finish the recording ``name`` of ours in ``folder``, which ends in ``PART`` and is at ``path``.

    None where there was nothing in it, which is removed, or it is none of ours. Raises OSError; ``Locked``
    where somebody writes it.
    """
    fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        lock(fd, path)
        found = look_through(fd)
        if found is None:
            stat = os.fstat(fd)
            old = time.time() - stat.st_mtime > _FRESH
            if old and stat.st_size < HEAD_BYTES and is_begun(os.pread(fd, HEAD_BYTES, 0)):
                os.unlink(name, dir_fd=folder)
            return None
        told = found.told
        if not found.codecs:
            os.unlink(name, dir_fd=folder)
            return None
        os.ftruncate(fd, found.size)
        told.size = found.size
        os.pwrite(fd, build_head(told, found.metadata, found.index), 0)
        os.fsync(fd)
        final = give_name(folder, name.removesuffix(PART))
    finally:
        os.close(fd)
    return Recording(
        key=StreamKey(told.app, told.name),
        path=f"{path[: -len(name)]}{final}",
        root=root,
        part=told.part,
        started_at=told.started_at,
        duration=told.duration / 1000,
        size=found.size,
        codecs=found.spoken,
        end=RecordingEnd.REPAIRED,
    )


def repair_all(
    root: str, tell: Callable[[Recording], None], complain: Callable[[str, OSError], None]
) -> None:
    """Finish all recordings below ``root`` that nobody writes. Raises OSError if ``root`` is not there."""
    os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
    seen = 0
    for at, folders, names, folder in os.fwalk(root, follow_symlinks=False):
        if at.removeprefix(root).count("/") >= MAX_LEVELS:
            folders.clear()  # Not ours, and perhaps a loop of mounts.
        for name in names:
            seen += 1
            if seen % _BREATH == 0:
                time.sleep(0.001)
            if not name.endswith(SUFFIX + PART):
                continue
            path = f"{at.rstrip('/')}/{name}"
            try:
                recording = repair_recording(folder, name, path, root)
            except Locked:
                continue
            except OSError as error:
                complain(path, error)
                continue
            if recording is not None:
                tell(recording)


def repair_copy(source: str, target: str) -> Findings:
    """Write what is whole of any FLV file to ``target``, which may not be there yet, with an index.

    Raises OSError, and FlvError if ``source`` is no FLV file or has no audio or video.
    """
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        begin = _begin_of(fd, source)
        found = Findings(begin, Told("", "", 1, 0.0))
        first = True
        skipped = 0
        for tag, begins in _tags(fd, begin, size):
            if first and tag.kind == MessageType.DATA_AMF0 and begins.startswith(ON_META_DATA):
                payload = os.pread(fd, tag.size, tag.offset + flv.TAG_HEADER_BYTES)
                found.metadata = live_metadata(_script(payload)) or b""
                found.told = read[0] if (read := read_head(payload)) is not None else found.told
                skipped = tag.end - begin
            first = False
            found.note(tag, begins, HEAD_BYTES - begin - skipped)
        found.lost = size - found.size
        if not found.codecs:
            raise FlvError(FlvFailure.NOT_FLV, f"{source} has neither audio nor video in it")
        found.told.size = HEAD_BYTES + found.size - begin - skipped
        _copy(fd, begin + skipped, found, target)
    finally:
        os.close(fd)
    return found


def _copy(fd: int, begin: int, found: Findings, target: str) -> None:
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with open(out, "wb", closefd=False) as file:
            file.write(build_head(found.told, found.metadata, found.index))
            at = begin
            while at < found.size and (data := os.pread(fd, min(_COPY_BYTES, found.size - at), at)):
                file.write(data)
                at += len(data)
        os.fsync(out)
    except BaseException:
        with suppress(OSError):
            Path(target).unlink()
        raise
    finally:
        os.close(out)


def _tags(fd: int, begin: int, size: int) -> Iterator[tuple[TagAt, bytes]]:
    """Whole tags from ``begin`` on, each with how its payload begins, up to the first that is none."""
    place, seen = begin, 0
    while True:
        data = os.pread(fd, flv.TAG_HEADER_BYTES + _LOOK_BYTES, place)
        tag = parse_head(data, 0, place, flv.MAX_TAG_BYTES)
        if tag is None or data[8:11] != b"\0\0\0" or tag.end > size:
            return
        yield tag, data[flv.TAG_HEADER_BYTES :][: tag.size]
        place = tag.end
        seen += 1
        if seen % _BREATH == 0:
            time.sleep(0.001)


def _begin_of(fd: int, source: str) -> int:
    """Where the first tag is. Raises FlvError."""
    reader = flv.FlvReader()
    head = os.pread(fd, 4096 + 4, 0)
    try:
        reader.receive_data(head[: flv.FILE_HEADER_BYTES])
    except FlvError as error:
        raise FlvError(error.reason, f"{source}: {error}") from None
    if not reader.header_parsed and len(head) < flv.FILE_HEADER_BYTES:
        raise FlvError(FlvFailure.NOT_FLV, f"{source} is too short for an FLV file")
    return int.from_bytes(head[5:9], "big") + 4


def lock(fd: int, path: str) -> None:
    """Raises ``Locked`` if somebody writes the file, OSError where there are no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Locked(errno.EWOULDBLOCK, "a server writes it just now", path) from None


def _script(payload: bytes) -> Message:
    return Message(MessageType.DATA_AMF0, 0, 1, payload)
