from __future__ import annotations

import dataclasses
import gc
import random
import weakref

import pytest
from engine_kit import KEY, FakePublisher, FakeSink, House, NamedWire, inter, keyframe, message, sound

from rtmpd.engine.budget import Unfinished
from rtmpd.engine.claim import Claim, ClaimPolicy
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits, Quota
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy
from rtmpd.engine.stream import LiveStream
from rtmpd.exceptions import ResourceExhausted, StreamBusy


def test_a_name_has_one_publisher_at_a_time() -> None:
    house = House()
    first = house.publish()
    with pytest.raises(StreamBusy) as refused:
        house.publish()
    assert refused.value.code == "NetStream.Publish.BadName"
    assert refused.value.reason == "stream_busy"
    assert "cam is being published" in refused.value.description
    first.close(CloseReason.FINISHED)
    assert house.publish().stream is not first.stream


def test_names_are_of_their_app() -> None:
    house = House()
    house.publish()
    house.publish(StreamKey("other", KEY.name))
    assert len(house.registry.streams) == 2
    assert house.stats.publishers == house.stats.publishes_total == 2


def test_a_publication_knows_who_made_it_and_when() -> None:
    house = House()
    publisher = FakePublisher()
    publication = house.registry.claim(KEY, publisher, NOBODY, 12.5)
    assert (publication.owner, publication.started_at, publication.closed) == (publisher, 12.5, False)
    assert house.stream.publication is publication


def test_an_entry_lives_as_long_as_somebody_needs_it() -> None:
    house = House()
    _, first = house.play()
    _, second = house.play()
    publication = house.publish()
    first.detach()
    publication.close(CloseReason.FINISHED)
    assert KEY in house.registry.streams
    second.detach()
    assert KEY not in house.registry.streams
    house.publish().close(CloseReason.FINISHED)
    assert not house.registry.streams


def test_a_player_that_leaves_with_packets_pending_leaves_nothing_behind() -> None:
    house = House()
    _, subscription = house.play()
    publication = house.publish()
    for timestamp in range(3):
        publication.receive(message(timestamp, b"\x2fmp3"), 0.0)
    subscription.detach()
    house.loop.run()
    house.send(publication, (10, b"\x2fmp3"))
    assert house.play()[0].words == ["p3@0", "p3@1", "p3@2", "p3@10"]
    publication.close(CloseReason.FINISHED)


def test_random_names_leave_nothing_behind() -> None:
    house = House()
    dice = random.Random(1)
    streams: list[weakref.ref[object]] = []

    class Referable(FakeSink):
        pass

    for number in range(1000):
        key = StreamKey("live", f"name{number}")
        sink = Referable()
        streams.append(weakref.ref(sink))
        outlet = sink.connect(house.registry.outlets, house.loop.clock)
        subscription = house.registry.attach(key, sink, outlet, PlayOptions(), 0.0)
        subscription.join(0.0)
        if dice.random() < 0.5:
            publication = house.publish(key)
            house.send_headers(publication)
            house.send(publication, (0, keyframe()), (40, inter()))
            if dice.random() < 0.5:
                sink.pause()
            publication.close(CloseReason.FINISHED)
        subscription.detach()
        outlet.close()
    del sink, subscription, publication, outlet
    gc.collect()
    assert not house.registry.streams
    assert house.registry.budget.used == 0
    assert house.stats.players == house.stats.publishers == 0
    assert not any(reference() for reference in streams)


def test_the_names_that_players_wait_for_are_limited() -> None:
    house = House(EngineLimits(max_waiting_names=2))
    house.play(key=StreamKey("live", "a"))
    house.play(key=StreamKey("live", "b"))
    with pytest.raises(ResourceExhausted) as refused:
        house.play()
    assert (refused.value.code, refused.value.reason) == ("NetStream.Play.StreamNotFound", "waiting_names")
    house.play(key=StreamKey("live", "a"))
    house.publish(StreamKey("live", "a"))
    house.play()


def test_publishers_and_players_are_limited() -> None:
    house = House(EngineLimits(max_publishers=1, max_players=3, max_players_per_stream=2))
    house.publish()
    with pytest.raises(ResourceExhausted) as refused:
        house.publish(StreamKey("live", "b"))
    assert (refused.value.code, refused.value.reason) == ("NetStream.Publish.Rejected", "publishers")
    house.play()
    house.play()
    with pytest.raises(ResourceExhausted, match="This stream takes 2 players"):
        house.play()
    house.play(key=StreamKey("live", "b"))
    with pytest.raises(ResourceExhausted, match="This server takes 3 players"):
        house.registry.check_attach(StreamKey("live", "c"))
    assert house.stats.players == house.stats.plays_total == 3


