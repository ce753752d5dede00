"""Tokens of starts of OBS: what they stand for, for how long, and what is known of them."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from rtmpd.access.obs_tokens import LIFE, MOST, MOST_BYTES, PER_KEY, ObsToken, ObsTokens
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Figures, Grant

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"


class Streamer:
    """Follows a publish, as a backend does."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def began(self, figures: object, /) -> None:
        self.told.append("began")

    def ended(self, figures: Figures, /) -> None:
        self.told.append("ended")


class Inner:
    """Knows one key, and hears what it is asked."""

    def __init__(self) -> None:
        self.asked: list[AccessRequest] = []
        self.slow = False
        self.revoked = False
        self.follower: Streamer | None = None

    def authorize(self, request: AccessRequest) -> object:
        self.asked.append(request)
        if self.revoked or request.key.name != KEY:
            raise Refused(StatusCode.PUBLISH_REJECTED, "No.", Refusal.NOT_PROVEN)
        grant = Grant(StreamKey("live", "show"), account="Studio", identity="key:1", follower=self.follower)
        return self._later(grant) if self.slow else grant

    async def _later(self, grant: Grant) -> Grant:
        await asyncio.sleep(0)
        return grant

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        return Refusal.KEY_REVOKED if self.revoked else None

    def as_public(self, action: Action, key: StreamKey) -> StreamKey:
        return StreamKey(key.app, f"shown {key.name}")


class House:
    def __init__(self) -> None:
        self.now = 100.0
        self.inner = Inner()
        self.tokens = ObsTokens(self.inner, lambda: ["live/sub"], lambda: self.now, Random(0).randbytes)

    def token(self, typed: str = KEY, app: str = "live") -> ObsToken:
        token = self.tokens.issue(app, typed)
        assert token is not None
        return token

    async def publish(self, token: ObsToken, app: str = "live", query: str | None = None) -> Grant:
        query = f"clientConfigId={token.config_id}" if query is None else query
        return await self.ask(Action.PUBLISH, f"{app}/{token.text}", query)

    async def ask(self, action: Action, path: str, query: str = "") -> Grant:
        key = StreamKey.of_path(path, ["live/sub"])
        answer = self.tokens.authorize(AccessRequest(action, key, Origin(), ConnectParams(), query))
        return answer if isinstance(answer, Grant) else await answer

    async def refused(self, token: ObsToken, **how: str) -> Refusal:
        with pytest.raises(Refused) as caught:
            await self.publish(token, **how)
        return caught.value.reason


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("slow", [False, True])
async def test_a_token_stands_for_the_key_that_was_typed_with_its_query(house: House, slow: bool) -> None:
    house.inner.slow = slow
    grant = await house.publish(house.token(f"{KEY}?user=1&jwt=a.b.c"))
    assert (grant.key, grant.account, grant.identity) == ("live/show", "Studio", "key:1")
    (asked,) = house.inner.asked
    assert (asked.key, asked.query) == (f"live/{KEY}", "user=1&jwt=a.b.c")


async def test_everybody_else_is_none_of_its_business(house: House) -> None:
    with pytest.raises(Refused):
        await house.ask(Action.PUBLISH, "live/obs-studio")
    grant = await house.ask(Action.PUBLISH, f"live/{KEY}", "key=1")
    assert grant.follower is None
    assert [asked.key.name for asked in house.inner.asked] == ["obs-studio", KEY]


async def test_a_token_is_of_its_configuration_and_its_app(house: House) -> None:
    token, other = house.token(), house.token()
    assert await house.refused(token, query="") is Refusal.KEY_WRONG
    assert await house.refused(token, query=f"clientConfigId={other.config_id}") is Refusal.KEY_WRONG
    assert await house.refused(token, app="other") is Refusal.KEY_WRONG
    assert await house.refused(token, app="live/sub") is Refusal.KEY_WRONG
    assert house.inner.asked == []
    assert await house.refused(token._replace(text=token.text[:-1] + "2")) is Refusal.START_OVER


async def test_a_key_that_is_no_more_opens_nothing_by_its_token(house: House) -> None:
    token = house.token()
    house.inner.revoked = True
    assert await house.refused(token) is Refusal.NOT_PROVEN
    assert house.tokens.withdrawn(Action.PUBLISH, StreamKey("live", "show"), Origin()) is Refusal.KEY_REVOKED


