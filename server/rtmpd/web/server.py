"""The admin HTTP server: metrics and health, meant for the machine's own network."""

from __future__ import annotations

import asyncio
import platform
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from rtmpd import __version__
from rtmpd.net.addresses import Address, bound_address, open_listener
from rtmpd.rtmp.form import form
from rtmpd.web.health import Readiness, healthz, readyz
from rtmpd.web.relays import RelayApi, add_routes

_KEEPALIVE_TIMEOUT = 75.0
_SHUTDOWN_TIMEOUT = 1.0
_MAX_REQUEST_BYTES = 64 * 1024

_INDEX = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>rtmpd</title>
<h1>rtmpd {__version__}</h1>
<ul>
<li><a href="/metrics">/metrics</a> for Prometheus
<li><a href="/healthz">/healthz</a> 200 while the process is alive
<li><a href="/readyz">/readyz</a> 200 while it takes new connections, 503 and the reason otherwise
<li><a href="/version">/version</a>
<li><a href="/api/v1/relays">/api/v1/relays</a> what is pushed to other servers and pulled from them
</ul>
</html>
"""


class Snapshot(Protocol):
    """``rtmpd.web.metrics.Snapshot`` is one."""

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and body in the best format that an ``Accept`` header asks for; called in a thread."""


class Exposition(Protocol):
    """``rtmpd.web.metrics.MetricsPage`` is one."""

    def snapshot(self) -> Snapshot:
        """The numbers of this moment; called on the event loop."""


class AdminServer:
    """``/metrics``, ``/healthz``, ``/readyz``, ``/version``, relays and an index of them on a few addresses.

    ``local`` tells that only this machine reaches all of them: then relays can be changed too.
    """

    def __init__(
        self, exposition: Exposition, readiness: Readiness, relays: RelayApi, *, local: bool
    ) -> None:
        application = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        application.router.add_get("/", _index)
        application.router.add_get("/metrics", _metrics(exposition))
        application.router.add_get("/healthz", healthz)
        application.router.add_get("/readyz", readyz(readiness))
        application.router.add_get("/version", _version)
        add_routes(application.router, relays, local=local)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_KEEPALIVE_TIMEOUT,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen on one more address, and return it as it is bound: port 0 picks a free one, host "" is all.

        Raises ``ConfigError`` with what to do about an address that cannot be had.
        """
        sock = open_listener(Address(host, port))
        try:
            if self._runner.server is None:
                await self._runner.setup()
            await web.SockSite(self._runner, sock).start()
        except BaseException:
            sock.close()
            raise
        bound = bound_address(sock)
        return bound.host, bound.port

    async def close(self) -> None:
        """Stop listening and end open requests within about a second; may be called more than once."""
        await self._runner.cleanup()


def _metrics(exposition: Exposition) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        snapshot = exposition.snapshot()
        # With hundreds of streams this takes long enough for players to notice.
        content_type, body = await asyncio.to_thread(snapshot.render, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return handler


async def _index(_request: web.Request) -> web.Response:
    return web.Response(text=_INDEX, content_type="text/html")


async def _version(_request: web.Request) -> web.Response:
    return web.json_response({"rtmpd": __version__, "form": form(), "python": platform.python_version()})
