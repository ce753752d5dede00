"""Playing a stream to its end, into a file or just to see it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from rtmpd.exceptions import StreamFailed
from rtmpd.media.flv_recording import FlvRecording
from rtmpd.media.meter import StreamMeter
from rtmpd.net.client import Stream
from rtmpd.net.flv_files import FlvSink


@dataclass(slots=True)
class Playback:
    """One play. ``meter`` is there to be looked at meanwhile."""

    sink: FlvSink | None = None
    duration: float | None = None
    """Seconds of the stream, or of waiting for them; from the first frame on. None is to the end."""
    patience: float | None = None
    """Seconds to wait for the first frame. None is for ever."""
    meter: StreamMeter = field(default_factory=StreamMeter)
    _recording: FlvRecording = field(default_factory=FlvRecording)

    async def run(self, stream: Stream) -> None:
        """Take what ``stream``, which has begun to play, brings; however it ends, the file is whole.

        Returns at the end of the stream, after ``duration``, or when nobody reads what is written any more.
        Raises StreamFailed when no frame came, ConnectionLost and StreamFailed as the stream does, and
        OSError for a file that cannot be written.
        """
        try:
            await self._take_all(stream)
        finally:
            if self.sink is not None:
                try:
                    await self.sink.write(self._recording.release())
                finally:
                    self.sink.close(self._recording.header)

    async def _take_all(self, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        meter, sink = self.meter, self.sink
        try:
            async with asyncio.timeout(self.patience) as deadline:
                async for message in stream:
                    now = loop.time()
                    first = meter.first_frame_at is None
                    is_frame = meter.take(message, now)
                    if first and is_frame:
                        deadline.reschedule(None if self.duration is None else now + self.duration)
                    if self._is_enough():
                        return
                    if sink is not None:
                        await sink.write(self._recording.take(message))
                        if sink.left:
                            return
        except TimeoutError:
            if meter.first_frame_at is None:
                raise StreamFailed(f"no picture and no sound within {self.patience:g} s") from None
        if meter.first_frame_at is None:
            raise StreamFailed("the stream ended before there was any picture or sound")

    def _is_enough(self) -> bool:
        return self.duration is not None and self.meter.media_ms >= self.duration * 1000
