"""Failed attempts: slowed, banned for longer each time, forgiven, forgotten."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.access.bans import BanRules, Bans, EndedBan, Failure
from rtmpd.net.addresses import UNIX, network_of

STRANGER = "203.0.113.7"


def hammer(
    bans: Bans, network: str = STRANGER, now: float = 0.0, every: float = 1.0
) -> tuple[int, float, float]:
    """Fail until it is banned: after how many failures, when, for how long."""
    for number in range(1, 1000):
        ban = bans.failed(network, now).ban
        if ban:
            return number, now, ban
        now += every
    raise AssertionError("never banned")


def test_who_fails_once_more_waits_longer_and_is_banned_at_last() -> None:
    bans = Bans(BanRules(attempts=7))
    answers = [bans.failed(STRANGER, now) for now in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]
    assert [answer.delay for answer in answers] == [0.0, 0.0, 0.0, 1.0, 2.0, 4.0, 4.0, 4.0]
    # What was on its way when the ban came is no second one.
    assert [answer.ban for answer in answers] == [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 60.0, 0.0]


def test_a_ban_is_over_when_its_time_has_passed() -> None:
    bans = Bans(BanRules(attempts=2, first=60.0))
    assert bans.remaining(STRANGER, 0.0) == 0.0
    hammer(bans, now=5.0, every=0.0)
    assert bans.remaining(STRANGER, 5.0) == 60.0
    assert bans.remaining(STRANGER, 64.0) == 1.0
    assert bans.remaining(STRANGER, 65.0) == 0.0
    assert bans.remaining("203.0.113.8", 5.0) == 0.0


def test_bans_that_are_over_are_told_once_with_how_many_came_meanwhile() -> None:
    bans = Bans(BanRules(attempts=1, first=60.0))
    bans.failed(STRANGER, 0.0)
    bans.failed("203.0.113.8", 30.0)
    assert [bans.turns_away(STRANGER, 59.9) for _ in range(5)] == [True] * 5
    assert not bans.turns_away(STRANGER, 60.0)
    assert bans.banned == 2
    assert bans.take_ended(60.0) == [EndedBan(STRANGER, 5)]
    assert bans.banned == 1
    assert bans.take_ended(89.9) == []
    # The next one counts anew.
    bans.failed(STRANGER, 89.9)
    assert bans.take_ended(1000.0) == [EndedBan("203.0.113.8", 0), EndedBan(STRANGER, 0)]


def test_who_is_forgotten_is_not_banned() -> None:
    bans = Bans(BanRules(attempts=1))
    for number in range(10_001):
        bans.failed(f"2001:db8:{number:x}::/64", 0.0)
    # There is nobody else whom it could forget.
    assert (len(bans), bans.banned) == (10_000, 10_000)
    assert not bans.turns_away("2001:db8::/64", 0.0)
    assert bans.turns_away("2001:db8:1::/64", 0.0)


@pytest.mark.parametrize("told", [False, True])
def test_every_ban_is_twice_as_long_up_to_the_longest(told: bool) -> None:
    bans = Bans(BanRules(attempts=5, first=60.0, longest=500.0))
    now, lengths = 0.0, []
    for _ in range(6):
        failures, banned_at, ban = hammer(bans, now=now)
        assert failures == 5
        if told:
            assert bans.take_ended(banned_at + ban)
        lengths.append(ban)
        now = banned_at + ban
    assert lengths == [60.0, 120.0, 240.0, 480.0, 500.0, 500.0]


def test_who_has_kept_quiet_for_long_starts_anew() -> None:
    rules = BanRules(attempts=5, first=60.0, longest=500.0)
    for quiet, ban in ((499.0, 120.0), (500.0, 60.0)):
        bans = Bans(rules)
        _, banned_at, first = hammer(bans)
        assert hammer(bans, now=banned_at + first + quiet)[2] == ban


def test_an_encoder_that_tries_once_a_minute_is_never_banned() -> None:
    bans = Bans(BanRules())
    assert [bans.failed(STRANGER, now * 60.0) for now in range(100)] == [Failure()] * 100


def test_an_encoder_that_tries_every_five_seconds_is_banned_within_a_minute() -> None:
    failures, banned_at, _ = hammer(Bans(BanRules()), every=5.0)
    assert (failures, banned_at) == (10, 45.0)


def test_one_failure_is_forgiven_in_a_minute_and_not_all_of_them() -> None:
    # Every half minute there is one more, and half a one less.
    failures, _, _ = hammer(Bans(BanRules(attempts=4)), every=30.0)
    assert failures == 6


def test_one_subscriber_of_ipv6_is_one_however_many_addresses_it_has() -> None:
    bans = Bans(BanRules(attempts=3))
    for host in range(3):
        bans.failed(network_of(f"2001:db8:1:2::{host:x}"), 0.0)
    assert bans.remaining(network_of("2001:db8:1:2:3:4:5:6"), 0.0) == 60.0
    assert bans.remaining(network_of("2001:db8:1:3::1"), 0.0) == 0.0


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "fd00::9", "fe80::9", UNIX, "unknown"]
)
def test_neighbours_are_never_banned(address: str) -> None:
    bans = Bans(BanRules(attempts=1))
    assert bans.failed(network_of(address), 0.0) == Failure()
    assert len(bans) == 0


def test_neighbours_are_banned_if_that_is_asked_for() -> None:
    bans = Bans(BanRules(attempts=1, local=True))
    assert bans.failed("10.1.2.3", 0.0).ban == 60.0
    # These are many, and look like one.
    assert bans.failed(UNIX, 0.0) == Failure()


def test_proxies_that_are_trusted_are_never_banned() -> None:
    exempt = tuple(map(ipaddress.ip_network, ("198.51.100.0/24", "2001:db8:7::1")))
    bans = Bans(BanRules(attempts=1, exempt=exempt))
    assert bans.failed("198.51.100.4", 0.0) == Failure()
    assert bans.failed(network_of("2001:db8:7::9"), 0.0) == Failure()  # Of the network that the proxy is of.
    assert bans.failed("198.51.101.4", 0.0).ban == 60.0


def test_a_proxy_that_nobody_had_heard_of_is_let_in_by_other_rules() -> None:
    bans = Bans(BanRules(attempts=1))
    bans.failed("198.51.100.4", 0.0)
    bans.apply(BanRules(attempts=1))
    assert bans.remaining("198.51.100.4", 0.0) == 60.0
    bans.apply(BanRules(attempts=1, exempt=(ipaddress.ip_network("198.51.100.4"),)))
    assert bans.remaining("198.51.100.4", 0.0) == 0.0
    assert bans.failed("198.51.100.4", 0.0) == Failure()


def test_no_attempts_are_no_bans() -> None:
    bans = Bans(BanRules(attempts=0))
    assert [bans.failed(STRANGER, 0.0) for _ in range(100)] == [Failure()] * 100


def test_ten_thousand_are_known_at_most_and_the_oldest_goes_who_is_not_banned() -> None:
    bans = Bans(BanRules(attempts=2))
    bans.failed("2001:db8::/64", 0.0)
    bans.failed("2001:db8::/64", 0.0)
    for number in range(1, 20_000):
        bans.failed(f"2001:db8:{number:x}::/64", 0.0)
        assert len(bans) <= 10_000
    # Whoever has many networks washes no ban out.
    assert bans.turns_away("2001:db8::/64", 0.0)
    assert bans.failed("2001:db8:1::/64", 0.0) == Failure()
    assert bans.failed("2001:db8:4e1f::/64", 0.0).ban == 60.0


def guess(bans: Bans, networks: int, each: int, prefix: str = "2001:db8:1:{:x}::/64") -> list[Failure]:
    """The bans that come of it if each network fails so often, in turn."""
    failures = [bans.failed(prefix.format(n), 0.0) for _ in range(each) for n in range(networks)]
    return [failure for failure in failures if failure.ban]


def test_a_site_that_guesses_from_each_of_its_networks_is_banned_as_a_whole() -> None:
    bans = Bans(BanRules())
    assert guess(bans, networks=256, each=1) == [Failure(4.0, 60.0, "2001:db8:1::/56")]
    assert bans.banned == 1
    assert bans.turns_away("2001:db8:1:aa::/64", 59.0)
    assert bans.failed("2001:db8:1:aa::/64", 59.0) == Failure(4.0)
    assert not bans.turns_away("2001:db8:1:aa::/64", 60.0)
    assert not bans.turns_away("2001:db8:1:100::/64", 0.0)
    assert bans.take_ended(60.0) == [EndedBan("2001:db8:1::/56", 1)]


def test_one_subscriber_has_no_neighbours_banned_and_no_exempt_network_of_the_site() -> None:
    bans = Bans(BanRules())
    assert [each.network for each in guess(bans, networks=7, each=20)] == [
        f"2001:db8:1:{n:x}::/64" for n in range(7)
    ]
    assert not bans.turns_away("2001:db8:1:aa::/64", 0.0)
    bans = Bans(BanRules(exempt=(ipaddress.ip_network("2001:db8:1:aa::7"),)))
    assert guess(bans, networks=100, each=2) == []


def test_who_goes_on_failing_is_not_forgotten() -> None:
    bans = Bans(BanRules(attempts=3))
    for number in range(25_000):
        if number % 9_000 == 0:
            failure = bans.failed("2001:db8::/64", 0.0)
        bans.failed(f"2001:db8:{number + 1:x}::/64", 0.0)
    assert failure.ban == 60.0


def test_who_is_forgiven_is_forgotten_as_others_come() -> None:
    bans = Bans(BanRules(forgive=60.0))
    for number in range(1000):
        bans.failed(f"203.0.{number >> 8}.{number & 255}", 0.0)
    assert len(bans) == 1000
    for number in range(1000):
        bans.failed(f"198.51.{number >> 8}.{number & 255}", 60.0)
    assert len(bans) == 1000


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(0.0, 5000.0)), max_size=200))
def test_nobody_is_answered_too_late_or_banned_for_too_long(events: list[tuple[str, float]]) -> None:
    networks = {"a": "203.0.113.1", "b": "203.0.113.2", "c": "2001:db8::/64"}
    bans, now = Bans(BanRules(attempts=3)), 0.0
    for name, later in events:
        network, now = networks[name], now + later
        before = bans.remaining(network, now)
        failure = bans.failed(network, now)
        assert 0.0 <= failure.delay <= 4.0
        assert 0.0 <= failure.ban <= 3600.0
        assert bans.remaining(network, now) == pytest.approx(failure.ban or before)
        assert bans.turns_away(network, now) == (bans.remaining(network, now) > 0)
        assert len(bans) <= 3
        assert bans.banned <= len(bans)


def test_bans_do_not_grow_out_of_what_a_number_can_hold() -> None:
    bans = Bans(BanRules(attempts=1, longest=1.0, first=1.0))
    for now in range(5000):
        assert bans.failed(STRANGER, float(now)).ban == 1.0
