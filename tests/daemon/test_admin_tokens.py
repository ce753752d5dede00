"""Tokens of the admin port: as they are made, written down, followed by a server that runs, and used."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from command_kit import run_here
from cryptography.hazmat.primitives.asymmetric import ed25519
from typer.testing import CliRunner

from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.daemon import admin_request, cli, logs
from rtmpd.daemon.logs import LogOutput
from rtmpd.daemon.machine import Machine
from rtmpd.daemon.settings import Settings, load
from rtmpd.daemon.worker import Worker
from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance
from rtmpd.net.listeners import open_listener

TOKEN = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
DIGEST = spell_digest(digest_of(TOKEN))
ANN = f"admin.tokens.ann.sha256={DIGEST}"
KEY = ed25519.Ed25519PrivateKey.generate()
ISSUER = "https://id.example.com"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["admin-token", *arguments])


# -- as they are made


def test_what_new_prints_is_a_configuration_and_a_token(tmp_path: Path) -> None:
    told = run(
        "new", "grafana", "--role", "operate", "--stream", "live", "--stream", "tv/a", "--until", "2099-01-31"
    )
    (token,) = re.findall(r"^token +(\w+)$", told.output, re.MULTILINE)
    assert told.output.count(token) == 1
    lines = [line[15:] for line in told.output.splitlines() if re.match(r".{15}(\[|\w+ = )", line)]
    assert tomllib.loads("\n".join(lines)) == {
        "admin": {
            "tokens": {
                "grafana": {
                    "sha256": spell_digest(digest_of(token)),
                    "role": "operate",
                    "streams": ["live", "tv/a"],
                    "until": "2099-01-31",
                }
            }
        }
    }
    assert max(map(len, told.output.splitlines())) <= 100
    file = tmp_path / "rtmpd.toml"
    file.write_text("\n".join(lines))
    listed = run("list", "--config", str(file)).output.splitlines()
    digits = digest_of(token).hex()[:6]
    assert listed == [
        "name     role     streams     sha256  until",
        f"grafana  operate  live, tv/a  {digits}  2099-02-01 00:00 UTC",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a b"], "of letters, digits, - and _"),
        (["ann", "--role", "root"], "'root' is not one of"),
        (["ann", "--stream", "a b"], "is no path"),
        (["ann", "--until", "2020-01-01"], "is over already"),
    ],
)
def test_what_cannot_be_is_not_made(arguments: list[str], text: str) -> None:
    told = run("new", *arguments)
    assert told.exit_code == 2
    assert text in re.sub(r"[\s│]+", " ", told.output)


# -- as they are written down


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            ["admin.tokens.ann.role=read"],
            "admin.tokens.ann.sha256 is missing: `rtmpd admin-token new ann` makes one",
        ),
        (["admin.tokens.ann.sha256=" + TOKEN], "admin.tokens.ann.sha256 is not sha256: and 64 hex digits"),
        (["admin.tokens.ann.sha256=x", "admin.tokens.ann.until=soon"], "admin.tokens.ann.sha256 is not"),
        ([ANN, "admin.tokens.ann.until=soon"], "admin.tokens.ann.until is no time: write 2027-01-31"),
        (
            [ANN, "admin.tokens.ann.streams=[]"],
            'admin.tokens.ann.streams names no stream: write ["*"] for all',
        ),
        ([ANN, "admin.tokens.ann.role=root"], "admin.tokens.ann.role: 'root' is not one of"),
        ([ANN, f"admin.tokens.bob.sha256={DIGEST}"], "admin.tokens.bob.sha256: ann has the same token"),
        ([f'admin.tokens."a.b".sha256={DIGEST}'], "the name of a token is of letters, digits, - and _"),
        (["admin.tokens.ann.sha=x"], "did you mean"),
        (["admin.open=all"], "admin.open: 'all' is not one of 'metrics', 'health' or 'stat'"),
        (["admin.jwt.issuer=x"], "admin.jwt.audience is missing"),
        (["admin.jwt.read=x"], "admin.jwt.issuer is missing"),
    ],
)
def test_mistakes_are_named_and_no_token_is_quoted(said: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as mistakes:
        load((), {}, said)
    text = "; ".join(mistakes.value.problems)
    assert problem in text
    assert TOKEN not in text


def test_variables_name_tokens_too() -> None:
    environment = {
        "RTMPD_ADMIN__TOKENS__ANN__SHA256": DIGEST,
        "RTMPD_ADMIN__TOKENS__ANN__STREAMS": "live,tv/a",
        "RTMPD_ADMIN__OPEN": "metrics,health",
    }
    admin = load((), environment).config.admin
    assert (admin.tokens["ann"].streams, admin.open) == (("live", "tv/a"), ("metrics", "health"))


# -- as a server follows them


@pytest.fixture
def log() -> Iterator[LogOutput]:
    with Path(os.devnull).open("w") as file, logs.configured("debug", "json", fd=file.fileno()) as log:
        yield log


class Shop:
    """A worker's HTTP side, which follows settings as a reload has it."""

    def __init__(self, log: LogOutput) -> None:
        config = load((), {}, ("rtmp.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "http.listen=")).config
        settings = Settings(config, {})
        self.worker = Worker(settings, lambda: settings, asyncio.get_running_loop(), Machine.survey(), log)

    async def follow(self, *said: str) -> None:
        config = load((), {}, said).config
        rules = type(self.worker._access.rules)(config, self.worker._access.rules)
        self.worker._follow(config, rules)
        self.worker._unready_reason = None

    async def open(self, protocol: str = "admin", host: str = "0.0.0.0") -> str:
        entrance = Entrance(Address(host, 0))
        opens = self.worker._admin.open if protocol == "admin" else self.worker._admin.open_metrics
        listener = await opens(entrance, open_listener(entrance))
        return f"http://127.0.0.1:{listener.address.port}"


@pytest.fixture
async def shop(log: LogOutput) -> AsyncIterator[Shop]:
    made = Shop(log)
    yield made
    await made.worker._admin.wait_closed()
    await made.worker._access.rules.issuers.close()


async def status(url: str, shown: str = "", method: str = "GET") -> int:
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    async with aiohttp.ClientSession() as client, client.request(method, url, headers=headers) as answer:
        return answer.status


async def test_a_token_comes_changes_and_goes_with_the_settings(shop: Shop) -> None:
    await shop.follow()
    url = await shop.open()
    reload = f"{url}/api/v1/reload"
    assert await status(f"{url}/healthz") == 401
    assert await status(f"{url}/version", TOKEN) == 401
    await shop.follow(ANN, "admin.open=health")
    assert await status(f"{url}/version", TOKEN) == 200
    assert await status(f"{url}/healthz") == 200
    assert await status(reload, TOKEN, "POST") == 403
    await shop.follow(ANN, "admin.tokens.ann.role=operate")
    assert await status(reload, TOKEN, "POST") == 200
    assert await status(f"{url}/healthz") == 401
    await shop.follow(ANN, "admin.tokens.ann.streams=live")
    assert await status(f"{url}/api/v1/streams", TOKEN) == 200
    assert await status(f"{url}/api/v1/server", TOKEN) == 403
    await shop.follow(ANN, "admin.tokens.ann.until=2020-01-01")
    assert await status(f"{url}/version", TOKEN) == 401
    await shop.follow()
    assert await status(f"{url}/version", TOKEN) == 401


async def test_metrics_have_an_address_of_their_own_and_nothing_else_is_there(shop: Shop) -> None:
    await shop.follow()
    url = await shop.open("metrics")
    for path, expected in (
        *((path, 200) for path in ("/metrics", "/healthz", "/readyz")),
        *((path, 404) for path in ("/", "/version", "/api/v1/server", "/api/v1/login")),
    ):
        assert await status(url + path, "wrong") == expected
    assert shop.worker._admin._guarded is None


def issued(**more: object) -> str:
    claims = {"iss": ISSUER, "aud": "rtmpd", "exp": time.time() + 600, "sub": "mia"} | more
    return jwt.encode(claims, KEY, "EdDSA", headers={"kid": "1"})


async def test_the_roles_of_an_issuer_are_taken(shop: Shop, tmp_path: Path) -> None:
    public = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(KEY.public_key())) | {"kid": "1"}
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [public]}))
    said = (
        f"admin.jwt.issuer={ISSUER}",
        "admin.jwt.audience=rtmpd",
        "admin.jwt.algorithms=EdDSA",
        f"admin.jwt.jwks={keys}",
        "admin.jwt.claim=realm.roles",
        "admin.jwt.read=staff",
        "admin.jwt.operate=ops",
    )
    await shop.follow(*said, ANN)
    url = await shop.open()
    who = f"{url}/api/v1/actor"

    async def asked(shown: str) -> Any:
        headers = {"Authorization": f"Bearer {shown}"}
        async with aiohttp.ClientSession() as client, client.get(who, headers=headers) as answer:
            told = await answer.json(content_type=None)
        return (
            (told["name"], told["role"], told["streams"])
            if answer.status == 200
            else (answer.status, told["type"])
        )

    assert await asked(issued(realm={"roles": ["x", "staff"]})) == ("jwt:mia", "read", [])
    assert await asked(issued(**{"realm.roles": "staff ops"}, sub=None)) == ("jwt", "operate", [])
    for wrong, code, kind in (
        (issued(realm={"roles": ["x", 7]}), 403, "role"),
        (issued(realm="staff"), 403, "role"),
        (issued(realm={"roles": ["staff"]}, aud="other"), 401, "token_wrong"),
        (issued(realm={"roles": ["staff"]}, exp=time.time() - 60), 401, "token_expired"),
        (issued(realm={"roles": ["staff"]})[:-4] + "AAAA", 401, "token_wrong"),
        ("a.b.c", 401, "token_wrong"),
    ):
        assert await asked(wrong) == (code, f"urn:rtmpd:problem:{kind}")
    assert await asked(TOKEN) == ("ann", "read", [])
    proof = await shop.worker._access.admin.prove(issued(realm={"roles": "ops"}), "192.0.2.1")
    await shop.follow(*said, "log.level=debug")
    assert proof.holds()  # Who is logged in stays so where settings change that are about something else.
    await shop.follow(*said, "admin.jwt.streams_claim=tv")
    assert not proof.holds()
    assert await asked(issued(realm={"roles": "ops"}, tv=["live/*", "news/a"])) == (
        "jwt:mia",
        "operate",
        ["live", "news/a"],
    )
    assert await asked(issued(realm={"roles": "ops"})) == (403, "urn:rtmpd:problem:role")
    good = issued(realm={"roles": "ops"}, tv="*")
    assert await asked(good) == ("jwt:mia", "operate", [])
    await shop.follow()
    assert await asked(good) == (401, "urn:rtmpd:problem:token_wrong")


