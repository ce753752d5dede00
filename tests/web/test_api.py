"""The API over HTTP: what is asked, how errors look, and that answers are made once for all who ask."""

from __future__ import annotations

import asyncio
import json

import pytest
from control_kit import Desk, FakeStored
from yarl import URL

from rtmpd.control.actor import Actor
from rtmpd.control.server_answers import ServerInfo
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import NotFound
from rtmpd.reasons import Problem
from rtmpd.web.openapi import document
from rtmpd.web.operation_table import OPERATIONS
from rtmpd.web.operations import Operation
from rtmpd.web.shared import SharedAnswers

API = "/api/v1"
SESSION = "01932c07-a5f8-7d2e-8f10-5d4b0c6e3a91"


class Nobody:
    def close(self, _reason: object) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "problem", "detail"),
    [
        (
            "GET",
            "/streams?limit=0",
            None,
            400,
            "bad_request",
            "limit: Input should be greater than or equal to 1",
        ),
        (
            "GET",
            "/streams?state=on",
            None,
            400,
            "bad_request",
            "state: Input should be 'idle', 'live' or 'holding'",
        ),
        ("GET", "/streams?x=1", None, 400, "bad_request", "x: Extra inputs are not permitted"),
        ("GET", "/streams?q=a&q=b", None, 400, "bad_request", "each parameter can be given once"),
        ("GET", "/server?x=1", None, 400, "bad_request", "this takes no parameters"),
        ("GET", "/streams/live/cam", None, 404, "stream_not_found", "nobody publishes live/cam, and"),
        (
            "GET",
            "/streams/a%20b/cam",
            None,
            400,
            "bad_request",
            "this cannot be the name of an app and a stream",
        ),
        ("POST", "/streams/live/on/end", None, 409, "not_held", "live/on is not held: it has an encoder"),
        (
            "GET",
            f"/sessions/{SESSION}",
            None,
            404,
            "session_not_found",
            f"session {SESSION} is over, or never was",
        ),
        ("GET", "/sessions/7", None, 404, "session_not_found", "sessions have UUIDs"),
        (
            "GET",
            "/sessions?address=here",
            None,
            400,
            "bad_request",
            "address: write an address such as 192.0.2.7",
        ),
        ("POST", f"/sessions/{SESSION}/kick", None, 404, "session_not_found", "session"),
        ("POST", f"/sessions/{SESSION}/kick", {"ban": 0}, 400, "bad_request", "ban: Input should be greater"),
        ("POST", "/bans", None, 415, "not_json", "send it as application/json"),
        ("POST", "/bans", {"network": "192.0.2.1"}, 400, "bad_request", "seconds: Field required"),
        (
            "POST",
            "/bans",
            {"network": "::1", "seconds": 9},
            422,
            "network_refused",
            "this machine is never banned",
        ),
        ("DELETE", "/bans/192.0.2.0%2F24", None, 404, "ban_not_found", "192.0.2.0/24 is not banned"),
        ("PUT", "/bans", None, 405, "method", "This path takes other methods."),
        ("GET", "/nothing", None, 404, "no_such_path", "There is nothing at this path."),
    ],
)
async def test_what_goes_wrong_is_told_as_a_problem(
    method: str, path: str, body: object, status: int, problem: str, detail: str
) -> None:
    desk = Desk()
    desk.registry.claim(StreamKey("live", "on"), Nobody(), Origin(), 0.0)
    async with (
        desk.client() as client,
        client.request(method, URL(API + path, encoded=True), json=body) as answer,
    ):
        told = await answer.json(content_type="application/problem+json")
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status, told["status"], told["type"]) == (status, status, f"urn:rtmpd:problem:{problem}")
    assert told["title"] == Problem(problem).heading
    assert told["detail"].startswith(detail)


async def test_a_proxy_that_passes_its_own_name_on_is_told_which_to_send() -> None:
    async with (
        Desk().client() as client,
        client.get(f"{API}/server", headers={"Host": "tv.example"}) as answer,
    ):
        told = await answer.json(content_type="application/problem+json")
    assert (told["status"], told["type"]) == (421, "urn:rtmpd:problem:other_host")
    assert told["detail"].endswith("A proxy in front of it has to send Host: localhost.")


