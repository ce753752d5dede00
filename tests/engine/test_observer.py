from __future__ import annotations

import pytest
from engine_kit import KEY, FakePublisher, FakeSink, House, inter, keyframe, message

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import CloseReason, PlayOptions
from rtmpd.rtmp.via import Via


class Witness:
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

    def published(self, key: StreamKey) -> None:
        self._note("published", key)

    def unpublished(self, key: StreamKey) -> None:
        self._note("unpublished", key)

    def wanted(self, key: StreamKey) -> None:
        self._note("wanted", key)

    def unwanted(self, key: StreamKey) -> None:
        self._note("unwanted", key)


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
    _, subscription = house.play(PlayOptions(via=Via(("b",), 1)))
    publication = house.registry.claim(KEY, FakePublisher(), 0.0, via=Via(("c", "d"), 2))
    assert (subscription.via, publication.via) == (Via(("b",), 1), Via(("c", "d"), 2))


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
