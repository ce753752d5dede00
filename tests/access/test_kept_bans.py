"""Bans that outlive the process: which are written down, and what the next one makes of them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from rtmpd.access.bans import Ban, BanRules
from rtmpd.access.guard import Guard
from rtmpd.access.manual_bans import parse_network
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.stats import ServerStats
from rtmpd.net.addresses import network_of
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.serving.access import AccessRequest, Action

RULES = BanRules(attempts=1, first=100.0, longest=1000.0)


class Notebook:
    """What is written down."""

    def __init__(self) -> None:
        self.bans: dict[str, Ban] = {}

    def keep(self, ban: Ban) -> None:
        self.bans[ban.network] = ban

    def forget(self, network: str) -> None:
        self.bans.pop(network, None)


class Gate:
    """A guard with a clock of its own and a notebook."""

    def __init__(self, rules: BanRules = RULES) -> None:
        self.now = 50.0
        self.stats = ServerStats()
        self.guard = Guard(lambda: self.now, self.stats)
        self.guard.apply(rules)
        self.guard.keeper = self.notebook = Notebook()

    def fails(self, address: str) -> None:
        origin = Origin(address=address, network=network_of(address))
        request = AccessRequest(Action.PUBLISH, StreamKey("live", "x"), origin, ConnectParams("live"), {})
        self.guard.refused(request, Refusal.KEY_WRONG)


def test_bans_by_hand_are_written_down_and_taken_back():
    gate = Gate()
    ban = gate.guard.ban(parse_network("192.0.2.0/24"), 60.0, "spam")
    assert gate.notebook.bans == {"192.0.2.0/24": ban}
    gate.guard.ban(parse_network("192.0.2.0/24"), 90.0, "")
    assert gate.notebook.bans["192.0.2.0/24"].until == 140.0
    gate.guard.lift(parse_network("192.0.2.0/24"))
    assert gate.notebook.bans == {}


def test_bans_that_end_soon_are_not_worth_it_and_long_ones_are():
    gate = Gate()
    for _ in range(3):  # 100, 200 and 400 seconds.
        assert gate.notebook.bans == {}
        gate.fails("203.0.113.5")
        gate.now += 450.0
    (ban,) = gate.notebook.bans.values()
    assert (ban.network, ban.until - ban.since, ban.count, ban.reason) == ("203.0.113.5", 400.0, 3, None)


def test_what_other_rules_forget_is_taken_back():
    gate = Gate(BanRules(attempts=1, first=400.0))
    gate.fails("203.0.113.5")
    gate.guard.ban(parse_network("192.0.2.0/24"), 60.0, "")
    gate.guard.ban(parse_network("198.51.100.7"), 60.0, "")
    assert len(gate.notebook.bans) == 3
    gate.guard.apply(BanRules(attempts=2, exempt=(ip_network("192.0.2.1"),)))
    assert gate.notebook.bans.keys() == {"198.51.100.7"}


def test_the_next_process_goes_on_with_them():
    gate = Gate()
    bans = [
        Ban("192.0.2.0/24", -10.0, 60.0, 0, "spam"),
        Ban("203.0.113.5", -100.0, 300.0, 0, None, 3),
        Ban("2001:db8::/56", -100.0, 300.0, 0, None, 2),
    ]
    assert gate.guard.restore(bans) == 3
    assert gate.notebook.bans == {}
    assert [gate.guard.remaining(network_of(each)) for each in ("192.0.2.9", "203.0.113.5")] == [10.0, 250.0]
    assert gate.guard.turns_away(network_of("2001:db8:0:12::1"))
    assert gate.stats.banned == 3
    assert {each.network for each in gate.guard.worth_keeping()} == {each.network for each in bans}
    assert gate.guard.restore([Ban("192.0.2.0/24", 0.0, 9999.0, 0, "older")]) == 0
    gate.now = 301.0
    gate.fails("203.0.113.5")  # Its fourth in a row.
    assert gate.guard.remaining("203.0.113.5") == 800.0


@pytest.mark.parametrize(
    "ban",
    [
        Ban("198.51.100.1", 0.0, 900.0, 0, "exempt now"),
        Ban("198.51.100.1", 0.0, 900.0, 0, None),
        Ban("127.0.0.0/8", 0.0, 900.0, 0, "this machine"),
        Ban("10.0.0.1", 0.0, 900.0, 0, None),
        Ban("nonsense", 0.0, 900.0, 0, ""),
        Ban("nonsense", 0.0, 900.0, 0, None),
    ],
)
def test_who_could_not_be_banned_now_is_not(ban: Ban):
    gate = Gate(BanRules(attempts=1, exempt=(ip_network("198.51.100.0/24"),)))
    assert gate.guard.restore([ban]) == 0
    assert gate.guard.bans() == []


def test_nobody_is_banned_by_rules_that_ban_nobody():
    assert Gate(BanRules(attempts=0)).guard.restore([Ban("203.0.113.5", 0.0, 900.0, 0, None)]) == 0
