"""Whether a target can be reached: tried on request, with a message or without."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin, spell_session
from rtmpd.events.delivery import NotTaken, judge
from rtmpd.events.formats import authority, request_of, split_topic
from rtmpd.events.model import Delivery, Event, EventKind
from rtmpd.events.settings import Format, TargetSettings
from rtmpd.exceptions import HttpFailed
from rtmpd.net.http_message import HttpRequest

if TYPE_CHECKING:
    from rtmpd.net.http_caller import HttpCaller

_NO_STREAM = StreamKey("test", "test")


async def send_test(
    settings: TargetSettings, caller: HttpCaller, new_id: Callable[[], int], now: float
) -> NotTaken | None:
    """Tell the target that this is a test, once; why it was not taken, or None. ``now`` is since 1970."""
    session = new_id()
    origin = Origin(session=session, protocol="test")
    event = Event(EventKind.TEST, spell_session(new_id()), now, _NO_STREAM, origin, 1, {})
    try:
        request = request_of(Delivery(event, 1, "test"), settings.address, now)
        answer = await caller.call(request, within=settings.timeout, ca_file=settings.ca_file)
    except HttpFailed as error:
        return NotTaken(error.reason, str(error))
    return judge(answer, now)


async def find_obstacle(settings: TargetSettings, caller: HttpCaller) -> str | None:
    """Why the target cannot be told anything, as far as that can be known without telling it something.

    The name is looked up, the connection made and the certificate verified. Discord and ntfy are asked
    whether they know the webhook and the token; of others any answer will do.
    """
    address = settings.address
    url = address.url
    if address.format is Format.NTFY:
        server, topic = split_topic(url)
        url = f"{server}{topic}/auth"
    request = HttpRequest(url, headers=authority(address), method="GET")
    try:
        answer = await caller.call(request, within=settings.timeout, ca_file=settings.ca_file)
    except HttpFailed as error:
        return str(error)
    if 200 <= answer.status < 300 or address.format not in (Format.DISCORD, Format.NTFY):
        return None
    return f"{address.format} answers HTTP {answer.status}: it does not know the URL, or not the token"