async def test_a_unix_socket_is_for_whoever_may_open_its_file(
    shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await shop.follow("admin.local=none")
    path = str(tmp_path_factory.mktemp("u") / "a")
    entrance = Entrance(Address("", 0, path))
    await shop.worker._admin.open(entrance, open_listener(entrance))
    near = await shop.open(host="127.0.0.1")
    connector = aiohttp.UnixConnector(path)
    async with aiohttp.ClientSession(connector=connector) as client:
        async with client.get("http://localhost/api/v1/actor") as answer:
            assert (await answer.json())["role"] == "operate"
        async with client.get(
            "http://localhost/version", headers={"X-Forwarded-For": "203.0.113.7"}
        ) as answer:
            assert answer.status == 401
        async with client.get("http://rebound.example/version") as answer:
            assert answer.status == 421
    assert await status(f"{near}/version") == 401


async def test_a_port_that_answers_nobody_says_so(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    for said, warned in (((), True), ((ANN,), False), (("admin.open=health",), False)):
        await shop.follow(*said)
        caplog.clear()
        await shop.open()
        assert any(record.msg == "admin port answers nobody" for record in caplog.records) is warned


# -- as commands show them


async def test_commands_ask_at_a_url_and_show_what_is_in_a_file(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.follow(ANN)
    url = await shop.open()
    place = url.removeprefix("http://")
    file, empty = tmp_path / "token", tmp_path / "empty"
    file.write_text(f"{TOKEN}\n")
    empty.write_text("")

    async def asked(*options: str, **environment: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name in ("RTMPD_ADMIN_TOKEN", "RTMPD_ADMIN_TOKEN_FILE", "RTMPD_ADMIN_URL"):
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            # They are no settings.
            load((), environment)
            return await asyncio.to_thread(run_here, "log-level", *options)

    good = (0, "info\n", "")
    there, shows = ("--url", url), ("--token-file", str(file))
    assert await asked(*there, *shows) == good
    assert await asked(*there, RTMPD_ADMIN_TOKEN=TOKEN) == good
    assert await asked(RTMPD_ADMIN_URL=url, RTMPD_ADMIN_TOKEN_FILE=str(file)) == good
    # Those of the command are worth more, and settings that are no good nothing to who asks elsewhere.
    assert (
        await asked(*there, *shows, "--set", "x=y", RTMPD_ADMIN_URL="x", RTMPD_ADMIN_TOKEN_FILE="x") == good
    )
    for options, environment, told in (
        (there, {}, f"{place} wants a token: name a file with one by --token-file; on its machine"),
        (there, {"RTMPD_ADMIN_TOKEN": f"{TOKEN}x"}, "no token of this server is this one"),
        (there, {"RTMPD_ADMIN_TOKEN": f"{TOKEN}\nX: y"}, "RTMPD_ADMIN_TOKEN has no token"),
        ((*there, "--token-file", str(empty)), {}, f"token: {empty} has 0 lines and not one"),
        ((*there, "--token-file", str(tmp_path / "x")), {}, "cannot be read"),
        (("--url", f"http://ann:{TOKEN}@{place}"), {}, "a token in a URL is seen by others"),
        (("--url", f"{url}?token={TOKEN}"), {}, "a token in a URL is seen by others"),
        (("--url", "ftp://x"), {}, "ftp://x is no URL of an admin port"),
    ):
        code, output, error = await asked(*options, **environment)
        assert (code, output, told in error, TOKEN in error) == (1, "", True, False), (error, told)
    port = admin_request.port_at(url, TOKEN)
    assert (await asyncio.to_thread(lambda: next(port.follow("/events", "")))).id
    assert TOKEN not in repr(port)


@pytest.mark.parametrize(
    ("url", "token", "exposed"),
    [
        ("http://tv.example.com", "t", True),
        ("http://192.0.2.7:9935", "t", True),
        ("http://192.0.2.7:9935", "", False),
        ("https://tv.example.com", "t", False),
        ("http://localhost:9935", "t", False),
        ("http://[::1]:9935", "t", False),
        ("unix:/run/rtmpd/admin.sock", "t", False),
    ],
)
def test_a_token_that_others_can_read_on_its_way_is_known(url: str, token: str, exposed: bool) -> None:
    assert admin_request.port_at(url, token).exposes_token is exposed
