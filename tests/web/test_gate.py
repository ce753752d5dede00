"""Who is answered over HTTP: by what they show, and by where they come from."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from control_kit import Desk, token

from rtmpd.access.bans import BanRules
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.net.proxies import TrustedProxies
from rtmpd.reasons import Problem
from rtmpd.web.logins import COOKIE
from rtmpd.web.operation_table import OPERATIONS

API = "/api/v1"
BAN = {"network": "192.0.2.1", "seconds": 60}


class Nobody:
    def close(self, _reason: object) -> None:
        raise AssertionError


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def asked(client: aiohttp.ClientSession, path: str, method: str = "GET", **how: Any) -> tuple[int, Any]:
    """Status, and what the answer says, as JSON where it is any."""
    async with client.request(method, path, **how) as answer:
        text = await answer.text()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


async def status(client: aiohttp.ClientSession, path: str, method: str = "GET", **how: Any) -> int:
    return (await asked(client, path, method, **how))[0]


# -- From elsewhere


async def test_whoever_shows_nothing_sees_nothing_from_elsewhere() -> None:
    desk = Desk()
    paths = [
        (each.method, API + each.path.format(app="a", name="b", id="c", network="192.0.2.1"))
        for each in OPERATIONS
        if each.role is not None
    ]
    paths += [("GET", path) for path in ("/version", "/metrics", "/healthz", "/readyz", "/nothing")]
    paths += [("GET", f"{API}/openapi.json"), ("GET", f"{API}/nothing"), ("PUT", f"{API}/bans")]
    async with desk.client(local=False) as client:
        for method, path in paths:
            async with client.request(method, path) as answer:
                told = await answer.json(content_type="application/problem+json")
                assert (answer.status, told["type"]) == (401, "urn:rtmpd:problem:token_missing"), path
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="rtmpd"'
                assert "`rtmpd admin-token new NAME` makes one" in told["detail"]
        body = {"jwt": "x", "app": "live", "name": "cam"}
        async with client.post(f"{API}/publish-tokens", json=body) as answer:
            assert answer.status == 403  # It has been looked at, and is no JWT.
    assert desk.refusals.by_problem[Problem.TOKEN_MISSING] == len(paths)


@pytest.mark.parametrize(
    ("opened", "shown"),
    [((), ()), (("metrics",), ("/metrics",)), (("health",), ("/healthz", "/readyz"))],
)
async def test_what_is_open_is_shown_to_everybody_and_nothing_else(
    opened: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    desk = Desk()
    desk.admission.open = opened
    async with desk.client(local=False) as client:
        for path in (
            "/metrics",
            "/healthz",
            "/readyz",
            "/version",
            f"{API}/server",
            "/metrics/",
            "/%6detrics",
        ):
            expected = 200 if path in shown or (path == "/%6detrics" and "/metrics" in shown) else 401
            assert await status(client, path) == expected, path
        _, told = await asked(client, "/readyz")
        assert opened == ("health",) or 'admin.open = ["health"] shows this to everybody' in told["detail"]
        # Who scrapes with a token of old is shown what is open, too.
        for path in shown:
            assert await status(client, path, headers=bearer("x" * 20)) == 200


async def test_a_token_is_shown_as_bearer_or_as_a_password() -> None:
    desk = Desk()
    text, ann = token("ann")
    desk.admission.tokens(ann)
    basic = base64.b64encode(f"anybody:{text}".encode()).decode()
    bad_basic = base64.b64encode(text.encode()).decode()
    async with desk.client(local=False) as client:
        for headers in (
            bearer(text),
            {"Authorization": f"bearer  {text}"},
            {"Authorization": f"Basic {basic}"},
        ):
            assert await asked(client, f"{API}/actor", headers=headers) == (
                200,
                {"name": "ann", "role": "read", "streams": [], "until": None},
            )
            assert await status(client, "/metrics", headers=headers) == 200
        for shown in (
            f"Basic {bad_basic}",
            "Basic ???",
            "Bearer",
            f"Token {text}",
            text,
            "Bearer \xff",
            "Digest x",
        ):
            code, told = await asked(client, "/metrics", headers={"Authorization": shown})
            assert (code, told["type"]) == (401, "urn:rtmpd:problem:token_wrong"), shown
            assert text not in told["detail"]
        twice = [("Authorization", f"Bearer {text}"), ("Authorization", f"Bearer {text}")]
        assert await status(client, "/metrics", headers=twice) == 401
    assert desk.slept == []


async def test_a_token_in_a_url_is_not_looked_at() -> None:
    desk = Desk()
    text, ann = token("ann")
    desk.admission.tokens(ann)
    async with desk.client(local=False) as client:
        for name in ("token", "access_token", "Key"):
            code, told = await asked(client, f"/metrics?{name}={text}")
            assert (code, told["detail"][:37]) == (401, "a token in a URL is not looked at: UR")
            assert text not in json.dumps(told)


async def test_who_may_read_changes_nothing_and_who_operates_does() -> None:
    desk = Desk()
    (reads, ann), (operates, bob) = token("ann"), token("bob", "operate")
    desk.admission.tokens(ann, bob)
    async with desk.client(local=False) as client:
        for operation in OPERATIONS:
            if operation.role == "operate":
                path = API + operation.path.format(app="a", name="b", id="c", network="192.0.2.1")
                code, told = await asked(client, path, operation.method, headers=bearer(reads), json={})
                assert (code, told["type"]) == (403, "urn:rtmpd:problem:role"), operation.id
                assert told["detail"] == "ann has the role read, and this takes operate"
                assert await status(client, path, operation.method, headers=bearer(operates), json={}) != 403
        assert await status(client, f"{API}/bans", "POST", json=BAN, headers=bearer(operates)) == 201
    assert desk.refusals.by_problem[Problem.ROLE] == len([o for o in OPERATIONS if o.role == "operate"])


async def test_who_has_some_streams_has_nothing_to_do_with_the_server_and_shares_no_answer() -> None:
    desk = Desk(max_age=60.0)
    for name in ("a", "b"):
        desk.registry.claim(StreamKey("live", name), Nobody(), Origin(), 0.0)
    (all_, ann), (one, bob) = token("ann"), token("bob", "operate", "live/a")
    desk.admission.tokens(ann, bob)
    async with desk.client(local=False) as client:
        for shown, total in ((all_, 2), (one, 1), (all_, 2), (one, 1)):
            _, told = await asked(client, f"{API}/streams", headers=bearer(shown))
            assert told["total"] == total
        assert await status(client, f"{API}/streams/live/b", headers=bearer(all_)) == 200
        assert await status(client, f"{API}/streams/live/b", headers=bearer(one)) == 404
        for operation in OPERATIONS:
            if operation.whole_server:
                path = API + operation.path.format(app="a", name="b", id="c", network="192.0.2.1")
                code, told = await asked(client, path, operation.method, headers=bearer(one), json={})
                assert (code, told["type"]) == (403, "urn:rtmpd:problem:out_of_scope"), operation.id
        assert await status(client, "/metrics", headers=bearer(one)) == 403
        assert (await asked(client, f"{API}/actor", headers=bearer(one)))[1]["streams"] == ["live/a"]


# -- Guessing


async def test_guessing_is_slow_and_then_over_and_old_tokens_are_no_guesses() -> None:
    now = 0.0
    desk = Desk(clock=lambda: now, rules=BanRules(attempts=5, local=True))
    text, ann = token("ann")
    expired, old = token("old", until=1_800_000_000.0)
    desk.admission.tokens(ann, old)
    async with desk.client(local=False) as client:
        for _ in range(20):
            code, told = await asked(client, "/metrics", headers=bearer("stale-token-of-a-poller"))
            assert (code, told["type"]) == (401, "urn:rtmpd:problem:token_wrong")
            code, told = await asked(client, "/metrics", headers=bearer(expired))
            assert (code, told["type"]) == (401, "urn:rtmpd:problem:token_expired")
        assert desk.slept == []
        for number in range(4):
            assert await status(client, "/metrics", headers=bearer(f"guess-{number}")) == 401
        assert desk.slept == [1.0, 4.0]
        async with client.get("/metrics", headers=bearer(text)) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
            assert "`rtmpd unban`" in await answer.text()
        (ban,) = desk.guard.bans()
        assert (ban.network, desk.guard.turns_away("127.0.0.1")) == ("127.0.0.1", False)
        desk.admission.open = ("metrics",)
        assert await status(client, "/metrics", headers=bearer("guess-5")) == 200
        desk.admission.open = ()
        now = 60.0
        assert await status(client, "/metrics", headers=bearer(text)) == 200
    assert desk.refusals.by_problem[Problem.TOO_MANY_ATTEMPTS] == 1


async def test_what_is_remembered_of_guesses_is_bounded() -> None:
    desk = Desk()
    access = desk.admission.access
    for number in range(3000):
        with pytest.raises(Exception, match="no token of this server"):
            await access.prove(f"guess {number} \udcff", f"198.51.100.{number}")
    assert len(access._wrong) == 1000


# -- On this machine


async def test_programs_of_this_machine_need_no_token_but_what_they_show_counts() -> None:
    desk = Desk()
    (reads, ann), (operates, bob) = token("ann"), token("bob", "operate")
    desk.admission.tokens(ann, bob)
    async with desk.client() as client:
        assert await status(client, f"{API}/bans", "POST", json=BAN) == 201
        assert await status(client, f"{API}/bans", "POST", json=BAN, headers=bearer(reads)) == 403
        assert await status(client, f"{API}/streams", headers=bearer("wrong-token")) == 401
        desk.admission.local = "read"
        assert await status(client, f"{API}/streams") == 200
        code, told = await asked(client, f"{API}/bans", "POST", json=BAN)
        assert (code, told["detail"]) == (
            403,
            "programs of this machine have the role read, and this takes operate",
        )
        assert await status(client, f"{API}/bans", "POST", json=BAN, headers=bearer(operates)) == 201
        desk.admission.local = "none"
        assert await status(client, f"{API}/streams") == 401
        assert await status(client, f"{API}/streams", headers=bearer(reads)) == 200


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "Via",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "CF-Connecting-IP",
    ],
)
async def test_what_comes_through_a_proxy_is_not_of_this_machine(header: str) -> None:
    for proxies in ((), ("127.0.0.0/8",)):
        desk = Desk(proxies=TrustedProxies(map(ip_network, proxies)))
        async with desk.client() as client:
            code, told = await asked(client, f"{API}/server", headers={header: "for=203.0.113.7"})
        assert (code, "who asks from this machine needs none, but this came" in told["detail"]) == (401, True)


# -- Web pages


@asynccontextmanager
async def logged_in(
    desk: Desk, text: str, **how: Any
) -> AsyncIterator[tuple[aiohttp.ClientSession, str, Any]]:
    """Somebody from elsewhere whose browser is, with the origin of our pages and the answer to the login."""
    async with desk.client(local=False) as client:
        origin = str(client._base_url).rstrip("/")
        async with aiohttp.ClientSession(origin, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            headers = {"Origin": origin} | how.pop("headers", {})
            async with browser.post(f"{API}/login", json={"token": text}, headers=headers) as answer:
                assert answer.status == 200
                yield browser, origin, answer


async def test_a_browser_has_a_cookie_for_its_token() -> None:
    desk = Desk(clock=lambda: 0.0)
    text, ann = token("ann", "operate")
    desk.admission.tokens(ann)
    async with logged_in(desk, text) as (browser, origin, answer):
        cookie = answer.cookies[COOKIE]
        assert text not in str(answer.headers)
        assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (
            True,
            "Strict",
            "/",
            "",
        )
        assert (len(cookie.value), int(cookie["max-age"])) == (64, 3600)
        assert (await answer.json())["until"] is not None
        assert (await asked(browser, f"{API}/actor"))[1]["name"] == "ann"
        ours, json_ = {"Origin": origin}, {"Content-Type": "application/json"}
        data = json.dumps(BAN).encode()
        for headers, expected in (
            (ours | json_, 201),
            (json_, 403),
            ({"Origin": "null"} | json_, 403),
            ({"Origin": "http://evil.example"} | json_, 403),
            ({"Origin": origin + "0"} | json_, 403),
            ({"Origin": origin.replace("http://", "ftp://")} | json_, 403),
            ({"Origin": "http://[::1"} | json_, 403),
            (ours | {"Content-Type": "text/plain"}, 415),
            (ours | {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ):
            assert await status(browser, f"{API}/bans", "POST", data=data, headers=headers) == expected, (
                headers
            )
        # Even where there is no body that could be of another type.
        assert (
            await status(browser, f"{API}/reload", "POST", headers=ours | {"Content-Type": "text/plain"})
            == 415
        )
        assert desk.reloads == []
        assert (
            await status(browser, f"{API}/logout", "POST", headers={"Origin": "http://evil.example"}) == 403
        )
        assert await status(browser, f"{API}/logout", "POST", headers=ours | json_) == 204
        assert await status(browser, f"{API}/actor") == 401
        stolen = {COOKIE: cookie.value}
        assert await status(browser, f"{API}/actor", cookies=stolen) == 401


async def test_a_page_of_this_machine_changes_things_if_it_is_ours() -> None:
    async with Desk().client() as client:
        origin = str(client._base_url).rstrip("/")
        assert await status(client, f"{API}/bans", "POST", json=BAN, headers={"Origin": origin}) == 201
        for other in ("http://localhost:1", "http://127.0.0.1", "https://evil.example", "null"):
            assert await status(client, f"{API}/bans", "POST", json=BAN, headers={"Origin": other}) == 403


async def test_nobody_is_logged_in_by_another_page_or_with_what_is_no_token() -> None:
    desk = Desk(rules=BanRules(attempts=5, local=True))
    text, ann = token("ann")
    desk.admission.tokens(ann)
    async with desk.client(local=False) as client:
        login = f"{API}/login"
        evil = {"Origin": "https://evil.example"}
        assert await status(client, login, "POST", json={"token": text}, headers=evil) == 403
        assert await status(client, login, "POST", data={"token": text}) == 415
        for body, expected in (
            ({}, 400),
            ({"token": 1}, 400),
            ({"token": "x" * 9000}, 400),
            ({"token": "w"}, 401),
        ):
            code, told = await asked(client, login, "POST", json=body)
            assert code == expected
            assert "xxx" not in json.dumps(told)
        for number in range(4):
            assert await status(client, login, "POST", json={"token": f"guess {number}"}) == 401
        assert await status(client, login, "POST", json={"token": text}) == 429
    assert len(desk.logins) == 0


async def test_a_login_ends_with_its_token_and_its_time() -> None:
    now = 0.0
    desk = Desk(clock=lambda: now)
    (text, ann), (short, bob) = token("ann"), token("bob", until=1_800_000_060.0)
    desk.admission.tokens(ann, bob)
    async with logged_in(desk, text) as (browser, _, _):
        now = 3599.0
        assert await status(browser, f"{API}/actor") == 200
        now = 3600.0
        assert await status(browser, f"{API}/actor") == 401
    now = 0.0
    async with logged_in(desk, short) as (browser, _, answer):
        assert answer.cookies[COOKIE]["max-age"] == "60"
        now = 60.0
        assert await status(browser, f"{API}/actor") == 401
    now = 0.0
    async with logged_in(desk, text) as (browser, _, _):
        desk.admission.tokens(bob)
        assert await status(browser, f"{API}/actor") == 401
        desk.admission.tokens(ann, bob)


async def test_logins_are_bounded_and_a_cookie_that_was_foisted_on_somebody_is_replaced() -> None:
    desk = Desk()
    text, ann = token("ann")
    others = [token(f"t{number}") for number in range(12)]
    desk.admission.tokens(ann, *(other for _, other in others))
    foisted = {COOKIE: "f" * 64}
    async with desk.client(local=False) as client:
        values = []
        for _ in range(22):
            async with client.post(f"{API}/login", json={"token": text}, cookies=foisted) as answer:
                values.append(answer.cookies[COOKIE].value)
        assert (len(set(values)), "f" * 64 in values, len(desk.logins)) == (22, False, 20)
        client.cookie_jar.clear()
        found = [await status(client, f"{API}/actor", cookies={COOKIE: value}) for value in values]
        assert found == [401, 401, *[200] * 20]
        for shown, _ in others:
            for _ in range(20):
                async with client.post(f"{API}/login", json={"token": shown}) as answer:
                    assert answer.status == 200
        assert len(desk.logins) == 200


@pytest.mark.parametrize(
    ("headers", "secure", "host"),
    [
        ({}, False, None),
        (
            {
                "X-Forwarded-For": "203.0.113.7",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "tv.example",
            },
            True,
            "tv.example",
        ),
        ({"Forwarded": "for=203.0.113.7;proto=https;host=tv.example"}, True, "tv.example"),
    ],
)
async def test_behind_a_proxy_with_tls_a_cookie_is_for_tls(
    headers: dict[str, str], secure: bool, host: str | None
) -> None:
    text, ann = token("ann", "operate")
    for trusted in (True, False):
        desk = Desk(proxies=TrustedProxies([ip_network("127.0.0.0/8")] if trusted else []))
        desk.admission.tokens(ann)
        async with desk.client(local=False) as client:
            own = str(client._base_url).rstrip("/") if host is None or not trusted else f"https://{host}"
            said = headers | {"Origin": own}
            async with client.post(f"{API}/login", json={"token": text}, headers=said) as answer:
                assert answer.status == 200
                assert bool(answer.cookies[COOKIE]["secure"]) is (secure and trusted)


# -- What is open already


async def test_who_may_no_more_is_cut_off_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    text, ann = token("ann")
    desk.admission.tokens(ann)
    async with desk.client(local=False) as client:
        gate = desk.server._gate
        began = asyncio.Event()

        async def forever(*_arguments: object) -> object:
            began.set()
            await asyncio.sleep(60)
            raise AssertionError

        monkeypatch.setattr(desk.control.server, "info", forever)
        request = asyncio.ensure_future(status(client, f"{API}/server", headers=bearer(text)))
        async with asyncio.timeout(5):
            await began.wait()
            desk.server.review()
            await asyncio.sleep(0.01)
            assert not request.done()
            desk.admission.tokens()
            desk.server.review()
            # The client has been cut off, and asks again.
            assert await request == 401
        assert gate is not None
        assert gate._inside == {}
