"""The synthetic stream: accepted by our own parsers, of the right rate, and stamped."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import UsageError
from rtmpd.media.codecs import audio_info, video_info
from rtmpd.media.tags import CODED_FRAME, KEYFRAME, SEQUENCE_HEADER, audio_flags, video_flags
from rtmpd.rtmp.messages import Message
from rtmpd.tools.load.media import MediaSpec, Programme, read_stamp

AUDIO, VIDEO, DATA = 8, 9, 18


def play(programme: Programme, seconds: float, now_ns: int = 0) -> list[Message]:
    messages = []
    while programme.due < seconds:
        messages.append(programme.next_packet(1, now_ns))
    return messages


def test_headers_say_what_follows():
    metadata, aac, avc = Programme(MediaSpec()).headers(3, 40)
    assert [(m.type, m.stream_id, m.timestamp) for m in (metadata, aac, avc)] == [
        (DATA, 3, 40),
        (AUDIO, 3, 40),
        (VIDEO, 3, 40),
    ]
    assert video_flags(avc.payload) & SEQUENCE_HEADER
    assert audio_flags(aac.payload) & SEQUENCE_HEADER
    video, audio = video_info(avc.payload), audio_info(aac.payload)
    assert video is not None
    assert (video.codec, video.width, video.height) == ("avc1", 1280, 720)
    assert audio is not None
    assert (audio.codec, audio.sample_rate, audio.channels) == ("mp4a", 44_100, 2)


def test_default_stream_has_the_rate_that_it_claims():
    messages = play(Programme(MediaSpec()), 20.0)
    video = [m for m in messages if m.type == VIDEO]
    audio = [m for m in messages if m.type == AUDIO]
    assert len(video) == 600
    assert 43 * 20 <= len(audio) <= 44 * 20
    bitrate = sum(len(m.payload) for m in messages) * 8 / 20
    assert bitrate == pytest.approx(1_100_000, rel=0.02)


def test_keyframes_come_at_their_interval_and_are_larger():
    messages = play(Programme(MediaSpec(fps=25, keyframe_interval=2.0)), 6.0)
    video = [m for m in messages if m.type == VIDEO]
    keyframes = [m for m in video if video_flags(m.payload) & KEYFRAME]
    assert [m.timestamp for m in keyframes] == [0, 2000, 4000]
    assert all(video_flags(m.payload) & CODED_FRAME for m in video)
    assert len(keyframes[0].payload) > 5 * len(video[1].payload)


def test_a_joiner_is_told_where_a_keyframe_is_next():
    programme = Programme(MediaSpec(fps=10, keyframe_interval=1.0))
    for _ in range(200):
        promised = programme.at_keyframe
        message = programme.next_packet(1, 0)
        is_keyframe = message.type == VIDEO and bool(video_flags(message.payload) & KEYFRAME)
        assert promised == is_keyframe


def test_timestamps_never_go_back():
    times = [m.timestamp for m in play(Programme(MediaSpec()), 10.0)]
    assert all(earlier <= later for earlier, later in itertools.pairwise(times))


@given(st.integers(0, 2**64 - 1), st.integers(100, 50_000_000), st.floats(0.5, 240))
def test_every_packet_is_stamped_and_numbered(now_ns, bitrate, fps):
    programme = Programme(MediaSpec(bitrate, fps))
    stamps = [read_stamp(programme.next_packet(1, now_ns).payload) for _ in range(5)]
    assert stamps == [(now_ns, number) for number in range(5)]


@given(st.binary(max_size=200))
def test_other_payloads_have_no_stamp(payload):
    assert read_stamp(payload) is None


def test_a_cut_stamp_is_none():
    payload = Programme(MediaSpec()).next_packet(1, 1).payload
    end = payload.index(bytes.fromhex("7a3d1be0")) + 28
    assert read_stamp(payload[:end]) is not None
    assert all(read_stamp(payload[:size]) is None for size in range(end))


@pytest.mark.parametrize("spec", [{"bitrate": 0}, {"fps": 0}, {"keyframe_interval": 0}])
def test_nonsense_is_refused(spec):
    with pytest.raises(UsageError):
        MediaSpec(**spec)
