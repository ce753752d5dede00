from __future__ import annotations

import pytest

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.states import Awaited
from rtmpd.rtmp.transactions import MAX_TRANSACTIONS, Transactions


def test_an_answer_is_taken_once() -> None:
    transactions = Transactions()
    assert transactions.open(Awaited.CONNECT) == 1
    assert transactions.number() == 2
    assert transactions.open(Awaited.STREAM) == 3
    assert [transactions.take(number) for number in (3.0, 3.0, 2.0, 1.5, 0.0, 1.0)] == [
        Awaited.STREAM,
        None,
        None,
        None,
        None,
        Awaited.CONNECT,
    ]


def test_unanswered_ones_are_bounded() -> None:
    transactions = Transactions()
    for _ in range(MAX_TRANSACTIONS):
        latest = transactions.open(Awaited.CALL)
    with pytest.raises(UsageError, match="64 calls wait"):
        transactions.open(Awaited.CALL)
    assert transactions.number() == latest + 1, "what waits for no answer is not bounded"
    transactions.take(latest)
    assert transactions.open(Awaited.CALL) == latest + 2
