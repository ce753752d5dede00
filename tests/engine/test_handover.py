"""The rules by which a name changes hands, as they are when somebody asks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, KEY, FakePublisher, House, keyframe, sound

from rtmpd.engine.claim import MAIN, Claim, ClaimPolicy, same_encoder
from rtmpd.engine.handover import (
    MOVE_GRACE,
    BorrowedHandover,
    Handover,
    HandoverRules,
    HoldOn,
    OnDuplicate,
    PullHandover,
)
from rtmpd.engine.health import HealthKind
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import HANDOVER, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.exceptions import ResourceExhausted, StreamBusy
from rtmpd.rtmp.via import Via

ANN = Origin(address="192.0.2.1", network="192.0.2.1", identity="key:a")
ANN_ELSEWHERE = Origin(address="198.51.100.7", network="198.51.100.7", identity="key:a")
BOB = Origin(address="192.0.2.1", network="192.0.2.1", identity="key:b")
OPEN = Origin(address="192.0.2.1", network="192.0.2.1")
OPEN_AGAIN = Origin(address="192.0.2.1", network="192.0.2.1", connection=9)
OPEN_ELSEWHERE = Origin(address="192.0.2.9", network="192.0.2.9")
UNIX_1 = Origin(address="unix", network="unix-1")
UNIX_2 = Origin(address="unix", network="unix-2")
NAMELESS = Origin(address="unknown", network="192.0.2.1", nameless=True)
NEVER, AT_ONCE, ONCE_IDLE = "never", "at once", "once idle"


def asked(on_duplicate: OnDuplicate, claimant: Origin, holder: Origin) -> str:
    """When the claimant gets the name, and whether all that is said about it agrees."""
    policy = Handover(lambda _key: HandoverRules(on_duplicate, takeover_idle=3.0))
    busy, idle = (Claim(KEY, claimant, holder, silent_for) for silent_for in (2.0, 3.0))
    taken = [policy.supersede(busy), policy.supersede(idle)]
    waits = policy.patience(busy)
    if taken == [None, None]:
        assert waits == 0.0
        return NEVER
    assert taken[1] is CloseReason.SUPERSEDED
    assert waits == pytest.approx(1.0)
    return ONCE_IDLE if taken[0] is None else AT_ONCE


@pytest.mark.parametrize(
    ("claimant", "holder", "auto", "address", "if_idle", "takeover"),
    [
        (ANN, ANN, ONCE_IDLE, ONCE_IDLE, ONCE_IDLE, AT_ONCE),
        (ANN_ELSEWHERE, ANN, ONCE_IDLE, ONCE_IDLE, ONCE_IDLE, AT_ONCE),
        (BOB, ANN, NEVER, ONCE_IDLE, ONCE_IDLE, AT_ONCE),
        (BOB, ANN_ELSEWHERE, NEVER, NEVER, ONCE_IDLE, AT_ONCE),
        (OPEN, ANN, NEVER, NEVER, NEVER, NEVER),
        (OPEN_ELSEWHERE, ANN, NEVER, NEVER, NEVER, NEVER),
        (ANN, OPEN, NEVER, ONCE_IDLE, ONCE_IDLE, AT_ONCE),
        (OPEN_AGAIN, OPEN, NEVER, ONCE_IDLE, ONCE_IDLE, AT_ONCE),
        (OPEN_ELSEWHERE, OPEN, NEVER, NEVER, ONCE_IDLE, AT_ONCE),
        (UNIX_1, UNIX_2, NEVER, NEVER, ONCE_IDLE, AT_ONCE),
    ],
)
def test_who_may_have_a_name(
    claimant: Origin, holder: Origin, auto: str, address: str, if_idle: str, takeover: str
) -> None:
    assert asked(OnDuplicate.AUTO, claimant, holder) == auto
    assert asked(OnDuplicate.SAME_ADDRESS, claimant, holder) == address
    assert asked(OnDuplicate.TAKEOVER_IF_IDLE, claimant, holder) == if_idle
    assert asked(OnDuplicate.TAKEOVER, claimant, holder) == takeover
    assert asked(OnDuplicate.REJECT, claimant, holder) == NEVER


def test_the_same_encoder_is_known_by_its_proof_and_else_by_its_address() -> None:
    assert same_encoder(ANN, ANN_ELSEWHERE)
    assert not same_encoder(ANN, BOB)
    assert not same_encoder(ANN, OPEN)
    assert same_encoder(OPEN, OPEN_AGAIN)
    assert not same_encoder(UNIX_1, UNIX_2)
    assert not same_encoder(NAMELESS, NAMELESS)
    assert not same_encoder(OPEN, Origin(protocol="pull", address="192.0.2.1", network="192.0.2.1"))


def test_what_there_is_to_wait_for() -> None:
    house = House()
    rules = [HandoverRules()]
    policy = Handover(lambda _key: rules[0])
    registry, loop = house.registry, house.loop
    assert registry.contest(KEY, ANN, loop.now, policy) is None
    house.play()
    assert registry.contest(KEY, ANN, loop.now, policy) is None
    first = registry.claim(KEY, FakePublisher(), ANN, loop.now, policy)
    house.send_headers(first)
    house.send(first, (0, keyframe()))
    loop.now += 0.5
    assert registry.contest(KEY, BOB, loop.now, policy) is None
    assert registry.contest(KEY, ANN_ELSEWHERE, loop.now, policy) == (first, 1.5)
    rules[0] = HandoverRules(takeover_idle=10.0)
    assert registry.contest(KEY, ANN_ELSEWHERE, loop.now, policy) == (first, 9.5)
    rules[0] = HandoverRules(takeover_idle=0.5)
    assert registry.contest(KEY, ANN_ELSEWHERE, loop.now, policy) is None
    assert registry.claim(KEY, FakePublisher(), ANN_ELSEWHERE, loop.now, policy).ending is None
    assert house.stats.publishes_ended == {"superseded": 1}


# -- grace


@pytest.mark.parametrize("reason", list(CloseReason))
@pytest.mark.parametrize("hold_on", list(HoldOn))
def test_an_audience_is_kept_for_who_was_lost_and_for_nobody_who_was_sent_away(
    reason: CloseReason, hold_on: HoldOn
) -> None:
    policy = Handover(lambda _key: HandoverRules(grace=7.0, hold_on=hold_on))
    lost = {CloseReason.CONNECTION_LOST, CloseReason.IDLE, CloseReason.INTERNAL_ERROR}
    kept = reason in lost or (reason is CloseReason.FINISHED and hold_on is HoldOn.ANY)
    assert policy.hold(KEY, Ending(reason)) == (7.0 if kept else 0.0)


class Stage:
    """An encoder that has sent a picture at 100.0, and a player; a clock that moves when told."""

    def __init__(self, origin: Origin = ANN, limits: EngineLimits | None = None) -> None:
        self.house = House(limits or EngineLimits())
        self.house.loop.now = 100.0
        self.policy = Handover(lambda _key: HandoverRules(grace=5.0))
        self.first = self.claim(origin)
        self.show(self.first, "A")
        self.sink, self.subscription = self.house.play()
        assert self.sink.take() == "AAC@0 AVC@0 A@0"

    def claim(self, origin: Origin, policy: ClaimPolicy | None = None) -> Publication:
        registry, now = self.house.registry, self.house.loop.now
        return registry.claim(KEY, FakePublisher(), origin, now, policy or self.policy)

    def show(self, publication: Publication, name: str, at: int = 0) -> None:
        self.house.send(publication, (at, AVC_HEADER), (at, AAC_HEADER), (at, keyframe(name)))

    def sample(self, seconds: int) -> None:
        for _ in range(seconds):
            self.house.loop.run(self.house.loop.now + 1.0)
            self.house.registry.sample(self.house.loop.now)

    @property
    def holds_ended(self) -> dict[str, int]:
        return {str(why): number for why, number in self.house.stats.holds_ended.items()}


def test_the_same_encoder_goes_on_in_the_same_stream(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rtmpd.engine")
    stage = Stage()
    stage.first.close(CloseReason.CONNECTION_LOST)
    assert (stage.house.stats.held_streams, stage.house.stream.lost) == (1, stage.first)
    stage.sample(3)
    stage.show(stage.claim(ANN_ELSEWHERE), "B", at=77)
    assert stage.sink.take() == "B@3000"
    assert (stage.sink.calls, stage.holds_ended, stage.house.stats.held_streams) == ([], {"resumed": 1}, 0)
    fields = [record.fields for record in caplog.records]
    assert [(each["reason"], each.get("seconds"), each.get("outage")) for each in fields] == [
        ("connection_lost", 5.0, None),
        ("resumed", None, 3.0),
    ]


@pytest.mark.parametrize(("lost", "other"), [(ANN, BOB), (ANN, OPEN), (OPEN, OPEN_ELSEWHERE), (OPEN, ANN)])
def test_anybody_else_begins_a_stream_of_its_own(lost: Origin, other: Origin) -> None:
    stage = Stage(lost)
    stage.first.close(CloseReason.CONNECTION_LOST)
    stage.sample(2)
    stage.show(stage.claim(other), "B", at=77)
    assert stage.sink.calls == ["ended", "started"]
    assert stage.sink.take() == "AVC@77 AAC@77 B@77"
    assert (stage.holds_ended, stage.house.stats.held_streams) == ({"replaced": 1}, 0)


def test_in_an_open_app_an_encoder_is_known_by_its_address() -> None:
    stage = Stage(OPEN)
    stage.first.close(CloseReason.IDLE)
    stage.sample(2)
    stage.show(stage.claim(OPEN_AGAIN), "B")
    assert (stage.sink.take(), stage.sink.calls) == ("B@2000", [])


def test_who_takes_over_at_once_and_is_another_begins_a_stream_of_its_own() -> None:
    stage = Stage()
    takeover = Handover(lambda _key: HandoverRules(OnDuplicate.TAKEOVER))
    stage.show(stage.claim(BOB, takeover), "B")
    assert stage.sink.calls == ["ended", "started"]
    assert stage.first.ending == Ending(CloseReason.SUPERSEDED, by=BOB)
    assert stage.house.stats.publishers == 1


def test_without_an_audience_a_name_that_is_taken_over_stays_one_of_the_registry() -> None:
    stage = Stage()
    stage.subscription.detach()
    takeover = Handover(lambda _key: HandoverRules(OnDuplicate.TAKEOVER))
    second = stage.claim(BOB, takeover)
    assert stage.house.stream.publication is second
    second.close(CloseReason.FINISHED)
    assert dict(stage.house.registry.streams) == {}


def test_who_was_to_go_on_and_is_lost_too_is_waited_for_as_well() -> None:
    """On a link that flaps the next connection is lost before its first picture, again and again."""
    stage = Stage()
    takeover = Handover(lambda _key: HandoverRules(OnDuplicate.TAKEOVER, grace=5.0))
    second = stage.claim(ANN_ELSEWHERE, takeover)
    second.close(CloseReason.CONNECTION_LOST)
    assert (stage.house.stats.held_streams, stage.house.stream.lost) == (1, stage.first)
    stage.sample(3)
    stage.claim(ANN, takeover).close(CloseReason.CONNECTION_LOST)
    stage.sample(3)
    assert (stage.sink.calls, stage.house.stats.held_streams) == ([], 1)
    stage.sample(3)
    assert (stage.sink.calls, stage.holds_ended) == (["ended"], {"expired": 1})
    assert stage.house.stats.held_streams == 0


def test_who_was_to_go_on_and_leaves_on_purpose_ends_it() -> None:
    stage = Stage()
    takeover = Handover(lambda _key: HandoverRules(OnDuplicate.TAKEOVER, grace=5.0))
    stage.claim(ANN_ELSEWHERE, takeover).close(CloseReason.FINISHED)
    stage.sample(2)
    assert (stage.sink.calls, stage.house.stats.held_streams) == (["ended"], 0)


def test_when_the_grace_is_over_the_stream_is() -> None:
    stage = Stage()
    stage.first.close(CloseReason.CONNECTION_LOST)
    stage.sample(5)
    assert stage.sink.calls == []
    stage.sample(1)
    assert (stage.sink.calls, stage.holds_ended) == (["ended"], {"expired": 1})
    assert stage.house.stats.held_streams == 0


def test_somebody_may_end_it_sooner() -> None:
    stage = Stage()
    assert not stage.house.registry.end_hold(KEY)
    stage.first.close(CloseReason.CONNECTION_LOST)
    assert stage.house.registry.end_hold(KEY)
    assert (stage.sink.calls, stage.holds_ended) == (["ended"], {"ended": 1})
    assert not stage.house.registry.end_hold(KEY)
    assert not stage.house.registry.end_hold(StreamKey("live", "nothing"))


def test_the_last_who_leaves_ends_it_too() -> None:
    stage = Stage()
    stage.first.close(CloseReason.CONNECTION_LOST)
    stage.subscription.detach()
    assert (stage.holds_ended, stage.house.stats.held_streams) == ({"left": 1}, 0)
    assert stage.house.registry.budget.used == 0


def test_one_that_has_shown_nothing_leaves_nothing_to_wait_for() -> None:
    house = House()
    policy = Handover(lambda _key: HandoverRules())
    sink, _ = house.play()
    house.registry.claim(KEY, FakePublisher(), ANN, 0.0, policy).close(CloseReason.CONNECTION_LOST)
    assert (sink.calls, house.stats.held_streams) == (["started", "ended"], 0)


def test_one_that_comes_back_without_the_picture_it_announces_is_heard() -> None:
    stage = Stage()
    stage.first.close(CloseReason.CONNECTION_LOST)
    again = stage.claim(ANN)
    stage.house.send(again, (0, AVC_HEADER), (0, AAC_HEADER))
    for second in range(1, 8):
        stage.house.send(again, *[(1000 * second + 20 * n, sound(f"s{second}.{n}")) for n in range(3)])
        stage.sample(1)
    assert stage.house.stream.publication is again
    assert stage.sink.take().startswith("s")
    assert stage.sink.calls == []


def test_a_stream_that_is_kept_is_no_name_that_is_waited_for() -> None:
    stage = Stage(limits=EngineLimits(max_waiting_names=1, max_waiting_names_per_network=1))
    stage.first.close(CloseReason.CONNECTION_LOST)
    stage.house.play(key=StreamKey("live", "other"))
    with pytest.raises(ResourceExhausted):
        stage.house.play(key=StreamKey("live", "third"))


def test_another_rtmpd_may_be_silent_for_as_long_as_it_keeps_its_own_audience() -> None:
    here, there = Stage(), Stage(replace(ANN, via=Via(1, ("b",))))
    for stage in (here, there):
        limits = replace(stage.house.registry.limits, idle_publisher_timeout=10.0)
        stage.house.registry.apply(limits)
        stage.sample(10)
    assert (here.first.closed, there.first.closed) == (True, False)
    there.sample(4)
    assert not there.first.closed
    there.sample(1)
    assert there.first.ending == Ending(CloseReason.IDLE)


def test_a_pull_takes_no_name_and_goes_on_from_another_origin() -> None:
    stage = Stage()
    pull = PullHandover(lambda _key: HandoverRules(OnDuplicate.TAKEOVER, grace=5.0))
    origin = Origin(protocol="pull", address="a.example")
    with pytest.raises(StreamBusy):
        stage.claim(origin, pull)
    stage.first.close(CloseReason.FINISHED)
    stage.show(stage.claim(origin, pull), "B")
    stage.sink.calls.clear()
    stage.house.stream.publications[0].close(CloseReason.CONNECTION_LOST)
    stage.sample(1)
    stage.show(stage.claim(replace(origin, address="b.example"), pull), "C")
    assert stage.sink.calls == []
    stage.house.stream.publications[0].close(CloseReason.CONNECTION_LOST)
    stage.show(stage.claim(ANN), "D")
    assert stage.sink.calls == ["ended", "started"]


def test_silence_is_a_warning_before_it_is_the_end() -> None:
    stage = Stage()
    registry = stage.house.registry
    registry.apply(replace(registry.limits, stall=2.0))
    health = stage.house.stream.health
    stage.sample(1)
    assert HealthKind.STALLED not in health.active
    stage.sample(1)
    assert health.active[HealthKind.STALLED].figures == {"seconds": 2.0}
    registry.apply(replace(registry.limits, stall=3.5))
    stage.sample(1)
    assert HealthKind.STALLED not in health.active
    stage.sample(1)
    assert HealthKind.STALLED in health.active
    stage.show(stage.first, "B", at=40)
    stage.sample(1)
    assert HealthKind.STALLED not in health.active


# -- what another process of this server has

BORROWED = Origin(protocol=HANDOVER, address="handover")


class Hearing(StreamObserver):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def published(self, publication: Publication) -> None:
        self.heard.append(publication.origin.protocol)


def test_a_borrowed_stream_goes_on_with_its_encoder_whoever_that_is_and_back() -> None:
    house = House()
    owner, borrower = Hearing(), Hearing()
    house.registry.observe(owner)
    house.registry.observe(borrower, borrowed=True)
    rules = HandoverRules(OnDuplicate.REJECT)
    there = house.registry.claim(
        KEY, FakePublisher(), BORROWED, house.loop.now, BorrowedHandover(lambda _key: rules)
    )
    house.send_headers(there)
    house.send(there, (0, keyframe("there")))
    player, _ = house.play()
    house.loop.run()
    player.take()
    policy = Handover(lambda _key: HandoverRules(OnDuplicate.REJECT, moving=True))
    here = house.registry.claim(KEY, FakePublisher(), ANN, house.loop.now, policy)
    house.send_headers(here)
    house.send(here, (0, keyframe("here")))
    assert "here" in player.take()
    assert there.closed
    # Its encoder goes to the other process.
    here.close(CloseReason.FINISHED)
    back = house.registry.claim(
        KEY, FakePublisher(), BORROWED, house.loop.now, BorrowedHandover(lambda _key: rules)
    )
    house.send_headers(back)
    house.send(back, (0, keyframe("back")))
    words = player.take()
    assert "back" in words
    assert "ended" not in words
    assert (owner.heard, borrower.heard) == (["rtmp"], [HANDOVER, "rtmp", HANDOVER])


@pytest.mark.parametrize("reason", list(CloseReason))
def test_while_another_process_takes_over_who_may_have_gone_there_is_waited_for(reason: CloseReason) -> None:
    policy = Handover(lambda _key: HandoverRules(grace=0.0, slate_for=60.0, moving=True))
    moves = {"connection_lost", "idle", "internal_error", "finished", "superseded"}
    lost = {"connection_lost", "idle", "internal_error"}
    kept = 60.0 if reason in lost else MOVE_GRACE if reason in moves else 0.0
    assert policy.hold(KEY, Ending(reason)) == kept
    assert BorrowedHandover(lambda _key: HandoverRules(grace=9.0)).hold(KEY, Ending(reason)) == 9.0
    assert policy.cover(KEY, Ending(reason)) == 0.0  # Nobody is shown a slate for that moment.


def test_a_name_is_left_to_a_publisher_of_another_process_by_the_rules_of_this_one() -> None:
    house = House()
    policy = Handover(lambda _key: HandoverRules(OnDuplicate.TAKEOVER))
    ours = house.registry.claim(KEY, FakePublisher(), ANN, house.loop.now, policy)
    refuse = Handover(lambda _key: HandoverRules(OnDuplicate.REJECT))
    with pytest.raises(StreamBusy):
        house.registry.give_way(KEY, ANN, house.loop.now, refuse, MAIN)
    assert not ours.closed
    house.registry.give_way(KEY, ANN, house.loop.now, policy, MAIN)
    assert ours.closed
    house.registry.give_way(KEY, ANN, house.loop.now, refuse, MAIN)  # Nobody has it.
