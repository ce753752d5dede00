from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rtmpd.net.shares import Shares


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
    assert (len(shares), shares._members, shares._networks, shares._most) == (0, {}, {}, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=60))
def test_it_agrees_with_a_count(steps: list[tuple[str, int]]) -> None:
    """Each step adds a member that is not there, or removes one that is."""
    shares: Shares[int] = Shares()
    model: list[tuple[str, int]] = []
    for network, member in steps:
        if (network, member) in model:
            model.remove((network, member))
            assert shares.remove(network, member)
        else:
            model.append((network, member))
            shares.add(network, member)
        counts = Counter(network for network, _ in model)
        assert len(shares) == len(model)
        assert all(shares.of(name) == counts[name] for name in "abc")
        oldest = shares.oldest_of_largest()
        assert (oldest is None) == (not model)
        if model:
            most = max(counts.values())
            first = {name: next(m for n, m in model if n == name) for name in counts}
            assert oldest in {first[name] for name in counts if counts[name] == most}
