"""Identity of headers and codec metadata: tracks, codec, packet type and the name of what is described."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.cache_key import CacheKey, cache_key

AUDIO = 8
VIDEO = 9


@pytest.mark.parametrize(
    ("kind", "payload", "key"),
    [
        (VIDEO, b"\x17\x00\x00\x00\x00\x01", CacheKey(9, (), "avc1", 0)),
        (VIDEO, b"\x90hvc1\x01", CacheKey(9, (), "hvc1", 0)),
        (VIDEO, b"\x84hvc1\x02", CacheKey(9, (), "hvc1", 4)),
        (VIDEO, b"\x84hvc1\x02\x00\tcolorInfo\x03\x00\x00\t", CacheKey(9, (), "hvc1", 4, b"colorInfo")),
        (VIDEO, b"\x84hvc1\x02\x00\tcol", CacheKey(9, (), "hvc1", 4, b"col")),
        (VIDEO, b"\x95av01\x80", CacheKey(9, (), "av01", 5)),
        (VIDEO, b"\x96\x00hvc1\x01\x01", CacheKey(9, (1,), "hvc1", 0)),
        (VIDEO, b"\x96\x10hvc1\x08\x00\x00\x00\x00\x00\x00\x00", CacheKey(9, (0, 8), "hvc1", 0)),
        (VIDEO, b"\x96\x10hvc1\x00\x00\x00\x00\x08\x00\x00\x00", CacheKey(9, (0, 8), "hvc1", 0)),
        (VIDEO, b"\x96\x10hvc1\x01\x00\x00\x00\x01\x00\x00\x00", CacheKey(9, (1,), "hvc1", 0)),
        (AUDIO, b"\xaf\x00\x12\x10", CacheKey(8, (), "mp4a", 0)),
        (AUDIO, b"\x90mp4a\x12\x10", CacheKey(8, (), "mp4a", 0)),
        (AUDIO, b"\x94mp4a\x01", CacheKey(8, (), "mp4a", 4)),
        (AUDIO, b"\x95\x00mp4a\x01\x12", CacheKey(8, (1,), "mp4a", 0)),
    ],
)
def test_cache_key(kind: int, payload: bytes, key: CacheKey) -> None:
    assert cache_key(kind, payload) == key


@given(st.binary(max_size=40))
def test_any_bytes_have_a_bounded_key(payload: bytes) -> None:
    assert len(cache_key(VIDEO, payload).track_ids) <= 256
    assert cache_key(AUDIO, payload).kind == AUDIO