async def test_a_network_is_banned_and_comes_again() -> None:
    async with Desk(stored=FakeStored(kept=True)).client() as client:
        body = {"network": "192.0.2.0/24", "seconds": 60, "reason": "spam"}
        async with client.post(f"{API}/bans", json=body) as answer:
            assert answer.status == 201
            made = await answer.json()
        async with client.get(f"{API}/bans") as answer:
            listed = await answer.json()
        assert (listed["total"], listed["next"]) == (1, None)
        remaining = {"remaining_seconds": made["remaining_seconds"]}
        assert listed["items"][0] | remaining | {"kept": True} == made
        assert made["since"].endswith("Z")
        async with client.delete(URL(f"{API}/bans/192.0.2.0%2F24", encoded=True)) as answer:
            assert (answer.status, await answer.read()) == (204, b"")


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.role == "operate" and each.run is not None],
    ids=lambda o: o.id,
)
async def test_changes_are_for_nobody_from_elsewhere_and_for_no_web_page(operation: Operation) -> None:
    path = f"{API}{operation.path}".format(app="live", name="cam", id=SESSION, network="192.0.2.1")
    for local, headers, status, detail in (
        (False, {}, 401, "send Authorization: Bearer TOKEN; on the server `rtmpd admin-token new NAME`"),
        (True, {"Origin": "https://example.com"}, 403, "changes are not taken from web pages of others"),
        (True, {"X-Forwarded-For": "192.0.2.1"}, 401, "send Authorization: Bearer TOKEN; on the server"),
    ):
        desk = Desk()
        async with (
            desk.client(local=local) as client,
            client.request(operation.method, path, headers=headers) as answer,
        ):
            assert answer.status == status
            assert (await answer.json(content_type=None))["detail"].startswith(detail)
        assert desk.pushes.calls == []


async def test_a_bug_is_told_and_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()

    async def broken(by: Actor) -> ServerInfo:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(desk.control.server, "info", broken)
    async with desk.client() as client, client.get(f"{API}/server") as answer:
        told = await answer.text()
    assert (answer.status, "s3cret" in told) == (500, False)
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert (record.msg, record.exc_info is not None) == ("api request failed", True)


# -- made once for all who ask


async def test_who_asks_the_same_within_a_second_is_given_the_same() -> None:
    now, made = 0.0, []
    shared = SharedAnswers(1.0, lambda: now)

    async def make() -> ServerInfo:
        made.append(now)
        await asyncio.sleep(0)
        if len(made) == 3:
            raise NotFound(Problem.STREAM_NOT_FOUND, "gone")
        return ServerInfo.model_construct(version=str(len(made)))

    many = await asyncio.gather(*(shared.get("a", make) for _ in range(50)))
    assert (set(many), made) == ({b'{"version":"1"}'}, [0.0])
    await shared.get("b", make)
    now = 0.9
    assert await shared.get("a", make) == many[0]
    now = 1.0
    for _ in range(2):
        with pytest.raises(NotFound, match="gone"):
            await shared.get("a", make)
    shared.forget()
    assert await shared.get("a", make) == b'{"version":"4"}'
    for number in range(1000):
        await shared.get(number, make)
    assert len(shared._answers) == 128


async def test_a_change_is_seen_at_once() -> None:
    async with Desk(max_age=60.0).client() as client:
        for number in (0, 1):
            async with client.get(f"{API}/bans") as answer:
                assert (await answer.json())["total"] == number
            async with client.post(f"{API}/bans", json={"network": "192.0.2.1", "seconds": 60}) as answer:
                assert answer.status == 201


# -- the document


def test_everything_in_the_document_is_described() -> None:
    for name, schema in document()["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            assert "$ref" in told or told.get("description"), f"{name}.{field}"


async def test_the_document_is_served() -> None:
    async with Desk().client() as client, client.get(f"{API}/openapi.json") as answer:
        assert await answer.json() == json.loads(json.dumps(document()))
