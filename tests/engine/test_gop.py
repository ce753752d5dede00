from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.gop import PACKET_OVERHEAD_BYTES, GopCache, GopLimits
from rtmpd.engine.packet import AUDIO, DATA, VIDEO, Packet
from rtmpd.engine.segment import Encoding, Segment
from rtmpd.engine.stats import ServerStats, StreamStats
from rtmpd.media.tags import CODED_FRAME, KEYFRAME
from rtmpd.media.tracks import DEFAULT, TrackChoice


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


def test_bytes_alone_bound_a_gop() -> None:
    # A minute at 2 Mbit/s with audio at 128 kbit/s.
    video, sound = 2_000_000 // 8 // 30, 128_000 // 8 // 47
    cache = Cache()
    cache.feed(key(0, 10 * video))
    for second in range(60):
        cache.feed(*[frame(second * 1000 + at * 33, video) for at in range(30)])
        cache.feed(*[audio(second * 1000 + at * 21, sound) for at in range(47)])
    assert cache.gop.whole
    assert len(cache.gop.packets) == 1 + 60 * (30 + 47)


def test_a_gop_too_large_falls_back_to_its_keyframe() -> None:
    cache = Cache(GopLimits(max_bytes=3 * (10 + PACKET_OVERHEAD_BYTES)))
    assert cache.feed(key(0), frame(40), frame(80)) == [0, 40, 80]
    assert cache.feed(frame(120), audio(130), frame(160)) == [0]
    assert (cache.gop.has_keyframe, cache.gop.whole) == (True, False)
    assert (cache.stats.totals.gop_overflows, cache.server_stats.gop_overflows) == (1, 1)
    assert cache.feed(key(200), frame(240)) == [200, 240]
    assert cache.gop.whole


def test_a_keyframe_over_the_limit_is_not_kept_but_counted() -> None:
    cache = Cache(GopLimits(max_bytes=1000))
    assert cache.feed(key(0, 2000)) == []
    assert not cache.gop.has_keyframe
    assert cache.stats.totals.gop_overflows == 1


def test_a_cache_of_no_bytes_is_off_and_counts_nothing() -> None:
    cache = Cache(GopLimits(max_bytes=0))
    assert cache.feed(key(0), frame(40), audio(50)) == []
    assert cache.stats.totals.gop_overflows == 0


def test_other_limits_hold_for_what_is_held() -> None:
    cache = Cache()
    gop = [key(0, 1000), *[frame(at, 1000) for at in range(40, 400, 40)]]
    assert len(cache.feed(*gop)) == 10
    cache.gop.apply(GopLimits(max_bytes=20_000))
    assert cache.gop.whole
    assert cache.stats.totals.gop_overflows == 0
    cache.gop.apply(GopLimits(max_bytes=5_000))
    assert cache.feed(frame(400)) == [0]
    assert (cache.gop.whole, cache.stats.totals.gop_overflows) == (False, 1)
    cache.gop.apply(GopLimits(max_bytes=20_000))
    assert cache.feed(frame(440)) == [0]
    cache.gop.apply(GopLimits(max_bytes=0))
    assert cache.feed(key(480), frame(520)) == []
    assert cache.budget.used == 0
    cache.gop.apply(GopLimits())
    assert cache.feed(frame(560), key(600), frame(640)) == [600, 640]


def test_other_limits_for_audio_alone() -> None:
    cache = Cache()
    cache.feed(*[audio(at) for at in range(0, 300, 20)])
    cache.gop.apply(GopLimits(audio_ms=100))
    assert cache.feed(audio(300)) == [200, 220, 240, 260, 280, 300]
    cache.gop.apply(GopLimits(max_bytes=100))
    assert cache.feed() == []
    assert cache.budget.used == 0


