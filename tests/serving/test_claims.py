"""Names that other servers may have: what the encoder hears, and that each lease is given back once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from engine_kit import keyframe
from net_kit import HEADERS, Client, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.claim import Lease
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import OriginMapUnavailable, Refused, StreamBusy
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.claims import Claims

START = "1: onStatus 0 status NetStream.Publish.Start"
BUSY = "1: onStatus 0 error NetStream.Publish.BadName"
REJECTED = "1: onStatus 0 error NetStream.Publish.Rejected"
KEY = StreamKey("live", "cam")


class Notary:
    """Answers at once; keeps who was granted what, and what was given back."""

    def __init__(self) -> None:
        self.granted: list[Lease] = []
        self.returned: list[Lease] = []
        self.error: Exception | None = None

    def claim(self, key: StreamKey, _origin: Origin, /) -> Lease | Coroutine[Any, Any, Lease]:
        return self.grant(key)

    def release(self, lease: Lease) -> Coroutine[Any, Any, None] | None:
        if self.error is not None:
            raise self.error
        self.returned.append(lease)
        return None

    def grant(self, key: StreamKey) -> Lease:
        if self.error is not None:
            raise self.error
        lease = Lease(key)
        self.granted.append(lease)
        return lease

    @property
    def even(self) -> bool:
        """Every lease was given back, and once."""
        return sorted(map(id, self.granted)) == sorted(map(id, self.returned))


class SlowNotary(Notary):
    """Answers when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[None]] = []

    async def claim(self, key: StreamKey, _origin: Origin, /) -> Lease:
        await self._turn()
        return self.grant(key)

    async def release(self, lease: Lease) -> None:
        await self._turn()
        super().release(lease)

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self.waiting:
                self.waiting.remove(turn)
            raise

    def answer(self) -> None:
        self.waiting.pop(0).set_result(None)


@asynccontextmanager
async def claiming(names: Notary, within: float = 5.0) -> AsyncIterator[House]:
    async with serve(claims=Claims(names, asyncio.get_running_loop().time, within)) as house:
        yield house


async def ask(house: House, name: str = "cam") -> Client:
    client = await house.client()
    client.say(connect(), command("createStream", 4), command("publish", 5, name, "live", on=1))
    return client


async def test_a_name_that_is_had_at_once_costs_no_task() -> None:
    names = Notary()
    async with claiming(names) as house:
        started: list[object] = []
        loop = asyncio.get_running_loop()
        client = await house.client()

        def factory(loop: asyncio.AbstractEventLoop, coro: Any, **given: Any) -> asyncio.Task[Any]:
            started.append(coro)
            return asyncio.Task(coro, loop=loop, **given)

        loop.set_task_factory(factory)
        try:
            client.say(connect(), command("createStream", 4), command("publish", 5, "cam", "live", on=1))
            assert await client.answer() == START
            assert (len(names.granted), names.returned) == (1, [])
            client.call("FCUnpublish", 6, "cam")
            client.call("deleteStream", 0, 1)
            await eventually(lambda: names.even)
        finally:
            loop.set_task_factory(None)
        assert started == []


async def test_a_player_costs_nothing() -> None:
    names = Notary()
    async with claiming(names) as house:
        await (await house.client()).play()
    assert names.granted == []


async def test_the_encoder_waits_for_the_answer_and_so_does_what_it_sends_meanwhile() -> None:
    names = SlowNotary()
    async with claiming(names) as house:
        player = await (await house.client()).play()
        client = await ask(house)
        client.send(*HEADERS, (0, keyframe("A")))
        await eventually(lambda: names.waiting)
        assert house.stats.publishers == 0
        names.answer()
        assert await client.answer() == START
        await player.until("1: A@0")
        await client.close()
        await eventually(lambda: names.waiting)
        assert not names.even
        names.answer()
        await eventually(lambda: names.even)


