"""Players that are led to another stream, or to another server."""

from __future__ import annotations

import asyncio

import pytest
from relay_kit import AVC_HEADER, KEY, Server, eventually, keyframe, serve

import rtmpd
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit
from rtmpd.control.local_redirects import LocalRedirects
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.engine.key import StreamKey
from rtmpd.engine.sources import Life
from rtmpd.exceptions import ControlError, Refused
from rtmpd.reasons import Problem, Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import CapsEx
from rtmpd.rtmp.messages import Message
from rtmpd.serving.access import AccessRequest, Grant

SLATE = StreamKey("live", "slate")
ANN = Actor("ann")


class Desk:
    """Leads players of a server, and notes what is audited."""

    def __init__(self, server: Server) -> None:
        self.audited: list[object] = []
        audit = Audit(lambda _by, _key, facts: self.audited.append((facts["before"], facts["after"])))
        self.redirects = LocalRedirects(server.registry, frozenset, audit)

    async def lead(self, key: StreamKey = KEY, by: Actor = ANN, **request: object) -> tuple[int, int, int]:
        told = await self.redirects.stream(key, RedirectRequest.model_validate(request), by)
        return numbers(told)


def numbers(told: Redirected) -> tuple[int, int, int]:
    return told.redirected, told.refused, told.unable


async def publish(connection: rtmpd.Connection, name: str, start: int, body: bytes) -> rtmpd.PublishStream:
    stream = await connection.publish(name)
    await stream.send_video(AVC_HEADER, start)
    await stream.send_video(keyframe(body), start)
    return stream


async def test_players_go_on_with_another_stream_in_their_own_time() -> None:
    async with serve("a") as server:
        desk, url = Desk(server), server.url("live")
        async with (
            await rtmpd.connect(url) as one,
            await rtmpd.connect(url) as two,
            await rtmpd.connect(url) as viewer,
        ):
            show = await publish(one, "cam", 5_000, b"show")
            slate = await publish(two, "slate", 900_000, b"slate")
            player = await viewer.play("cam")
            messages = aiter(player)

            async def pictures(count: int) -> list[Message]:
                found: list[Message] = []
                while len(found) < count:
                    message = await anext(messages)
                    found += [message] if message.type == 9 else []
                return found

            got = await pictures(2)
            assert await desk.lead(name="slate") == (1, 0, 0)
            assert desk.audited == [("live/cam", "live/slate")]
            got += await pictures(2)
            await slate.send_video(keyframe(b"more"), 900_040)
            got += await pictures(1)
            assert [each.payload[5:] for each in got[1:4:2]] == [b"show", b"slate"]
            assert got[-1].payload.endswith(b"more")
            times = [each.timestamp for each in got]
            assert times == [5_000, 5_000, 5_100, 5_100, 5_140]
            assert (server.registry.streams[KEY].players, server.registry.streams[SLATE].players) == (0, 1)
            # And back, where the time of the stream has gone on.
            await show.send_video(keyframe(b"again"), 7_000)
            await asyncio.sleep(0.02)
            assert await desk.lead(SLATE, name="cam") == (1, 0, 0)
            back = await pictures(2)
            assert (back[-1].payload[5:], 5_140 < back[0].timestamp <= 5_300) == (b"again", True)
            assert server.context.stats.players == 1


async def test_the_time_that_players_go_on_in_is_that_on_air_and_not_their_encoders() -> None:
    async with serve("a", grace=5.0) as server:
        desk, url = Desk(server), server.url("live")
        async with await rtmpd.connect(url) as two, await rtmpd.connect(url) as viewer:
            first = await rtmpd.connect(url)
            await publish(first, "cam", 500_000, b"show")
            await publish(two, "slate", 0, b"slate")
            player = await viewer.play("cam")
            messages = aiter(player)
            first.abort()
            await eventually(lambda: server.registry.streams[KEY].life is Life.HOLDING)
            async with await rtmpd.connect(url) as again:
                await publish(again, "cam", 0, b"again")  # Its clock begins anew.
                times = []
                while True:
                    message = await anext(messages)
                    times += [message.timestamp] if message.type == 9 else []
                    if message.payload.endswith(b"again"):
                        break
                assert await desk.lead(name="slate") == (1, 0, 0)
                while not message.payload.endswith(b"slate"):
                    message = await anext(messages)
                    times += [message.timestamp] if message.type == 9 else []
                assert times == sorted(times)
                assert times[-1] - times[0] < 10_000


