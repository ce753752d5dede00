"""What a stream looks like to whoever plays it: rates, distances of key frames, holes in its time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from rtmpd.media.codecs import AudioInfo, VideoInfo, audio_info, video_info
from rtmpd.media.tags import (
    CODEC_METADATA,
    END_OF_SEQUENCE,
    KEYFRAME,
    SEQUENCE_HEADER,
    audio_flags,
    parse_audio,
    parse_video,
    video_flags,
)
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message

GAP_MS: Final = 1000
"""A longer step between two frames of one medium is counted as a gap."""
WINDOW_SECONDS: Final = 2.0
"""What rates are averaged over."""

_NO_FRAME: Final = SEQUENCE_HEADER | CODEC_METADATA | END_OF_SEQUENCE


@dataclass(frozen=True, slots=True)
class Figures:
    """A look at a ``StreamMeter``."""

    media_ms: int
    """From the earliest to the latest timestamp of a frame."""
    bytes: int
    """Payload received, as are ``frames``."""
    frames: int
    """Of audio and video."""
    video_frames: int
    bits_per_second: float
    """Over the last two seconds, as are ``frames_per_second``. What a server has kept for those who join
    comes all at once: it counts for as long as its timestamps last."""
    frames_per_second: float
    """Of video."""
    keyframe_interval_ms: int | None
    """By timestamps, of the last two."""
    video: VideoInfo | None
    audio: AudioInfo | None
    gaps: int
    """Frames stamped more than a second after the one before of their medium."""
    regressions: int
    """Frames stamped earlier than the one before of their medium."""


class StreamMeter:
    """Takes the messages of one play. Times are clock readings in seconds, timestamps u32 ms."""

    def __init__(self) -> None:
        self.first_frame_at: float | None = None
        self.media_ms = 0
        self._bytes = 0
        self._frames = 0
        self._video_frames = 0
        self._gaps = 0
        self._regressions = 0
        self._video: VideoInfo | None = None
        self._audio: AudioInfo | None = None
        self._last: dict[int, int] = {}
        self._unwrapped: int | None = None
        self._earliest = 0
        self._latest = 0
        self._keyframe: int | None = None
        self._keyframe_interval: int | None = None
        self._samples: deque[tuple[float, int, int, int]] = deque()
        """Of each look: time, and bytes, frames of video and ms of media until then."""

    def take(self, message: Message, now: float) -> bool:
        """Count a message of type 8, 9 or 18; whether it is a frame of audio or video."""
        payload = message.payload
        self._bytes += len(payload)
        if message.type == MessageType.VIDEO:
            flags = video_flags(payload)
            self._note_video(flags, payload)
        elif message.type == MessageType.AUDIO:
            flags = audio_flags(payload)
            self._note_audio(payload)
        else:
            return False
        if flags & _NO_FRAME:
            return False
        self._note_frame(message, flags, now)
        return True

    def look(self, now: float) -> Figures:
        """The figures now. Rates are over the looks of the last two seconds, so look at least that often."""
        samples = self._samples
        if not samples and self.first_frame_at is not None:
            samples.append((self.first_frame_at, 0, 0, 0))
        samples.append((now, self._bytes, self._video_frames, self.media_ms))
        while len(samples) > 2 and now - samples[1][0] >= WINDOW_SECONDS:
            samples.popleft()
        since, bytes_then, frames_then, media_then = samples[0]
        elapsed = max(now - since, (self.media_ms - media_then) / 1000)
        return Figures(
            media_ms=self.media_ms,
            bytes=self._bytes,
            frames=self._frames,
            video_frames=self._video_frames,
            bits_per_second=(self._bytes - bytes_then) * 8 / elapsed if elapsed > 0 else 0.0,
            frames_per_second=(self._video_frames - frames_then) / elapsed if elapsed > 0 else 0.0,
            keyframe_interval_ms=self._keyframe_interval,
            video=self._video,
            audio=self._audio,
            gaps=self._gaps,
            regressions=self._regressions,
        )

    def _note_video(self, flags: int, payload: bytes) -> None:
        if flags & SEQUENCE_HEADER:
            self._video = video_info(payload) or self._video
        elif self._video is None and flags & KEYFRAME:
            self._video = VideoInfo(parse_video(payload).codec)

    def _note_audio(self, payload: bytes) -> None:
        info = audio_info(payload)
        if info is not None:
            self._audio = info
        elif self._audio is None and payload:
            self._audio = AudioInfo(parse_audio(payload).codec)

    def _note_frame(self, message: Message, flags: int, now: float) -> None:
        self._frames += 1
        if self.first_frame_at is None:
            self.first_frame_at = now
        time = self._unwrap(message.timestamp)
        last = self._last.get(message.type)
        if last is not None:
            self._gaps += time - last > GAP_MS
            self._regressions += time < last
        self._last[message.type] = time
        if message.type == MessageType.VIDEO:
            self._video_frames += 1
            if flags & KEYFRAME:
                if self._keyframe is not None:
                    self._keyframe_interval = time - self._keyframe
                self._keyframe = time

    def _unwrap(self, timestamp: int) -> int:
        """The timestamp in 64 bits: the shorter way round from the frame before."""
        before = self._unwrapped
        if before is None:
            time = self._earliest = self._latest = timestamp
        else:
            step = (timestamp - before) & 0xFFFFFFFF
            time = before + (step if step < 0x80000000 else step - 0x100000000)
        self._unwrapped = time
        self._earliest = min(self._earliest, time)
        self._latest = max(self._latest, time)
        self.media_ms = self._latest - self._earliest
        return time