async def test_who_is_refused_reads_why() -> None:
    names = Notary()
    names.error = StreamBusy(StatusCode.PUBLISH_BAD_NAME, "cam is on another server.", Refusal.STREAM_BUSY)
    async with claiming(names) as house:
        client = await ask(house)
        assert await client.answer() == BUSY
        assert house.stats.refusals == {"stream_busy": 1}
        assert not house.registry.streams
    assert names.granted == []


async def test_who_is_refused_late_reads_why() -> None:
    names = SlowNotary()
    async with claiming(names) as house:
        client = await ask(house)
        await eventually(lambda: names.waiting)
        names.error = StreamBusy(
            StatusCode.PUBLISH_BAD_NAME, "cam is on another server.", Refusal.STREAM_BUSY
        )
        names.answer()
        assert await client.answer() == BUSY
        assert house.stats.refusals == {"stream_busy": 1}


@pytest.mark.parametrize("kind", [Notary, SlowNotary])
async def test_who_cannot_be_asked_is_told_of_once_and_every_encoder_hears_of_it(
    kind: type[Notary], caplog: pytest.LogCaptureFixture
) -> None:
    names = kind()
    names.error = OriginMapUnavailable("connection refused by the store")
    async with claiming(names) as house:
        for _ in range(2):
            client = await ask(house)
            if isinstance(names, SlowNotary):
                await eventually(lambda: names.waiting)
                names.answer()
            assert await client.answer() == REJECTED
        assert house.stats.refusals == {"claim_failed": 2}
    fields = {"app": "live", "stream": "cam", "reason": "connection refused by the store"}
    assert lines(caplog, "claim failed") == [fields]
    told = "The server could not find out whether somebody else publishes this stream; try again later."
    assert [line["told"] for line in lines(caplog, "publish refused")] == [told, told]
    assert not any(record.exc_info for record in caplog.records)


async def test_no_answer_in_time_is_no_permission(caplog: pytest.LogCaptureFixture) -> None:
    names = SlowNotary()
    async with claiming(names, within=0.05) as house:
        client = await ask(house)
        assert await client.answer() == REJECTED
        assert house.stats.refusals == {"claim_failed": 1}
        assert names.waiting == []
    assert [line["reason"] for line in lines(caplog, "claim failed")] == ["no answer within 0.05 s"]


@pytest.mark.parametrize("kind", [Notary, SlowNotary])
async def test_a_bug_is_told_with_its_traceback(kind: type[Notary], caplog: pytest.LogCaptureFixture) -> None:
    names = kind()
    names.error = LookupError("a bug")
    async with claiming(names) as house:
        client = await ask(house)
        if isinstance(names, SlowNotary):
            await eventually(lambda: names.waiting)
            names.answer()
        assert await client.answer() == REJECTED
    (record,) = [record for record in caplog.records if record.message == "claim broke"]
    assert record.exc_info is not None


async def test_a_question_that_somebody_else_ends_is_no_permission(caplog: pytest.LogCaptureFixture) -> None:
    names = SlowNotary()
    async with claiming(names) as house:
        client = await ask(house)
        await eventually(lambda: names.waiting)
        names.waiting[0].cancel()
        assert await client.answer() == REJECTED
    assert [line["reason"] for line in lines(caplog, "claim failed")] == ["what was waited for was cancelled"]


# -- in pairs


async def test_what_is_granted_to_somebody_who_has_gone_is_given_back() -> None:
    names = SlowNotary()
    async with claiming(names) as house:
        await ask(house)
        await eventually(lambda: names.waiting)
        (connection,) = house.server._connections.values()
        connection.abort(CloseReason.KICKED)
        await eventually(lambda: house.open_connections == 0)
        names.answer()
        await eventually(lambda: len(names.granted) == 1 and names.waiting)
        names.answer()
        await eventually(lambda: names.even)
        assert house.stats.publishers == 0


