"""Payloads as samples: headers that change, frames that are nothing, whatever else comes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, inter, keyframe, sound
from hypothesis import given
from hypothesis import strategies as st
from mp4_kit import mux, runs

from rtmpd.media.correction import Correction
from rtmpd.media.decode_time import StreamTime, VideoTime
from rtmpd.media.fmp4 import fragment, init_segment
from rtmpd.media.mp4_feed import Timed, TrackFeed
from rtmpd.media.tags import audio_flags, video_flags

AUDIO, VIDEO = 8, 9
AVC = bytes.fromhex(
    "1700000000014d400dffe10018674d400deca0a0fd80880000030008000003019078a14cb001000468ce0fc8"
)
OTHER_AVC = AVC.replace(b"\x01\x4d\x40\x0d\xff", b"\x01\x4d\x40\x1e\xff")
AAC_48, AAC_44 = bytes.fromhex("af001190"), bytes.fromhex("af001210")
HEVC_FRAME = b"\xa1hvc1" + (-40).to_bytes(3, "big", signed=True) + b"picture"


class Track:
    """One that is fed."""

    def __init__(self, kind: int, *, held: bool = False) -> None:
        self.stream = StreamTime()
        self.feed = TrackFeed(kind, 1, self.stream, held=held)
        self._flags = video_flags if kind == VIDEO else audio_flags

    def take(self, time: int, payload: bytes) -> Timed | None:
        return self.feed.take(time, payload, self._flags(payload))

    @property
    def codec(self) -> str:
        return self.feed.track.codec if self.feed.track else self.feed.refused


def test_a_frame_lasts_until_the_next_one() -> None:
    track = Track(VIDEO, held=True)
    assert [track.take(*each) for each in ((0, AVC), (100, keyframe("K")))] == [None, None]
    first = track.take(133, inter("P"))
    assert first is not None
    assert (first.decode_time, first.sample.duration, first.sample.is_sync) == (90_000, 33 * 90, True)
    last = track.feed.flush()
    assert last is not None
    assert (last.decode_time, last.sample.duration, last.sample.is_sync) == (92_970, 33 * 90, False)
    assert track.feed.flush() is None


def test_a_frame_that_was_not_waited_for_any_longer_is_not_overlapped() -> None:
    track = Track(VIDEO, held=True)
    for time, payload in ((0, AVC), (0, keyframe("K")), (40, inter("P"))):
        track.take(time, payload)
    late = track.feed.flush()
    assert late is not None
    track.take(70, inter("P"))
    after = track.feed.flush()
    assert after is not None
    assert after.decode_time == late.decode_time + late.sample.duration == (1000 + 80) * 90


def test_a_track_that_was_silent_for_long_has_a_hole() -> None:
    track = Track(AUDIO, held=True)
    others = VideoTime(track.stream)
    for time in range(0, 60_000, 1000):
        others.next(time)
        if time in (0, 59_000):
            track.take(time, AAC_48)
            given = track.take(time, sound("a"))
    assert given is not None
    assert (given.decode_time, given.sample.duration) == (48_000, 1024)
    after = track.feed.flush()
    assert after is not None
    assert after.decode_time == 60 * 48_000


def test_a_still_has_a_duration() -> None:
    track = Track(VIDEO, held=True)
    track.take(0, AVC)
    track.take(0, keyframe("K"))
    still = track.feed.flush()
    assert still is not None
    assert still.sample.duration == 40 * 90


def test_a_frame_that_is_given_at_once_lasts_as_long_as_the_one_before() -> None:
    track = Track(VIDEO)
    track.take(0, AVC)
    given = [track.take(time, keyframe("K")) for time in (0, 20, 40, 5000)]
    assert [each.sample.duration for each in given if each] == [40 * 90, 20 * 90, 20 * 90, 20 * 90]


def test_pictures_begin_with_a_key_frame() -> None:
    track = Track(VIDEO)
    assert [track.take(*each) for each in ((0, inter("P")), (0, AVC), (40, inter("P")))] == [None] * 3
    assert track.feed.track is None
    given = track.take(80, keyframe("K"))
    assert given is not None
    assert (given.track.codec, given.decode_time) == ("avc1.4d400d", 90_000)


def test_a_new_header_is_a_new_track_from_its_key_frame_on() -> None:
    track = Track(VIDEO)
    found = []
    for time, payload in enumerate([AVC, keyframe("K"), OTHER_AVC, inter("P"), keyframe("K"), AVC, AVC]):
        given = track.take(time * 40, payload)
        found.append(given.track.codec if given else None)
    assert found == [None, "avc1.4d400d", None, "avc1.4d400d", "avc1.4d401e", None, None]


def test_the_same_header_again_changes_nothing() -> None:
    track = Track(AUDIO)
    track.take(0, AAC_48)
    first = track.take(0, sound("a"))
    track.take(20, AAC_48)
    second = track.take(21, sound("b"))
    assert first is not None
    assert second is not None
    assert second.track is first.track


def test_a_new_rate_goes_on_behind_the_old_one() -> None:
    track = Track(AUDIO, held=True)
    given = [track.take(time, payload) for time, payload in ((0, AAC_48), (0, sound("a")), (21, AAC_44))]
    assert given == [None] * 3
    before = track.take(21, sound("b"))
    assert before is not None
    assert (before.track.timescale, before.decode_time, before.sample.duration) == (48000, 48000, 1024)
    after = track.feed.flush()
    assert after is not None
    assert (after.track.timescale, after.sample.duration) == (44100, 1024)
    assert 0 <= after.decode_time / 44100 - 49024 / 48000 < 1 / 44100


def test_composition_times_may_be_negative() -> None:
    track = Track(VIDEO)
    header = b"\x90hvc1" + bytes.fromhex(
        "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003cba02"
        "40210001002842010101600000030090000003000003003ca00a080f165ba4a4c2f0168080000003008000000f04220001"
        "00064401c073c189"
    )
    track.take(0, header)
    track.take(0, b"\x91hvc1\0\0\x50key")
    given = track.take(40, HEVC_FRAME)
    assert given is not None
    assert (given.sample.composition_offset, given.sample.data) == (-40 * 90, b"picture")
    assert b"\xff\xff\xf1\xf0" in fragment(1, runs([given]))
    without = track.take(80, b"\xa3hvc1picture")
    assert without is not None
    assert (without.sample.composition_offset, without.sample.data) == (0, b"picture")
    modex = track.take(120, b"\xa7\x02\x07\xa1\x20\x01hvc1\0\0\x28picture")
    assert modex is not None
    assert (modex.sample.composition_offset, modex.sample.data) == (40 * 90, b"picture")
    assert modex.decode_time == (1120 * 90) + 45


@pytest.mark.parametrize("payload", [b"\x27\1\0\0\0", b"\x27\1\0", b"\x27\1", b"\xa1avc1\0\0"])
def test_frames_of_nothing_are_left_out(payload: bytes) -> None:
    track = Track(VIDEO)
    track.take(0, AVC)
    track.take(0, keyframe("K"))
    assert track.take(40, payload) is None
    assert track.stream.corrections[Correction.EMPTY] == 1


@pytest.mark.parametrize("payload", [b"\xaf\1", b"\x91mp4a"])
def test_sound_of_nothing_is_left_out(payload: bytes) -> None:
    track = Track(AUDIO)
    track.take(0, AAC_48)
    assert track.take(0, payload) is None
    assert track.stream.corrections[Correction.EMPTY] == 1


def test_sound_may_go_on_with_a_codec_that_has_no_header() -> None:
    track = Track(AUDIO)
    mp3 = bytes.fromhex("2efffb50c4000007a8")
    codecs = []
    for number, payload in enumerate([AAC_48, *[sound("a")] * 60, *[mp3] * 60, *[sound("b")] * 60]):
        track.take(number * 21, payload)
        codecs.append(track.codec)
    assert codecs == ["", *["mp4a.40.2"] * 60, *["mp4a.6B"] * 60, *["mp4a.40.2"] * 60]


def test_a_peer_cannot_have_an_init_segment_made_for_each_frame() -> None:
    track = Track(AUDIO)
    mono, stereo = bytes.fromhex("2efffb50c4000007a8"), bytes.fromhex("2ffffb5004000007a8")
    given = [track.take(number * 26, (mono, stereo)[number % 2]) for number in range(200)]
    tracks = [each.track for each in given if each]
    assert sum(before is not after for before, after in pairwise(tracks)) <= 200 // 50


def test_what_cannot_be_played_is_told_until_something_can() -> None:
    track = Track(AUDIO)
    assert track.take(0, b"\xb2speex") is None
    assert track.codec == "browsers do not play Speex"
    track.take(0, AAC_48)
    assert track.take(0, sound("a")) is not None
    assert track.feed.refused == ""


def test_opus_and_flac_say_how_long_their_frames_are() -> None:
    opus = Track(AUDIO)
    opus.take(0, b"\x90Opus" + b"OpusHead\x01\x02" + bytes.fromhex("380180bb0000000000"))
    toc = [(0xFC, 960), (0xE0, 120), (0xFD, 1920), (0x1B, 0), (0x08, 960), (0x18, 2880)]
    packets = [b"\x91Opus" + bytes((first, 1 if samples else 63)) for first, samples in toc]
    given = [opus.take(0, packet) for packet in packets]
    assert [each.sample.duration if each else 0 for each in given] == [samples for _, samples in toc]
    flac = Track(AUDIO)
    flac.take(0, b"\x90fLaC" + bytes.fromhex("100010000000000000000bb802f000000000") + bytes(16))
    frames = {"fff8aa8800": 1024, "fff8c988c5 80": 4096, "fff86988 05 3f": 64, "fff87988 c280 0fff": 4096}
    for number, (frame, samples) in enumerate(frames.items()):
        one = flac.take(number * 100, b"\x91fLaC" + bytes.fromhex(frame))
        assert one is not None, frame
        assert one.sample.duration == samples
    assert flac.take(0, b"\x91fLaC" + bytes.fromhex("fffb")) is None
    assert flac.take(0, b"\x91fLaC" + bytes.fromhex("fff87988c280 ffff")) is None, "longer than a second"


PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([AVC, OTHER_AVC, AVC_HEADER, keyframe("K"), inter("P"), HEVC_FRAME, b"\x17\2\0\0\0"]),
    st.sampled_from([AAC_48, AAC_44, AAC_HEADER, sound("a"), bytes.fromhex("2efffb50c4000007a8")]),
)
MESSAGES = st.lists(
    st.tuples(st.sampled_from([AUDIO, VIDEO]), st.integers(-(2**62), 2**62) | st.integers(0, 2000), PAYLOADS),
    max_size=60,
)


@given(MESSAGES, st.booleans())
def test_whatever_comes_is_written(messages: list[tuple[int, int, bytes]], held: bool) -> None:
    muxed = mux(messages, held=held)
    init_segment(muxed.tracks)
    for each in muxed.timed:
        assert each.sample.data
        assert fragment(1, runs([each])).endswith(each.sample.data)
