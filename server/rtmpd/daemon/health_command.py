"""``rtmpd health``: does the server that runs with these settings answer?"""

from __future__ import annotations

import http.client

from rtmpd.daemon.admin_request import ask, connect, from_here, words
from rtmpd.daemon.config import Config
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import ProxyUse


def find_problem(config: Config) -> str | None:
    """Why the server of ``config`` on this machine should be started again; None when it is well.

    Asks /healthz on the first address of ``admin.listen`` that is for this machine, else of
    ``metrics.listen``, else of ``admin.listen``. Without any it only connects to ``rtmp.listen``: a server
    that is full refuses, and must not be started again for it.
    """
    others = config.admin.entrances()
    admin = [*(each for each in others if each.address.is_loopback), *config.metrics.entrances(), *others]
    entrance = (admin or config.rtmp.entrances())[0]
    address = entrance.address
    if address.port == 0 and not address.path:
        return f"{address}: the port is chosen at the start of the server, so nobody can ask there"
    local = from_here(address)
    try:
        if admin:
            return _ask(local, entrance.proxy)
        connect(local).close()
    except (OSError, http.client.HTTPException) as error:
        return f"{local} does not answer: {words(error)}"
    return None


def _ask(address: Address, proxy: ProxyUse) -> str | None:
    status, _ = ask(address, "/healthz", proxy=proxy)
    # Who wants a token first is as alive as who does not.
    well = status in (http.client.OK, http.client.UNAUTHORIZED)
    return None if well else f"{address} answers {status}"