def test_streams_with_the_same_quota_share_it() -> None:
    quotas = {"live": Quota("live", 2), "other": Quota("other", 1), "free": Quota()}
    limits = EngineLimits()
    house = House(limits)
    registry = Registry(
        Flusher(house.loop.call_soon, house.loop.call_later, house.loop.clock, house.loop.clock),
        house.stats,
        limits,
        lambda key, limits: dataclasses.replace(limits, publishers=quotas[key.app], players=quotas[key.app]),
    )
    house.registry = registry
    one = house.publish(StreamKey("live", "a"))
    house.publish(StreamKey("live", "b"))
    with pytest.raises(ResourceExhausted, match="live takes 2 publishers") as refused:
        house.publish(StreamKey("live", "c"))
    assert (refused.value.code, refused.value.reason) == ("NetStream.Publish.Rejected", "publishers_per_app")
    house.publish(StreamKey("other", "a"))
    for name in "abc":
        house.publish(StreamKey("free", name))
    one.close(CloseReason.FINISHED)
    house.publish(StreamKey("live", "c"))

    _, player = house.play(key=StreamKey("live", "b"))
    house.play(key=StreamKey("live", "waiting"))
    with pytest.raises(ResourceExhausted, match="live takes 2 players") as refused:
        house.play(key=StreamKey("live", "c"))
    assert (refused.value.code, refused.value.reason) == ("NetStream.Play.Failed", "players_per_app")
    house.play(PlayOptions(audience=False), key=StreamKey("live", "c"))  # A relay.
    house.play(key=StreamKey("other", "a"))
    player.detach()
    house.play(key=StreamKey("live", "c"))

    quotas["live"] = Quota("live", 9)
    registry.apply(limits)
    house.play(key=StreamKey("live", "c"))


class Mine(ClaimPolicy):
    """Who has the name gives way."""

    def supersede(self, _claim: Claim) -> CloseReason:
        return CloseReason.KICKED


def test_who_takes_a_name_over_needs_no_place_more() -> None:
    house = House(EngineLimits(publishers=Quota("live", 1)))
    house.publish()
    house.registry.claim(KEY, FakePublisher(), NOBODY, 0.0, Mine())


def test_one_address_leaves_room_for_others_who_wait() -> None:
    house = House(EngineLimits(max_waiting_names=10, max_waiting_names_per_network=3))
    greedy, other = (PlayOptions(origin=Origin(network=f"192.0.2.{n}")) for n in (1, 2))
    for number in range(3):
        house.play(greedy, key=StreamKey("live", str(number)))
    with pytest.raises(ResourceExhausted) as refused:
        house.play(greedy, key=StreamKey("live", "3"))
    assert refused.value.code == "NetStream.Play.StreamNotFound"
    assert refused.value.reason == "waiting_names_per_address"
    assert refused.value.description == (
        "Nobody publishes this stream, and your address waits for too many others already."
    )
    house.play(other, key=StreamKey("live", "3"))
    # What it waits for already, what is live, and what nobody answers for are no names more.
    house.play(greedy, key=StreamKey("live", "0"))
    house.play(greedy, key=StreamKey("live", "3"))
    house.publish(StreamKey("live", "4"))
    house.play(greedy, key=StreamKey("live", "4"))
    house.play(key=StreamKey("live", "5"))
    house.publish(StreamKey("live", "0"))
    house.play(greedy, key=StreamKey("live", "6"))


def test_whoever_is_left_waiting_for_more_than_its_share_gives_way_when_names_are_short() -> None:
    house = House(EngineLimits(max_waiting_names=6, max_waiting_names_per_network=3))

    def play(name: int, network: str) -> FakeSink:
        return house.play(PlayOptions(origin=Origin(network=network)), key=StreamKey("live", f"{name}"))[0]

    publications = [house.publish(StreamKey("live", f"{name}")) for name in range(5)]
    near = [play(name, "near") for name in range(5)]
    far = play(4, "far")
    for publication in publications:
        publication.close(CloseReason.FINISHED)
    house.registry.sample(0.0)
    assert len(house.registry.streams) == 5  # There is room for one more.
    other = play(9, "other")
    house.registry.sample(0.0)
    assert [[call for call in sink.calls if call.startswith("close")] for sink in near] == [
        [],
        [],
        [],
        ["close:crowded"],
        ["close:crowded"],
    ]
    assert not [call for call in (*far.calls, *other.calls) if call.startswith("close")]
    assert sorted(key.name for key in house.registry.streams) == ["0", "1", "2", "4", "9"]
    assert house.stats.players_closed == {"crowded": 2}