def test_trimming_leaves_the_keyframe_then_nothing() -> None:
    cache = Cache()
    cache.feed(key(0), frame(40))
    cache.gop.trim()
    assert cache.feed() == [0]
    cache.gop.trim()
    assert cache.feed() == []
    cache.gop.trim()
    assert (cache.stats.totals.gop_trims, cache.server_stats.gop_trims) == (2, 2)


def test_memory_is_charged_ahead_and_given_back() -> None:
    cache = Cache()
    cache.feed(key(0, 100_000), frame(40, 50_000))
    assert cache.budget.gop_bytes == cache.gop.charged_bytes
    assert 150_000 < cache.gop.charged_bytes < 150_000 + 17_000
    cache.gop.clear()
    assert cache.budget.used == 0


def test_relief_may_trim_the_cache_that_asked() -> None:
    budget = MemoryBudget(60_000, lambda: cache.trim())
    cache = GopCache(GopLimits(), budget, StreamStats(), ServerStats())
    cache.append(key(0, 1000))
    cache.append(frame(40, 60_000))
    assert [packet.timestamp for packet in cache.packets] == [0]
    assert budget.used < 60_000


@dataclass(frozen=True)
class Wire:
    """One byte of a packet's kind and its payload; nothing of what is not for its group."""

    tag: bytes = b""
    empty_for: int = 0
    tracks: TrackChoice = DEFAULT

    @property
    def for_frames(self) -> Wire:
        return self

    def encode(self, packet: Packet) -> bytes:
        return b"" if packet.kind == self.empty_for else self.tag + packet.payload


class Written:
    """A wire format whose images are what a test says that live players were written."""

    tracks: TrackChoice = DEFAULT

    def __init__(self) -> None:
        self.encoding = Encoding(self)
        self.next = b""

    @property
    def for_frames(self) -> Written:
        return self

    def encode(self, packet: Packet) -> bytes:
        return self.next

    def live(self, cache: Cache, packet: Packet, image: bytes) -> None:
        """``packet`` goes into the cache, ``image`` to the players."""
        cache.feed(packet)
        segment = Segment([packet], 0, cached=True)
        self.next = image
        segment.image(self.encoding)
        cache.gop.keep(segment)


def images(cache: Cache, encoding: Encoding, *, audio: bool = True, video: bool = True) -> list[bytes]:
    return list(cache.gop.burst(encoding, audio=audio, video=video).images())


def test_nothing_is_charged_for_images_before_somebody_needs_them() -> None:
    cache = Cache()
    cache.feed(key(0, 100_000), frame(40, 50_000))
    before = cache.budget.gop_bytes
    images(cache, Encoding(Wire()))
    assert 150_000 <= cache.budget.gop_bytes - before < 150_000 + 17_000


def test_what_live_players_were_written_is_what_joiners_are_written() -> None:
    cache, wire = Cache(), Written()
    for packet, image in ((key(0), b"one"), (frame(40), b"two"), (frame(80), b"three")):
        wire.live(cache, packet, image)
    assert images(cache, wire.encoding) == [b"one", b"two", b"three"]
    assert cache.gop.burst(wire.encoding).messages == 3


def test_what_was_missed_is_encoded_for_the_first_joiner_and_kept_for_the_next() -> None:
    cache, wire = Cache(), Written()
    cache.feed(key(0))
    wire.live(cache, frame(40), b"of the frame alone")
    wire.next = b"encoded"
    assert images(cache, wire.encoding) == [b"encoded", b"of the frame alone"]
    wire.next = b"not again"
    assert images(cache, wire.encoding) == [b"encoded", b"of the frame alone"]
    wire.live(cache, frame(80), b"live")
    assert images(cache, wire.encoding) == [b"encoded", b"of the frame alone", b"live"]


def test_a_joiner_that_wants_one_medium_shares_with_those_like_it() -> None:
    cache = Cache()
    encoding = Encoding(Wire())
    cache.feed(key(0, 100), audio(10, 5), frame(40, 100))
    listener = cache.gop.burst(encoding, video=False)
    assert (listener.messages, listener.timestamp, b"".join(listener.images())) == (1, 10, bytes(5))
    assert cache.gop.burst(encoding, video=False) is listener
    assert cache.gop.burst(encoding).messages == 3


