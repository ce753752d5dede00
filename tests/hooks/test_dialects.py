"""Byte for byte what backends of nginx-rtmp, SRS and MediaMTX are sent, and what their answers come to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from rtmpd.engine.origin import Origin
from rtmpd.exceptions import HttpFailed
from rtmpd.hooks.dialects import MOMENTS, speak
from rtmpd.hooks.model import Progress, Verdict, Visit
from rtmpd.hooks.rules import DialectName, Moment
from rtmpd.net.http_message import HttpAnswer, check_http_url

URL = "http://backend.test/hook"
WHO = Origin(
    session=0x0199C5D37A4B7CDE8F0123456789ABCD,
    address="192.0.2.1",
    connection=7,
    listener="0.0.0.0:1935",
    agent="FMLE/3.0 (compatible; FMSc/1.0)",
)
VISIT = Visit(
    action="publish",
    app="live",
    name="show",
    query="key=a%20b&user=mia",
    origin=WHO,
    tc_url="rtmp://host/live",
    page_url="http://page/?a=1",
    swf_url="",
)
PLAY = replace(VISIT, action="play", start=-2.0, duration=-1.0)
CONNECT = replace(VISIT, action="connect", name="", query="token=x")
PROGRESS = Progress(61.7, 60_040, 1000, 2000)
NGINX, SRS, MTX, NATIVE = (
    DialectName.NGINX_RTMP,
    DialectName.SRS,
    DialectName.MEDIAMTX,
    DialectName.NATIVE,
)
PREFIX = (
    "app=live&flashver=FMLE/3.0%20(compatible%3B%20FMSc/1.0)&swfurl=&tcurl=rtmp://host/live"
    "&pageurl=http://page/%3Fa=1&addr=192.0.2.1"
)


def sent(dialect: DialectName, moment: Moment, visit: Visit = VISIT, **options: Any) -> str:
    request = speak(dialect, **options).write(URL, moment, visit, PROGRESS)
    assert (request.url, request.method) == (URL, "POST")
    return request.body.decode()


def read(
    dialect: DialectName, status: int, body: str = "", location: str = "", moment: Moment | None = None
) -> Verdict:
    answer = HttpAnswer(status, body.encode(), location)
    return speak(dialect).read(moment or Moment.PUBLISH, answer)


@contextmanager
def fails(reason: str, match: str | None = None) -> Iterator[None]:
    """What is read within is no answer."""
    with pytest.raises(HttpFailed, match=match) as caught:
        yield
    assert caught.value.reason == reason


# -- nginx-rtmp


@pytest.mark.parametrize(
    ("moment", "visit", "form"),
    [
        (Moment.PUBLISH, VISIT, "&clientid=7&call=publish&name=show&type=live&key=a%20b&user=mia"),
        (
            Moment.PUBLISH,
            replace(VISIT, mode="appendWithGap", query=""),
            "&clientid=7&call=publish&name=show&type=append",
        ),
        (
            Moment.PLAY,
            PLAY,
            "&clientid=7&call=play&name=show&start=-2&duration=-1&reset=1&key=a%20b&user=mia",
        ),
        (Moment.PUBLISH_DONE, VISIT, "&clientid=7&call=publish_done&name=show&key=a%20b&user=mia"),
        (Moment.PLAY_DONE, PLAY, "&clientid=7&call=play_done&name=show&key=a%20b&user=mia"),
        (Moment.DONE, PLAY, "&clientid=7&call=done&name=show&key=a%20b&user=mia"),
        (
            Moment.UPDATE,
            VISIT,
            "&clientid=7&call=update_publish&time=61&timestamp=60040&name=show&key=a%20b&user=mia",
        ),
        (
            Moment.UPDATE,
            PLAY,
            "&clientid=7&call=update_play&time=61&timestamp=60040&name=show&key=a%20b&user=mia",
        ),
        (Moment.CONNECT, CONNECT, "&epoch=3318970955&call=connect&token=x"),
        (Moment.DISCONNECT, CONNECT, "&clientid=7&call=disconnect&app=live&token=x"),
    ],
)
def test_the_forms_of_nginx(moment: Moment, visit: Visit, form: str) -> None:
    assert sent(NGINX, moment, visit) == PREFIX + form


def test_the_form_may_go_into_the_url() -> None:
    dialect = speak(NGINX, get=True)
    for url, mark in ((URL, "?"), (f"{URL}?a=b", "&")):
        request = dialect.write(url, Moment.PUBLISH, VISIT, PROGRESS)
        assert (request.method, request.body) == ("GET", b"")
        assert request.url == f"{url}{mark}{sent(NGINX, Moment.PUBLISH)}"


@pytest.mark.parametrize(
    "query",
    [
        *("name=mine", "x=1&name=mine", "NAME=mine", "n%61me=mine", "name[]=mine", "+name=mine", "name"),
        *("x=1;name=mine", "name%00=mine", "app=other", "addr=127.0.0.1", "call=play", "x=1?name=mine"),
    ],
)
def test_no_client_passes_its_fields_for_ours(query: str) -> None:
    form = sent(NGINX, Moment.PUBLISH, replace(VISIT, query=query))
    assert form.removesuffix("&x=1") == f"{PREFIX}&clientid=7&call=publish&name=show&type=live"


@pytest.mark.parametrize("between", ["\t", "\n", "\r", " ", "\0", "#", "\x7f"])
def test_what_urls_lose_makes_no_field_of_ours(between: str) -> None:
    visit = replace(VISIT, query=f"x=1{between}y&a{between}pp=other&z=2")
    coded = f"%{ord(between):02X}"
    request = speak(NGINX, get=True).write(URL, Moment.PUBLISH, visit, PROGRESS)
    assert request.url.endswith(f"&type=live&x=1{coded}y&a{coded}pp=other&z=2")
    check_http_url(request.url)


def test_a_client_of_a_unix_socket_has_the_address_that_nginx_gives_it() -> None:
    assert "&addr=unix:&" in sent(NGINX, Moment.PUBLISH, replace(VISIT, origin=Origin(address="unix")))


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_yes_of_nginx(status: int) -> None:
    assert read(NGINX, status, "whatever") == Verdict(allow=True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_no_of_nginx(status: int) -> None:
    assert read(NGINX, status) == Verdict(allow=False)


@pytest.mark.parametrize("location", ["public", " public ", "public?token=secret"])
@pytest.mark.parametrize("moment", [Moment.PUBLISH, Moment.PLAY, Moment.CONNECT])
def test_a_redirect_to_a_name(location: str, moment: Moment) -> None:
    assert read(NGINX, 302, location=location, moment=moment) == Verdict(allow=True, name="public")


def test_a_redirect_of_a_publish_to_a_server_is_a_push() -> None:
    url = "rtmp://10.0.0.2/live/show"
    assert read(NGINX, 302, location=url) == Verdict(allow=True, push=(url,))


@pytest.mark.parametrize("moment", [Moment.PLAY, Moment.CONNECT])
def test_only_a_publish_is_redirected_to_a_server(moment: Moment) -> None:
    with fails("unreadable", match="on_publish"):
        read(NGINX, 302, location="rtmp://10.0.0.2/live", moment=moment)


def test_a_redirect_to_nowhere_is_no_answer() -> None:
    with fails("unreadable", match="Location"):
        read(NGINX, 302)


def test_a_redirect_is_a_yes_to_an_update() -> None:
    assert read(NGINX, 302, moment=Moment.UPDATE) == Verdict(allow=True)


# -- SRS

SRS_START = '{"server_id": "vid-8c1e9a0", "service_id": "8c1e9a04", '
SRS_WHO = f'"client_id": "{WHO.session_id}", "ip": "192.0.2.1", "vhost": "__defaultVhost__", "app": "live", '
SRS_STREAM = (
    '"tcUrl": "rtmp://host/live", "stream": "show", "param": "?key=a%20b&user=mia", '
    '"stream_url": "/live/show", "stream_id": "vid-9bc2493"'
)


@pytest.mark.parametrize(
    ("moment", "visit", "body"),
    [
        (Moment.PUBLISH, VISIT, f'{SRS_START}"action": "on_publish", {SRS_WHO}{SRS_STREAM}}}'),
        (Moment.PUBLISH_DONE, VISIT, f'{SRS_START}"action": "on_unpublish", {SRS_WHO}{SRS_STREAM}}}'),
        (
            Moment.PLAY,
            PLAY,
            f'{SRS_START}"action": "on_play", {SRS_WHO}{SRS_STREAM}, "pageUrl": "http://page/?a=1"}}',
        ),
        (Moment.PLAY_DONE, PLAY, f'{SRS_START}"action": "on_stop", {SRS_WHO}{SRS_STREAM}}}'),
        (
            Moment.CONNECT,
            CONNECT,
            (
                f'{SRS_START}"action": "on_connect", {SRS_WHO}"stream": "", "param": "?token=x", '
                '"tcUrl": "rtmp://host/live", "pageUrl": "http://page/?a=1"}'
            ),
        ),
        (
            Moment.DISCONNECT,
            CONNECT,
            f'{SRS_START}"action": "on_close", {SRS_WHO}"send_bytes": 2000, "recv_bytes": 1000}}',
        ),
        (
            Moment.FORWARD,
            VISIT,
            (
                f'{{"action": "on_forward", {SRS_START[1:]}{SRS_WHO}"tcUrl": "rtmp://host/live", '
                '"stream": "show", "param": "?key=a%20b&user=mia"}'
            ),
        ),
    ],
)
def test_the_json_of_srs(moment: Moment, visit: Visit, body: str) -> None:
    assert sent(SRS, moment, visit, server_id="8c1e9a04d5b6e7f8") == body


@pytest.mark.parametrize("body", ["0", '{"code": 0}', '{"code":0,"msg":"OK"}'])
@pytest.mark.parametrize("status", [200, 201])
def test_a_yes_of_srs(status: int, body: str) -> None:
    assert read(SRS, status, body) == Verdict(allow=True)


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, '{"code": 1}'), (403, "0"), (302, "0")])
def test_a_no_of_srs(status: int, body: str) -> None:
    assert not read(SRS, status, body).allow


@pytest.mark.parametrize("body", ["", " 0 x", '"0"', '{"code": "0"}', '{"code": false}', "{}", "[0]", "OK"])
def test_what_is_no_answer_of_srs(body: str) -> None:
    with fails("unreadable"):
        read(SRS, 200, body)


def test_where_srs_forwards() -> None:
    urls = ["rtmp://a/live/show", "rtmp://b/live/show"]
    body = json.dumps({"code": 0, "data": {"urls": urls}})
    assert read(SRS, 200, body, moment=Moment.FORWARD).push == tuple(urls)
    assert read(SRS, 200, body).push == ()
    assert read(SRS, 200, "0", moment=Moment.FORWARD).push == ()
    for wrong in ("rtmp://a/live", [1], ["rtmp://a/live"] * 17):
        with fails("unreadable"):
            read(SRS, 200, json.dumps({"code": 0, "data": {"urls": wrong}}), moment=Moment.FORWARD)


# -- MediaMTX


def test_the_json_of_mediamtx() -> None:
    visit = replace(VISIT, query="user=mia&pass=p%40ss&x=1", origin=replace(WHO, tls=True))
    assert json.loads(sent(MTX, Moment.PUBLISH, visit)) == {
        "ip": "192.0.2.1",
        "user": "mia",
        "password": "p@ss",
        "token": "p@ss",
        "action": "publish",
        "path": "live/show",
        "protocol": "rtmps",
        "id": WHO.session_id,
        "query": "user=mia&pass=p%40ss&x=1",
        "userAgent": WHO.agent,
    }


@pytest.mark.parametrize(
    ("query", "connect_query", "token"),
    [("token=t", "", "t"), ("jwt=j", "", "j"), ("", "token=t", "t"), ("pass=p", "", "p"), ("", "", "")],
)
def test_the_token_of_mediamtx(query: str, connect_query: str, token: str) -> None:
    visit = replace(PLAY, query=query, connect_query=connect_query)
    said = json.loads(sent(MTX, Moment.PLAY, visit))
    assert (said["token"], said["action"], said["protocol"]) == (token, "read", "rtmp")


@pytest.mark.parametrize(
    ("status", "allowed"), [(200, True), (204, True), (301, False), (401, False), (404, False)]
)
def test_the_answers_of_mediamtx(status: int, allowed: bool) -> None:
    assert read(MTX, status) == Verdict(allow=allowed)


# -- our own


def test_the_json_of_our_own() -> None:
    visit = replace(VISIT, origin=WHO.found_to_be("Studio 2", "key:1"), connect_query="a=b")
    asked = {
        "hook": "on_publish",
        "action": "publish",
        "app": "live",
        "name": "show",
        "query": "key=a%20b&user=mia",
        "session": WHO.session_id,
        "connection": 7,
        "proven": True,
        "client": {
            "address": "192.0.2.1",
            "listener": "0.0.0.0:1935",
            "tls": False,
            "agent": WHO.agent,
            "account": "Studio 2",
        },
        "connect": {
            "tc_url": "rtmp://host/live",
            "page_url": "http://page/?a=1",
            "swf_url": "",
            "query": "a=b",
        },
    }
    assert json.loads(sent(NATIVE, Moment.PUBLISH, visit)) == asked
    figures = {"duration": 61.7, "timestamp": 60_040, "bytes_in": 1000, "bytes_out": 2000}
    done = asked | {"hook": "on_publish_done"} | figures
    assert json.loads(sent(NATIVE, Moment.PUBLISH_DONE, visit)) == done


def test_all_that_may_be_answered() -> None:
    said = {
        "allow": True,
        "reason": "welcome\n back ",
        "name": "public",
        "push": ["rtmp://a/live/{name}"],
        "max_kbps": 6000,
        "max_players": 100,
        "takeover": True,
        "ttl": 60,
        "record": True,
        "dvr": True,
    }
    assert read(NATIVE, 200, json.dumps(said)) == Verdict(
        allow=True,
        reason="welcome back",
        name="public",
        push=("rtmp://a/live/{name}",),
        max_kbps=6000,
        max_players=100,
        takeover=True,
        ttl=60,
        record=True,
        unknown=("dvr",),
    )


def test_what_is_not_said_is_left_to_the_settings() -> None:
    words = ("reason", "name", "push", "max_kbps", "max_players", "takeover", "ttl", "record")
    nothing = dict.fromkeys(words)
    for said in ({"allow": True}, {"allow": True, **nothing}):
        assert read(NATIVE, 200, json.dumps(said)) == Verdict(allow=True)
    assert read(NATIVE, 200, '{"allow": true, "push": "rtmp://a/b"}').push == ("rtmp://a/b",)


def test_a_whole_number_is_one_however_it_is_written() -> None:
    verdict = read(NATIVE, 200, '{"allow": true, "max_kbps": 6e3, "max_players": 100.0}')
    assert (verdict.max_kbps, verdict.max_players) == (6000, 100)
    assert isinstance(verdict.max_kbps, int)


def test_a_no_of_our_own() -> None:
    no = '{"allow": false, "reason": "The stream key expired 3 minutes ago."}'
    for status in (200, 403):
        verdict = read(NATIVE, status, no)
        assert (verdict.allow, verdict.reason) == (False, "The stream key expired 3 minutes ago.")
    for status in (401, 403, 404):
        assert read(NATIVE, status, "Forbidden") == Verdict(allow=False)


@pytest.mark.parametrize(
    "said",
    [
        *("", "OK", "null", "[]", "{}", '{"allow": 1}', '{"allow": "true"}', '{"allow": null}'),
        *('{"allow": true, "name": 1}', '{"allow": true, "push": [1]}', '{"allow": true, "max_kbps": -1}'),
        *(
            '{"allow": true, "ttl": true}',
            '{"allow": true, "ttl": NaN}',
            '{"allow": true, "max_players": 1.5}',
            '{"allow": true, "max_players": Infinity}',
            '{"allow": true, "max_kbps": 1e400}',
            '{"allow": true, "ttl": 1e300}',
            '{"allow": true, "ttl": ' + "9" * 5000 + "}",
        ),
        *('{"allow": true, "ttl": "60"}', '{"allow": true, "takeover": "yes"}', "[" * 100_000),
    ],
)
def test_what_is_no_answer_of_our_own(said: str) -> None:
    with fails("unreadable"):
        read(NATIVE, 200, said)


@pytest.mark.parametrize("status", [302, 400, 418])
def test_other_statuses_say_that_the_backend_is_not_there(status: int) -> None:
    with fails("server_error"):
        read(NATIVE, status, '{"allow": true}')


def test_a_sentence_is_one_line_and_not_for_ever() -> None:
    said = json.dumps({"allow": False, "reason": "no\r\n\x1b[31m" + "x" * 1000})
    reason = read(NATIVE, 200, said).reason
    assert reason.startswith("no [31mx")
    assert len(reason) == 200


# -- all


@pytest.mark.parametrize("dialect", list(DialectName))
@pytest.mark.parametrize("status", [500, 502, 503])
def test_who_fails_has_given_no_answer(dialect: DialectName, status: int) -> None:
    with fails("server_error", match=str(status)):
        read(dialect, status, "0")


@pytest.mark.parametrize("dialect", list(DialectName))
def test_every_moment_of_a_dialect_can_be_written(dialect: DialectName) -> None:
    visits = {"connect": CONNECT, "play": PLAY}
    for moment in MOMENTS[dialect]:
        visit = visits.get(moment.removeprefix("on_").removesuffix("_done"), VISIT)
        assert len(sent(dialect, moment, visit)) > 50
