"""A set of public keys: fetched when it is wanted, never too often, kept when it cannot be had."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping

import pytest

from rtmpd.access.jwks import Jwks, PublicKey
from rtmpd.access.token_rules import JwksRules
from rtmpd.exceptions import ClientError, ProofFailed

RULES = JwksRules(refresh=600.0, retry=30.0, max_stale=3600.0, timeout=5.0)


class Issuer:
    """Has keys that change, and is away at times."""

    def __init__(self, *kids: str) -> None:
        self.now = 1000.0
        self.kids = kids
        self.problem: Exception | None = None
        self.fetched: list[float] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.jwks = Jwks("issuer", self.fetch, parse, lambda: self.now, RULES)

    async def fetch(self) -> bytes:
        self.fetched.append(self.now)
        await self.answering.wait()
        if self.problem is not None:
            raise self.problem
        return json.dumps(self.kids).encode()

    async def ask(self, kid: str) -> str:
        """The key of that name, or why there is none."""
        try:
            return str((await self.jwks.find(kid)).key)
        except ProofFailed as error:
            return str(error.reason)

    async def settle(self) -> None:
        """Until what runs in the background has ended."""
        for _ in range(20):
            await asyncio.sleep(0)


def parse(data: bytes) -> Mapping[str, PublicKey]:
    return {kid: PublicKey(f"key {kid}", frozenset()) for kid in json.loads(data)}


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, object]]:
    lines = [(each.levelname, each.message, vars(each)["fields"]) for each in caplog.records]
    caplog.clear()
    return lines


async def test_keys_are_fetched_when_the_first_one_is_wanted() -> None:
    issuer = Issuer("a", "b")
    assert issuer.fetched == []
    assert await issuer.ask("a") == "key a"
    assert await issuer.ask("b") == "key b"
    assert issuer.fetched == [1000.0]


async def test_a_token_may_leave_out_which_key_if_there_is_one_only() -> None:
    assert await Issuer("a").ask("") == "key a"
    assert await Issuer("a", "b").ask("") == "jwt_key_unknown"
    assert await Issuer("", "b").ask("") == "key "


async def test_old_keys_are_used_while_new_ones_come() -> None:
    issuer = Issuer("a")
    await issuer.ask("a")
    issuer.now += RULES.refresh
    issuer.kids = ("b",)
    assert await issuer.ask("a") == "key a"
    await issuer.settle()
    assert issuer.fetched == [1000.0, 1600.0]
    assert await issuer.ask("b") == "key b"
    assert await issuer.ask("a") == "jwt_key_unknown"


async def test_a_new_key_is_fetched_by_the_first_token_that_names_it() -> None:
    issuer = Issuer("a")
    await issuer.ask("a")
    issuer.kids = ("a", "b")
    issuer.now += RULES.retry
    assert await issuer.ask("b") == "key b"
    assert issuer.fetched == [1000.0, 1030.0]


async def test_keys_that_nobody_has_are_looked_for_twice_a_minute_at_most() -> None:
    issuer = Issuer("a")
    for second in range(60):
        issuer.now = 1000.0 + second
        assert await issuer.ask(f"x{second}") == "jwt_key_unknown"
    assert issuer.fetched == [1000.0, 1030.0]


async def test_all_who_wait_share_one_fetch_and_may_give_up_alone() -> None:
    issuer = Issuer("a")
    issuer.answering.clear()
    waiting = [asyncio.create_task(issuer.ask("a")) for _ in range(500)]
    await issuer.settle()
    waiting[0].cancel()
    await issuer.settle()
    issuer.answering.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert set(answers[1:]) == {"key a"}
    assert issuer.fetched == [1000.0]


async def test_one_fetch_runs_at_a_time_however_long_it_takes() -> None:
    issuer = Issuer("a")
    issuer.answering.clear()
    waiting = [asyncio.create_task(issuer.ask("a"))]
    await issuer.settle()
    issuer.now += RULES.retry
    waiting.append(asyncio.create_task(issuer.ask("a")))
    await issuer.settle()
    issuer.answering.set()
    assert await asyncio.gather(*waiting) == ["key a", "key a"]
    assert issuer.fetched == [1000.0]


async def test_an_issuer_that_is_away_is_asked_again_later_and_nobody_has_guessed() -> None:
    issuer = Issuer("a")
    issuer.problem = ClientError("cannot be fetched: nobody listens")
    assert await issuer.ask("a") == "jwt_keys_unavailable"
    assert await issuer.ask("a") == "jwt_keys_unavailable"
    assert issuer.fetched == [1000.0]
    issuer.problem = None
    issuer.now += RULES.retry
    assert await issuer.ask("a") == "key a"


async def test_a_new_key_that_cannot_be_fetched_is_no_guess_of_who_shows_it() -> None:
    issuer = Issuer("a")
    await issuer.ask("a")
    issuer.problem = ClientError("away")
    issuer.now += RULES.retry
    assert await issuer.ask("b") == "jwt_keys_unavailable"
    issuer.now += 1.0
    assert await issuer.ask("b") == "jwt_keys_unavailable"
    assert await issuer.ask("a") == "key a"


async def test_keys_are_kept_while_the_issuer_is_away_but_not_for_ever() -> None:
    issuer = Issuer("a")
    await issuer.ask("a")
    issuer.problem = ClientError("away")
    issuer.now += RULES.max_stale - 1
    assert await issuer.ask("a") == "key a"
    await issuer.settle()
    assert issuer.jwks.age == RULES.max_stale - 1
    issuer.now += 1
    assert await issuer.ask("a") == "jwt_keys_unavailable"
    issuer.problem = None
    issuer.now += RULES.retry
    assert await issuer.ask("a") == "key a"
    assert issuer.jwks.age == 0.0


async def test_a_fetch_that_hangs_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer("a")
    issuer.answering.clear()
    issuer.jwks = Jwks("issuer", issuer.fetch, parse, lambda: issuer.now, JwksRules(timeout=0.01))
    assert await issuer.ask("a") == "jwt_keys_unavailable"
    assert issuer.jwks.problem == "no answer in 0.01 s"


async def test_what_goes_wrong_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    issuer = Issuer("a")
    await issuer.ask("a")
    assert told(caplog) == [("INFO", "jwks read", {"source": "issuer", "keys": 1})]
    for problem in (ClientError("away"), ClientError("away"), ValueError("is no key set")):
        issuer.problem = problem
        issuer.now += RULES.retry
        await issuer.ask("b")
    assert issuer.jwks.problem == "is no key set"
    assert told(caplog) == [
        ("WARNING", "jwks not renewed", {"source": "issuer", "keys": 1, "problem": problem})
        for problem in ("away", "is no key set")
    ]
    issuer.problem = None
    issuer.now += RULES.retry
    await issuer.ask("b")
    assert issuer.jwks.problem == ""
    assert told(caplog) == [("INFO", "jwks read", {"source": "issuer", "keys": 1})]
    issuer.now += RULES.retry
    await issuer.ask("b")
    assert told(caplog) == []
    assert issuer.jwks.failures == 3


async def test_keys_are_fresh_before_anybody_asks_if_somebody_looks() -> None:
    issuer = Issuer("a")
    for second in range(1300):
        issuer.now = 1000.0 + second
        issuer.jwks.refresh()
        if second % 100 == 0:
            await issuer.settle()
    assert issuer.fetched == [1000.0, 1600.0, 2200.0]
    assert await issuer.ask("a") == "key a"


async def test_the_end_of_the_server_ends_a_fetch_and_all_who_wait_for_it() -> None:
    issuer = Issuer("a")
    issuer.answering.clear()
    waiting = asyncio.create_task(issuer.ask("a"))
    await issuer.settle()
    await issuer.jwks.close()
    assert await waiting == "jwt_keys_unavailable"