def test_what_was_written_and_nobody_joined_with_goes_with_its_encoding() -> None:
    cache, wire = Cache(), Written()
    cache.feed(key(0))
    before = cache.budget.gop_bytes
    wire.live(cache, frame(40), bytes(100_000))
    assert cache.budget.gop_bytes >= before + 100_000
    cache.gop.forget(wire.encoding)
    assert cache.budget.gop_bytes == before


def test_every_encoding_has_images_of_its_own_which_go_with_it() -> None:
    cache = Cache()
    first, second = Encoding(Wire(b"1")), Encoding(Wire(b"2"))
    cache.feed(key(0, 100_000))
    alone = cache.budget.gop_bytes
    kept = images(cache, first)
    images(cache, second)
    cache.gop.forget(second)
    assert [id(image) for image in images(cache, first)] == [id(image) for image in kept]
    cache.gop.forget(first)
    assert cache.budget.gop_bytes == alone


def test_packets_that_a_format_has_nothing_for_leave_no_image() -> None:
    cache, wire = Cache(), Written()
    wire.live(cache, key(0), b"key")
    wire.live(cache, audio(10), b"")
    assert images(cache, wire.encoding) == [b"key"]
    encoding = Encoding(Wire(empty_for=AUDIO))
    assert images(cache, encoding) == [bytes(10)]


def test_audio_that_has_left_the_cache_is_not_sent() -> None:
    cache = Cache(GopLimits(audio_ms=100))
    encoding = Encoding(Wire())
    cache.feed(*[audio(at, at) for at in range(20, 140, 20)])
    assert [len(image) for image in images(cache, encoding)] == [20, 40, 60, 80, 100, 120]
    cache.feed(audio(140, 140))
    assert [len(image) for image in images(cache, encoding)] == [40, 60, 80, 100, 120, 140]


def test_many_small_images_become_few_and_large_ones_stay_as_they_are() -> None:
    cache, wire = Cache(), Written()
    large = bytes(100_000)
    wire.live(cache, key(0), large)
    expected = large
    for number in range(1000):
        image = number.to_bytes(2, "big") * 250
        wire.live(cache, frame(number), image)
        expected += image
    burst = images(cache, wire.encoding)
    assert burst[0] is large
    assert len(burst) < 12
    assert b"".join(burst) == expected
    assert cache.gop.burst(wire.encoding).size == len(expected)


def test_images_are_given_back_first() -> None:
    cache = Cache()
    cache.feed(key(0, 100_000), frame(40))
    alone = cache.budget.gop_bytes
    images(cache, Encoding(Wire()))
    cache.gop.trim()
    assert (cache.budget.gop_bytes, cache.gop.whole) == (alone, True)


PACKETS = st.builds(
    lambda make, at, size: make(at, size),
    st.sampled_from([key, frame, audio]),
    st.integers(-(2**33), 2**33) | st.integers(0, 300),
    st.integers(0, 5000),
)


@given(st.lists(PACKETS, max_size=60))
def test_whatever_comes_the_cache_holds_no_half_gop_and_keeps_its_limits(packets: list[Packet]) -> None:
    limits = GopLimits(max_bytes=20_000, audio_ms=50)
    cache = Cache(limits)
    for packet in packets:
        cache.gop.append(packet)
        held = list(cache.gop.packets)
        video = [held_packet for held_packet in held if held_packet.kind == VIDEO]
        assert not video or held[0].flags & KEYFRAME
        assert cache.gop.has_keyframe == bool(video)
        assert cache.gop.whole or len(video) <= 1
        assert sum(len(held_packet.payload) for held_packet in held) <= limits.max_bytes
        assert cache.gop.charged_bytes >= sum(len(held_packet.payload) for held_packet in held)
    cache.gop.clear()
    assert cache.budget.used == 0
