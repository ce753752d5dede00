"""Audiences apart from that of a stream: packet sinks are given what they are shown, and all are counted."""

from __future__ import annotations

import dataclasses

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, House, inter, keyframe, sound

from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.packet import DATA, STREAM_METADATA, VIDEO, Packet
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import PlayOptions, TapOptions
from rtmpd.media.tags import CODED_FRAME, KEYFRAME, SEQUENCE_HEADER


@pytest.fixture
def house() -> House:
    return House()


def live(house: House) -> Publication:
    publication = house.publish()
    house.send(publication, (0, AAC_HEADER), (0, AVC_HEADER), (0, keyframe("K0")), (20, sound("a")))
    return publication


def show(audience: DelayedStream, publication: Publication, now: float) -> None:
    """The audience is shown a stream."""
    audience.feed(audience.finish)
    audience.begin(publication.stats, now)


def test_taps_are_given_what_players_of_a_delayed_stream_are_shown() -> None:
    house = House(EngineLimits(delay=5.0))
    publication = live(house)
    sink, _ = house.tap(TapOptions(delay=None))
    assert sink.take() == ""
    show(house.stream.delayed(5.0), publication, house.loop.now)
    house.stream.delayed(5.0).push(Packet(VIDEO, 0, AVC_HEADER, SEQUENCE_HEADER))
    house.stream.delayed(5.0).push(Packet(VIDEO, 0, keyframe("K"), KEYFRAME | CODED_FRAME))
    house.loop.run()
    assert sink.take() == "<started> AVC@0 K@0"


def test_taps_are_given_what_an_audience_apart_is_shown(house: House) -> None:
    publication = live(house)
    audience = house.stream.set_apart(5.0)
    sink, tap = house.tap(TapOptions(apart=audience.number))
    show(audience, publication, house.loop.now)
    assert audience.attended
    assert not audience.watched
    house.send(publication, (40, inter("P")))
    assert sink.take() == "<started>"
    tap.detach()
    assert not audience.attended


def test_everybody_is_whoever_is_shown_a_stream(house: House) -> None:
    publication = live(house)
    audience = house.stream.set_apart(0.0, made=True)
    show(audience, publication, house.loop.now)
    assert not house.stream.watched
    _, apart = house.play(PlayOptions(apart=audience.number))
    assert publication.watched
    assert not house.stream.subscriptions
    _, plain = house.play()
    assert house.stream.everybody == [plain, apart]
    plain.detach()
    apart.detach()
    assert not publication.watched


def test_of_what_is_made_of_a_stream_no_medium_is_withheld(house: House) -> None:
    publication = live(house)
    audience = house.stream.set_apart(0.0, made=True)
    show(audience, publication, house.loop.now)
    audience.push(Packet(DATA, 0, b"moov", STREAM_METADATA))
    for second in range(20):  # Of the audio nothing more comes.
        house.loop.now += 1.0
        house.send(publication, (second * 1000, keyframe("K")))
        house.registry.sample(house.loop.now)
    assert house.stream.intake.checkup.absent(house.loop.now)
    house.registry.apply(dataclasses.replace(house.registry.limits))
    audience.begin(publication.stats, house.loop.now)
    audience.push(Packet(DATA, 0, b"moov", STREAM_METADATA))
    assert audience.intake.checkup.absent(house.loop.now) == 0
    assert [packet.payload for packet in audience.headers.packets(0)] == [b"moov"]
