"""What OBS says of itself, as whoever is in charge is told it."""

from __future__ import annotations

import pytest
from engine_kit import House
from obs_kit import recording, send

from rtmpd.control.stream_views import whole
from rtmpd.control.times import Times
from rtmpd.engine.encoder import EncoderStats
from rtmpd.media.obs_sei import ObsReport


def test_tracks_have_names_and_an_encoder_its_figures() -> None:
    house = House()
    publication = house.publish()
    send(house, publication, recording("multitrack"), 7.0)
    encoder = publication.stats.encoder
    assert encoder is not None
    assert encoder.composed_at is not None
    on_the_wall = encoder.composed_at + 1.5 + house.loop.now - encoder.reported_at
    told = whole(house.stream, Times(house.loop.clock, lambda: on_the_wall))
    assert [track.name for track in told.tracks] == ["360p", "240p", "144p"]
    assert [track.frames_skipped for track in told.tracks] == [0, 0, 0]
    assert told.encoder is not None
    assert (told.encoder.frames_rendered, told.encoder.frames_lagged) == (180, 12)
    assert told.encoder.delay_seconds == pytest.approx(0.986)
    assert told.encoder.ingest_delay_seconds == pytest.approx(1.5)
    assert told.encoder.age_seconds == pytest.approx(house.loop.now - encoder.reported_at, abs=0.001)


@pytest.mark.parametrize(("ahead", "told"), [(0.4, 0.4), (-3.0, None), (3600.0, None)])
def test_what_clocks_say_that_differ_is_not_told(ahead: float, told: float | None) -> None:
    house = House()
    publication = house.publish()
    house.send_headers(publication)
    publication.stats.encoder = EncoderStats(0)
    publication.stats.encoder.note(0, ObsReport(1_000.0, 1_000.1), house.loop.now)
    seen = whole(house.stream, Times(house.loop.clock, lambda: 1_000.0 + ahead)).encoder
    assert seen is not None
    assert seen.ingest_delay_seconds == (None if told is None else pytest.approx(told))


def test_an_encoder_that_says_nothing_has_none() -> None:
    house = House()
    send(house, house.publish(), recording("single-vod"), 7.0)
    told = whole(house.stream, Times(house.loop.clock, lambda: 0.0))
    assert told.encoder is None
    assert [(track.medium.value, track.name) for track in told.tracks] == [("audio", None), ("audio", None)]
