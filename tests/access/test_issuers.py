"""Key sets of issuers: over real TLS, one for all who want it, fresh before anybody asks."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from rtmpd.access.issuers import Issuers
from rtmpd.access.jwks import PublicKey
from rtmpd.access.token_rules import JwksRules
from rtmpd.exceptions import ProofFailed
from rtmpd.net.http import web

RULES = JwksRules(refresh=600.0, retry=30.0, timeout=5.0)


def parse(data: bytes) -> Mapping[str, PublicKey]:
    return {kid: PublicKey(f"key {kid}", frozenset()) for kid in json.loads(data)}


@dataclass
class IssuerSite:
    """Answers over TLS with the keys that it has now."""

    authority: str
    kids: tuple[str, ...] = ("a",)
    port: int = 0
    asked: list[str] = field(default_factory=list)
    silent: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/realm/keys?secret=hunter2"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.was_asked.set()
        if self.silent:
            await self.released.wait()
        return web.json_response(self.kids)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def site(authority: trustme.CA, tmp_path: Path) -> AsyncIterator[IssuerSite]:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    site = IssuerSite(str(file))
    app = web.Application()
    app.router.add_get("/realm/keys", site.answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    runner = web.AppRunner(app, shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    site.port = runner.addresses[0][1]
    yield site
    site.released.set()
    await runner.cleanup()


@pytest.fixture
async def issuers() -> AsyncIterator[Issuers]:
    issuers = Issuers(rules=RULES)
    yield issuers
    await issuers.close()


async def test_keys_come_over_tls_and_once_for_all_apps(site: IssuerSite, issuers: Issuers) -> None:
    keys = issuers.key_set(site.url, site.authority, parse)
    assert issuers.key_set(site.url, site.authority, parse) is keys
    assert (await keys.find("a")).key == "key a"
    assert site.asked == ["/realm/keys?secret=hunter2"]
    assert keys.place == f"https://localhost:{site.port}/realm/keys"


async def test_who_is_vouched_for_by_nobody_is_not_believed(site: IssuerSite, issuers: Issuers) -> None:
    keys = issuers.key_set(site.url, "", parse)
    issuers.refresh()
    with pytest.raises(ProofFailed):
        await keys.find("a")  # By the same fetch.
    assert keys.failures == 1
    assert "certificate" in keys.problem
    assert "hunter2" not in keys.problem
    assert site.asked == []


async def test_keys_are_there_before_the_first_token(site: IssuerSite, issuers: Issuers) -> None:
    keys = issuers.key_set(site.url, site.authority, parse)
    issuers.refresh()
    issuers.refresh()
    assert (await keys.find("a")).key == "key a"
    assert keys.age < RULES.refresh
    assert len(site.asked) == 1


async def test_sets_that_nobody_wants_any_more_are_forgotten(site: IssuerSite, issuers: Issuers) -> None:
    first, second = (issuers.key_set(site.url + more, site.authority, parse) for more in ("", "&other"))
    assert list(issuers) == [first, second]
    issuers.keep([second])
    assert list(issuers) == [second]
    assert issuers.key_set(site.url, site.authority, parse) is not first


async def test_the_end_does_not_wait_for_an_issuer_that_is_silent(site: IssuerSite) -> None:
    site.silent = True
    issuers = Issuers(rules=RULES)
    issuers.key_set(site.url, site.authority, parse)
    issuers.refresh()
    async with asyncio.timeout(4):
        await site.was_asked.wait()
        await issuers.close()
