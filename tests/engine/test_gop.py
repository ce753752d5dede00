from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.gop import PACKET_OVERHEAD_BYTES, GopCache, GopLimits
from rtmpd.engine.packet import AUDIO, DATA, VIDEO, Packet
from rtmpd.engine.stats import ServerStats, StreamStats
from rtmpd.media.tags import CODED_FRAME, KEYFRAME


def key(timestamp: int, size: int = 10) -> Packet:
    return Packet(VIDEO, timestamp, bytes(size), KEYFRAME | CODED_FRAME)


def frame(timestamp: int, size: int = 10) -> Packet:
    return Packet(VIDEO, timestamp, bytes(size), CODED_FRAME)


def audio(timestamp: int, size: int = 10) -> Packet:
    return Packet(AUDIO, timestamp, bytes(size), CODED_FRAME)


class Cache:
    """A cache with its surroundings at hand; not a subclass, which the compiled form does not allow."""

    def __init__(self, limits: GopLimits | None = None) -> None:
        self.budget = MemoryBudget(1 << 40, lambda: None)
        self.stats = StreamStats()
        self.server_stats = ServerStats()
        self.gop = GopCache(limits or GopLimits(), self.budget, self.stats, self.server_stats)

    def feed(self, *packets: Packet) -> list[int]:
        """Append all; the timestamps held afterwards."""
        for packet in packets:
            self.gop.append(packet)
        return [packet.timestamp for packet in self.gop.packets]


def test_a_gop_is_kept_from_its_keyframe_on_in_order_of_arrival() -> None:
    cache = Cache()
    assert cache.feed(key(0), audio(5), frame(3), Packet(DATA, 6, b"cue", 0)) == [0, 5, 3, 6]
    assert cache.gop.whole


def test_the_next_keyframe_replaces_the_gop() -> None:
    assert Cache().feed(key(0), frame(40), audio(50), key(80), frame(120)) == [80, 120]


def test_without_a_keyframe_video_is_not_kept() -> None:
    cache = Cache()
    assert cache.feed(frame(0), audio(10), frame(40)) == [10]
    assert not cache.gop.has_keyframe


def test_audio_alone_is_kept_for_its_span() -> None:
    cache = Cache(GopLimits(audio_ms=100))
    assert cache.feed(*[audio(at) for at in range(0, 300, 20)]) == [180, 200, 220, 240, 260, 280]


def test_audio_that_jumps_back_starts_over() -> None:
    assert Cache().feed(audio(500), audio(520), audio(0), audio(20)) == [0, 20]


@pytest.mark.parametrize(
    "limits",
    [
        GopLimits(max_ms=100),
        GopLimits(max_packets=3),
        GopLimits(max_bytes=3 * (10 + PACKET_OVERHEAD_BYTES)),
    ],
    ids=["time", "packets", "bytes"],
)
def test_a_gop_too_long_falls_back_to_its_keyframe(limits: GopLimits) -> None:
    cache = Cache(limits)
    assert cache.feed(key(0), frame(40), frame(80)) == [0, 40, 80]
    assert cache.feed(frame(120), audio(130), frame(160)) == [0]
    assert (cache.gop.has_keyframe, cache.gop.whole) == (True, False)
    assert (cache.stats.gop_overflows, cache.server_stats.gop_overflows) == (1, 1)
    assert cache.feed(key(200), frame(240)) == [200, 240]
    assert cache.gop.whole


def test_a_keyframe_over_the_limit_is_not_kept_but_counted() -> None:
    cache = Cache(GopLimits(max_bytes=1000))
    assert cache.feed(key(0, 2000)) == []
    assert not cache.gop.has_keyframe
    assert cache.stats.gop_overflows == 1


def test_a_cache_of_no_bytes_is_off_and_counts_nothing() -> None:
    cache = Cache(GopLimits(max_bytes=0))
    assert cache.feed(key(0), frame(40), audio(50)) == []
    assert cache.stats.gop_overflows == 0


def test_trimming_leaves_the_keyframe_then_nothing() -> None:
    cache = Cache()
    cache.feed(key(0), frame(40))
    cache.gop.trim()
    assert cache.feed() == [0]
    cache.gop.trim()
    assert cache.feed() == []
    cache.gop.trim()
    assert (cache.stats.gop_trims, cache.server_stats.gop_trims) == (2, 2)


def test_memory_is_charged_ahead_and_given_back() -> None:
    cache = Cache()
    cache.feed(key(0, 100_000), frame(40, 50_000))
    assert cache.budget.gop_bytes == cache.gop.charged_bytes
    assert 2 * 150_000 < cache.gop.charged_bytes < 2 * 150_000 + 2 * 17_000
    cache.gop.clear()
    assert cache.budget.used == 0


def test_relief_may_trim_the_cache_that_asked() -> None:
    budget = MemoryBudget(100_000, lambda: cache.trim())
    cache = GopCache(GopLimits(), budget, StreamStats(), ServerStats())
    cache.append(key(0, 1000))
    cache.append(frame(40, 90_000))
    assert [packet.timestamp for packet in cache.packets] == [0]
    assert budget.used < 100_000


PACKETS = st.builds(
    lambda make, at, size: make(at, size),
    st.sampled_from([key, frame, audio]),
    st.integers(-(2**33), 2**33) | st.integers(0, 300),
    st.integers(0, 5000),
)


@given(st.lists(PACKETS, max_size=60))
def test_whatever_comes_the_cache_holds_no_half_gop_and_keeps_its_limits(packets: list[Packet]) -> None:
    limits = GopLimits(max_bytes=20_000, max_ms=200, max_packets=10, audio_ms=50)
    cache = Cache(limits)
    for packet in packets:
        cache.gop.append(packet)
        held = list(cache.gop.packets)
        video = [held_packet for held_packet in held if held_packet.kind == VIDEO]
        assert not video or held[0].flags & KEYFRAME
        assert cache.gop.has_keyframe == bool(video)
        assert cache.gop.whole or len(video) <= 1
        assert len(held) <= limits.max_packets
        assert sum(len(held_packet.payload) for held_packet in held) <= limits.max_bytes
        assert cache.gop.charged_bytes >= sum(len(held_packet.payload) for held_packet in held)
    cache.gop.clear()
    assert cache.budget.used == 0
