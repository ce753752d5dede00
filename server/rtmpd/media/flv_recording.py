"""A live stream as an FLV file, in one pass: nothing that was written needs to be changed later."""

from __future__ import annotations

from typing import Final

from rtmpd.media import flv
from rtmpd.media.tags import (
    CODEC_METADATA,
    END_OF_SEQUENCE,
    SEQUENCE_HEADER,
    audio_flags,
    video_flags,
)
from rtmpd.media.timeline import Timeline
from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message

HOLD_MS: Final = 1000
"""How long, by timestamps, the beginning is held back to see which media there are."""
HOLD_BYTES: Final = 4 * 1024 * 1024

_NO_FRAME: Final = SEQUENCE_HEADER | CODEC_METADATA | END_OF_SEQUENCE
_SAMPLE_ACCESS: Final = encode_values("|RtmpSampleAccess")


class FlvRecording:
    """Takes the messages of a play and gives the bytes of the file. Timestamps start at 0.

    The file header says which media there are, and stands first: the beginning is held back until both have
    come, or one of them for ``HOLD_MS`` or ``HOLD_BYTES``. A medium that comes later is written all the same;
    then ``header`` is no longer what was written, and a file that can be changed should be.
    """

    def __init__(self) -> None:
        self._timeline = Timeline()
        self._held: list[bytes] | None = []
        self._held_bytes = 0
        self._audio = False
        self._video = False

    @property
    def header(self) -> bytes:
        """The first 13 bytes, by what is known now."""
        return flv.encode_header(self._audio, self._video)

    def take(self, message: Message) -> bytes:
        """The next piece of the file, empty while the beginning is held."""
        payload = message.payload
        kind = message.type
        if kind == MessageType.DATA_AMF0:
            if payload.startswith(_SAMPLE_ACCESS):
                return b""  # From the server to its player, no part of the stream.
            time = self._timeline.place_other(kind, message.timestamp)
        else:
            video = kind == MessageType.VIDEO
            flags = video_flags(payload) if video else audio_flags(payload)
            if flags & _NO_FRAME:
                time = self._timeline.place_other(kind, message.timestamp)
            else:
                time = self._timeline.place_frame(kind, message.timestamp)
            self._video |= video
            self._audio |= not video
        tag = flv.encode_tag(kind, time, payload)
        if self._held is None:
            return tag
        self._held.append(tag)
        self._held_bytes += len(tag)
        if (
            (self._audio and self._video)
            or self._timeline.position >= HOLD_MS
            or self._held_bytes >= HOLD_BYTES
        ):
            return self.release()
        return b""

    def release(self) -> bytes:
        """What is still held, with the header before it: at the end, or when there is no time to wait."""
        if self._held is None or not (self._audio or self._video):
            return b""
        data = b"".join([self.header, *self._held])
        self._held = None
        return data
