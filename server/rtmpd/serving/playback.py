"""Playing files: as far ahead as the player takes it, all of them by one timer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from rtmpd.engine.packet import DATA, VIDEO, Packet, WireFormat
from rtmpd.engine.vod import BACK_MS, HOLE_MS, Block, Place
from rtmpd.serving.vod import VodFile

TURN: Final = 0.1
"""Seconds from one look at all plays to the next."""
TURN_BYTES: Final = 16 * 1024 * 1024
"""What all plays together are sent in one turn at most: who downloads leaves time for what is live."""
LEAST_BUFFER_MS: Final = 1000
"""How far ahead a player is served that wants less, or has not said."""
_LOOK_AHEAD_MS: Final = 500
"""What is read at once is at least so much."""

_logger = logging.getLogger(__name__)


class PlaybackSink(Protocol):
    """Who is sent what is played. No method may block."""

    @property
    def wire_format(self) -> WireFormat:
        """How it is sent."""

    @property
    def congested(self) -> bool:
        """It has not taken what it was sent; it calls ``Playback.go_on`` when it has."""

    def write(self, data: bytes, messages: int) -> None:
        """Send whole messages. May end the play."""

    def seeked(self, position: int) -> None:
        """What is sent from now on begins at ``position`` (ms)."""

    def completed(self) -> None:
        """All has been sent."""

    def failed(self, error: Exception) -> None:
        """It cannot be read any further: end the play."""


class Paced(Protocol):
    """A play of a file, as its pacer sees it."""

    def go_on(self) -> None:
        """Send what is due, if there is somebody to take it."""

    def fail(self, error: Exception) -> None:
        """It cannot go on."""


class Pacer:
    """The timer of all plays, and what they may be sent together."""

    def __init__(self) -> None:
        self._plays: dict[Paced, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._room = TURN_BYTES

    def add(self, play: Paced) -> None:
        """Have it looked at from now on."""
        self._plays[play] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TURN, self._turn)

    def remove(self, play: Paced) -> None:
        """It is looked at no more."""
        self._plays.pop(play, None)
        if not self._plays and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def has_room(self) -> bool:
        """Something more may be sent in this turn."""
        return self._room > 0

    def sent(self, play: Paced, size: int) -> None:
        """It was sent so many bytes: others come first in the next turn."""
        self._room -= size
        if play in self._plays:
            self._plays[play] = self._plays.pop(play)

    def _turn(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TURN, self._turn)
        self._room = TURN_BYTES
        for play in list(self._plays):
            try:
                play.go_on()
            except Exception as error:
                _logger.exception("a play of a file failed")
                play.fail(error)


class Playback:
    """One player's way through one recording."""

    __slots__ = (
        "_base",
        "_busy",
        "_clock",
        "_closed",
        "_cursor",
        "_encode",
        "_ends_at",
        "_last",
        "_latest",
        "_next",
        "_offset",
        "_pacer",
        "_paused_at",
        "_recording",
        "_seek",
        "_since",
        "_sink",
        "_told",
        "_wanted",
        "buffer_ms",
        "complete",
        "kinds",
    )

    def __init__(
        self, recording: VodFile, sink: PlaybackSink, pacer: Pacer, clock: Callable[[], float]
    ) -> None:
        self._recording = recording
        self._sink = sink
        self._encode = sink.wire_format.encode
        self._pacer = pacer
        self._clock = clock
        self._cursor = recording.start.cursor
        self._since = 0.0
        """Clock reading at which what is at ``_base`` was due."""
        self._base = 0
        """Time in the recording (ms)."""
        self._latest = 0
        """Of what was sent (ms)."""
        self._last = 0
        """Of the last frame that was sent (ms)."""
        self._next: int | None = None
        """Of what is read next, where that is known (ms)."""
        self._ends_at: int | None = None
        """Time in the recording at which it is over for this player (ms)."""
        self._wanted: int | None = None
        """How much of it the player wants from where it begins (ms)."""
        self._seek: int | None = None
        """Where it is to go on (ms)."""
        self._offset = 0
        """What is sent is stamped from there on (ms)."""
        self._busy = True
        """Somebody reads, or looks for a place."""
        self._closed = False
        self._told = False
        """It has been sent the metadata."""
        self._paused_at: float | None = None
        self.buffer_ms = LEAST_BUFFER_MS
        self.complete = False
        """All has been sent; it may be begun again by a seek."""
        self.kinds = frozenset((8, 9, 18))
        """Media that the player wants."""

    @property
    def position(self) -> int:
        """Time of the last that was sent (ms)."""
        return self._latest

    @property
    def paused(self) -> bool:
        """It is sent nothing until it wants more."""
        return self._paused_at is not None

    def begin(self, position: int, length: int | None) -> None:
        """Send it from ``position`` on, and ``length`` of it (ms); None is to the end.

        What is sent is stamped from there on, as Flash players and librtmp have it. Pictures that others need
        which lie before it come with that time, sound that does not.
        """
        position = min(position, self._recording.duration)
        self._wanted, self._offset = length, max(position, 0)
        self._pacer.add(self)
        if position <= 0:
            self._go_to(self._recording.start)
        else:
            self._locate(position, seek=False)

    def seek(self, position: int) -> None:
        """Go on at the key frame before ``position`` (ms). The last one holds of those that come together."""
        if self._closed:
            return
        self._ends_at, self._wanted, self._offset = None, None, 0
        if self._busy:
            self._seek = position
        else:
            self._locate(position, seek=True)

    def pause(self) -> None:
        """Send nothing for now."""
        if self._paused_at is None:
            self._paused_at = self._clock()

    def resume(self) -> None:
        """Go on where it was."""
        if self._paused_at is not None:
            self._since += self._clock() - self._paused_at
            self._paused_at = None
            self.go_on()

    def go_on(self) -> None:
        """Read what is due, if there is somebody to take it."""
        if self._busy or self._closed or self.complete or self.paused or self._sink.congested:
            return
        if not self._pacer.has_room:
            return
        due = self._due()
        latest = self._latest if self._next is None else self._next
        if latest > due:
            return
        self._busy = True
        until = due + _LOOK_AHEAD_MS
        if self._ends_at is not None:
            until = min(until, self._ends_at)
        self._recording.read(self._cursor, until, self._take)

    def fail(self, error: Exception) -> None:
        """It cannot go on."""
        if not self._closed:
            self.close()
            self._sink.failed(error)

    def close(self) -> None:
        """It is over: nobody is called any more. Idempotent."""
        if not self._closed:
            self._closed = True
            self._pacer.remove(self)
            self._recording.close()

    # Inside

    def _due(self) -> int:
        """Up to which time of the recording the player is to be sent it (ms)."""
        elapsed = (self._clock() - self._since) * 1000.0
        return self._base + int(elapsed) + max(self.buffer_ms, LEAST_BUFFER_MS)

    def _locate(self, position: int, *, seek: bool) -> None:
        self._busy, self._seek = True, None
        self._recording.locate(max(position, 0), lambda place: self._found(place, position, seek=seek))

    def _found(self, place: Place | Exception, position: int, *, seek: bool) -> None:
        if self._closed:
            return
        if self._seek is not None:  # It wants to be elsewhere by now.
            self._locate(self._seek, seek=True)
        elif isinstance(place, Exception):
            self.fail(place)
        else:
            if seek:
                self._sink.seeked(place.position)
            if not self._closed:
                if self._wanted is not None:
                    self._wanted += max(position - place.position, 0)
                self._go_to(place)

    def _go_to(self, place: Place) -> None:
        self._busy = self.complete = False
        self._cursor, self._next = place.cursor, None
        self._latest = self._last = place.position
        self._base = max(place.position, self._offset)
        self._since = self._clock()
        if self._paused_at is not None:
            self._paused_at = self._since
        if self._wanted is not None:
            self._ends_at = place.position + self._wanted
        self._open(0 if self._offset else place.position)
        self.go_on()

    def _open(self, time: int) -> None:
        """Headers go out, and once the metadata, which ffmpeg takes for a medium if it has a ``time``."""
        opening = self._recording.opening
        told, self._told = self._told, True
        self._send(
            [
                packet.restamped(0 if packet.kind == DATA else time)
                for packet in opening
                if packet.kind != DATA or not told
            ]
        )

    def _take(self, block: Block | Exception) -> None:
        if self._closed:
            return
        self._busy = False
        if self._seek is not None:
            self._locate(self._seek, seek=True)
            return
        if isinstance(block, Exception):
            self.fail(block)
            return
        self._cursor, self._next = block.cursor, block.next_position
        self._follow_jump(block)
        ends_at = self._ends_at
        over = ends_at is not None and block.next_position is not None and block.next_position > ends_at
        self.complete = block.ended or over
        self._send(self._stamped(block.packets) if self._offset else block.packets)
        if self.complete:
            self._tell_complete()
        else:
            self.go_on()

    def _tell_complete(self) -> None:
        if not self._closed:
            self._sink.completed()

    def _follow_jump(self, block: Block) -> None:
        """Of a file whose times jump nobody is let wait, nor sent all that is behind a step back at once."""
        frames = [packet.timestamp for packet in block.packets if packet.kind != DATA]
        if frames:
            step = frames[0] - self._last
            if step > HOLE_MS or step < -BACK_MS:
                self._base += step
            self._last = frames[-1]
            self._latest = max(frames) if step >= -BACK_MS else frames[-1]
        if self._next is not None:
            step = self._next - self._last
            if step > HOLE_MS or step < -BACK_MS:
                self._base += step
                self._last = self._latest = self._next

    def _stamped(self, packets: list[Packet]) -> list[Packet]:
        """With times from where it was to begin.

        quirk(librtmp): of a file that it resumes it leaves out all that is stamped 0, as pictures are
        that are for the decoder only; so no sound is.
        """
        offset = self._offset
        return [
            packet.restamped(max(packet.timestamp - offset, 0 if packet.kind == VIDEO else 1))
            for packet in packets
            if packet.timestamp >= offset or packet.kind == VIDEO
        ]

    def _send(self, packets: list[Packet]) -> None:
        encode, kinds = self._encode, self.kinds
        images = [image for packet in packets if packet.kind in kinds and (image := encode(packet))]
        if images:
            data = b"".join(images)
            self._pacer.sent(self, len(data))
            self._sink.write(data, len(images))
