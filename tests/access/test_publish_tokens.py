"""Stream keys for whoever shows a JWT."""

from __future__ import annotations

import time
from random import Random

import pytest
from policy_kit import FAR, NOW, OPEN, Book

from rtmpd.access import bans
from rtmpd.access.bans import BanRules
from rtmpd.access.guard import Guard
from rtmpd.access.keys import digest_of
from rtmpd.access.proof import Proof
from rtmpd.access.publish_tokens import PublishTokens
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.access.runtime_keys import RuntimeKeys
from rtmpd.engine.stats import ServerStats
from rtmpd.exceptions import NotPossible, ProofFailed
from rtmpd.reasons import Problem, Refusal


class Issuer:
    """Of tokens that are genuine if they are called so."""

    async def verify(self, token: str, action: str, path: str, now: float) -> Proof:
        if token != f"{action}:{path}":
            raise ProofFailed(Refusal.JWT_SIGNATURE, "This token is not genuine; get a new one.")
        return Proof("ann", "subject:ann", now + 600.0)


class House:
    """Gives keys."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.keys = RuntimeKeys(lambda: NOW)
        self.guard = Guard(time.monotonic, ServerStats())
        self.guard.apply(BanRules(attempts=3))
        rules = Rules(Allow.PROVEN, tokens=Issuer()) if rules is None else rules
        book = Book(PathRules(rules, OPEN))
        dice = Random(0).randbytes
        self.tokens = PublishTokens(lambda: book, self.keys, self.guard, lambda: 0.0, lambda: NOW, dice)

    async def ask(self, jwt: str = "publish:live/show", seconds: float | None = None) -> str:
        text, _ = await self.tokens.issue("live/show", jwt, seconds, FAR)
        return text

    async def refused(self, jwt: str = "publish:live/show") -> Problem:
        with pytest.raises(NotPossible) as caught:
            await self.ask(jwt)
        return caught.value.problem


async def test_a_genuine_one_gives_a_short_key_that_is_good_for_as_long() -> None:
    house = House()
    text = await house.ask()
    assert (len(text), text.isalnum()) == (33, True)
    await house.ask(seconds=60.0)
    await house.ask(seconds=6000.0)
    made = list(house.keys)
    assert [each.key.until for each in made] == [NOW + 600.0, NOW + 60.0, NOW + 600.0]
    first = made[0]
    assert (first.key.digest, first.path, first.key.label) == (digest_of(text), "live/show", "ann")
    assert (first.key.name, first.is_token, house.tokens.counts) == ("show", True, {"issued": 3})


async def test_a_wrong_one_gives_none_and_who_goes_on_is_banned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans, "_SLOWEST", 0.01)
    house = House()
    for _ in range(3):
        assert await house.refused("play:live/show") is Problem.TOKEN_REFUSED
    assert await house.refused() is Problem.TOKENS_OFTEN
    assert house.tokens.counts == {"jwt_signature": 3, "too_often": 1}
    assert len(house.keys) == 0


async def test_an_address_asks_so_often_and_an_app_without_an_issuer_gives_none() -> None:
    house = House()
    for _ in range(20):
        await house.ask()
    assert await house.refused() is Problem.TOKENS_OFTEN
    for rules in (OPEN, Rules(Allow.NOBODY, tokens=Issuer())):
        closed = House(rules)
        assert await closed.refused() is Problem.TOKEN_REFUSED
        assert closed.tokens.counts == {"not_taken": 1}