async def test_who_may_not_play_the_other_one_goes_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve("a") as server:
        desk, url = Desk(server), server.url("live")

        def authorize(request: AccessRequest) -> Grant:
            if request.key == SLATE and request.query != "key=good":
                raise Refused("NetStream.Play.Failed", "not you", Refusal.NOT_PROVEN)
            return Grant(request.key, account="ann")

        async with await rtmpd.connect(url) as one, await rtmpd.connect(url) as two:
            await publish(one, "cam", 0, b"show")
            await publish(two, "slate", 0, b"slate")
            monkeypatch.setattr(server.context.authorizer, "authorize", authorize)
            async with await rtmpd.connect(url) as bad, await rtmpd.connect(url) as good:
                await bad.play("cam")
                await good.play("cam?key=good")
                await eventually(lambda: server.registry.streams[KEY].players == 2)
                assert await desk.lead(name="slate") == (1, 1, 0)
                assert [server.registry.streams[key].players for key in (KEY, SLATE)] == [1, 1]


async def test_who_knows_how_is_asked_to_connect_to_another_server() -> None:
    async with serve("a") as server:
        desk, url = Desk(server), server.url("live")
        async with await rtmpd.connect(url) as encoder:
            await publish(encoder, "cam", 0, b"show")
            async with (
                await rtmpd.connect(url, params=ConnectParams(caps_ex=CapsEx.RECONNECT)) as able,
                await rtmpd.connect(url) as unable,
            ):
                await able.play("cam")
                await unable.play("cam")
                await eventually(lambda: server.registry.streams[KEY].players == 2)
                # Who plays something else, too, would go with all of it.
                other = await able.play("else")
                mine = Actor("bob", streams=("live/cam",))
                assert await desk.lead(by=mine, server="rtmp://other.example") == (0, 0, 2)
                await other.close()
                await eventually(lambda: StreamKey("live", "else") not in server.registry.streams)
                assert await desk.lead(by=mine, server="rtmp://other.example") == (1, 0, 1)
                async for event in able.events():
                    if isinstance(event, rtmpd.ReconnectRequested):
                        assert event.tc_url == "rtmp://other.example/live"
                        break


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({}, Problem.BAD_REQUEST),
        ({"name": "slate", "server": "rtmp://a"}, Problem.BAD_REQUEST),
        ({"name": "a b"}, Problem.BAD_REQUEST),
        ({"server": "http://a"}, Problem.BAD_REQUEST),
        ({"name": "nobody"}, Problem.NOT_LIVE),
        ({"name": "cam"}, Problem.NOT_LIVE),
    ],
)
async def test_what_leads_nowhere_is_said(request_: dict[str, object], problem: Problem) -> None:
    async with serve("a") as server, await rtmpd.connect(server.url("live")) as encoder:
        await publish(encoder, "cam", 0, b"show")
        desk = Desk(server)
        with pytest.raises(ControlError) as caught:
            await desk.lead(**request_)
        assert caught.value.problem is problem
        with pytest.raises(ControlError) as caught:
            await desk.lead(by=Actor("bob", streams=("live/slate",)), name="slate")
        assert caught.value.problem is Problem.STREAM_NOT_FOUND
        (session,) = server.registry.sessions
        with pytest.raises(ControlError) as caught:
            await desk.redirects.session(session, RedirectRequest(name="cam"), ANN)
        assert caught.value.problem is Problem.NOT_PLAYING
