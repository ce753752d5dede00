"""Bans by hand: whom they concern, what is never banned, and how many there may be."""

from __future__ import annotations

import logging
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.access.bans import BanRules
from rtmpd.access.guard import Guard
from rtmpd.access.manual_bans import MAX_MANUAL, ManualBan, ManualBans, parse_network, spell_network
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.stats import ServerStats
from rtmpd.exceptions import UsageError
from rtmpd.net.addresses import network_of
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.serving.access import AccessRequest, Action

ADDRESSES = st.integers(0, 2**32 - 1).map(ip_address) | st.integers(0, 2**128 - 1).map(
    lambda n: ip_address(n | 1 << 127)
)


class Gate:
    """A guard with a clock of its own."""

    def __init__(self, *exempt: str) -> None:
        self.now = 0.0
        self.stats = ServerStats()
        self.guard = Guard(lambda: self.now, self.stats)
        self.exempt(*exempt)

    def exempt(self, *networks: str) -> None:
        self.guard.apply(BanRules(attempts=1, exempt=tuple(map(ip_network, networks))))

    def ban(self, network: str, seconds: float = 60.0, reason: str = "") -> str:
        return self.guard.ban(parse_network(network), seconds, reason).network

    def shuts_out(self, address: str) -> bool:
        return self.guard.turns_away(network_of(address))


@pytest.mark.parametrize(
    ("banned", "spelt", "out", "welcome"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.7", "203.0.113.8"),
        ("203.0.113.0/24", "203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
        ("128.0.0.0/1", "128.0.0.0/1", "255.0.0.1", "8.8.8.8"),
        ("32.1.13.184", "32.1.13.184", "32.1.13.184", "2001:db8::7"),  # Begins with the same bits.
        ("2001:db8::7", "2001:db8::/64", "2001:db8::8", "2001:db8:0:1::7"),
        ("2001:db8::/48", "2001:db8::/48", "2001:db8:0:ffff::7", "2001:db8:1::7"),
    ],
)
def test_whom_a_ban_concerns(banned: str, spelt: str, out: str, welcome: str) -> None:
    gate = Gate()
    assert gate.ban(banned, reason="spam") == spelt
    assert (gate.shuts_out(out), gate.shuts_out(welcome), gate.shuts_out("unix")) == (True, False, False)
    (held,) = gate.guard.bans()
    assert (held.network, held.refused, held.reason, held.until) == (spelt, 1, "spam", 60.0)
    assert gate.guard.remaining(network_of(out)) == 60.0
    assert gate.stats.banned == 1
    assert gate.guard.lift(parse_network(banned))
    assert (gate.shuts_out(out), gate.stats.banned, gate.guard.lift(parse_network(banned))) == (
        False,
        0,
        False,
    )


def test_a_ban_is_over_when_its_time_has_passed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rtmpd")
    gate = Gate()
    gate.ban("203.0.113.0/24")
    gate.now = 59.9
    assert gate.shuts_out("203.0.113.9")
    gate.now = 60.0
    assert not gate.shuts_out("203.0.113.9")
    assert gate.guard.bans() == []
    gate.guard.look()
    gate.guard.look()
    (record,) = [each for each in caplog.records if each.levelno == logging.INFO]
    assert record.__dict__["fields"] == {"client": "203.0.113.0", "network": "203.0.113.0/24", "refused": 1}
    assert gate.stats.banned == 0


def test_a_second_ban_of_a_network_is_in_the_place_of_the_first() -> None:
    gate = Gate()
    gate.ban("203.0.113.0/24", 600.0)
    gate.ban("203.0.113.0/24", 10.0)
    gate.ban("203.0.113.7", 20.0)
    assert (gate.guard.remaining("203.0.113.7"), gate.guard.remaining("203.0.113.8")) == (20.0, 10.0)


@pytest.mark.parametrize(
    "network",
    ["", "x", "203.0.113.7/24", "1", "fe80::1%eth0", "2001:db8::/80", "::ffff:203.0.113.7", "203.0.113.7/33"],
)
def test_what_is_no_network_that_could_be_banned(network: str) -> None:
    with pytest.raises(UsageError):
        parse_network(network)


@pytest.mark.parametrize(
    "network", ["127.0.0.1", "::1", "0.0.0.0/0", "::/0", "198.51.100.7", "198.51.0.0/16"]
)
def test_what_is_never_banned(network: str) -> None:
    gate = Gate("198.51.100.0/24")
    with pytest.raises(UsageError, match="never banned"):
        gate.ban(network)
    assert gate.guard.bans() == []


def test_who_becomes_exempt_is_let_in_and_others_stay_banned() -> None:
    gate = Gate()
    gate.ban("203.0.113.7")
    gate.ban("198.51.100.0/24")
    gate.exempt("198.51.100.9")
    assert (gate.shuts_out("203.0.113.7"), gate.shuts_out("198.51.100.1")) == (True, False)
    assert gate.stats.banned == 1


def test_there_are_so_many_and_not_one_more() -> None:
    gate = Gate()
    for number in range(MAX_MANUAL):
        gate.ban(f"2001:db8:{number:x}::/48")
    with pytest.raises(UsageError, match="lift one of these bans first"):
        gate.ban("203.0.113.7")
    gate.ban("2001:db8:1::/48", 5.0)
    gate.now = 5.0
    gate.guard.look()
    gate.ban("203.0.113.7")


def test_one_for_failed_attempts_is_listed_and_lifted_and_all_is_forgotten() -> None:
    gate = Gate()
    origin = Origin(address="203.0.113.7", network="203.0.113.7")
    request = AccessRequest(Action.PUBLISH, StreamKey("live", "x"), origin, ConnectParams())
    gate.guard.refused(request, Refusal.KEY_WRONG)
    (held,) = gate.guard.bans()
    assert (held.network, held.since, held.until, held.reason) == ("203.0.113.7", 0.0, 60.0, None)
    assert gate.guard.lift(parse_network("203.0.113.7"))
    assert not gate.shuts_out("203.0.113.7")
    gate.guard.refused(request, Refusal.KEY_WRONG)
    assert gate.guard.remaining("203.0.113.7") == 60.0


@given(st.lists(st.tuples(ADDRESSES, st.integers(1, 128)), max_size=20), st.lists(ADDRESSES, max_size=20))
def test_all_sizes_are_found_as_a_look_at_each_would(banned: list, clients: list) -> None:
    bans = ManualBans()
    networks = set()
    for address, length in banned:
        most = 32 if address.version == 4 else 64
        network = ip_network((address, min(length, most)), strict=False)
        networks.add(network)
        bans.add(ManualBan(network, 0.0, 10.0, ""))
    for client in clients:
        expected = any(client.version == each.version and client in each for each in networks)
        assert (bans.find(network_of(str(client)), 1.0) is not None) is expected
    for network in networks:
        assert parse_network(spell_network(network)) == network
        assert bans.remove(network)
    assert (len(bans), bans._by_size) == (0, {})
