"""The files of one recording without a stream: what a batch of packets comes to."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from engine_kit import AVC_HEADER, KEY, inter, keyframe
from outputs_kit import open_files, tags_of

from rtmpd.engine.packet import VIDEO, Packet
from rtmpd.media.codecs import video_info
from rtmpd.media.tags import KEYFRAME, MULTITRACK, SEQUENCE_HEADER, video_flags
from rtmpd.media.track_names import TrackWish
from rtmpd.outputs import file_series
from rtmpd.outputs.file_series import Batch, Begun, FileSeries
from rtmpd.outputs.record_rules import RecordRule, RecordStart
from rtmpd.outputs.recording import Recording, RecordingEnd

NOW = 1_800_000_000.0


@pytest.fixture
def rule(tmp_path: Path) -> RecordRule:
    return RecordRule(str(tmp_path), RecordStart.ALWAYS, min_free=0)


def video(timestamp: int, payload: bytes) -> Packet:
    return Packet(VIDEO, timestamp, payload, video_flags(payload))


def pictures(count: int, step: int) -> list[Packet]:
    """A header, and ``count`` key frames."""
    shown = [video(step * number, keyframe(f"K{number}")) for number in range(count)]
    return [video(0, AVC_HEADER), *shown]


def finish(series: FileSeries, rule: RecordRule, packets: list[Packet]) -> list[Recording]:
    outcome = series.write(Batch(packets, rule, NOW, end=RecordingEnd.PUBLISH_ENDED))
    return [each for each in outcome.news if isinstance(each, Recording)]


def test_timestamps_that_jump_for_ages_do_not_say_when_a_file_began(rule: RecordRule) -> None:
    outcome = FileSeries(KEY, rule).write(Batch(pictures(5, 10**13), rule, NOW))
    (begun,) = outcome.news
    assert isinstance(begun, Begun)
    assert NOW - 3600 < begun.started_at <= NOW
    assert f"{datetime.fromtimestamp(NOW, UTC):%Y}-" in begun.path


def test_no_picture_is_held_once_it_is_written(rule: RecordRule) -> None:
    series = FileSeries(KEY, rule)
    packets = pictures(20, 40)
    payload = packets[-1].payload + bytes(1000)
    packets[-1] = video(800, payload)
    before = sys.getrefcount(payload)
    series.write(Batch(packets, rule, NOW))
    assert sys.getrefcount(payload) == before


def test_a_file_ends_before_its_time_does(rule: RecordRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_series, "_LONGEST", 10_000)
    monkeypatch.setattr(file_series, "SHORTEST", 0.0)
    first, second = finish(FileSeries(KEY, rule), rule, pictures(15, 1000))
    assert (first.end, first.duration) == (RecordingEnd.SPLIT, 10.0)
    assert tags_of(second.path)[1].timestamp == 0


def test_nor_does_an_encoder_that_appends_go_on_behind_it(
    rule: RecordRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = finish(FileSeries(KEY, rule), rule, pictures(15, 1000))
    monkeypatch.setattr(file_series, "_LONGEST", 10_000)
    (second,) = finish(FileSeries(KEY, rule, "append"), rule, pictures(5, 1000))
    assert first.path != second.path
    assert len(tags_of(first.path)) == 16


def test_a_bug_leaves_no_file_open(rule: RecordRule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    series = FileSeries(KEY, rule)
    series.write(Batch(pictures(5, 40), rule, NOW))
    assert open_files(tmp_path) == 2

    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(file_series, "video_codec", fail)
    with pytest.raises(ZeroDivisionError):
        series.write(Batch([video(400, inter("P"))], rule, NOW))
    assert open_files(tmp_path) == 0


def test_an_encoder_whose_time_runs_ahead_makes_a_file_a_second(rule: RecordRule) -> None:
    rule = replace(rule, split_after=30.0)
    series = FileSeries(KEY, rule)
    files = []
    for second in range(5):
        packets = [video(9000 * (100 * second + number), keyframe()) for number in range(100)]
        outcome = series.write(Batch(packets, rule, NOW + second))
        files += [each for each in outcome.news if isinstance(each, Begun)]
    assert len(files) == 5


# -- tracks by name


def obs(*tracks: int) -> list[Packet]:
    """What OBS sent in three sizes, of these tracks, as the engine has it: none is told apart before the
    second one comes.
    """
    from golden_captures import load

    from rtmpd.engine.packet import ASIDE, TRACK_SHIFT, TRACKED
    from rtmpd.media.tracks import track_of
    from rtmpd.rtmp.chunks import ChunkReader
    from rtmpd.rtmp.limits import Limits

    found = []
    for each in ChunkReader(Limits()).receive_data(load("obs32/obs32-multitrack-pub").chunks):
        if each.type != VIDEO:
            continue
        flags = video_flags(each.payload)
        track = track_of(each.payload) if flags & MULTITRACK else 0
        marks = TRACKED | track << TRACK_SHIFT | (ASIDE if track else 0)
        if track in tracks:
            found.append(Packet(VIDEO, each.timestamp, each.payload, flags | marks))
    return found


def heights(path: str) -> list[int]:
    """Of the headers in a file."""
    infos = [video_info(tag.payload) for tag in tags_of(path) if tag.type == VIDEO]
    return [info.height for info in infos if info is not None]


@pytest.mark.parametrize(
    ("name", "tracks", "lines"),
    [
        ("240p", (0, 1, 2), 240),
        ("best", (0, 1, 2), 360),
        ("144p", (0, 1, 2), 144),
        ("720p", (1, 2), 240),
        ("200p", (0, 2), 144),
        ("best", (0,), 360),
    ],
)
def test_a_track_is_recorded_by_its_name_or_the_nearest(
    rule: RecordRule, name: str, tracks: tuple[int, ...], lines: int
) -> None:
    named = replace(rule, tracks=TrackWish(name))
    (recording,) = finish(FileSeries(KEY, named), named, obs(*tracks))
    assert heights(recording.path) == [lines]
    wanted = {360: 0, 240: 1, 144: 2}[lines]
    frames = [tag for tag in tags_of(recording.path) if tag.type == VIDEO]
    assert len(frames) == len(obs(wanted))
    assert not any(video_flags(tag.payload) & MULTITRACK for tag in frames)


def test_a_recording_goes_on_with_another_track_when_its_own_comes_no_more(rule: RecordRule) -> None:
    named = replace(rule, tracks=TrackWish("240p"))
    later = [packet.restamped(packet.timestamp + 20_000) for packet in obs(0, 2)]
    frames = [packet for packet in later if not packet.flags & SEQUENCE_HEADER]
    (recording,) = finish(FileSeries(KEY, named), named, [*obs(0, 1, 2), *frames])
    assert heights(recording.path) == [240, 144]
    tags = [tag for tag in tags_of(recording.path) if tag.type == VIDEO]
    second = [video_info(tag.payload) is not None for tag in tags].index(True, 1)
    assert video_flags(tags[second + 1].payload) & KEYFRAME


def test_and_with_its_own_when_that_is_back(rule: RecordRule) -> None:
    named = replace(rule, tracks=TrackWish("240p"))
    begin = obs(0, 1, 2)
    without = [packet.restamped(packet.timestamp + 20_000) for packet in obs(0)]
    again = [packet.restamped(packet.timestamp + 40_000) for packet in begin]
    (recording,) = finish(FileSeries(KEY, named), named, [*begin, *without, *again])
    assert heights(recording.path) == [240, 360, 240]
