"""What NOALBS makes of a statistics page of nginx-rtmp, and of a path of MediaMTX.

It reads them with serde, which is strict: where a field is missing that it needs, or a number is none, it has
no page at all and takes the stream for offline. Its first version needs more fields, its newest one asks for
``<active/>``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree as ET

Read = Callable[[ET.Element], Any]


class Unreadable(Exception):
    """It takes this for no page."""


class Scene(StrEnum):
    OFFLINE = "offline"
    PREVIOUS = "previous"
    """It stays where it is."""
    LOW = "low"
    NORMAL = "normal"


@dataclass(frozen=True)
class Field:
    read: Read
    optional: bool = False
    many: bool = False


def text(element: ET.Element) -> str:
    if len(element):
        raise Unreadable(f"{element.tag} is no text")
    return element.text or ""


def u32(element: ET.Element) -> int:
    number = text(element)
    if not re.fullmatch(r"\+?[0-9]+", number) or int(number) >= 1 << 32:
        raise Unreadable(f"{element.tag}: {number!r} is no u32")
    return int(number)


def f64(element: ET.Element) -> float:
    number = text(element)
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", number):
        raise Unreadable(f"{element.tag}: {number!r} is no f64")
    return float(number)


def unit(element: ET.Element) -> bool:
    return True


def struct(fields: Mapping[str, Field]) -> Read:
    """Fields by name. What is not known is skipped; what comes twice is a mistake, or a list in one piece."""

    def read(element: ET.Element) -> dict[str, Any]:
        found: dict[str, Any] = {}
        before = ""
        for child in element:
            field = fields.get(child.tag)
            if field is not None and field.many:
                if child.tag in found and before != child.tag:
                    raise Unreadable(f"{child.tag} goes on after something else")
                found.setdefault(child.tag, []).append(field.read(child))
            elif field is not None:
                if child.tag in found:
                    raise Unreadable(f"{child.tag} comes twice")
                found[child.tag] = field.read(child)
            before = child.tag
        for name, field in fields.items():
            if name not in found:
                if not field.optional:
                    raise Unreadable(f"{element.tag} has no {name}")
                found[name] = None
        return found

    return read


def _page(first: bool) -> Read:
    video = {
        **{name: Field(u32, optional=not first) for name in ("width", "height")},
        "frame_rate": Field(f64, optional=not first),
        "codec": Field(text, optional=not first),
        "profile": Field(text, optional=True),
        "compat": Field(u32, optional=True),
        "level": Field(f64, optional=True),
    }
    audio = {
        **{name: Field(text, optional=True) for name in ("codec", "profile")},
        **{name: Field(u32, optional=True) for name in ("channels", "sample_rate")},
    }
    stream = {
        "name": Field(text),
        "bw_video": Field(u32),
        "meta": Field(struct({"video": Field(struct(video)), "audio": Field(struct(audio))}), optional=True),
        "active": Field(unit, optional=True),
    }
    live = struct({"stream": Field(struct(stream), optional=True, many=True)})
    application = {"name": Field(text), "live": Field(live, optional=not first)}
    server = struct({"application": Field(struct(application), many=True)})
    return struct({"server": Field(server)})


_FIRST: Final = _page(first=True)
_NEWEST: Final = _page(first=False)


def streams(page: str) -> list[tuple[str, dict[str, Any]]]:
    """All of a page, by their apps, if both versions can read it. Raises Unreadable."""
    root = ET.fromstring(page)
    _NEWEST(root)
    applications = _FIRST(root)["server"]["application"]
    return [(app["name"], each) for app in applications for each in app["live"]["stream"] or ()]


def scene(page: str, app: str, name: str, *, low: int = 800, offline: int = 200) -> Scene:
    """Which it switches to: bitrates in kbit/s below which a stream counts as low, and as offline."""
    found = [each for its_app, each in streams(page) if (its_app, each["name"]) == (app, name)]
    if not found or not found[-1]["active"]:
        return Scene.OFFLINE
    return _judge(found[-1]["bw_video"] // 1024, low, offline)


def _judge(bitrate: int, low: int, offline: int) -> Scene:
    if 0 < bitrate <= offline:
        return Scene.OFFLINE
    if bitrate == 0:
        return Scene.PREVIOUS
    return Scene.LOW if bitrate <= low else Scene.NORMAL


def source_info(page: str, app: str, name: str) -> str | None:
    """What it says in a chat; None where it says nothing."""
    found = [each for its_app, each in streams(page) if (its_app, each["name"]) == (app, name)]
    if not found or found[-1]["meta"] is None:
        return None
    video, audio = found[-1]["meta"]["video"], found[-1]["meta"]["audio"]
    picture = f"{video['height']}p{video['frame_rate']:g} | {video['codec']} {video['profile'] or ''}"
    sound = f"{audio['codec'] or ''} {audio['sample_rate'] or 0}Hz, {audio['channels'] or 0} channels"
    return f"{picture} {video['level'] or 0} | {sound}"


def bytes_of_path(answer: Mapping[str, Any]) -> int:
    """Of what it asks MediaMTX: it counts the bytes itself. Raises Unreadable."""
    source, received = answer.get("source"), answer.get("bytesReceived")
    whole = isinstance(received, int) and not isinstance(received, bool) and 0 <= received < 1 << 64
    if not isinstance(answer.get("name"), str) or not isinstance(source, dict) or not whole:
        raise Unreadable("no stats")
    if not all(isinstance(source.get(each), str) for each in ("type", "id")):
        raise Unreadable("no source")
    return received
