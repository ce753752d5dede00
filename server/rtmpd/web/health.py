"""What supervisors ask: is the process alive, and may it be sent traffic."""

from __future__ import annotations

from collections.abc import Callable

from rtmpd.net.http import Handler, web

Readiness = Callable[[], str | None]
"""Why no traffic should be sent here now (one line for a person), or None when it may be."""

_NO_STORE = {"Cache-Control": "no-store"}


async def healthz(_request: web.Request) -> web.Response:
    """200 as long as the event loop turns; whoever gets no answer may restart the process."""
    return web.Response(text="ok\n", headers=_NO_STORE)


def readyz(readiness: Readiness) -> Handler:
    """200 when new connections are welcome, 503 with the reason when not (starting, draining)."""

    async def handler(_request: web.Request) -> web.Response:
        reason = readiness()
        if reason is None:
            return web.Response(text="ready\n", headers=_NO_STORE)
        return web.Response(status=503, text=f"{reason}\n", headers=_NO_STORE)

    return handler