async def test_it_is_good_for_one_start_as_long_as_that_goes_on(house: House) -> None:
    token, unused = house.token(), house.token()
    follower = (await house.publish(token)).follower
    assert follower is not None
    follower.began(Figures)
    house.now += 100 * LIFE
    assert await house.refused(unused) is Refusal.START_OVER
    # The connection broke, and the server does not know it yet.
    second = (await house.publish(token)).follower
    assert second is not None
    second.began(Figures)
    follower.ended(Figures())
    house.now += 100 * LIFE
    await house.publish(token)
    second.ended(Figures())
    house.now += LIFE - 1
    await house.publish(token)
    house.now += 1
    assert await house.refused(token) is Refusal.START_OVER
    house.token("another")
    assert len(house.tokens) == 1


async def test_whoever_follows_the_key_follows_the_token(house: House) -> None:
    streamer = house.inner.follower = Streamer()
    grant = await house.publish(house.token())
    assert grant.follower is not None
    grant.follower.began(Figures)
    grant.follower.ended(Figures())
    (await house.publish(house.token())).abandon()
    assert streamer.told == ["began", "ended", "ended"]


async def test_nobody_plays_by_it_and_nobody_sees_it(house: House) -> None:
    token = house.token()
    with pytest.raises(Refused) as caught:
        await house.ask(Action.PLAY, f"live/{token.text}")
    assert caught.value.reason is Refusal.KEY_AS_NAME
    assert house.inner.asked == []
    shown = house.tokens.as_public(Action.PUBLISH, StreamKey("live", f"sub/{token.text}"))
    assert (shown.app, len(shown.name), shown.name[0]) == ("live", 7, "~")
    assert house.tokens.as_public(Action.PUBLISH, StreamKey("live", "obs-a")).name == "shown obs-a"


def test_what_is_kept_tells_neither_token_nor_key(house: House) -> None:
    token = house.token(f"{KEY}?jwt=a.b.c")
    kept = [*house.tokens._held.items()]
    assert KEY not in repr(kept)
    assert token.text not in repr(kept)
    (held,) = house.tokens._held.values()
    assert KEY.encode() not in held.sealed


async def test_four_are_good_for_a_key_and_those_in_use_stay(house: House) -> None:
    first = house.token()
    follower = (await house.publish(first)).follower
    assert follower is not None
    follower.began(Figures)
    later = [house.token() for _ in range(PER_KEY + 1)]
    assert await house.refused(later[0]) is Refusal.START_OVER
    for token in (first, *later[1:]):
        await house.publish(token)


def test_there_is_an_end_to_what_is_kept(house: House) -> None:
    for number in range(MOST):
        house.token(f"key {number}")
    assert house.tokens.issue("live", "one more") is None
    house.now += LIFE
    assert house.tokens.issue("live", "one more") is not None
    assert len(house.tokens) == 1
    assert house.tokens.issue("live", "x" * MOST_BYTES) is None
    house.token("x" * (MOST_BYTES - len("one more")))


async def test_who_publishes_for_long_takes_no_room_of_others(house: House) -> None:
    grant = await house.publish(house.token())
    assert grant.follower is not None
    grant.follower.began(Figures)
    for number in range(MOST - 1):
        house.token(f"key {number}")
    house.now += LIFE
    assert house.tokens.issue("live", "one more") is not None
    assert len(house.tokens) == 2


async def test_who_was_not_let_in_is_known_when_they_ask_again(house: House) -> None:
    tokens = house.tokens
    assert not tokens.was_turned_away("live", KEY)
    token = house.token()
    assert tokens.was_turned_away("live", KEY)  # Nobody was there, for all that is known.
    assert not tokens.was_turned_away("other", KEY)
    grant = await house.publish(token)
    assert grant.follower is not None
    grant.follower.began(Figures)
    assert not tokens.was_turned_away("live", KEY)
    grant.follower.ended(Figures())
    assert not tokens.was_turned_away("live", KEY)
    (await house.publish(token)).abandon()
    assert tokens.was_turned_away("live", KEY)
    house.now += 2 * LIFE
    assert not tokens.was_turned_away("live", KEY)
