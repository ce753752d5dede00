"""What failed attempts lead to: waiting, a ban, figures and few lines."""

from __future__ import annotations

import logging

import pytest

from rtmpd.access.bans import BanRules
from rtmpd.access.guard import Guard
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.stats import ServerStats
from rtmpd.net.addresses import network_of
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.serving.access import AccessRequest, Action

ADDRESS = "2001:db8:1:2::9"
NETWORK = "2001:db8:1:2::/64"


class Hall:
    """A guard with a clock of its own."""

    def __init__(self, rules: BanRules | None = None) -> None:
        self.now = 0.0
        self.stats = ServerStats()
        self.guard = Guard(lambda: self.now, self.stats)
        self.guard.apply(rules or BanRules(attempts=2))

    def refuse(
        self,
        action: Action = Action.PUBLISH,
        reason: Refusal = Refusal.KEY_WRONG,
        address: str = ADDRESS,
    ) -> float:
        origin = Origin(address=address, network=network_of(address))
        return self.guard.refused(
            AccessRequest(action, StreamKey("live", "x"), origin, ConnectParams()), reason
        )


WRONG_PROOFS = (
    Refusal.KEY_WRONG,
    Refusal.KEY_EXPIRED,
    Refusal.KEY_REVOKED,
    Refusal.AUTHENTICATION_FAILED,
    Refusal.LINK_MALFORMED,
    Refusal.LINK_SIGNATURE,
    Refusal.JWT_MALFORMED,
    Refusal.JWT_ALGORITHM,
    Refusal.JWT_SIGNATURE,
    Refusal.JWT_KEY_UNKNOWN,
)
COUNTED = {
    *((action, reason) for action in Action for reason in WRONG_PROOFS),
    (Action.PUBLISH, Refusal.NOT_PROVEN),
    (Action.PUBLISH, Refusal.BACKEND_REFUSED),
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("reason", Refusal)
def test_what_is_a_failed_attempt(action: Action, reason: Refusal) -> None:
    hall = Hall(BanRules(attempts=1))
    hall.refuse(action, reason)
    assert hall.guard.turns_away(NETWORK) == ((action, reason) in COUNTED)


def test_a_ban_is_told_and_counted_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hall = Hall()
    assert [hall.refuse(), hall.refuse()] == [0.0, 4.0]
    assert (hall.stats.banned, hall.stats.bans_total) == (1, 1)
    assert [hall.guard.turns_away(NETWORK) for _ in range(3)] == [True] * 3
    assert not hall.guard.turns_away("2001:db8:1:3::/64")
    hall.guard.look()
    assert hall.guard.remaining(NETWORK) == 60.0
    hall.now = 60.0
    assert not hall.guard.turns_away(NETWORK)
    for _ in range(2):
        hall.guard.look()
    assert (hall.stats.banned, hall.stats.bans_total) == (0, 1)
    told = [(record.message, record.__dict__["fields"]) for record in caplog.records]
    about = {"client": ADDRESS, "network": NETWORK}
    assert told == [
        ("banned", {**about, "reason": "key_wrong", "seconds": 60}),
        ("ban over", {"client": "2001:db8:1:2::", "network": NETWORK, "refused": 3}),
    ]


def test_a_site_that_is_banned_is_named(caplog: pytest.LogCaptureFixture) -> None:
    hall = Hall()
    for number in range(16):
        hall.refuse(address=f"2001:db8:1:2{number:02x}::9")
    (line,) = caplog.records
    fields = {"client": "2001:db8:1:20f::9", "network": "2001:db8:1:200::/56"}
    assert line.__dict__["fields"] == {**fields, "reason": "key_wrong", "seconds": 60}
    assert hall.guard.turns_away("2001:db8:1:2ff::/64")
    assert (hall.stats.banned, hall.stats.bans_total) == (1, 1)


def test_other_rules_forgive_everybody_and_the_same_nobody() -> None:
    hall = Hall(BanRules(attempts=1))
    hall.refuse()
    hall.guard.apply(BanRules(attempts=1))
    assert hall.guard.turns_away(NETWORK)
    hall.guard.apply(BanRules(attempts=5))
    assert not hall.guard.turns_away(NETWORK)
    assert hall.stats.banned == 0
