from __future__ import annotations

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, AVC_HEADER_2, HDR, HEVC_HEADER

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.headers import HeaderCache, HeaderLimits, Stored
from rtmpd.engine.packet import AUDIO, DATA, STREAM_METADATA, VIDEO, Packet
from rtmpd.media.tags import audio_flags, video_flags


def video(payload: bytes) -> Packet:
    return Packet(VIDEO, 0, payload, video_flags(payload))


def audio(payload: bytes) -> Packet:
    return Packet(AUDIO, 0, payload, audio_flags(payload))


def metadata(payload: bytes) -> Packet:
    return Packet(DATA, 0, payload, STREAM_METADATA)


def track_header(track: int, body: bytes = b"hvcC") -> Packet:
    return video(b"\x96\x00hvc1" + bytes([track]) + body)


LIMITS = HeaderLimits()


@pytest.fixture
def budget() -> MemoryBudget:
    return MemoryBudget(1 << 40, lambda: None)


@pytest.fixture
def cache(budget: MemoryBudget) -> HeaderCache:
    return HeaderCache(LIMITS, budget)


def test_a_joiner_gets_metadata_hdr_audio_and_video_in_this_order(cache: HeaderCache) -> None:
    multichannel = b"\x94Opus" + bytes(4)
    for packet in (video(HEVC_HEADER), audio(multichannel), video(HDR), audio(AAC_HEADER), metadata(b"m")):
        assert cache.store(packet) is Stored.NEW
    packets = cache.packets(77)
    assert [packet.payload for packet in packets] == [b"m", HDR, AAC_HEADER, multichannel, HEVC_HEADER]
    # onMetaData keeps time 0, or ffmpeg would take it for a stream of data.
    assert [packet.timestamp for packet in packets] == [0, 77, 77, 77, 77]


def test_a_medium_can_be_left_out(cache: HeaderCache) -> None:
    for packet in (video(HEVC_HEADER), video(HDR), audio(AAC_HEADER)):
        cache.store(packet)
    assert [packet.payload for packet in cache.packets(0, video=False)] == [AAC_HEADER]
    assert [packet.payload for packet in cache.packets(0, audio=False)] == [HDR, HEVC_HEADER]


@pytest.mark.parametrize("make", [video, metadata])
def test_new_repeated_and_changed_are_told_apart(cache: HeaderCache, make: type[Packet]) -> None:
    first, second = make(AVC_HEADER), make(AVC_HEADER_2)
    assert cache.store(first) is Stored.NEW
    version = cache.version
    assert cache.store(make(AVC_HEADER)) is Stored.REPEATED
    assert cache.version == version
    assert cache.store(second) is Stored.CHANGED
    assert cache.version > version
    assert [packet.payload for packet in cache.packets(0)] == [AVC_HEADER_2]


def test_a_track_has_one_codec_and_loses_the_old_ones_metadata(cache: HeaderCache) -> None:
    cache.store(video(HEVC_HEADER))
    cache.store(video(HDR))
    assert cache.store(video(AVC_HEADER)) is Stored.CHANGED
    assert [packet.payload for packet in cache.packets(0)] == [AVC_HEADER]
    assert cache.has_header(VIDEO, "avc1")
    assert not cache.has_header(VIDEO, "hvc1")
    assert not cache.has_header(AUDIO, "avc1")


def test_every_track_has_its_header(cache: HeaderCache) -> None:
    assert cache.store(video(HEVC_HEADER)) is Stored.NEW
    assert cache.store(track_header(1)) is Stored.NEW
    assert cache.store(track_header(2)) is Stored.NEW
    assert cache.store(track_header(1, b"other")) is Stored.CHANGED
    assert len(cache.packets(0)) == 3


def test_headers_and_tracks_over_the_caps_are_refused(cache: HeaderCache, budget: MemoryBudget) -> None:
    assert cache.store(video(AVC_HEADER + bytes(LIMITS.max_header_bytes))) is Stored.REFUSED
    assert cache.store(metadata(bytes(LIMITS.max_header_bytes + 1))) is Stored.REFUSED
    big = bytes(LIMITS.max_header_bytes - 7)
    stored = [cache.store(track_header(track, big)) for track in range(1, LIMITS.max_tracks + 2)]
    assert stored == [Stored.NEW] * LIMITS.max_tracks + [Stored.REFUSED]
    assert budget.header_bytes == LIMITS.max_total_bytes
    assert cache.store(audio(AAC_HEADER)) is Stored.REFUSED


def test_clearing_forgets_all_and_no_version_comes_twice(cache: HeaderCache, budget: MemoryBudget) -> None:
    cache.clear()
    assert cache.version == 0
    cache.store(audio(AAC_HEADER))
    cache.store(metadata(b"m"))
    version = cache.version
    cache.clear()
    assert cache.packets(0) == []
    assert cache.version > version
    assert budget.used == 0


def test_metadata_of_a_codec_is_kept_by_name(cache: HeaderCache) -> None:
    def named(name: str, value: bytes = b"\x05") -> Packet:
        return video(b"\x84hvc1\x02" + len(name).to_bytes(2, "big") + name.encode() + value)

    cache.store(video(HEVC_HEADER))
    assert cache.store(named("colorInfo")) is Stored.NEW
    assert cache.store(named("other")) is Stored.NEW
    assert cache.store(named("colorInfo", b"\x06")) is Stored.CHANGED
    payloads = [packet.payload for packet in cache.packets(0)]
    assert payloads == [named("colorInfo", b"\x06").payload, named("other").payload, HEVC_HEADER]


def test_it_knows_what_would_change_nothing(cache: HeaderCache) -> None:
    for packet in (audio(AAC_HEADER), metadata(b"m")):
        assert not cache.holds(packet)
        cache.store(packet)
        assert cache.holds(packet)
    assert not cache.holds(audio(AAC_HEADER + b"x"))


def test_the_memory_of_what_is_forgotten_is_given_back(cache: HeaderCache, budget: MemoryBudget) -> None:
    cache.store(video(AVC_HEADER))
    cache.store(audio(AAC_HEADER))
    cache.forget_track(VIDEO, 0, "avc1")
    assert len(cache.packets(0)) == 2
    cache.forget_track(VIDEO, 0, "h263")
    assert [packet.payload for packet in cache.packets(0)] == [AAC_HEADER]
    assert budget.header_bytes == len(AAC_HEADER)
