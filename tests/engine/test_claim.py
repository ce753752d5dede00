"""Two want to publish one name: a policy decides, by what is known of both."""

from __future__ import annotations

import pytest
from engine_kit import KEY, FakePublisher, FakeSink, House, keyframe

from rtmpd.engine.claim import Claim, ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.exceptions import ResourceExhausted, StreamBusy

ENCODER = Origin(address="192.0.2.1", network="192.0.2.1", agent="OBS", connection=1)
AGAIN = Origin(address="192.0.2.1", network="192.0.2.1", agent="OBS", connection=2)
STRANGER = Origin(address="192.0.2.9", network="192.0.2.9", agent="OBS", connection=3)


class BackAgain(ClaimPolicy):
    """A throw-away policy: who comes from the same address has the name once it was silent for 2 seconds."""

    def __init__(self) -> None:
        self.asked: list[Claim] = []

    def supersede(self, claim: Claim) -> CloseReason | None:
        self.asked.append(claim)
        same = claim.claimant.address == claim.holder.address
        return CloseReason.KICKED if same and claim.silent_for >= 2.0 else None


class Scene:
    """An encoder that has sent a picture at 10.0."""

    def __init__(self, limits: EngineLimits | None = None) -> None:
        self.house = House(limits or EngineLimits())
        self.house.loop.now = 10.0
        self.policy = BackAgain()
        self.encoder = FakePublisher()
        self.first = self.claim(ENCODER, self.encoder)
        self.house.send_headers(self.first)
        self.house.send(self.first, (0, keyframe()))

    def claim(self, origin: Origin, publisher: FakePublisher | None = None) -> Publication:
        registry, now = self.house.registry, self.house.loop.now
        return registry.claim(KEY, publisher or FakePublisher(), origin, now, self.policy)


def test_the_first_keeps_the_name_unless_a_policy_says_otherwise() -> None:
    scene = Scene()
    with pytest.raises(StreamBusy) as refused:
        scene.house.publish(origin=AGAIN)
    assert (refused.value.code, refused.value.reason) == ("NetStream.Publish.BadName", "stream_busy")
    assert scene.encoder.closed is None
    assert scene.policy.asked == []


def test_a_policy_is_told_who_wants_the_name_and_who_has_it() -> None:
    scene = Scene()
    scene.house.loop.now = 11.5
    with pytest.raises(StreamBusy):
        scene.claim(STRANGER)
    assert scene.policy.asked == [Claim(KEY, STRANGER, ENCODER, 1.5)]
    assert not scene.first.closed


@pytest.mark.parametrize(
    ("claimant", "now", "has_it"), [(AGAIN, 11.9, False), (AGAIN, 12.0, True), (STRANGER, 20.0, False)]
)
def test_the_holder_goes_only_when_the_policy_wants_it(claimant: Origin, now: float, has_it: bool) -> None:
    scene = Scene()
    scene.house.loop.now = now
    if not has_it:
        with pytest.raises(StreamBusy):
            scene.claim(claimant)
        assert scene.encoder.closed is None
        return
    second = scene.claim(claimant)
    assert scene.encoder.closed is CloseReason.KICKED
    assert scene.first.ending == Ending(CloseReason.KICKED, by=AGAIN)
    assert (second.ending, second.origin) == (None, AGAIN)
    assert scene.house.stats.publishes_ended == {"kicked": 1}
    assert scene.house.stats.publishers == 1


def test_who_takes_a_place_over_needs_none_beside_it() -> None:
    scene = Scene(EngineLimits(max_publishers=1, max_publishers_per_network=1))
    scene.house.loop.now = 12.0
    assert scene.claim(AGAIN).origin is AGAIN


def test_the_place_of_another_address_is_none_of_one_s_own() -> None:
    scene = Scene(EngineLimits(max_publishers_per_network=1))
    roaming = Origin(address=ENCODER.address, network="192.0.2.7")
    scene.house.publish(StreamKey("live", "other"), roaming)
    scene.house.loop.now = 12.0
    with pytest.raises(ResourceExhausted) as refused:
        scene.claim(roaming)
    assert refused.value.reason == "publishers_per_address"
    assert scene.encoder.closed is None


def test_who_may_have_the_name_and_not_publish_leaves_the_holder_alone() -> None:
    scene = Scene(EngineLimits(memory_bytes=16384))
    scene.house.play(sink=FakeSink())
    scene.house.registry.budget.charge_partials(1 << 20)
    scene.house.loop.now = 12.0
    with pytest.raises(ResourceExhausted) as refused:
        scene.claim(AGAIN)
    assert refused.value.reason == "memory"
    assert scene.encoder.closed is None


def test_what_was_kept_of_who_gave_way_is_given_back() -> None:
    scene = Scene()
    scene.house.play(sink=FakeSink())
    scene.house.loop.now = 12.0
    again = scene.claim(AGAIN)
    scene.house.send_headers(again)
    scene.house.send(again, (0, keyframe()))
    assert scene.house.stream.publication is again
    again.close(CloseReason.FINISHED)
    assert scene.house.registry.budget.used == 0
