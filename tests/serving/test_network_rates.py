from __future__ import annotations

import pytest

import rtmpd.serving.network_rates as module
from rtmpd.serving.network_rates import NetworkRates
from rtmpd.serving.server import ConnectionLimits


def test_each_network_has_its_own_rate() -> None:
    rates = NetworkRates(per_minute=60, at_once=2)
    assert [rates.allow("a", 0.0) for _ in range(3)] == [True, True, False]
    assert rates.allow("b", 0.0)
    assert [rates.allow("a", 1.0) for _ in range(2)] == [True, False]


def test_zero_is_any_number_and_remembers_nobody() -> None:
    rates = NetworkRates(per_minute=0, at_once=0)
    assert all(rates.allow("a", 0.0) for _ in range(1000))
    assert len(rates) == 0


def test_an_audience_behind_one_address_may_come_back_all_at_once() -> None:
    limits = ConnectionLimits()
    rates = NetworkRates(limits.max_connects_per_minute, limits.max_connects_per_minute / 2)
    assert all(rates.allow("a", 0.0) for _ in range(limits.max_connections_per_address))


def test_who_may_do_as_much_as_anybody_is_forgotten() -> None:
    rates = NetworkRates(per_minute=60, at_once=10)
    for number in range(100):
        rates.allow(f"early {number}", 0.0)
    rates.allow("steady", 5.0)
    for number in range(50):
        rates.allow(f"late {number}", 10.0)
    assert len(rates) == 51


def test_there_is_a_most_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_NETWORKS", 3)
    rates = NetworkRates(per_minute=60, at_once=1)
    for network in "abac":
        rates.allow(network, 0.0)
    rates.allow("d", 0.1)
    assert len(rates) == 3
    # The one that has been quiet for longest is the stranger now.
    assert [rates.allow(network, 0.1) for network in "ab"] == [False, True]
