"""Events as the requests that receivers understand: JSON that is signed, Discord's, ntfy's, dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from rtmpd.events.dialects import told
from rtmpd.events.model import Delivery, Event, spell_time
from rtmpd.events.settings import Address, Format
from rtmpd.events.signature import signed
from rtmpd.events.wording import Mood, worded
from rtmpd.net.http_message import HttpRequest

_JSON: Final = ("Content-Type", "application/json")


def request_of(delivery: Delivery, address: Address, now: float) -> HttpRequest:
    """What is sent ``now`` (seconds since 1970)."""
    match address.format:
        case Format.NATIVE:
            return _native(delivery, address, now)
        case Format.DISCORD:
            return HttpRequest(address.url, _as_json(_discord(delivery.event)), (_JSON, *authority(address)))
        case Format.NTFY:
            server, topic = split_topic(address.url)
            body = _as_json({"topic": topic, **_ntfy(delivery.event)})
            return HttpRequest(server, body, (_JSON, *authority(address)))
        case Format.NGINX_RTMP | Format.SRS:
            request = told(delivery, address)
            return replace(request, headers=(*request.headers, *authority(address)))


def _native(delivery: Delivery, address: Address, now: float) -> HttpRequest:
    event = delivery.event
    body = _as_json({**event.as_json(), "server": delivery.server, "delivery": delivery.number})
    headers = (_JSON, *authority(address), *signed(address.secrets, event.id, int(now), body))
    return HttpRequest(address.url, body, headers)


def _as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def authority(address: Address) -> tuple[tuple[str, str], ...]:
    """The header with the token, if there is one."""
    return (("Authorization", f"Bearer {address.token}"),) if address.token else ()


# Discord: https://discord.com/developers/docs/resources/webhook#execute-webhook

_COLORS: Final[Mapping[Mood, int]] = {Mood.GOOD: 0x2ECC71, Mood.PLAIN: 0x95A5A6, Mood.BAD: 0xE74C3C}
_MARKUP: Final = re.compile(r"([\\*_~`|>\[\]<#@]|:(?=//))")
"""Also what would make a link of what a peer calls itself."""
_MOST_TITLE: Final = 256
_MOST_DESCRIPTION: Final = 2048


def _discord(event: Event) -> dict[str, object]:
    message = worded(event)
    return {
        "embeds": [
            {
                "title": _cut(_escape(message.title), _MOST_TITLE),
                "description": _cut(_escape(message.text), _MOST_DESCRIPTION),
                "color": _COLORS[message.mood],
                "timestamp": spell_time(event.at),
            }
        ],
        # What peers call themselves calls nobody.
        "allowed_mentions": {"parse": []},
    }


def _escape(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def _cut(text: str, most: int) -> str:
    """``text`` with as many characters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


# ntfy: https://docs.ntfy.sh/publish/#publish-as-json

_TOPIC: Final = re.compile(r"/?([A-Za-z0-9_-]{1,64})/?")
_PRIORITIES: Final[Mapping[Mood, int]] = {Mood.GOOD: 3, Mood.PLAIN: 2, Mood.BAD: 4}
_TAGS: Final[Mapping[Mood, str]] = {
    Mood.GOOD: "white_check_mark",
    Mood.PLAIN: "information_source",
    Mood.BAD: "warning",
}
_MOST_NTFY_TITLE: Final = 200
_MOST_NTFY_TEXT: Final = 1000
"""Characters; of 4096 bytes on it becomes a file."""


def split_topic(url: str) -> tuple[str, str]:
    """The server of ``https://ntfy.sh/topic``, and the topic. Raises ValueError, without a secret."""
    parsed = urlsplit(url)
    match = _TOPIC.fullmatch(parsed.path)
    if match is None or parsed.query or parsed.fragment:
        raise ValueError("is no topic of ntfy: write it as https://ntfy.sh/topic")
    return urlunsplit((parsed.scheme, parsed.netloc, "/", "", "")), match[1]


def _ntfy(event: Event) -> dict[str, object]:
    message = worded(event)
    tags = [_TAGS[message.mood], str(event.kind)]
    return {
        "title": _cut(message.title, _MOST_NTFY_TITLE),
        "message": _cut(message.text or message.title, _MOST_NTFY_TEXT),
        "priority": _PRIORITIES[message.mood],
        "tags": tags,
    }
