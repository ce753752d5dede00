"""What a synthetic encoder sends: valid AVC and AAC headers, then frames of the right size at the right time.

The frames hold filler instead of a picture, so servers accept them and no decoder should be shown them. Each
is stamped with the clock of the machine and a number, by which a player on the same machine tells how long
it was under way and whether any is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.amf import EcmaArray, encode_values
from rtmpd.rtmp.constants import ON_META_DATA, SET_DATA_FRAME, MessageType
from rtmpd.rtmp.messages import Message

AAC_SAMPLE_RATE: Final = 44_100
AAC_FRAME_SAMPLES: Final = 1024
AUDIO_BITRATE: Final = 128_000
"""At most; an eighth of the whole where that is less."""
KEYFRAME_WEIGHT: Final = 10
"""How many times larger a key frame is than the others."""

_AVC_HEADER: Final = bytes.fromhex(
    "1700000000"  # key frame of AVC, sequence header, composition time 0
    "0142c01fffe100176742c01fda014016ec0440000003004000000f03c60ca801000468ce0fc8"  # 1280x720, baseline 3.1
)
_AAC_HEADER: Final = bytes.fromhex("af001210")
"""AAC-LC, 44.1 kHz, stereo."""

_MAGIC: Final = bytes.fromhex("7a3d1be0c5f24c6d9e0b8f21a4d76c53")
"""The UUID of our unregistered user data SEI message."""
_STAMP: Final = Struct(">QI")
_SEARCH_END: Final = 64
_SMALLEST_PAYLOAD: Final = 64
_FILLER: Final = bytes(range(1, 250))
_SEI: Final = b"\x06\x05" + bytes((len(_MAGIC) + _STAMP.size,)) + _MAGIC


@dataclass(frozen=True, slots=True)
class MediaSpec:
    """A stream of ``bitrate`` bit/s, sound included: 43 audio packets and ``fps`` frames a second."""

    bitrate: int = 1_100_000
    fps: float = 30.0
    keyframe_interval: float = 2.0
    """Seconds."""

    def __post_init__(self) -> None:
        if not (self.bitrate > 0 and 0 < self.fps <= 1000 and self.keyframe_interval > 0):
            raise UsageError("bitrate, frame rate and key frame interval are all more than 0")


class Programme:
    """An endless stream of one MediaSpec, packet by packet. Not paced: the caller waits until ``due``."""

    def __init__(self, spec: MediaSpec) -> None:
        self._spec = spec
        self._frames_per_gop = max(1, round(spec.fps * spec.keyframe_interval))
        audio_bitrate = min(AUDIO_BITRATE, spec.bitrate // 8)
        self._audio_bytes = _at_least_smallest(audio_bitrate / 8 * AAC_FRAME_SAMPLES / AAC_SAMPLE_RATE)
        gop_bytes = (spec.bitrate - audio_bitrate) / 8 * self._frames_per_gop / spec.fps
        inter = gop_bytes / (self._frames_per_gop - 1 + KEYFRAME_WEIGHT)
        self._inter_bytes = _at_least_smallest(inter)
        self._keyframe_bytes = _at_least_smallest(inter * KEYFRAME_WEIGHT)
        self._frame = 0
        self._sound = 0
        self._number = 0

    def headers(self, stream_id: int, timestamp: int) -> list[Message]:
        """onMetaData and the sequence headers, for whoever begins at ``timestamp`` (ms)."""
        kilobits = self._spec.bitrate / 1000
        metadata = EcmaArray(
            duration=0,
            width=1280,
            height=720,
            framerate=self._spec.fps,
            videocodecid=7,
            videodatarate=kilobits - min(AUDIO_BITRATE / 1000, kilobits / 8),
            audiocodecid=10,
            audiosamplerate=AAC_SAMPLE_RATE,
            audiodatarate=min(AUDIO_BITRATE / 1000, kilobits / 8),
            stereo=True,
        )
        body = SET_DATA_FRAME + ON_META_DATA + encode_values(metadata)
        return [
            Message(int(MessageType.DATA_AMF0), timestamp, stream_id, body),
            Message(int(MessageType.AUDIO), timestamp, stream_id, _AAC_HEADER),
            Message(int(MessageType.VIDEO), timestamp, stream_id, _AVC_HEADER),
        ]

    @property
    def due(self) -> float:
        """When the next packet is to be sent, in seconds from the beginning."""
        return min(self._frame / self._spec.fps, self._sound * AAC_FRAME_SAMPLES / AAC_SAMPLE_RATE)

    @property
    def at_keyframe(self) -> bool:
        """The next packet is a key frame: who begins here can be decoded."""
        return self._frame % self._frames_per_gop == 0 and self._video_is_next()

    def next_packet(self, stream_id: int, now_ns: int) -> Message:
        """The next packet, stamped with ``now_ns``."""
        timestamp = round(self.due * 1000)
        stamp = _STAMP.pack(now_ns, self._number & 0xFFFFFFFF)
        self._number += 1
        if self._video_is_next():
            keyframe = self._frame % self._frames_per_gop == 0
            self._frame += 1
            payload = self._video(stamp, keyframe)
            return Message(int(MessageType.VIDEO), timestamp, stream_id, payload)
        self._sound += 1
        payload = _fill(b"\xaf\x01" + _MAGIC + stamp, self._audio_bytes)
        return Message(int(MessageType.AUDIO), timestamp, stream_id, payload)

    def _video_is_next(self) -> bool:
        return self._frame / self._spec.fps <= self._sound * AAC_FRAME_SAMPLES / AAC_SAMPLE_RATE

    def _video(self, stamp: bytes, keyframe: bool) -> bytes:
        tag, nal_type, size = (
            (b"\x17\x01\0\0\0", b"\x65", self._keyframe_bytes)
            if keyframe
            else (b"\x27\x01\0\0\0", b"\x41", self._inter_bytes)
        )
        sei = _SEI + stamp + b"\x80"
        head = tag + len(sei).to_bytes(4, "big") + sei
        picture_bytes = max(2, size - len(head) - 4)
        return head + picture_bytes.to_bytes(4, "big") + _fill(nal_type, picture_bytes)


def read_stamp(payload: bytes) -> tuple[int, int] | None:
    """``(nanoseconds, number)`` of a packet made here; None for any other."""
    found = payload.find(_MAGIC, 0, _SEARCH_END)
    at = found + len(_MAGIC)
    if found < 0 or at + _STAMP.size > len(payload):
        return None
    nanoseconds, number = _STAMP.unpack_from(payload, at)
    return nanoseconds, number


def _at_least_smallest(size: float) -> int:
    return max(_SMALLEST_PAYLOAD, round(size))


def _fill(head: bytes, size: int) -> bytes:
    missing = size - len(head)
    repeats = missing // len(_FILLER) + 1
    return head + (_FILLER * repeats)[:missing]
