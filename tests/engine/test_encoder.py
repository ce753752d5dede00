"""What is made of what OBS says of itself, and whether key frames of its tracks come together."""

from __future__ import annotations

import pytest
from engine_kit import House
from obs_kit import recording, send

from rtmpd.engine.alignment import find_apart
from rtmpd.engine.encoder import EncoderStats, TrackFrames
from rtmpd.engine.health import HealthKind
from rtmpd.engine.packet import VIDEO
from rtmpd.engine.publication import Publication
from rtmpd.engine.stats import StreamStats, TrackStats
from rtmpd.media.obs_sei import ObsReport


def play(house: House, name: str, seconds: int = 7) -> Publication:
    """What OBS sent, in its time, with a look each second."""
    publication = house.publish()
    messages = recording(name)
    at = 0
    for second in range(1, seconds + 1):
        until = [number for number, each in enumerate(messages) if each.timestamp > second * 1000]
        end = until[0] if until else len(messages)
        send(house, publication, messages[at:end], 1.0)
        at = end
        house.registry.sample(house.loop.now)
    return publication


def test_frames_of_obs_are_counted_once_and_those_of_tracks_for_each() -> None:
    encoder = play(House(), "multitrack").stats.encoder
    assert encoder is not None
    assert (encoder.rendered, encoder.lagged, encoder.dropped) == (180, 12, 0)
    assert encoder.sent == pytest.approx(450, abs=5)
    assert encoder.tracks == {track: TrackFrames(180, 0) for track in range(3)}
    assert encoder.delay == pytest.approx(0.986)
    assert encoder.uplink is not None
    assert 0.0 <= encoder.uplink < 1.0


def test_an_encoder_of_one_picture_that_says_nothing_has_no_figures() -> None:
    assert play(House(), "single-vod").stats.encoder is None


def test_the_way_here_is_judged_by_its_quickest_time_whatever_the_clock_says() -> None:
    stats = EncoderStats(0)
    for composed, came in ((5_000.0, 10.0), (5_001.0, 10.8), (5_002.0, 15.0)):
        stats.note(0, ObsReport(composed, composed + 0.5), came)
    assert stats.uplink == pytest.approx(3.2)
    stats.note(0, ObsReport(1_000.0, 1_000.5), 16.0)  # The streamer's clock was set back.
    assert stats.uplink == 0.0
    stats.note(0, ObsReport(None, None), 17.0)
    assert (stats.uplink, stats.delay) == (None, None)


@pytest.mark.parametrize("sent_at", [90.0, 200.0])
def test_a_delay_that_cannot_be_is_none(sent_at: float) -> None:
    stats = EncoderStats(0)
    stats.note(0, ObsReport(100.0, sent_at), 1.0)
    assert stats.delay is None


def test_another_track_speaks_when_the_first_does_no_more() -> None:
    stats = EncoderStats(0)
    stats.note(0, ObsReport(1.0, 1.0, rendered=30), 1.0)
    for second in range(30):
        stats.note(1, ObsReport(1.0, 1.0, rendered=30), 2.0 + second)
    assert stats.rendered == 30 + 20 * 30


def house_with(report: ObsReport, seconds: int) -> StreamStats:
    stats = StreamStats()
    stats.encoder = EncoderStats(0)
    for second in range(seconds):
        stats.encoder.note(0, report, float(second))
        stats.encoder.look()
    return stats


@pytest.mark.parametrize(
    ("report", "lost", "late"),
    [
        (ObsReport(1.0, 1.0, 60, 0, 3, 57, 60, 0), 0.05, 0.0),
        (ObsReport(1.0, 1.0, 60, 6, 0, 60, 60, 0), 0.0, 0.1),
        (ObsReport(1.0, 1.0, 60, 0, 0, 60, 60, 12), 0.0, 0.2),
        (ObsReport(1.0, 1.0, 2, 2, 2, 2, 2, 2), 0.0, 0.0),
    ],
)
def test_shares_are_of_ten_seconds(report: ObsReport, lost: float, late: float) -> None:
    encoder = house_with(report, 20).encoder
    assert encoder is not None
    assert (encoder.lost, encoder.late) == (pytest.approx(lost), pytest.approx(late))


def test_frames_that_are_lost_at_the_streamer_are_a_warning_until_they_are_no_more() -> None:
    house = House()
    publication = play(house, "multitrack")
    warnings = house.stream.health.active
    assert warnings[HealthKind.ENCODER_SLOW].figures["percent"] == pytest.approx(6.7, abs=1)
    assert HealthKind.ENCODER_DROPS not in warnings
    encoder = publication.stats.encoder
    assert encoder is not None
    for _ in range(12):
        encoder.note(0, ObsReport(1.0, 1.0, 60, 0, 5, 55, 60, 0), house.loop.now)
        house.loop.now += 1.0
        house.registry.sample(house.loop.now)
    assert HealthKind.ENCODER_SLOW not in house.stream.health.active
    text = HealthKind.ENCODER_DROPS.finding(house.stream.health.active[HealthKind.ENCODER_DROPS].figures)
    assert text.startswith("OBS has dropped 8.3 % of its frames")


@pytest.mark.parametrize(("name", "apart"), [("multitrack", False), ("multitrack-scenecut", True)])
def test_key_frames_that_come_apart_are_a_warning(name: str, apart: bool) -> None:
    house = House()
    play(house, name)
    assert (HealthKind.KEYFRAMES_APART in house.stream.health.active) is apart


def tracks(*keyframes: tuple[int, int]) -> StreamStats:
    """The last key frame of each and how long the one before was ago."""
    stats = StreamStats()
    for track, (last, interval) in enumerate(keyframes):
        figures = stats.tracks[VIDEO, track] = TrackStats()
        figures.keyframe(last - interval)
        figures.keyframe(last)
        figures.frame_rate.over_1s = 30.0
    return stats


@pytest.mark.parametrize(
    ("keyframes", "apart"),
    [
        (((4000, 2000), (4000, 2000)), None),
        (((4000, 2000), (4067, 2000)), None),
        (((6000, 2000), (4000, 4000)), None),
        (((4000, 2000), (2000, 2000)), None),
        (((11_000, 1000), (8000, 4000)), None),
        (((8000, 4000), (11_033, 1000)), None),
        (((11_000, 1000), (8500, 4000)), (1, 0.5)),
        (((4000, 2000), (5000, 2000)), (1, 1.0)),
        (((4000, 2000), (4200, 2000), (4500, 2000)), (2, 0.5)),
        (((4000, 2000),), None),
    ],
)
def test_key_frames_of_one_moment_are_together(
    keyframes: tuple[tuple[int, int], ...], apart: tuple[int, float] | None
) -> None:
    found = find_apart(tracks(*keyframes))
    assert (None if found is None else (found.track, found.seconds)) == apart


def test_a_track_that_has_stopped_is_not_apart() -> None:
    stats = tracks((9000, 2000), (4500, 2000))
    stats.tracks[VIDEO, 1].frame_rate.over_1s = 0.0
    assert find_apart(stats) is None
