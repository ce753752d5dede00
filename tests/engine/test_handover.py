"""The rules by which a name changes hands, as they are when somebody asks."""

from __future__ import annotations

import pytest
from engine_kit import KEY, FakePublisher, House, keyframe

from rtmpd.engine.claim import Claim, same_encoder
from rtmpd.engine.handover import Handover, HandoverRules, OnDuplicate
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason

ANN = Origin(address="192.0.2.1", network="192.0.2.1", identity="key:a")
ANN_ELSEWHERE = Origin(address="198.51.100.7", network="198.51.100.7", identity="key:a")
BOB = Origin(address="192.0.2.1", network="192.0.2.1", identity="key:b")
OPEN = Origin(address="192.0.2.1", network="192.0.2.1")
OPEN_AGAIN = Origin(address="192.0.2.1", network="192.0.2.1", connection=9)
OPEN_ELSEWHERE = Origin(address="192.0.2.9", network="192.0.2.9")
UNIX_1 = Origin(address="unix", network="unix-1")
UNIX_2 = Origin(address="unix", network="unix-2")
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
