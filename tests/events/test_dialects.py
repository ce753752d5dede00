"""Targets that were written for nginx-rtmp and SRS: what they are sent, and what they may answer."""

from __future__ import annotations

import pytest
from backend_kit import OK, Asked, answer, backend
from events_evening import evening
from events_kit import FakeTime, around, idle, made, until

from rtmpd.events.dialects import MOMENTS
from rtmpd.events.notifications import Notifications
from rtmpd.events.settings import Address, Format, TargetSettings

EVENTS = evening()
FILE = "/var/lib/rtmpd/recordings/live/cam/2023-11-14_22-13-20_1.flv"
BOTH = pytest.mark.parametrize("format_", [Format.NGINX_RTMP, Format.SRS])


@BOTH
def test_they_have_words_for_who_comes_and_goes_alone(format_: Format) -> None:
    assert format_.kinds == MOMENTS.keys()


async def sent(format_: Format, token: str = "") -> list[Asked]:
    """What a target has been sent of the evening."""
    async with backend() as server:
        notifications = Notifications(around(FakeTime()))
        address = Address(server.url, format_, token=token)
        notifications.apply({"a": TargetSettings(address, format_.kinds)})
        for kind in MOMENTS:
            notifications.hear(EVENTS[kind])
        await notifications.close(5.0)
        return server.asked


async def test_nginx_rtmp() -> None:
    asked = await sent(Format.NGINX_RTMP, "tk_abc")
    encoder = "app=live&flashver=FMLE/3.0%20(compatible%3B%20FMSc/1.0)&swfurl=&tcurl=&pageurl=&addr=192.0.2.1"
    player = "app=live&flashver=LNX%209,0,124,2&swfurl=&tcurl=&pageurl=&addr=192.0.2.2"
    assert [request.body.decode() for request in asked] == [
        f"{encoder}&clientid=1&call=publish&name=cam&type=live",
        f"{encoder}&clientid=1&call=publish_done&name=cam",
        f"{player}&clientid=2&call=play&name=cam&start=-2&duration=-1&reset=1",
        f"{player}&clientid=2&call=play_done&name=cam",
        f"{encoder}&clientid=1&call=record_done&recorder=&name=cam&path={FILE}",
    ]
    assert {request.headers["content-type"] for request in asked} == {"application/x-www-form-urlencoded"}
    assert {request.headers["authorization"] for request in asked} == {"Bearer tk_abc"}


async def test_srs() -> None:
    asked = await sent(Format.SRS)
    assert [request.json["action"] for request in asked] == [
        "on_publish",
        "on_unpublish",
        "on_play",
        "on_stop",
        "on_dvr",
    ]
    assert (asked[4].json["file"], asked[4].json["cwd"]) == (FILE, FILE.rpartition("/")[0])
    publish = asked[0].json
    assert {name: publish[name] for name in ("app", "stream", "ip", "client_id", "stream_url", "param")} == {
        "app": "live",
        "stream": "cam",
        "ip": "192.0.2.1",
        "client_id": "018bcfe5-6800-7000-8000-000000000001",
        "stream_url": "/live/cam",
        "param": "",
    }
    assert publish["client_id"] == asked[1].json["client_id"] != asked[2].json["client_id"]


@BOTH
async def test_whatever_they_answer_they_have_been_told(format_: Format) -> None:
    said = [answer("403 Forbidden"), answer("404 Not Found"), answer("302 Found"), answer("400 Bad"), OK]
    async with backend(lambda _asked: said.pop(0)) as server:
        notifications = Notifications(around(FakeTime()))
        notifications.apply({"a": TargetSettings(Address(server.url, format_), format_.kinds)})
        for _ in range(5):
            notifications.hear(made())
        await until(lambda: idle(notifications))
        (status,) = notifications.statuses()
        assert (status.sent, sum(status.lost.values())) == (5, 0)
        await notifications.close(0.0)


@BOTH
@pytest.mark.parametrize("status", ["500 Broken", "503 Down", "429 Too Many Requests", "408 Timeout"])
async def test_who_is_broken_or_busy_is_told_again(format_: Format, status: str) -> None:
    said = [answer(status), OK]
    async with backend(lambda _asked: said.pop(0)) as server:
        notifications = Notifications(around(FakeTime()))
        notifications.apply({"a": TargetSettings(Address(server.url, format_), format_.kinds)})
        notifications.hear(made())
        await until(lambda: idle(notifications))
        assert len(server.asked) == 2
        await notifications.close(0.0)
