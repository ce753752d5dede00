"""An FLV file that is played: one descriptor for all who play it, read in threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from rtmpd.engine.packet import DATA, STREAM_METADATA, Packet
from rtmpd.engine.vod import BACK_MS, HOLE_MS, Block, Place
from rtmpd.net.workers import Workers
from rtmpd.outputs.flv_survey import Survey
from rtmpd.outputs.flv_tags import packets_of, tags

_BLOCK_BYTES: Final = 256 * 1024
"""What is read at once, and a tag beyond."""


class OpenFile:
    """A file that somebody plays, and those who do."""

    def __init__(
        self, fd: int, survey: Survey, forget: Callable[[], None], tag: str = "", changed: float = 0.0
    ) -> None:
        self.tag = tag
        self.changed = changed
        self.fd = fd
        self.survey = survey
        self.users = 0
        self._reads = 0
        self._forget = forget

    def begin_read(self) -> None:
        """A thread reads: the descriptor has to stay."""
        self._reads += 1

    def end_read(self) -> None:
        """It has read."""
        self._reads -= 1
        self._settle()

    def leave(self) -> None:
        """One less plays it."""
        self.users -= 1
        self._settle()

    def _settle(self) -> None:
        if not self.users and not self._reads and self.fd >= 0:
            fd, self.fd = self.fd, -1
            self._forget()
            os.close(fd)


class RecordedFile:
    """It, as one player has it."""

    def __init__(self, file: OpenFile, readers: Workers, scanners: Workers, patience: float) -> None:
        file.users += 1
        self.patience = patience
        self._file = file
        self._readers = readers
        self._scanners = scanners
        self._closed = False

    @property
    def duration(self) -> int:
        """How long it is (ms)."""
        return self._file.survey.duration

    @property
    def codecs(self) -> str:
        """For a log line."""
        return self._file.survey.codecs

    @property
    def opening(self) -> list[Packet]:
        """Metadata and headers."""
        survey = self._file.survey
        return [Packet(DATA, 0, survey.metadata, STREAM_METADATA), *survey.headers]

    @property
    def start(self) -> Place:
        """Its beginning."""
        return Place(self._file.survey.begin, 0)

    def locate(self, position: int, done: Callable[[Place | Exception], None]) -> None:
        """Find a key frame; see ``serving.vod.VodFile``."""
        file, survey = self._file, self._file.survey
        if survey.index is not None:
            done(self._place(position))
            return
        file.begin_read()

        def found(outcome: object) -> None:
            file.end_read()
            done(outcome if isinstance(outcome, Exception) else self._place(position))

        self._scanners.submit(lambda: survey.find_key_frames(file.fd), found)

    def read(self, cursor: int, until: int, done: Callable[[Block | Exception], None]) -> None:
        """Read a piece; see ``serving.vod.VodFile``."""
        file = self._file
        file.begin_read()

        def read(outcome: Block | Exception) -> None:
            file.end_read()
            done(outcome)

        self._readers.submit(lambda: read_block(file.fd, cursor, file.survey.base, until), read)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.survey.size

    @property
    def changed(self) -> float:
        """When it was (Unix time)."""
        return self._file.changed

    @property
    def tag(self) -> str:
        """Another one if there is anything else in it."""
        return self._file.tag

    def read_bytes(self, offset: int, size: int, done: Callable[[bytes | Exception], None]) -> None:
        """Read what is in the file; see ``serving.vod.VodFile``."""
        file = self._file
        file.begin_read()

        def read(outcome: bytes | Exception) -> None:
            file.end_read()
            done(outcome)

        self._readers.submit(lambda: os.pread(file.fd, size, offset), read)

    def close(self) -> None:
        """It is played no more. Idempotent."""
        if not self._closed:
            self._closed = True
            self._file.leave()

    def _place(self, position: int) -> Place:
        survey = self._file.survey
        found = survey.index.before(position + survey.base) if survey.index is not None else None
        if found is None:
            return self.start
        timestamp, offset = found
        return Place(offset, max(timestamp - survey.base, 0))


def read_block(fd: int, cursor: int, base: int, until: int) -> Block:
    """Tags from ``cursor`` on up to the time ``until``, where times jump, or about ``_BLOCK_BYTES``. Blocks.

    ``base`` is the time of the file's first frame; other times count from there.
    """
    packets: list[Packet] = []
    size, last = 0, None
    for tag, payload in tags(fd, cursor):
        time = max(tag.timestamp - base, 0)
        if tag.kind == DATA:  # Often stamped 0.
            time = time if last is None else last
        elif last is not None and not -BACK_MS <= time - last <= HOLE_MS:
            return Block(packets, tag.offset, time, False)
        if time > until or size >= _BLOCK_BYTES:
            return Block(packets, tag.offset, time, False)
        packets += packets_of(tag, payload, time)
        size += len(payload)
        last = time if tag.kind != DATA else last
        cursor = tag.end
    return Block(packets, cursor, None, True)
