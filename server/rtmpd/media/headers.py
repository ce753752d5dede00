"""What a server must be sent anew before a stream goes on: the newest headers and onMetaData of a file."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpd.media.cache_key import CacheKey, cache_key
from rtmpd.rtmp.constants import MessageType


class Headers:
    """The newest header of every track, codec metadata and onMetaData.

    It is as large as what is announced, and bounded by nothing but ``forget_oldest``.
    """

    def __init__(self) -> None:
        self._metadata: bytes | None = None
        self._held: dict[CacheKey, bytes] = {}

    def keep_metadata(self, payload: bytes) -> bool:
        """Keep an onMetaData; False if it is the one that is held."""
        changed = payload != self._metadata
        self._metadata = payload
        return changed

    def keep(self, kind: int, payload: bytes) -> bool:
        """Keep a sequence header or codec metadata of message type 8 or 9; False if it is held already."""
        key = cache_key(kind, payload)
        if self._held.get(key) == payload:
            return False
        # A track has one codec at a time.
        for other in [each for each in self._held if each[:2] == key[:2] and each.codec != key.codec]:
            del self._held[other]
        self._held[key] = payload
        return True

    def forget_oldest(self, most: int) -> None:
        """Keep no more than ``most``: a peer may invent new ones for ever."""
        while len(self._held) > most:
            del self._held[next(iter(self._held))]

    def messages(self, timestamp: int) -> Iterator[tuple[int, bytes, int]]:
        """Type, payload and time (ms) of each in the order to send them, headers at ``timestamp``."""
        if self._metadata is not None:
            # quirk(ffmpeg): onMetaData at any other time than 0 makes its demuxer invent a data stream.
            yield int(MessageType.DATA_AMF0), self._metadata, 0
        for key in sorted(self._held, key=_order):
            yield key.kind, self._held[key], timestamp


def _order(key: CacheKey) -> tuple[int, int]:
    """Audio first; HDR metadata, of a higher packet type, before the video header (Enhanced RTMP)."""
    return key.kind, -key.packet_type if key.kind == MessageType.VIDEO else key.packet_type
