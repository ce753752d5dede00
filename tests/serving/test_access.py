"""Who decides on a connect, a publish and a play: what it is asked, what it may answer, and in what time.

The deciders here are throw-away users of the joint: each needs one thing that it offers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from engine_kit import keyframe
from net_kit import HEADERS, Client, Doorman, House, OpenDoor, eventually, serve
from rtmp_dialogue import command, connect

import rtmpd
from rtmpd.engine.claim import Claim, ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy
from rtmpd.exceptions import AuthenticationFailed, ConnectRejected, Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp import adobe_auth
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.url import parse_query
from rtmpd.serving.access import AccessRequest, Action, Grant, PlayRules
from rtmpd.serving.server import ConnectionLimits

CONNECTED = "_result 1 status NetConnection.Connect.Success"
REJECTED = "_error 1 error NetConnection.Connect.Rejected"
PUBLISHED = "1: onStatus 0 status NetStream.Publish.Start"
EACH = pytest.mark.parametrize("action", list(Action))


def ask(client: Client, action: Action) -> None:
    """All up to a request, and of a connect what encoders send behind it without waiting."""
    client.say(connect(), command("createStream", 2))
    client.call("publish" if action is Action.CONNECT else action, 3, "cam", "live", on=1)


def told(action: Action) -> list[str]:
    """What a client hears that is refused ``action``, to the end."""
    if action is Action.CONNECT:
        return [REJECTED]
    status = "Publish.Rejected" if action is Action.PUBLISH else "Play.Failed"
    return [CONNECTED, "_result 2 1", f"1: onStatus 0 error NetStream.{status}"]


@asynccontextmanager
async def at_the_door(action: Action, **settings: Any) -> AsyncIterator[tuple[House, Client, Doorman]]:
    """A client whose request a doorman thinks about."""
    doorman = Doorman({action}, swallow=settings.pop("swallow", False))
    async with serve(authorizer=doorman, **settings) as house:
        client = await house.client()
        ask(client, action)
        await eventually(lambda: doorman.requests)
        yield house, client, doorman


# -- the question


async def test_a_connect_is_asked_about_with_everything_that_is_known() -> None:
    doorman = Doorman({Action.CONNECT})
    async with serve(authorizer=doorman) as house:
        client = await house.client()
        client.say(connect("live/room?token=SECRET", flashVer="FMLE/3.0", swfUrl="rtmp://host/live/room"))
        await eventually(lambda: doorman.requests)
        (connection,) = house.connections
        (request,) = doorman.requests
        params = connection.connect_params
        assert request == AccessRequest(
            Action.CONNECT, StreamKey("live", "room"), connection.origin, params, "token=SECRET"
        )
        assert (params.swf_url, params.tc_url) == ("rtmp://host/live/room", "/live/room?token=SECRET")
        origin = request.origin
        assert (origin.address, origin.network, origin.protocol) == ("127.0.0.1", "127.0.0.1", "rtmp")
        assert (origin.listener, origin.tls, origin.agent) == (f"127.0.0.1:{house.port}", False, "FMLE/3.0")
        assert house.registry.sessions.find(origin.session) is connection
        assert "SECRET" not in repr(request)


async def test_all_three_are_asked_about_one_after_the_other() -> None:
    doorman = Doorman(list(Action))
    async with serve(authorizer=doorman) as house:
        client = await house.client()
        client.say(
            connect(),
            command("createStream", 2),
            command("publish", 3, "cam?k=1", "record", on=1),
            command("createStream", 4),
            command("play", 5, "cam?k=2", on=2),
        )
        for number in range(3):
            await eventually(lambda number=number: len(doorman.requests) == number + 1)
            doorman.grant()
        await client.until("2: onStatus 0 status NetStream.Play.Start")
        asked = [(each.action, each.key, each.query, each.mode) for each in doorman.requests]
        key = StreamKey("live", "cam")
        assert asked == [
            (Action.CONNECT, StreamKey("live", ""), "", ""),
            (Action.PUBLISH, key, "k=1", "record"),
            (Action.PLAY, key, "k=2", ""),
        ]
        assert len({each.origin for each in doorman.requests}) == 1


# -- an answer that takes time


async def test_what_follows_a_connect_is_held_until_it_is_answered() -> None:
    async with at_the_door(Action.CONNECT) as (house, encoder, doorman):
        frames = [(40 * n, keyframe(str(n) + "." * 50_000)) for n in range(40)]
        encoder.send(*HEADERS, *frames)
        (connection,) = house.connections
        await eventually(lambda: not connection.reader.reading)
        # One reading of the socket at most, and the budget knows of it.
        assert 0 < connection.session.partial_bytes == house.registry.budget.used < 1 << 20
        assert (house.stats.connections, house.stats.publishers) == ({"pending": 1}, 0)
        doorman.grant()
        assert (await encoder.until(PUBLISHED))[:2] == [CONNECTED, "_result 2 1"]
        await eventually(lambda: house.stream().stats.keyframes == len(frames))
        assert house.stream().stats.timestamp_regressions == 0


@EACH
async def test_a_refusal_is_told_in_the_deciders_words(action: Action) -> None:
    async with at_the_door(action) as (house, client, doorman):
        doorman.fail(Refused(StatusCode.CONNECT_REJECTED, "The hall is closed.", Refusal.NOBODY))
        told_last = (await client.rest())[-1]
        assert told_last.endswith("error NetConnection.Connect.Rejected")
        assert house.stats.refusals == {"nobody": 1}
        assert (house.stats.levels.refused, house.stats.levels.failed) == ({action: 1}, {})


@pytest.mark.parametrize(
    "error", [OSError("the backend is down"), asyncio.CancelledError("of a question that others share")]
)
@EACH
async def test_a_decider_that_fails_lets_nobody_in(
    action: Action, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async with at_the_door(action) as (house, client, doorman):
        doorman.fail(error)
        assert await client.rest() == told(action)
        assert house.stats.refusals == {"authorizer_failed": 1}
        assert (house.stats.levels.refused, house.stats.levels.failed) == ({}, {action: 1})
    failed, refused = caplog.records
    assert (failed.msg, refused.msg) == ("authorizer failed", f"{action} refused")
    assert failed.exc_info is not None


class Panic(BaseException):
    """What libraries written in other languages raise."""


@EACH
async def test_a_decider_that_breaks_off_leaves_nobody_waiting(action: Action) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    async with at_the_door(action) as (_house, client, doorman):
        doorman.fail(Panic())
        assert await client.rest() == told(action)[:-1]
        await eventually(lambda: not [task for task in asyncio.all_tasks() if "request" in task.get_name()])


@EACH
async def test_a_decider_that_never_answers_lets_nobody_in(action: Action) -> None:
    async with at_the_door(action, authorization_timeout=0.05) as (house, client, doorman):
        assert await client.rest() == told(action)
        assert (doorman.cancelled, house.stats.refusals) == (1, {"authorizer_failed": 1})


@pytest.mark.parametrize("swallow", [False, True], ids=["cancelled", "swallows it"])
@EACH
async def test_a_client_that_leaves_before_the_answer_is_given_nothing(action: Action, swallow: bool) -> None:
    async with at_the_door(action, swallow=swallow) as (house, _, doorman):
        (connection,) = house.connections
        connection.abort(CloseReason.KICKED)
        await eventually(lambda: doorman.cancelled and not house.connections)
        stats = house.stats
        assert (stats.publishes_total, stats.plays_total, stats.connections) == (0, 0, {"pending": 0})


class Nonsense(OpenDoor):
    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        return self._think() if request.action is Action.CONNECT else super().authorize(request)

    async def _think(self) -> Grant:
        return None  # type: ignore[return-value]


async def test_a_bug_in_the_answer_to_a_connect_ends_it_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(authorizer=Nonsense()) as house:
        client = await house.client()
        ask(client, Action.CONNECT)
        assert await client.rest() == []
    assert "request failed" in [record.msg for record in caplog.records if record.exc_info]


async def test_who_waits_for_an_answer_is_a_stranger_like_others() -> None:
    doorman = Doorman({Action.CONNECT})
    limits = ConnectionLimits(max_pending=5, max_pending_per_address=0)
    async with serve(authorizer=doorman, connections=limits) as house:
        for number in range(12):
            ask(await house.client(), Action.CONNECT)
            await eventually(lambda number=number: len(doorman.requests) == number + 1)
        # The oldest have made room, and what they asked for is asked no more.
        await eventually(lambda: doorman.cancelled == 7)
        assert house.stats.connections == {"pending": 5}
        assert house.stats.refusals == {"max_pending": 7}


async def test_a_decider_that_hangs_delays_who_waits_and_nobody_else() -> None:
    doorman = Doorman()

    class Busy(OpenDoor):
        """Answers at once, but for the app of those who may wait."""

        def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
            waits = request.key.app == "waiting"
            return doorman._ask(request) if waits else super().authorize(request)

    limits = ConnectionLimits(max_pending_per_address=0)
    async with serve(authorizer=Busy(), connections=limits) as house:
        waiting = [await house.client() for _ in range(200)]
        for client in waiting:
            client.say(connect("waiting"), command("createStream", 2))
        await eventually(lambda: len(doorman.requests) == len(waiting))
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        for _ in waiting:
            doorman.grant()
        for client in waiting:
            await client.until("_result 2 1")


# -- what is granted


class Granting:
    """Grants ``action`` with more than the key, everything else plainly."""

    def __init__(self, action: Action, **terms: Any) -> None:
        self.action = action
        self.terms = terms
        self.requests: list[AccessRequest] = []

    def authorize(self, request: AccessRequest) -> Grant:
        self.requests.append(request)
        terms = self.terms if request.action is self.action else {}
        return replace(Grant(request.key), **terms)


async def test_an_account_of_the_connect_stands_in_all_that_it_does() -> None:
    door = Granting(Action.CONNECT, account="ann", identity="user:ann")
    async with serve(authorizer=door) as house:
        await (await (await house.client()).publish()).play("other", on=2)
        publication = house.stream().publication
        (subscription,) = house.stream("other").subscriptions
        (connection,) = house.connections
        assert publication is not None
        assert publication.origin is subscription.origin is connection.origin
        assert [request.origin.account for request in door.requests] == ["", "ann", "ann"]
        assert [request.origin.identity for request in door.requests] == ["", "user:ann", "user:ann"]


async def test_an_account_of_a_publish_is_that_publish_s_alone() -> None:
    door = Granting(Action.PUBLISH, account="camera 1", identity="key:1")
    async with serve(authorizer=door) as house:
        await (await (await house.client()).publish()).play("other", on=2)
        publication = house.stream().publication
        (subscription,) = house.stream("other").subscriptions
        assert publication is not None
        assert publication.origin == replace(subscription.origin, account="camera 1", identity="key:1")
        assert (publication.origin.who, subscription.origin.who) == ("camera 1", "127.0.0.1")


@EACH
async def test_a_session_ends_with_what_it_was_granted(
    action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rtmpd")
    async with serve(authorizer=Granting(action, valid_for=0.05)) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2), command("publish", 3, "cam", on=1))
        client.say(command("createStream", 4), command("play", 5, "cam", on=2))
        assert (await client.rest())[-2:] == [
            "2: onStatus 0 error NetStream.Play.Failed",
            "1: onStatus 0 error NetStream.Publish.Failed",
        ]
        assert house.stats.publishes_ended == house.stats.players_closed == {"expired": 1}
    ends = [record.__dict__["fields"] for record in caplog.records if record.msg.endswith("ended")]
    assert [(fields["reason"], fields["by"]) for fields in ends] == [("expired", None)] * 2


@EACH
async def test_what_is_granted_for_no_number_of_seconds_is_not_granted(action: Action) -> None:
    async with serve(authorizer=Granting(action, valid_for=math.nan)) as house:
        client = await house.client()
        ask(client, action)
        assert await client.rest() == told(action)


async def test_a_connection_that_does_nothing_ends_with_what_it_was_granted_too() -> None:
    async with serve(authorizer=Granting(Action.CONNECT, valid_for=0.05)) as house:
        client = await house.client()
        client.say(connect())
        assert await client.rest() == [CONNECTED]
        await client.close()
        await eventually(lambda: house.open_connections == 0)


class Mine(ClaimPolicy):
    """Who has the name gives way."""

    def supersede(self, _claim: Claim) -> CloseReason:
        return CloseReason.KICKED


async def test_a_claim_policy_decides_who_has_the_name() -> None:
    async with serve(authorizer=Granting(Action.PUBLISH, claim=Mine(), account="ann")) as house:
        first = await (await house.client()).publish()
        player = await (await house.client()).play()
        first.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        second = await (await house.client()).publish()
        assert (await first.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Failed"
        second.send(*HEADERS, (0, keyframe("B")))
        lines = await until_begins(player, "1: B@")
        assert [line for line in lines if "Notify" in line] == []
        assert house.stats.publishes_ended == {"kicked": 1}


async def until_begins(client: Client, begin: str) -> list[str]:
    lines = [await client.hear()]
    while not lines[-1].startswith(begin):
        lines.append(await client.hear())
    return lines


async def test_players_may_be_as_many_as_what_is_on_air_was_granted() -> None:
    engine = EngineLimits(max_players_per_stream=3)
    async with serve(authorizer=Granting(Action.PUBLISH, max_players=1), engine=engine) as house:
        early = [await (await house.client()).play() for _ in range(2)]
        encoder = await (await house.client()).publish()
        # Who is there stays; nobody else comes in.
        late = await house.client()
        ask(late, Action.PLAY)
        assert await late.answer() == "1: onStatus 0 error NetStream.Play.Failed"
        assert house.stats.refusals == {"players_per_stream": 1}
        assert house.stream().players == len(early)
        encoder.call("FCUnpublish", 6, "cam")
        await eventually(lambda: house.stats.publishers == 0)
        await (await house.client()).play()
        assert house.stream().players == 3


async def test_players_may_be_more_than_are_configured() -> None:
    engine = EngineLimits(max_players_per_stream=1)
    async with serve(authorizer=Granting(Action.PUBLISH, max_players=0), engine=engine) as house:
        await (await house.client()).publish()
        for _ in range(3):
            await (await house.client()).play()


async def test_a_play_may_have_rules_of_its_own() -> None:
    policy = SlowPlayerPolicy(disconnect_after=1.5)
    rules = PlayRules(PlayOptions(policy=policy), wait_timeout=0.05)
    async with serve(authorizer=Granting(Action.PLAY, play=rules)) as house:
        client = await (await house.client()).play()
        (connection,) = house.connections
        (player,) = connection.requests.players
        assert player.policy is policy
        del player
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Play.StreamNotFound"


# -- authentication over several connections


class AdobeUsers(OpenDoor):
    """One user, by the scheme that encoders speak: connects are rejected until one proves the password."""

    secret = b"0123456789abcdef"

    def authorize(self, request: AccessRequest) -> Grant:
        if request.action is not Action.CONNECT:
            return super().authorize(request)
        fields = parse_query(request.query)
        user = fields.get("user")
        if user is None:
            raise self._no(adobe_auth.NEED_AUTH, Refusal.USER_ASKED)
        if "response" not in fields:
            challenge = adobe_auth.make_challenge(self.secret, user, 0.0)
            raise self._no(adobe_auth.challenge_text(challenge), Refusal.USER_ASKED)
        if user != "ann" or not adobe_auth.verify(self.secret, fields, "wonder", 0.0, 60.0):
            raise self._no(adobe_auth.denial_text(adobe_auth.AUTH_FAILED), Refusal.AUTHENTICATION_FAILED)
        return Grant(request.key, account=user)

    def _no(self, text: str, reason: Refusal) -> Refused:
        return Refused(StatusCode.CONNECT_REJECTED, text, reason)


async def test_a_user_proves_the_password_over_three_connections() -> None:
    async with serve(authorizer=AdobeUsers()) as house:
        url = f"rtmp://ann:wonder@127.0.0.1:{house.port}/live"
        async with await rtmpd.connect(url) as connection:
            await connection.publish("cam")
            publication = house.stream().publication
            assert publication is not None
            assert publication.origin.account == "ann"
            assert house.stats.connections_total == 3
            assert house.stats.refusals == {"user_asked": 2}
        await eventually(lambda: house.open_connections == 0)


@pytest.mark.parametrize(
    ("user", "error", "said"),
    [
        ("ann:guess@", AuthenticationFailed, "authfailed"),
        ("", ConnectRejected, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "),
    ],
)
async def test_who_proves_nothing_is_told_so(user: str, error: type[ConnectRejected], said: str) -> None:
    async with serve(authorizer=AdobeUsers()) as house:
        with pytest.raises(error) as rejected:
            await rtmpd.connect(f"rtmp://{user}127.0.0.1:{house.port}/live")
        assert said in f"{rejected.value.description} {rejected.value}"
        await eventually(lambda: house.open_connections == 0)
