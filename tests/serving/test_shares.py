from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rtmpd.net.addresses import site_of
from rtmpd.serving.shares import Shares


def test_the_oldest_of_the_network_with_most_goes() -> None:
    shares: Shares[str] = Shares()
    assert shares.oldest_of_largest() is None
    for network, member in ("a1", "b1", "b2", "b3", "a2", "c1"):
        shares.add(network, network + member)
    assert (len(shares), shares.of("b"), shares.of("nobody")) == (6, 3, 0)
    assert shares.oldest_of_largest() == "b1"
    assert shares.remove("b", "b1")
    # Two networks have two: the one that has had them for longer.
    assert shares.oldest_of_largest() == "a1"
    assert shares.remove("a", "a2")
    assert shares.oldest_of_largest() == "b2"


def test_who_is_no_member_is_not_counted_out() -> None:
    shares: Shares[str] = Shares()
    shares.add("a", "one")
    assert not shares.remove("a", "two")
    assert not shares.remove("b", "one")
    assert shares.remove("a", "one")
    assert not shares.remove("a", "one")
    assert (len(shares), shares._members, shares._networks) == (0, {}, {})
    assert (shares._sites._counts, shares._sites._peers, shares._sites._most) == ({}, {}, 0)


def test_many_networks_of_a_site_are_greedier_than_one_of_another() -> None:
    shares: Shares[str] = Shares()
    home, office = "2001:db8:1::/64", "2001:db8:2::/64"
    for network, member in ((home, "h1"), (office, "o1"), (office, "o2")):
        shares.add(network, member)
    assert shares.oldest_of_largest() == "o1"
    for number in range(1, 4):
        shares.add(f"2001:db8:bad:{number}::/64", f"b{number}")
    assert shares.oldest_of_largest() == "b1"
    # Of the site, whoever has most.
    shares.add("2001:db8:bad:3::/64", "b4")
    assert shares.oldest_of_largest() == "b3"
    for network, member in ((3, "b3"), (3, "b4"), (1, "b1")):
        shares.remove(f"2001:db8:bad:{network}::/64", member)
    assert shares.oldest_of_largest() == "o1"


NETWORKS = ("192.0.2.1", "2001:db8:1:1::/64", "2001:db8:1:2::/64", "2001:db8:2:1::/64", "2001:db8:2:2::/64")


@given(st.lists(st.tuples(st.sampled_from(NETWORKS), st.integers(0, 3)), max_size=80))
def test_it_agrees_with_a_count(steps: list[tuple[str, int]]) -> None:
    """Each step adds a member that is not there, or removes one that is."""
    shares: Shares[tuple[str, int]] = Shares()
    model: list[tuple[str, int]] = []
    for member in steps:
        network = member[0]
        if member in model:
            model.remove(member)
            assert shares.remove(network, member)
        else:
            model.append(member)
            shares.add(network, member)
        networks = Counter(network for network, _ in model)
        sites = Counter(site_of(network) for network, _ in model)
        assert len(shares) == len(model)
        assert all(shares.of(name) == networks[name] for name in NETWORKS)
        found = shares.oldest_of_largest()
        assert (found is None) == (not model)
        if found is not None:
            network, site = found[0], site_of(found[0])
            assert sites[site] == max(sites.values())
            assert networks[network] == max(networks[n] for n in networks if site_of(n) == site)
            assert found == next(member for member in model if member[0] == network)
