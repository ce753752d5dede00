"""FLV files (Adobe Flash Video File Format 10.1, annex E.2 and E.4): an incremental reader, and encoders."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from rtmpd.exceptions import FlvError, UsageError
from rtmpd.reasons import FlvFailure

FILE_HEADER_BYTES: Final = 9
TAG_HEADER_BYTES: Final = 11
MAX_TAG_BYTES: Final = 0xFFFFFF
"""Largest payload that a tag's 24-bit size field can announce."""

_write_head: Final = Struct(">II3x").pack
_SIGNATURE: Final = b"FLV"
_VERSION: Final = 1
_BACK_POINTER_BYTES: Final = 4
"""``PreviousTagSize``, before each tag and after the last."""
_HAS_AUDIO: Final = 0x04
_HAS_VIDEO: Final = 0x01
_FILTERED: Final = 0x20
_MAX_HEADER_BYTES: Final = 4096
"""A file header may be longer than nine bytes; nobody is known to write one."""


@dataclass(slots=True)
class FlvTag:
    """One tag: ``type`` 8 audio, 9 video, 18 script data; ``timestamp`` in ms, 0 to 2^32-1."""

    type: int
    timestamp: int
    payload: bytes


class FlvReader:
    """Takes an FLV file in pieces of any size and gives its tags.

    ``max_tag_bytes`` bounds the payload of one tag and so the memory held.
    """

    def __init__(self, max_tag_bytes: int = MAX_TAG_BYTES) -> None:
        self.has_audio = False
        """The audio bit of the file header; writers often set it wrongly."""
        self.has_video = False
        self.header_parsed = False
        self._max_tag_bytes = max_tag_bytes
        self._buffer = bytearray()

    @property
    def incomplete(self) -> bool:
        """Whether a file that ended here would end inside its header or a tag."""
        return not self.header_parsed or len(self._buffer) > _BACK_POINTER_BYTES

    @property
    def held_bytes(self) -> int:
        """Of a tag that is not whole yet."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> list[FlvTag]:
        """Take the next piece of the file and return the tags that it completes.

        Raises FlvError with reason ``not_flv``, ``tag_too_large`` or ``encrypted_tag``; no more data may
        follow. Previous tag sizes are not checked: files with wrong ones are common and play everywhere.
        """
        buffer = self._buffer
        buffer += data
        tags: list[FlvTag] = []
        offset = 0
        if not self.header_parsed:
            offset = self._parse_header(buffer)
            if not self.header_parsed:
                return tags
        end = len(buffer)
        while True:
            start = offset + _BACK_POINTER_BYTES
            body = start + TAG_HEADER_BYTES
            if body > end:
                break
            size = self._check_tag(buffer, start)
            if body + size > end:
                break
            timestamp = buffer[start + 7] << 24 | int.from_bytes(buffer[start + 4 : start + 7], "big")
            tags.append(FlvTag(buffer[start] & 31, timestamp, bytes(buffer[body : body + size])))
            offset = body + size
        del buffer[:offset]
        return tags

    def _parse_header(self, buffer: bytearray) -> int:
        """Read the file header; returns the offset behind it, 0 when more bytes are needed."""
        if not _SIGNATURE.startswith(bytes(buffer[:3])) or (len(buffer) > 3 and buffer[3] != _VERSION):
            raise FlvError(FlvFailure.NOT_FLV, f"not an FLV file: it begins with {bytes(buffer[:4])!r}")
        if len(buffer) < FILE_HEADER_BYTES:
            return 0
        size = int.from_bytes(buffer[5:9], "big")
        if not FILE_HEADER_BYTES <= size <= _MAX_HEADER_BYTES:
            raise FlvError(FlvFailure.NOT_FLV, f"the FLV header claims to be {size} bytes long")
        if len(buffer) < size:
            return 0
        self.has_audio = bool(buffer[4] & _HAS_AUDIO)
        self.has_video = bool(buffer[4] & _HAS_VIDEO)
        self.header_parsed = True
        return size

    def _check_tag(self, buffer: bytearray, start: int) -> int:
        """Payload size of the tag whose header is at ``start``."""
        if buffer[start] & _FILTERED:
            raise FlvError(FlvFailure.ENCRYPTED_TAG, "the FLV file has an encrypted tag")
        size = int.from_bytes(buffer[start + 1 : start + 4], "big")
        if size > self._max_tag_bytes:
            raise FlvError(
                FlvFailure.TAG_TOO_LARGE, f"an FLV tag of {size} bytes; the limit is {self._max_tag_bytes}"
            )
        return size


def encode_header(audio: bool, video: bool) -> bytes:
    """File header and the zero previous tag size that follows it: 13 bytes."""
    flags = (_HAS_AUDIO if audio else 0) | (_HAS_VIDEO if video else 0)
    return _SIGNATURE + bytes((_VERSION, flags, 0, 0, 0, FILE_HEADER_BYTES, 0, 0, 0, 0))


def encode_tag(tag_type: int, timestamp: int, payload: bytes) -> bytes:
    """One tag with the previous tag size that follows it; ``timestamp`` in ms is taken mod 2^32.

    Raises UsageError for a payload that the 24-bit size field cannot tell.
    """
    size = len(payload)
    return b"".join((tag_head(tag_type, timestamp, size), payload, tag_tail(size)))


def tag_head(tag_type: int, timestamp: int, size: int) -> bytes:
    """What comes before ``size`` bytes of payload: ``TAG_HEADER_BYTES``. As ``encode_tag``."""
    if size > MAX_TAG_BYTES:
        raise UsageError(f"an FLV tag holds at most {MAX_TAG_BYTES} bytes, not {size}")
    time = timestamp & 0xFFFFFFFF
    return _write_head(tag_type << 24 | size, (time & 0xFFFFFF) << 8 | time >> 24)


def tag_tail(size: int) -> bytes:
    """What comes behind so much payload: the previous tag size."""
    return (size + TAG_HEADER_BYTES).to_bytes(_BACK_POINTER_BYTES, "big")
