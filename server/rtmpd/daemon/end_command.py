"""``rtmpd end``: nobody comes back to a stream whose players are kept."""

from __future__ import annotations

import contextlib
import http.client
import json
from urllib.parse import quote

from rtmpd.daemon.admin_request import ask, from_here, words
from rtmpd.daemon.config import Config


def find_problem(config: Config, path: str) -> str | None:
    """Have the server of ``config`` on this machine end the stream; why it did not, or None."""
    app, _, name = path.partition("/")
    if not name:
        return f"{path} names an app: write app and stream, such as live/test"
    entrances = [each for each in config.admin.entrances() if each.address.port or each.address.path]
    local = [each for each in entrances if each.address.is_loopback]
    if not local:
        return "the server takes this on a loopback address or a Unix socket only: name one in admin.listen"
    stream = f"{quote(app, safe='')}/{quote(name, safe='')}"
    address = from_here(local[0].address)
    try:
        status, body = ask(address, f"/api/v1/streams/{stream}/end", "POST", proxy=local[0].proxy)
    except (OSError, http.client.HTTPException) as error:
        return f"{address} does not answer: {words(error)}"
    if status == http.client.NO_CONTENT:
        return None
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return str(json.loads(body)["error"])
    return f"{address} answers {status}"