@pytest.mark.parametrize("turns", range(6))
async def test_what_is_granted_in_the_moment_in_which_the_client_goes_is_given_back(turns: int) -> None:
    """However many turns of the loop the answer has come before the end."""
    names = SlowNotary()
    async with claiming(names) as house:
        claims = house.context.claims
        request = asyncio.ensure_future(claims.claim(KEY, NOBODY))
        await eventually(lambda: names.waiting)
        names.answer()
        for _ in range(turns):
            await asyncio.sleep(0)
        request.cancel()
        await asyncio.wait((request,))
        if not request.cancelled():
            claims.release(request.result())
        await eventually(lambda: names.granted and names.waiting)
        names.answer()
        await eventually(lambda: names.even)


async def test_what_the_registry_refuses_is_given_back_and_the_holder_keeps_its_own() -> None:
    names = Notary()
    async with claiming(names) as house:
        first = await (await house.client()).publish()
        second = await ask(house)
        assert await second.answer() == BUSY
        await eventually(lambda: names.returned)
        assert names.returned == names.granted[1:]
        first.call("deleteStream", 0, 1)
        await eventually(lambda: names.even)


async def test_leases_of_one_name_are_told_apart() -> None:
    """As when a second encoder takes over: whose lease it is that comes back late must be plain."""
    names = Notary()
    async with claiming(names) as house:
        claims = house.context.claims
        first, second = await claims.claim(KEY, NOBODY), await claims.claim(KEY, NOBODY)
        claims.release(first)
        assert names.returned == [first] != [second]
        claims.release(second)


async def test_a_relay_that_comes_back_to_itself_is_refused_before_anybody_is_asked() -> None:
    names = Notary()
    async with serve(claims=Claims(names, asyncio.get_running_loop().time), instance_id="us") as house:
        client = await house.client()
        client.say(connect(rtmpdVia=["us"]))
        await client.rest()
        assert house.stats.refusals == {"relay_loop": 1}
    assert names.granted == []


# -- the end


async def test_the_end_of_the_server_waits_until_all_is_given_back() -> None:
    names = SlowNotary()
    async with claiming(names) as house:
        published, waiting = await ask(house), await ask(house, "other")
        await eventually(lambda: len(names.waiting) == 2)
        names.answer()
        assert await published.answer() == START
        ending = asyncio.ensure_future(house.server.close(5.0))
        even_then: list[bool] = []
        ending.add_done_callback(lambda _: even_then.append(names.even))
        await eventually(lambda: house.open_connections == 0)
        # What was published is on its way back, the other is not granted yet.
        await eventually(lambda: len(names.waiting) == 2)
        for _ in range(3):
            await eventually(lambda: names.waiting)
            names.answer()
        await ending
        assert (len(names.granted), even_then) == (2, [True])
        await waiting.closed()


async def test_the_end_of_the_server_waits_no_longer_than_it_may() -> None:
    names = SlowNotary()
    async with claiming(names) as house:
        client = await ask(house)
        await eventually(lambda: names.waiting)
        names.answer()
        assert await client.answer() == START
        async with asyncio.timeout(3.0):
            await house.server.close(0.1)
        assert names.waiting == []
        assert names.returned == []


@pytest.mark.parametrize("kind", [Notary, SlowNotary])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OriginMapUnavailable("connection lost"), "claim failed"),
        (LookupError("a bug"), "claim broke"),
        (Refused(StatusCode.PUBLISH_REJECTED, "never asked for", Refusal.STREAM_BUSY), "claim broke"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_cannot_be_given_back_is_told_and_no_harm_to_anybody(
    kind: type[Notary], error: Exception, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = kind()
    async with claiming(names) as house:
        client = await ask(house)
        if isinstance(names, SlowNotary):
            await eventually(lambda: names.waiting)
            names.answer()
        assert await client.answer() == START
        names.error = error
        client.call("deleteStream", 0, 1)
        if isinstance(names, SlowNotary):
            await eventually(lambda: names.waiting)
            names.answer()
        await eventually(lambda: lines(caplog, message))
        assert house.open_connections == 1
        assert house.stats.publishers == 0


def lines(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records if record.message == message]
