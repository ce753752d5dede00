"""Playing a stream to its end, into a file or just to see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from rtmpd.client.connect import Stream
from rtmpd.exceptions import StreamFailed
from rtmpd.media.flv_recording import FlvRecording
from rtmpd.media.meter import StreamMeter
from rtmpd.media.tags import CODED_FRAME, audio_flags, video_flags
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message
from rtmpd.tools.flv_files import FlvSink

_REPEATED_MS: Final = 30_000
"""How far back another server's play of the same stream may begin."""


@dataclass(slots=True)
class Playback:
    """One play, however many servers it takes. ``meter`` is there to be looked at meanwhile."""

    sink: FlvSink | None = None
    duration: float | None = None
    """Seconds of the stream, or of waiting for them; from the first frame on. None is to the end."""
    patience: float | None = None
    """Seconds to wait for the first frame. None is for ever."""
    meter: StreamMeter = field(default_factory=StreamMeter)
    connected: bool = False
    """A server has accepted the play."""
    _recording: FlvRecording = field(default_factory=FlvRecording)
    _deadline: float | None = None
    _latest: dict[int, int] = field(default_factory=dict)
    """Timestamps of the frames taken last, by type of message."""
    _catching_up: set[int] = field(default_factory=set)
    """Types of message that begin with what has been taken from the server before."""

    async def run(self, streams: AsyncGenerator[Stream, None]) -> None:
        """Take what ``streams``, which have begun to play, bring; however it ends, the file is whole.

        Each stream after the first goes on with the one before it: what it repeats is left out. Returns at
        the end of the last, after ``duration``, or when nobody reads what is written any more. Raises
        StreamFailed when no frame came, ConnectionLost and StreamFailed as the streams do, and OSError for a
        file that cannot be written.
        """
        try:
            async with aclosing(streams):
                async for stream in streams:
                    if await self._take_all(stream):
                        return
            if self.meter.first_frame_at is None:
                raise StreamFailed("the stream ended before there was any picture or sound")
        finally:
            if self.sink is not None:
                try:
                    await self.sink.write(self._recording.release())
                finally:
                    self.sink.close(self._recording.header)

    async def _take_all(self, stream: Stream) -> bool:
        """Whether this was enough."""
        loop = asyncio.get_running_loop()
        meter, sink = self.meter, self.sink
        if not self.connected:
            self.connected = True
            self._deadline = None if self.patience is None else loop.time() + self.patience
        self._catching_up = set(self._latest)
        try:
            async with asyncio.timeout_at(self._deadline) as deadline:
                async for message in stream:
                    if self._catching_up and self._is_repeated(message):
                        continue
                    now = loop.time()
                    first = meter.first_frame_at is None
                    is_frame = meter.take(message, now)
                    if is_frame:
                        self._latest[message.type] = message.timestamp
                        if first:
                            self._deadline = None if self.duration is None else now + self.duration
                            deadline.reschedule(self._deadline)
                    if self._is_enough():
                        return True
                    if sink is not None:
                        await sink.write(self._recording.take(message))
                        if sink.left:
                            return True
        except TimeoutError:
            if meter.first_frame_at is None:
                raise StreamFailed(f"no picture and no sound within {self.patience:g} s") from None
            return True
        return False

    def _is_repeated(self, message: Message) -> bool:
        if message.type not in self._catching_up:
            return False
        flags = (
            video_flags(message.payload)
            if message.type == MessageType.VIDEO
            else audio_flags(message.payload)
        )
        if not flags & CODED_FRAME:
            return False
        repeated = (self._latest[message.type] - message.timestamp) & 0xFFFFFFFF <= _REPEATED_MS
        if not repeated:
            self._catching_up.discard(message.type)
        return repeated

    def _is_enough(self) -> bool:
        return self.duration is not None and self.meter.media_ms >= self.duration * 1000
