"""How much of addresses is shown."""

from __future__ import annotations

import itertools

import pytest

from rtmpd.net.address_mask import KEY_LASTS, OPEN, AddressMask, Showing, is_hashed


class Dice:
    """Other bytes each time."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, size: int) -> bytes:
        return next(self._numbers).to_bytes(size)


class Masked(AddressMask):
    """One whose clock stands at ``now``."""

    def __init__(self, showing: Showing, to_backends: Showing | None = None) -> None:
        self.now = 1000.0
        super().__init__(lambda: self.now, Dice())
        self.apply(showing, to_backends or showing)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("203.0.113.7", "203.0.113.0"),
        ("127.83.21.7", "127.83.21.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("203.0.113.128/25", "203.0.113.0/24"),
        # Nobody's in particular.
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        # No address.
        ("unix", "unix"),
        ("unknown", "unknown"),
        ("origin.example.com", "origin.example.com"),
        ("proxy-203.0.113.7", "proxy-203.0.113.7"),
        ("", ""),
    ],
)
def test_truncated_addresses_show_a_network(text: str, shown: str) -> None:
    assert Masked(Showing.TRUNCATED).show(text) == shown
    assert Masked(Showing.FULL).show(text) == OPEN.show(text) == text


def test_a_hashed_address_is_the_same_text_for_a_day() -> None:
    mask = Masked(Showing.HASHED)
    shown = mask.show("203.0.113.7")
    assert is_hashed(shown)
    assert mask.show("203.0.113.8") != shown
    mask.now += KEY_LASTS - 1.0
    assert mask.show("203.0.113.7") == shown
    mask.now += 1.0
    assert mask.show("203.0.113.7") != shown


def test_who_has_an_ipv6_network_is_one_text_as_a_ban_of_it_is() -> None:
    mask = Masked(Showing.HASHED)
    shown = mask.show("2001:db8:1:2:3::4")
    assert mask.show("2001:db8:1:2:5::6") == mask.show("2001:db8:1:2::/64") == shown
    assert mask.show("2001:db8:1:3::4") != shown
    assert mask.show("2001:db8::/48") == "2001:db8::/48"
    assert mask.show("unix") == "unix"


def test_backends_may_be_told_more() -> None:
    mask = Masked(Showing.TRUNCATED, Showing.FULL)
    assert (mask.show("203.0.113.7"), mask.tell("203.0.113.7")) == ("203.0.113.0", "203.0.113.7")


def test_a_ban_has_a_name_that_outlasts_the_key() -> None:
    mask = Masked(Showing.HASHED)
    name = mask.name_ban("203.0.113.7")
    assert name.startswith("ban-")
    mask.now += 2 * KEY_LASTS
    mask.show("203.0.113.7")
    assert mask.name_ban("203.0.113.7") == name != mask.name_ban("203.0.113.8")
    assert OPEN.name_ban("203.0.113.7") == "203.0.113.7"


def test_looking_for_an_address_tells_no_more_than_is_shown() -> None:
    there = "203.0.113.7"
    assert OPEN.finder("203.0.113.0/28", may_guess=True)(there)
    assert not OPEN.finder("203.0.113.16/28", may_guess=True)(there)
    assert not OPEN.finder("2001:db8::/32", may_guess=True)(there)
    assert not OPEN.finder("203.0.113.0/24", may_guess=True)("unix")
    truncated = Masked(Showing.TRUNCATED)
    # Whoever halves networks ends at the one that is shown.
    for wanted in ("203.0.113.16/28", "203.0.113.200", "203.0.113.0", "203.0.0.0/16"):
        assert truncated.finder(wanted, may_guess=True)(there), wanted
    assert not truncated.finder("203.0.114.7", may_guess=True)(there)
    hashed = Masked(Showing.HASHED)
    assert hashed.finder(hashed.show(there), may_guess=True)(there)
    assert hashed.finder(there, may_guess=True)(there)
    # Who only looks would try all that there are.
    assert not hashed.finder(there, may_guess=False)(there)
    assert hashed.finder(hashed.show(there), may_guess=False)(there)
    assert not hashed.finder("203.0.113.8", may_guess=True)(there)
    for wanted in ("203.0.113.0/24", "203.0.0.0/16", "0.0.0.0/0"):
        assert not hashed.finder(wanted, may_guess=True)(there), wanted
