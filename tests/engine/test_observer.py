from __future__ import annotations

import pytest
from engine_kit import FakeSink, House, inter, keyframe, message

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions
from rtmpd.engine.subscriber import Subscription
from rtmpd.rtmp.via import Via


class Witness(StreamObserver):
    """An observer that writes down what it is told, and may act on it."""

    def __init__(self, house: House) -> None:
        self.words: list[str] = []
        self.acts: dict[str, object] = {}
        house.registry.observe(self)

    def _note(self, word: str, key: StreamKey) -> None:
        self.words.append(f"{word} {key.name}")
        act = self.acts.get(word)
        if callable(act):
            act()

    def published(self, publication: Publication) -> None:
        self._note("published", publication.key)

    def unpublished(self, publication: Publication) -> None:
        self._note("unpublished", publication.key)

    def wanted(self, first: Subscription) -> None:
        self._note("wanted", first.key)

    def unwanted(self, last: Subscription) -> None:
        self._note("unwanted", last.key)


RELAY = PlayOptions(audience=False)


def test_the_first_and_the_last_of_them_are_told_a_turn_later() -> None:
    house = House()
    witness = Witness(house)
    _, first = house.play()
    _, second = house.play()
    assert witness.words == []
    house.loop.run()
    assert witness.words == ["wanted cam"]
    publication = house.publish()
    publication.close(CloseReason.FINISHED)
    first.detach()
    second.detach()
    house.loop.run()
    assert witness.words == ["wanted cam", "published cam", "unpublished cam", "unwanted cam"]


def test_players_count_with_a_publisher_too() -> None:
    house = House()
    witness = Witness(house)
    house.publish()
    _, subscription = house.play()
    subscription.close(CloseReason.KICKED)
    house.loop.run()
    assert witness.words == ["published cam", "wanted cam", "unwanted cam"]


def test_relays_are_no_audience() -> None:
    house = House(EngineLimits(max_players=1, max_players_per_stream=1))
    witness = Witness(house)
    publication = house.publish()
    sink, subscription = house.play(RELAY)
    house.play(RELAY)
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    assert sink.take() == "AAC@0 AVC@0 K@0"
    assert (house.stats.players, house.stats.plays_total, house.stream.players) == (0, 0, 0)
    assert house.stats.time_to_first_frame.count == 0
    house.play()
    subscription.close(CloseReason.SLOW)
    assert sink.calls == ["close:slow"]
    assert house.stats.players_closed == {}
    house.loop.run()
    assert witness.words == ["published cam", "wanted cam"]


def test_an_observer_may_act_on_what_it_is_told() -> None:
    house = House()
    witness = Witness(house)
    sink = FakeSink()
    witness.acts["published"] = lambda: house.play(RELAY, sink)
    witness.acts["unpublished"] = lambda: house.publish()
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (40, inter()))
    assert sink.take() == "AAC@0 AVC@0 K@0 P@40"
    del witness.acts["published"]
    # The end comes while a batch is being delivered.
    sink.on_write = lambda: publication.close(CloseReason.KICKED)
    house.send(publication, (80, inter()))
    house.loop.run()
    assert witness.words == ["published cam", "unpublished cam", "published cam"]
    assert house.stream.publication is not None


def test_who_asks_and_what_comes_may_have_been_elsewhere_before() -> None:
    house = House()
    _, subscription = house.play(PlayOptions(origin=Origin(via=Via(("b",), 1))))
    publication = house.publish(origin=Origin(via=Via(("c", "d"), 2)))
    assert (subscription.origin.via, publication.origin.via) == (Via(("b",), 1), Via(("c", "d"), 2))


@pytest.mark.parametrize("word", ["published", "unpublished", "wanted", "unwanted"])
def test_an_observer_that_fails_does_not_hurt_the_next(word: str, caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    bad, good = Witness(house), Witness(house)
    bad.acts[word] = lambda: 1 // 0
    _, subscription = house.play()
    publication = house.publish()
    publication.receive(message(0, b"\x2fmp3"), 0.0)
    publication.close(CloseReason.FINISHED)
    subscription.detach()
    house.loop.run()
    assert good.words == ["wanted cam", "published cam", "unpublished cam", "unwanted cam"]
    assert "an observer of live/cam failed" in caplog.text


class Records(StreamObserver):
    """What a hook would keep: who, what, how much, and why it ended; a start and an end for each."""

    def __init__(self, house: House) -> None:
        self.open: dict[Publication | Subscription, str] = {}
        self.closed: list[tuple[str, int, Ending | None]] = []
        house.registry.observe(self)

    def published(self, publication: Publication) -> None:
        self.open[publication] = f"{publication.origin.address} publishes {publication.key}"

    def unpublished(self, publication: Publication) -> None:
        record = (self.open.pop(publication), publication.stats.video.bytes_in, publication.ending)
        self.closed.append(record)

    def play_started(self, subscription: Subscription) -> None:
        self.open[subscription] = f"{subscription.origin.address} plays {subscription.key}"

    def play_ended(self, subscription: Subscription) -> None:
        self.closed.append((self.open.pop(subscription), subscription.bytes_out, subscription.ending))


ENCODER = Origin(address="192.0.2.1")
PLAYER = Origin(address="192.0.2.2")
ADMIN = Origin(address="192.0.2.3")


def test_an_observer_is_told_who_it_was_and_how_it_ended() -> None:
    house = House()
    records = Records(house)
    publication = house.publish(origin=ENCODER)
    house.send_headers(publication)
    sink, subscription = house.play(PlayOptions(origin=PLAYER))
    house.send(publication, (0, keyframe()))
    house.loop.run()
    assert list(records.open.values()) == ["192.0.2.1 publishes live/cam", "192.0.2.2 plays live/cam"]
    publication.dismiss(CloseReason.IDLE)
    subscription.close(CloseReason.KICKED, by=ADMIN)
    house.loop.run()
    assert records.open == {}
    sent = sum(map(len, sink.writes))
    assert records.closed == [
        ("192.0.2.1 publishes live/cam", 16, Ending(CloseReason.IDLE)),
        ("192.0.2.2 plays live/cam", sent, Ending(CloseReason.KICKED, ADMIN)),
    ]


def test_starts_and_ends_are_told_in_pairs_though_they_fall_into_one_turn() -> None:
    house = House()
    records = Records(house)
    witness = Witness(house)
    for reason in (CloseReason.FINISHED, CloseReason.CONNECTION_LOST):
        house.publish(origin=ENCODER).close(reason)
        _, subscription = house.play(PlayOptions(audience=False, origin=PLAYER))
        subscription.detach(reason)
    house.loop.run()
    assert witness.words == ["published cam", "unpublished cam"] * 2
    assert records.open == {}
    assert [(who, ending.reason) for who, _, ending in records.closed if ending] == [
        ("192.0.2.1 publishes live/cam", "finished"),
        ("192.0.2.2 plays live/cam", "finished"),
        ("192.0.2.1 publishes live/cam", "connection_lost"),
        ("192.0.2.2 plays live/cam", "connection_lost"),
    ]


def test_the_first_reason_of_an_end_stays() -> None:
    house = House()
    publication = house.publish()
    _, subscription = house.play()
    subscription.close(CloseReason.SLOW)
    subscription.detach(CloseReason.FINISHED)
    publication.close(CloseReason.CONNECTION_LOST)
    publication.close(CloseReason.FINISHED)
    assert (subscription.ending, publication.ending) == (
        Ending(CloseReason.SLOW),
        Ending(CloseReason.CONNECTION_LOST),
    )