def test_one_address_leaves_room_for_others_who_publish() -> None:
    house = House(EngineLimits(max_publishers=10, max_publishers_per_network=2))

    def publish(name: str, network: str) -> Publication:
        return house.publish(StreamKey("live", name), Origin(network=network))

    first = publish("a", "192.0.2.1")
    publish("b", "192.0.2.1")
    with pytest.raises(ResourceExhausted) as refused:
        publish("c", "192.0.2.1")
    assert (refused.value.code, refused.value.reason) == (
        "NetStream.Publish.Rejected",
        "publishers_per_address",
    )
    publish("c", "192.0.2.2")
    for name in ("d", "e", "f"):
        publish(name, "")
    first.close(CloseReason.FINISHED)
    publish("g", "192.0.2.1")


# One bug costs one


def test_a_transport_that_cannot_be_judged_costs_no_other_its_end(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    (bad, _), (slow, _) = house.play(), house.play()
    for sink in (bad, slow):
        sink.unsent = 9_000_000
        sink.pause()
    del bad.unsent
    house.registry.sample(30.0)
    assert slow.calls == ["close:slow"]
    assert "a transport could not be judged" in caplog.text


# What is over holds nobody


def count_streams() -> int:
    return sum(isinstance(thing, LiveStream) for thing in gc.get_objects())


def test_what_has_ended_is_freed_without_the_cyclic_collector() -> None:
    class Referable(FakeSink):
        pass

    class ReferablePublisher(FakePublisher):
        pass

    house = House()
    gc.disable()
    try:
        sink, publisher = Referable(), ReferablePublisher()
        held = [weakref.ref(sink), weakref.ref(publisher)]
        publication = house.registry.claim(KEY, publisher, NOBODY, 0.0)
        house.send_headers(publication)
        house.send(publication, (0, keyframe("k" * 100_000)), (40, inter()))
        subscription = house.play(sink=sink)[1]
        sink.pause()
        house.send(publication, (80, inter()))
        streams = count_streams()
        subscription.detach()
        subscription.outlet.close()
        publication.close(CloseReason.FINISHED)
        # Whoever keeps the handles keeps no connection with them.
        del sink, publisher
        assert [reference() for reference in held] == [None, None]
        del subscription, publication
        assert count_streams() == streams - 1
    finally:
        gc.enable()


# Memory


def big_gop(house: House, name: str, size: int) -> None:
    publication = house.publish(StreamKey("live", name))
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), (40, inter("x" * size)))


def test_over_the_ceiling_the_largest_caches_shrink_to_their_keyframes() -> None:
    house = House(EngineLimits(memory_bytes=500_000))
    big_gop(house, "large", 250_000)
    big_gop(house, "small", 100_000)
    assert house.stats.gop_trims == 0
    big_gop(house, "third", 200_000)
    assert house.stats.gop_trims == 1
    sinks = [house.play(key=StreamKey("live", name))[0] for name in ("large", "small", "third")]
    assert [len(sink.words) for sink in sinks] == [3, 4, 4]
    assert house.registry.budget.used <= 450_000


def test_what_is_held_beyond_a_ceiling_that_was_lowered_goes_at_once() -> None:
    house = House(EngineLimits(memory_bytes=1_000_000))
    big_gop(house, "large", 500_000)
    big_gop(house, "small", 100_000)
    house.registry.apply(EngineLimits(memory_bytes=500_000))
    assert (house.stats.gop_trims, house.registry.budget.exhausted) == (1, False)
    assert len(house.play(key=StreamKey("live", "small"))[0].words) == 4


def test_what_was_encoded_for_joiners_goes_before_any_packet_does() -> None:
    house = House(EngineLimits(memory_bytes=700_000))
    big_gop(house, "cam", 300_000)
    sink, _ = house.play()
    assert len(sink.words) == 4
    big_gop(house, "other", 200_000)
    assert house.stats.gop_trims == 0
    assert house.play()[0].words == sink.words


def test_players_within_their_bound_go_after_every_cache() -> None:
    house = House(EngineLimits(memory_bytes=1_000_000))
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe("k" * 300_000)), (40, inter()))
    sink, subscription = house.play()
    sink.unsent = 600_000
    sink.pause()
    assert subscription.attached
    sink.unsent = 890_000
    house.registry.sample(1.0)
    assert subscription.attached
    assert house.registry.budget.gop_bytes == 0
    sink.unsent = 1_000_001
    house.registry.sample(2.0)
    assert sink.calls == ["close:memory"]
    assert house.registry.budget.used <= 900_000


