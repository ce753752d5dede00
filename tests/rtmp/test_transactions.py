from __future__ import annotations

import pytest

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.transactions import MAX_TRANSACTIONS, Transactions


def test_an_answer_is_taken_once() -> None:
    transactions: Transactions[str] = Transactions()
    assert transactions.open("connect") == 1
    assert transactions.number() == 2
    assert transactions.open("createStream") == 3
    assert [transactions.take(number) for number in (3.0, 3.0, 2.0, 1.5, 0.0, 1.0)] == [
        "createStream",
        None,
        None,
        None,
        None,
        "connect",
    ]


def test_unanswered_ones_are_bounded() -> None:
    transactions: Transactions[str] = Transactions()
    for _ in range(MAX_TRANSACTIONS):
        latest = transactions.open("call")
    with pytest.raises(UsageError, match="64 calls wait"):
        transactions.open("call")
    assert transactions.number() == latest + 1, "what waits for no answer is not bounded"
    transactions.take(latest)
    assert transactions.open("call") == latest + 2
