"""Which header replaces which: the identity of headers and codec metadata."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.media.tags import CODEC_METADATA, parse_audio, parse_video
from rtmpd.rtmp.constants import MessageType

_AMF_STRING: Final = b"\x02"


class CacheKey(NamedTuple):
    """Identity of a header or codec metadata message: a new one replaces the cached one with an equal key.

    A change of codec on the same tracks differs in ``codec`` only. Peers choose the tracks: bound the cache.
    """

    kind: int
    """Message type: 8 audio, 9 video."""
    track_ids: tuple[int, ...]
    codec: str
    packet_type: int
    name: bytes = b""
    """Of video metadata (``colorInfo``): each name is kept by itself."""


def cache_key(kind: int, payload: bytes) -> CacheKey:
    """Key under which a header or codec metadata payload of message type ``kind`` (8 or 9) is cached."""
    tag = parse_video(payload) if kind == MessageType.VIDEO else parse_audio(payload)
    name = b""
    if tag.flags & CODEC_METADATA and payload[tag.body_offset : tag.body_offset + 1] == _AMF_STRING:
        start = tag.body_offset + 3
        name = payload[start : start + int.from_bytes(payload[tag.body_offset + 1 : start], "big")]
    return CacheKey(int(kind), tuple(sorted(set(tag.track_ids))), tag.codec, tag.packet_type, name)
