"""Publishing FLV: paced by its timestamps, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import fcntl
import ssl
import struct
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rtmpd.client.connect import Connection, Stream
from rtmpd.exceptions import (
    AuthenticationFailed,
    CallFailed,
    ClientError,
    ConnectionClosed,
    FlvError,
    RequestRejected,
)
from rtmpd.media.flv import FlvTag
from rtmpd.media.headers import Headers
from rtmpd.media.metadata import read_metadata, without_index
from rtmpd.media.tags import (
    CODEC_METADATA,
    END_OF_SEQUENCE,
    KEYFRAME,
    SEQUENCE_HEADER,
    audio_flags,
    video_flags,
)
from rtmpd.media.timeline import Timeline
from rtmpd.net.backoff import Backoff
from rtmpd.reasons import FlvFailure
from rtmpd.rtmp.constants import ON_META_DATA, MessageType
from rtmpd.tools.flv_files import FlvSource
from rtmpd.tools.route import STEADY_SECONDS, Route

_CONFIRM_SECONDS: Final = 1.0
_DRAIN_LOOK: Final = 0.2
"""Seconds between two looks at what is unsent at the end: as long as it shrinks, the server reads."""
_AUDIO: Final = int(MessageType.AUDIO)
_VIDEO: Final = int(MessageType.VIDEO)
_DATA: Final = int(MessageType.DATA_AMF0)
_HEADER: Final = SEQUENCE_HEADER | CODEC_METADATA


class PublishState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"
    """For the next attempt to connect."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """How to publish."""

    loop: bool = False
    """Begin again at the end, for ever."""
    fast: bool = False
    """As fast as the server takes it, instead of as the timestamps say."""
    retries: int = 5
    """Failures in a row that are followed by another attempt."""


@dataclass(slots=True)
class PublishProgress:
    """What there is to be shown. Times in seconds."""

    state: PublishState = PublishState.CONNECTING
    position: float = 0.0
    """Of the frame sent last, all rounds together."""
    duration: float = 0.0
    """Of one round, as the file's metadata says; 0 if it says nothing."""
    round: int = 1
    bytes: int = 0
    """Payload sent."""
    packets: int = 0
    late: float = 0.0
    """How late the frame sent last was."""
    reconnects: int = 0
    moves: int = 0
    """To other servers, because one asked for it."""
    jumps: int = 0
    """Of timestamps in the file, which were joined."""


class Pacer:
    """When a frame is due on a monotonic clock, whose readings it is given."""

    def __init__(self) -> None:
        self._epoch: float | None = None

    def start(self, time_ms: int, now: float) -> None:
        """The frame of ``time_ms`` is due now."""
        self._epoch = now - time_ms / 1000

    def delay(self, time_ms: int, now: float) -> float:
        """Seconds until the frame of ``time_ms`` is due; negative when it is late."""
        if self._epoch is None:
            self.start(time_ms, now)
            return 0.0
        return self._epoch + time_ms / 1000 - now