POLICY = SlowPlayerPolicy(max_backlog_bytes=100_000)


def test_whoever_is_behind_goes_before_anybodys_cache_is_touched() -> None:
    house = House(EngineLimits(memory_bytes=800_000))
    big_gop(house, "cam", 20_000)
    players = [
        house.play(PlayOptions(policy=POLICY), FakeSink(NamedWire(str(number))), StreamKey("live", "cam"))
        for number in range(3)
    ]
    for number, (sink, _) in enumerate(players):
        sink.unsent = 90_000 + number
        sink.pause()
    big_gop(house, "innocent", 500_000)
    assert [sink.calls for sink, _ in players] == [[], ["close:memory"], ["close:memory"]]
    assert house.stats.players_closed == {"memory": 2}
    assert house.stats.gop_trims == 0
    assert house.registry.budget.used <= 720_000


@pytest.mark.parametrize("whose", Unfinished)
def test_unfinished_messages_are_given_up_in_their_order(whose: Unfinished) -> None:
    """Those that somebody sits on before any player, those of strangers before any cache, others at last."""
    house = House(EngineLimits(memory_bytes=2_000_000))
    big_gop(house, "cam", 300_000)
    strained = house.play(PlayOptions(policy=POLICY), FakeSink(NamedWire("a")), StreamKey("live", "cam"))[0]
    slow = house.play(sink=FakeSink(NamedWire("b")), key=StreamKey("live", "cam"))[0]
    strained.unsent, slow.unsent = 90_000, 300_000
    strained.pause()
    slow.pause()
    assert house.registry.budget.backlog_bytes == 390_000

    def relieve(unfinished: Unfinished) -> None:
        if unfinished is whose:
            house.registry.budget.charge_partials(-2_000_000)

    house.registry.add_reliever(relieve)
    house.registry.budget.charge_partials(2_000_000)
    assert strained.calls == ([] if whose is Unfinished.STUCK else ["close:memory"])
    assert slow.calls == (["close:memory"] if whose is Unfinished.ALL else [])
    assert (house.stats.gop_trims > 0) is (whose is Unfinished.ALL)
    assert house.registry.budget.partial_bytes == 0


def test_players_that_stall_together_cost_what_one_of_them_does() -> None:
    house = House(EngineLimits(memory_bytes=30_000_000))
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()))
    players = [house.play() for _ in range(200)]
    for sink, _ in players:
        sink.stuck = True
        sink.pause()
    for at in range(1000, 9000, 1000):
        house.loop.now += 1.0
        house.send(publication, (at, inter("x" * 1_000_000)))
    house.registry.sample(house.loop.now)
    held = players[0][0].unsent
    assert held > 7_000_000
    assert held <= house.registry.budget.backlog_bytes <= held + 10_000
    assert house.stats.unsent_bytes == sum(sink.unsent for sink, _ in players)
    assert house.stats.players_closed == {}


def test_when_nothing_can_be_given_back_newcomers_are_refused() -> None:
    house = House(EngineLimits(memory_bytes=10_000))
    publication = house.publish()
    house.send(publication, (0, b"\x90hvc1" + bytes(20_000)))
    with pytest.raises(ResourceExhausted) as refused:
        house.publish(StreamKey("live", "b"))
    assert (refused.value.code, refused.value.reason) == ("NetStream.Publish.Rejected", "memory")
    with pytest.raises(ResourceExhausted) as refused:
        house.play()
    assert (refused.value.code, refused.value.reason) == ("NetStream.Play.Failed", "memory")
    publication.close(CloseReason.FINISHED)
    house.play()


def test_sampling_derives_rates_of_live_streams() -> None:
    house = House()
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe()), *[(at, inter()) for at in range(40, 1000, 40)])
    house.registry.sample(1.0)
    assert house.stream.stats.frame_rate.over_1s == pytest.approx(25, rel=0.01)
    house.send(publication, (1000, sound()))


def test_a_stream_that_cannot_be_sampled_costs_no_other_its_deadlines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    sampled = []

    def sample(stream: LiveStream, now: float) -> None:
        if stream.key == KEY:
            raise KeyError("a bug")
        sampled.append(stream.key)

    monkeypatch.setattr(LiveStream, "sample", sample)
    other = StreamKey("live", "other")
    for key in (KEY, other):
        house.publish(key)
    house.registry.sample(1.0)
    assert sampled == [other]
    assert [record.message for record in caplog.records] == ["sampling of live/cam failed"]
