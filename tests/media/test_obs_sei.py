"""What OBS 32 said of itself in recorded key frames, and what nobody should be able to do with it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest
from golden_captures import load
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.media.obs_sei import ObsReport, read_report
from rtmpd.media.tags import KEYFRAME, MULTITRACK, video_flags
from rtmpd.media.tracks import plain_track, track_of
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.limits import Limits


@cache
def key_frames(name: str, track: int = 0) -> list[bytes]:
    messages = ChunkReader(Limits()).receive_data(load(f"obs32/obs32-{name}-pub").chunks)
    payloads = [each.payload for each in messages if each.type == 9]
    found = [payload for payload in payloads if video_flags(payload) & KEYFRAME]
    return [p for p in found if (track_of(p) if video_flags(p) & MULTITRACK else 0) == track]


def reports(name: str, track: int = 0) -> list[ObsReport]:
    found = [read_report(payload) for payload in key_frames(name, track)]
    return [each for each in found if each is not None]


@pytest.mark.parametrize(("name", "track"), [("multitrack", 0), ("multitrack", 2), ("av1-multitrack", 0)])
def test_each_key_frame_of_each_track_says_how_it_is(name: str, track: int) -> None:
    assert len(reports(name, track)) == len(key_frames(name, track))
    first, second, *_ = reports(name, track)
    assert (first.rendered, first.lagged, first.dropped, first.taken, first.skipped) == (0, 0, 0, 0, 0)
    assert second.rendered in range(28, 34)
    assert second.taken in range(28, 34)
    for each in reports(name, track):
        assert each.composed_at is not None
        assert each.sent_at is not None
        assert 0.9 < each.sent_at - each.composed_at < 1.6


def test_times_are_those_of_the_streamer_and_late_frames_are_told() -> None:
    first, _, third, *_ = reports("multitrack")
    assert first.composed_at is not None
    assert datetime.fromtimestamp(first.composed_at, UTC) == datetime(2026, 11, 25, 19, 31, 50, 799000, UTC)
    assert (third.rendered, third.lagged, third.dropped, third.sent) == (30, 12, 0, 75)


def test_a_track_made_plain_says_the_same() -> None:
    (payload, *_) = key_frames("multitrack", 1)
    assert read_report(plain_track(9, payload)) == read_report(payload)


@pytest.mark.parametrize("name", ["single-vod", "multitrack-scenecut"])
def test_who_says_nothing_has_said_nothing(name: str) -> None:
    for payload in key_frames(name):
        assert (read_report(payload) is None) is (name == "single-vod")
    assert read_report(b"") is None
    assert read_report(b"\x17\x01\0\0\0" + bytes(2000)) is None


@given(st.data())
def test_nothing_that_a_peer_makes_of_it_raises_or_is_no_count(data: st.DataObject) -> None:
    payload = bytearray(data.draw(st.sampled_from(key_frames("multitrack") + key_frames("av1-multitrack"))))
    for _ in range(data.draw(st.integers(1, 8))):
        payload[-data.draw(st.integers(1, 300))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 200))
    report = read_report(bytes(payload[: len(payload) - cut]))
    if report is not None:
        assert all(0 <= each <= 1_000_000 for each in report[2:])


@pytest.mark.parametrize("stamp", ["2026-11-25T19:31:50.799", "9999-99-99T00:00:00Z", "\xff\xfe", "now", ""])
def test_a_time_that_is_none_is_left_out(stamp: str) -> None:
    uuid = bytes.fromhex("0aecffe752724e2fa62fd19cd61a93b5")
    said = uuid + b"\x00\x01\x01" + stamp.encode("latin-1") + b"\0"
    sei = b"\x06\x05" + bytes((len(said),)) + said + b"\x80"
    report = read_report(b"\x17\x01\0\0\0" + len(sei).to_bytes(4, "big") + sei)
    assert report == ObsReport(None, None)


def test_hevc_says_it_as_h264_does() -> None:
    (payload, *_) = key_frames("multitrack")
    sei = payload[payload.index(bytes.fromhex("06057d")) - 4 :]
    units, offset = b"", 0
    while offset < len(sei):
        size = int.from_bytes(sei[offset : offset + 4], "big")
        units += (size + 1).to_bytes(4, "big") + b"\x50\x01" + sei[offset + 5 : offset + 4 + size]
        offset += 4 + size
    frame = b"\x91hvc1\0\0\0" + (500).to_bytes(4, "big") + bytes(500) + units
    assert read_report(frame) == read_report(payload)