class FilePublisher:
    """Publishes one source by one route.

    After a connection has broken it goes on with the next key frame of the source, behind the headers. Where
    a server wants it elsewhere, it leaves with a key frame, and nothing is lost.
    """

    def __init__(
        self,
        source: FlvSource,
        route: Route,
        plan: PublishPlan,
        backoff: Backoff,
        on_failure: Callable[[ClientError, float], None],
    ) -> None:
        """``on_failure(error, delay)`` is told before the next attempt, which is ``delay`` seconds later."""
        self.progress = PublishProgress()
        self._source = source
        self._route = route
        self._plan = plan
        self._backoff = backoff
        self._on_failure = on_failure
        self._connection: Connection | None = None
        self._pacer = Pacer()
        self._timeline = Timeline()
        self._carried: FlvTag | None = None
        """Read, and to be sent first by the next connection."""
        self._headers = Headers()
        self._failures = 0
        self._live_since: float | None = None
        self._was_live = False
        self._has_video = False
        self._frames = 0
        """Read in this round."""
        self._all_sent = False
        self._resuming = False
        """After a reconnect, until the first frame that is sent again."""
        self._broken_by: ClientError | None = None
        """What ended the last connection that was live."""
        self._restart_clock = False

    async def run(self) -> None:
        """Publish to the end of the source; cancelled, it ends the publish in order.

        Raises FlvError for what is wrong with the source, and what the last attempt ended with: a
        ClientError, or HandshakeError for a server that does not speak RTMP.
        """
        await self._source.open()
        while True:
            try:
                is_done = await self._publish_once()
            except ClientError as error:
                await self._wait_after(error)
            else:
                if is_done:
                    self.progress.state = PublishState.DONE
                    return

    @property
    def unsent_bytes(self) -> int:
        """Bytes that were sent and that the network has not taken, or the server not acknowledged, yet."""
        connection = self._connection
        if connection is None or connection.exception is not None:
            return 0
        waiting = connection.link.transport.get_write_buffer_size()
        sock = connection.get_extra_info("socket")
        try:
            (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        except (OSError, ValueError):  # Not every system tells, and no closed socket.
            queued = 0
        return waiting + int(queued)

    async def _publish_once(self) -> bool:
        """Publish on one connection; False when the server wants the rest elsewhere."""
        self.progress.state = PublishState.CONNECTING
        clock = asyncio.get_running_loop().time
        async with self._route.connected() as connection:
            stream = await connection.publish()
            self._connection = connection
            self._live_since = clock()
            if self._was_live and not self._carried:
                self.progress.reconnects += 1
            self._was_live = True
            self.progress.state = PublishState.LIVE
            while (tag := await self._next_tag()) is not None:
                if self._route.moving.is_set() and self._can_resume_at(tag.type, _flags(tag)):
                    self._carried = tag
                    self._resuming = True
                    self.progress.moves += 1
                    await stream.close()
                    return False
                await self._send(tag, stream)
            self._all_sent = True
            if self._resuming and self._broken_by is not None:
                raise self._broken_by  # No key frame was left to go on with: the rest has not been published.
            await self._confirm(connection, stream)
            await stream.close()
        return True

    async def _confirm(self, connection: Connection, stream: Stream) -> None:
        """Wait until the server has read everything, which the answer to a harmless question shows.

        Servers that answer none while somebody publishes are believed after a second; one that has ended
        the publish is not, whatever it has answered.
        """
        last = sys.maxsize
        while 0 < (unsent := self.unsent_bytes) < last:
            last = unsent
            await asyncio.sleep(_DRAIN_LOOK)
        try:
            async with asyncio.timeout(_CONFIRM_SECONDS):
                await connection.create_stream()
        except (TimeoutError, CallFailed):
            pass
        except ConnectionClosed:
            stream.check()
            raise
        stream.check()

    async def _next_tag(self) -> FlvTag | None:
        """The next tag of an endless source in a loop, None at the end of any other."""
        if self._carried is not None:
            carried, self._carried = self._carried, None
            return carried
        while (tag := await self._source.next_tag()) is None:
            if not self._frames:
                raise FlvError(
                    FlvFailure.NO_MEDIA, f"{self._source.name} holds no audio or video: nothing to publish"
                )
            if not self._plan.loop:
                return None
            self._source.rewind()
            self._timeline.begin_again()
            self._frames = 0
            self.progress.round += 1
        return tag

    async def _send(self, tag: FlvTag, stream: Stream) -> None:
        if tag.type not in (_AUDIO, _VIDEO, _DATA):
            return
        flags = _flags(tag)
        is_frame = _is_frame(tag.type, flags)
        if is_frame:
            time_ms = self._place(tag)
        else:
            time_ms = self._timeline.place_other(tag.type, tag.timestamp)
            if tag.type == _DATA:
                tag.payload = without_index(tag.payload)
            if not self._wanted(tag, flags):
                return
        if self._resuming:
            if not self._can_resume_at(tag.type, flags):
                return
            self._resuming = False
            await self._pace(time_ms)
            for kind, payload, at in self._headers.messages(time_ms):
                await self._put(kind, payload, at, stream)
        else:
            await self._pace(time_ms)
        await self._put(tag.type, tag.payload, time_ms, stream)
        if is_frame:
            self.progress.position = max(self.progress.position, time_ms / 1000)

    def _place(self, tag: FlvTag) -> int:
        """The time of a frame, ms."""
        self._frames += 1
        self._has_video |= tag.type == _VIDEO
        time_ms = self._timeline.place_frame(tag.type, tag.timestamp)
        if self._timeline.jumps != self.progress.jumps:
            self.progress.jumps = self._timeline.jumps
            self._restart_clock = True
        return time_ms

    def _wanted(self, tag: FlvTag, flags: int) -> bool:
        """Keep a header for a reconnect; whether to send what is no frame."""
        self._has_video |= tag.type == _VIDEO
        new = True
        if flags & _HEADER:
            new = self._headers.keep(tag.type, tag.payload)
        elif tag.payload.startswith(ON_META_DATA):
            new = self._headers.keep_metadata(tag.payload)
            self._note_duration(tag.payload)
        if self._plan.loop:
            # The end is not the end, and the next round needs no headers that the server has.
            return not flags & END_OF_SEQUENCE and (new or self.progress.round == 1)
        return True

    def _note_duration(self, metadata: bytes) -> None:
        duration = read_metadata(metadata).get("duration")
        if isinstance(duration, int | float) and 0 < duration < 10**9:
            self.progress.duration = float(duration)

    def _can_resume_at(self, kind: int, flags: int) -> bool:
        """Whether it is a frame that a decoder can begin with."""
        if not _is_frame(kind, flags):
            return False
        return not self._has_video or (kind == _VIDEO and bool(flags & KEYFRAME))

    async def _pace(self, time_ms: int) -> None:
        if self._plan.fast:
            return
        now = asyncio.get_running_loop().time()
        if self._restart_clock:
            self._restart_clock = False
            self._pacer.start(time_ms, now)
        delay = self._pacer.delay(time_ms, now)
        self.progress.late = max(0.0, -delay)
        if delay > 0:
            await asyncio.sleep(delay)

    async def _put(self, kind: int, payload: bytes, time_ms: int, stream: Stream) -> None:
        await stream.send(kind, payload, time_ms)
        self.progress.bytes += len(payload)
        self.progress.packets += 1

    async def _wait_after(self, error: ClientError) -> None:
        """Wait for the next attempt, or raise the error if there shall be none."""
        loop = asyncio.get_running_loop()
        self._connection = None
        if self._live_since is not None:
            # A file waits for us, so its clock does; what comes through a pipe may have its own.
            self._restart_clock = self._source.can_rewind
            self._resuming = True
            self._broken_by = error
            if loop.time() - self._live_since >= STEADY_SECONDS:
                self._failures = 0
                self._backoff.reset()
            self._live_since = None
        self._failures += 1
        if self._all_sent or self._failures > self._plan.retries or not self._is_passing(error):
            raise error
        delay = self._backoff.next_delay()
        self.progress.state = PublishState.WAITING
        self._on_failure(error, delay)
        await asyncio.sleep(delay)

    def _is_passing(self, error: ClientError) -> bool:
        """Whether another attempt may end better."""
        if isinstance(error, RequestRejected):
            # The server may still hold our name for the connection that broke.
            return self._was_live and not isinstance(error, AuthenticationFailed)
        return not isinstance(error.__cause__, ssl.SSLCertVerificationError)


def _is_frame(kind: int, flags: int) -> bool:
    return kind in (_AUDIO, _VIDEO) and not flags & (_HEADER | END_OF_SEQUENCE)


def _flags(tag: FlvTag) -> int:
    if tag.type == _VIDEO:
        return video_flags(tag.payload)
    return audio_flags(tag.payload) if tag.type == _AUDIO else 0
