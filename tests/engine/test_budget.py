from __future__ import annotations

import pytest

from rtmpd.engine.budget import MemoryBudget
from rtmpd.exceptions import UsageError


def test_relief_is_asked_for_once_over_the_ceiling_and_not_from_within() -> None:
    asked: list[int] = []

    def relieve() -> None:
        asked.append(budget.used)
        budget.charge_gop(-50)
        budget.charge_headers(200)
        budget.charge_headers(-200)

    budget = MemoryBudget(100, relieve)
    budget.charge_gop(60)
    budget.charge_backlog(40)
    assert asked == []
    budget.charge_headers(1)
    assert asked == [101]
    assert (budget.used, budget.exhausted, budget.target) == (51, False, 90)


def test_relief_that_finds_nothing_leaves_the_budget_exhausted() -> None:
    budget = MemoryBudget(100, lambda: None)
    budget.charge_backlog(100)
    assert budget.exhausted
    budget.charge_backlog(-1)
    assert not budget.exhausted


def test_a_ceiling_of_nothing_is_a_mistake() -> None:
    with pytest.raises(UsageError):
        MemoryBudget(0, lambda: None)
