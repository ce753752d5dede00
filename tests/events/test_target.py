"""Targets of notifications, against a real server on loopback: order, patience, bounds, and what is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from backend_kit import HANG, OK, RESET, Asked, answer, backend, unused_port
from events_kit import CAM, NOON, FakeTime, around, idle, made, to, until

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.key import StreamKey
from rtmpd.events.model import NO_STREAM, EventKind
from rtmpd.events.notifications import Notifications
from rtmpd.events.settings import Address, TargetSettings

DOWN = answer("503 Service Unavailable")


@asynccontextmanager
async def notifying(
    *targets: TargetSettings, time: FakeTime | None = None, budget: MemoryBudget | None = None
) -> AsyncIterator[Notifications]:
    """Targets named a, b, c and so on."""
    notifications = Notifications(around(time or FakeTime(), budget))
    notifications.apply(dict(zip("abc", targets, strict=False)))
    yield notifications
    await notifications.close(0.0)


async def has_failed(notifications: Notifications) -> None:
    """Wait for the first attempt that does."""
    await until(lambda: bool(figures(notifications)[1]))


def numbers(asked: list[Asked]) -> list[int]:
    """Of the deliveries, in the order in which they came."""
    return [request.json["delivery"] for request in asked]


def figures(notifications: Notifications, name: str = "a") -> tuple[int, dict[str, int], dict[str, int]]:
    """What was sent, and what failed and was lost by reason."""
    (status,) = [status for status in notifications.statuses() if status.name == name]
    failures, lost = (
        {str(reason): number for reason, number in table.items() if number}
        for table in (status.failures, status.lost)
    )
    return status.sent, failures, lost


async def test_they_arrive_in_order_over_one_connection() -> None:
    async with backend() as server, notifying(to(server.url)) as notifications:
        for number in range(20):
            notifications.hear(made(sequence=number))
        asked = await server.wait_for(20)
        assert numbers(asked) == list(range(1, 21))
        assert server.connections == 1
        assert [request.json["sequence"] for request in asked] == list(range(20))
        assert {request.headers["content-type"] for request in asked} == {"application/json"}
        assert len({request.headers["webhook-id"] for request in asked}) == 20


async def test_an_outage_of_minutes_loses_nothing_and_changes_no_order() -> None:
    time = FakeTime()
    back_at = time.now + 600.0

    def say(_asked: Asked) -> bytes:
        return DOWN if time.now < back_at else OK

    async with backend(say) as server, notifying(to(server.url), time=time) as notifications:
        for number in range(300):
            notifications.hear(made(sequence=number))
        await until(lambda: idle(notifications))
        taken = server.asked[-300:]
        assert numbers(taken) == list(range(1, 301))
        # Until then it was the first one, again and again: the same message, signed anew.
        tried = server.asked[:-300]
        assert len({request.headers["webhook-id"] for request in [*tried, taken[0]]}) == 1
        assert len({request.headers["webhook-timestamp"] for request in tried}) == len(tried)
        assert time.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[60.0] * (len(tried) - 6)]
        assert time.now - back_at < 60.0
        assert figures(notifications) == (300, {"status": len(tried)}, {})


async def test_whoever_cannot_be_reached_is_tried_again() -> None:
    time = FakeTime()
    port = unused_port()
    async with notifying(to(f"http://127.0.0.1:{port}/hook"), time=time) as notifications:
        notifications.hear(made())
        await until(lambda: figures(notifications)[1].get("unreachable", 0) > 3)
        async with backend(port=port) as server:
            await server.wait_for(1)
            await until(lambda: idle(notifications))
    assert figures(notifications)[0] == 1


async def test_a_date_beyond_all_calendars_is_none() -> None:
    date = b"Mon, 99999999999999999999 Jan 2030 00:00:00 GMT"
    says = iter([b"HTTP/1.1 503 No\r\nRetry-After: " + date + b"\r\nContent-Length: 0\r\n\r\n"])
    async with backend(lambda _asked: next(says, OK)) as server, notifying(to(server.url)) as notifications:
        notifications.hear(made())
        await until(lambda: idle(notifications))
        assert figures(notifications) == (1, {"status": 1}, {})


async def test_what_cannot_be_made_is_lost_and_nothing_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    async with backend() as server, notifying(to(server.url)) as notifications:
        notifications.hear(made(text="\ud800"))
        notifications.hear(made())
        await until(lambda: idle(notifications))
        assert numbers(server.asked) == [2]
        assert figures(notifications) == (1, {"fault": 1}, {"fault": 1})
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info


async def test_what_is_lost_at_once_hastens_nothing() -> None:
    """Not the next attempt with what waits already."""

    class StandingTime(FakeTime):
        async def sleep(self, delay: float) -> None:
            await asyncio.Event().wait()

    time, budget = StandingTime(), MemoryBudget(1 << 30, lambda: None)
    async with backend(DOWN) as server, notifying(to(server.url), time=time, budget=budget) as notifications:
        notifications.hear(made())
        await has_failed(notifications)
        budget.charge_queues(1 << 31)
        notifications.hear(made())
        await asyncio.sleep(0.05)
        assert figures(notifications)[1:] == ({"status": 1}, {"memory": 1})
        budget.charge_queues(-(1 << 31))


async def test_what_has_waited_for_too_long_is_lost_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    time = FakeTime()
    back_at = time.now + 1000.0

    def say(_asked: Asked) -> bytes:
        return DOWN if time.now < back_at else OK

    caplog.set_level(logging.INFO)
    async with backend(say) as server, notifying(to(server.url, keep=900.0), time=time) as notifications:
        for _ in range(5):
            notifications.hear(made())
        await until(lambda: figures(notifications)[2] == {"expired": 5})
        time.now = back_at
        notifications.hear(made())
        asked = await server.wait_for(len(server.asked) + 1)
        await until(lambda: idle(notifications))
        # The number of the next tells the receiver how many.
        assert numbers(asked)[-1] == 6
        assert figures(notifications)[0] == 1
    told = [record.getMessage() for record in caplog.records if record.name.startswith("rtmpd.events")]
    assert told == ["notification failed", "notifications arrive again", "notifications lost"]


async def test_a_full_queue_loses_the_oldest_but_never_the_one_on_its_way() -> None:
    proceed = asyncio.Event()

    def say(_asked: Asked) -> bytes:
        return OK if proceed.is_set() else HANG

    async with backend(say) as server, notifying(to(server.url, max_queued=10)) as notifications:
        notifications.hear(made())
        await server.wait_for(1)
        for _ in range(24):
            notifications.hear(made())
        assert figures(notifications)[2] == {"queue_full": 15}
        proceed.set()
        for writer in list(server._writers):
            writer.transport.abort()
        await until(lambda: idle(notifications))
        assert numbers(server.asked) == [1, 1, *range(17, 26)]


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large", "422 Unprocessable Content"])
async def test_what_the_target_cannot_read_holds_up_nothing(status: str) -> None:
    def say(asked: Asked) -> bytes:
        return answer(status) if asked.json["delivery"] == 1 else OK

    async with backend(say) as server, notifying(to(server.url)) as notifications:
        notifications.hear(made())
        notifications.hear(made())
        await until(lambda: idle(notifications))
        assert numbers(server.asked) == [1, 2]
        assert figures(notifications) == (1, {"status": 1}, {"refused": 1})


@pytest.mark.parametrize("status", ["301 Moved Permanently", "403 Forbidden", "404 Not Found"])
async def test_a_target_that_is_set_up_wrongly_may_be_mended(status: str) -> None:
    said = [answer(status), OK]
    async with (
        backend(lambda _asked: said.pop(0)) as server,
        notifying(to(server.url)) as notifications,
    ):
        notifications.hear(made())
        await until(lambda: idle(notifications))
        assert figures(notifications) == (1, {"status": 1}, {})


@pytest.mark.parametrize(
    ("retry_after", "slept"),
    [
        ("7", 7.0),
        ("0.5", 1.0),
        (formatdate(NOON + 1000.0 + 90.0, usegmt=True), 90.0),
        (formatdate(NOON, usegmt=True), 1.0),
        ("86400", 3600.0),
        ("1e9", 1.0),
        ("1_0", 1.0),
        ("soon", 1.0),
        ("Mon, 99 Jan 2020 99:99:99 +9999", 1.0),
    ],
)
async def test_retry_after_is_honoured(retry_after: str, slept: float) -> None:
    time = FakeTime()
    said = [answer("429 Too Many Requests", b"", f"Retry-After: {retry_after}"), OK]
    async with (
        backend(lambda _asked: said.pop(0)) as server,
        notifying(to(server.url, keep=7200.0), time=time) as notifications,
    ):
        notifications.hear(made())
        await until(lambda: idle(notifications))
    assert time.slept == [slept]
    assert figures(notifications) == (1, {"rate_limited": 1}, {})


async def test_one_that_hangs_or_breaks_off_delays_nobody_else() -> None:
    async with (
        backend(HANG) as hanging,
        backend(RESET) as broken,
        backend() as quick,
        notifying(to(hanging.url, timeout=30.0), to(broken.url), to(quick.url)) as notifications,
    ):
        for _ in range(50):
            notifications.hear(made())
        await quick.wait_for(50)
        await until(lambda: idle_of(notifications, "c"))
        assert figures(notifications, "a")[0] == figures(notifications, "b")[0] == 0
        assert figures(notifications, "b")[1].keys() == {"broken"}
        assert len(hanging.asked) == 1


def idle_of(notifications: Notifications, name: str) -> bool:
    return all(status.queued == 0 for status in notifications.statuses() if status.name == name)


async def test_one_that_gives_no_answer_in_time_is_tried_again() -> None:
    said = [HANG, OK]
    async with (
        backend(lambda _asked: said.pop(0)) as server,
        notifying(to(server.url, timeout=0.05)) as notifications,
    ):
        notifications.hear(made())
        await until(lambda: idle(notifications))
        assert figures(notifications) == (1, {"timeout": 1}, {})
        assert numbers(server.asked) == [1, 1]


class Waits(FakeTime):
    """Time in which nobody wakes up."""

    async def sleep(self, delay: float) -> None:
        self.slept.append(delay)
        await asyncio.Event().wait()


async def test_a_target_that_changes_keeps_its_queue_and_is_tried_at_once() -> None:
    async with (
        backend(DOWN) as old,
        backend() as new,
        notifying(to(old.url), time=Waits()) as notifications,
    ):
        for _ in range(3):
            notifications.hear(made())
        await old.wait_for(1)
        await has_failed(notifications)
        notifications.apply({"a": to(old.url)})
        await asyncio.sleep(0.02)
        assert len(old.asked) == 1  # It is the same.
        notifications.apply({"a": to(new.url)})
        assert numbers(await new.wait_for(3)) == [1, 2, 3]
        await until(lambda: idle(notifications))
        assert figures(notifications) == (3, {"status": 1}, {})


async def test_a_target_that_is_taken_out_is_asked_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    budget = MemoryBudget(1 << 20, lambda: None)
    async with (
        backend(DOWN) as server,
        notifying(to(server.url), time=Waits(), budget=budget) as notifications,
    ):
        notifications.hear(made())
        notifications.hear(made())
        await server.wait_for(1)
        assert budget.queue_bytes > 2048
        notifications.apply({})
        assert notifications.statuses() == []
        assert budget.used == 0
        notifications.hear(made())
        assert not notifications.wants(EventKind.PUBLISHED, CAM)
    assert len(server.asked) == 1
    (lost,) = [record for record in caplog.records if record.getMessage() == "notifications lost"]
    assert vars(lost)["fields"] == {"target": "a", "number": 2}


async def test_what_waits_is_charged_and_refused_where_memory_is_short() -> None:
    budget = MemoryBudget(8 * 1024, lambda: None)
    async with (
        backend(DOWN) as server,
        notifying(to(server.url), time=Waits(), budget=budget) as notifications,
    ):
        for _ in range(20):
            notifications.hear(made())
        assert 8 * 1024 <= budget.used < 10 * 1024
        kept = notifications.statuses()[0].queued
        assert figures(notifications)[2] == {"memory": 20 - kept}
    assert budget.used == 0


async def test_the_end_sends_what_it_can_and_counts_the_rest() -> None:
    async with backend() as quick, backend(HANG) as hanging:
        notifications = Notifications(around(FakeTime()))
        notifications.apply({"a": to(quick.url), "b": to(hanging.url)})
        for _ in range(10):
            notifications.hear(made())
        await notifications.close(0.3)
        assert numbers(quick.asked) == list(range(1, 11))
        assert figures(notifications, "a") == (10, {}, {})
        assert figures(notifications, "b") == (0, {}, {"shutdown": 10})
        assert quick.open_connections == 0


async def test_who_waits_for_the_next_attempt_tries_once_more_at_the_end() -> None:
    said = [DOWN, OK, OK]
    async with backend(lambda _asked: said.pop(0)) as server:
        notifications = Notifications(around(Waits()))
        notifications.apply({"a": to(server.url)})
        notifications.hear(made())
        notifications.hear(made())
        await has_failed(notifications)
        await notifications.close(5.0)
        assert numbers(server.asked) == [1, 1, 2]


async def test_nobody_waits_at_the_end_for_who_has_failed_all_the_time() -> None:
    async with backend(DOWN) as server:
        notifications = Notifications(around(Waits()))
        notifications.apply({"a": to(server.url)})
        notifications.hear(made())
        notifications.hear(made())
        await has_failed(notifications)
        async with asyncio.timeout(5.0):
            await notifications.close(60.0)
        assert len(server.asked) == 2
        assert figures(notifications) == (0, {"status": 2}, {"shutdown": 2})


async def test_who_fails_at_the_end_for_the_first_time_is_tried_again() -> None:
    said = [DOWN, DOWN, OK]
    time = FakeTime()
    async with backend(lambda _asked: said.pop(0)) as server:
        notifications = Notifications(around(time))
        notifications.apply({"a": to(server.url)})
        notifications.hear(made())
        await notifications.close(5.0)
        assert figures(notifications) == (1, {"status": 2}, {})
        assert len(server.asked) == 3


async def test_who_has_asked_to_be_left_alone_is_left_alone_at_the_end_too() -> None:
    async with backend(answer("429 Too Many Requests", b"", "Retry-After: 60")) as server:
        notifications = Notifications(around(Waits()))
        notifications.apply({"a": to(server.url)})
        notifications.hear(made())
        await has_failed(notifications)
        await notifications.close(0.05)
        assert len(server.asked) == 1
        assert figures(notifications)[2] == {"shutdown": 1}


@pytest.mark.parametrize(
    ("streams", "wanted"),
    [
        (("*",), ["live/cam", "live/show", "live/church/a", "lively/cam"]),
        (("live",), ["live/cam", "live/show", "live/church/a"]),
        (("live/cam",), ["live/cam"]),
        (("live/church", "lively"), ["live/church/a", "lively/cam"]),
        ((), []),
    ],
)
def test_which_streams_a_target_is_told_of(streams: tuple[str, ...], wanted: list[str]) -> None:
    settings = TargetSettings(Address("http://localhost/"), frozenset({EventKind.HELD}), streams)
    paths = ["live/cam", "live/show", "live/church/a", "lively/cam"]
    assert [path for path in paths if settings.wants(EventKind.HELD, StreamKey.of_path(path))] == wanted
    assert not any(settings.wants(EventKind.ENDED, StreamKey.of_path(path)) for path in paths)
    assert settings.wants(EventKind.HELD, NO_STREAM) == ("*" in streams)


async def test_each_target_hears_what_it_wants() -> None:
    async with backend() as some, backend() as others:
        notifications = Notifications(around(FakeTime()))
        notifications.apply(
            {
                "a": TargetSettings(Address(some.url), frozenset({EventKind.HELD})),
                "b": TargetSettings(Address(others.url), frozenset({EventKind.ENDED}), ("live",)),
            }
        )
        assert notifications.wants(EventKind.HELD, StreamKey("other", "cam"))
        assert not notifications.wants(EventKind.ENDED, StreamKey("other", "cam"))
        for kind in (EventKind.HELD, EventKind.ENDED, EventKind.HELD):
            notifications.hear(made(kind))
        await notifications.close(5.0)
        assert [request.json["event"] for request in some.asked] == ["held", "held"]
        assert [request.json["event"] for request in others.asked] == ["ended"]


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "hush-hush"
    for say in (DOWN, RESET, answer("400 Bad Request")):
        async with backend(say) as server:
            url = f"http://me:{secret}@127.0.0.1:{server.port}/{secret}?{secret}"
            settings = TargetSettings(
                Address(url, secrets=(secret.encode(),), token=secret), frozenset(EventKind)
            )
            async with notifying(settings, time=Waits()) as notifications:
                notifications.hear(made())
                await has_failed(notifications)
            assert secret not in repr(settings)
    assert "notification failed" in caplog.text
    assert secret not in str([vars(record) for record in caplog.records])
