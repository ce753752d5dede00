"""What a request asks for, in the words in which RTMP clients ask."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, unquote

from rtmpd.engine.flv_wire import EVERYTHING
from rtmpd.media.track_names import split_name
from rtmpd.net.http import web
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import CapsEx, MessageType
from rtmpd.rtmp.events import PlayRequested, PublishRequested
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import clean_path, parse_query

STREAM_ID: Final = 1
"""In place of a message stream: there is one."""
_BEARER: Final = "bearer"
_MEDIA: Final = {"audio": int(MessageType.AUDIO), "video": int(MessageType.VIDEO)}
_WEBSOCKET: Final = "websocket"


@dataclass(frozen=True, slots=True)
class Wish:
    """A stream, named by the path of a request, and how it is wanted."""

    connect: ConnectParams
    """What a client would connect with."""
    name: str
    """Of the stream in the app that ``connect`` names."""
    query: str = field(repr=False)
    """Behind the name, what stood in a header included; may hold secrets."""
    only: int = EVERYTHING
    """Message type of the one medium that is wanted."""
    framed: bool = False
    """By WebSocket."""

    @property
    def play(self) -> PlayRequested:
        """It is played."""
        # By WebSocket what is live, else a file where nothing is.
        start = -1.0 if self.framed else -2.0
        name, query = split_name(self.name, self.query)
        return PlayRequested(STREAM_ID, name, query, start, -1.0, reset=True)

    def of(self, path: str) -> Wish:
        """The same of another stream, in an app of its own."""
        app, _, name = clean_path(_clean(path)).rpartition("/")
        server = self.connect.tc_url.removesuffix(f"/{self.connect.app}")
        return replace(self, connect=replace(self.connect, app=app, tc_url=f"{server}/{app}"), name=name)

    @property
    def publish(self) -> PublishRequested:
        """It is published."""
        return PublishRequested(STREAM_ID, self.name, self.query, "live")


def read_wish(request: web.BaseRequest, path: str, server: str, limits: Limits) -> Wish | str:
    """What is asked for at ``path``, which names an app and a stream; or what is wrong with how.

    ``server`` is scheme, host and port as the client knows them.
    """
    query = query_of(request.raw_path)
    shown = _shown(request)
    if shown and not {"key", "jwt"} & parse_query(query).keys():
        # A JWT has two dots, and a key of ours none.
        name = "jwt" if shown.count(".") == 2 else "key"
        query = f"{query}&{name}={quote(shown)}" if query else f"{name}={quote(shown)}"
    if len(query.encode()) > limits.max_query_bytes:
        return f"The query is longer than {limits.max_query_bytes} bytes."
    fields = parse_query(query)
    only = fields.get("only", "")
    if only and only not in _MEDIA:
        return "Write only=audio or only=video, or leave it out."
    app, _, name = clean_path(_clean(path)).rpartition("/")
    connect = ConnectParams(
        app=app,
        tc_url=_printable(f"{server}/{app}", limits.max_tc_url_bytes),
        flash_ver=_printable(request.headers.get("User-Agent", ""), limits.max_field_bytes),
        page_url=_printable(request.headers.get("Referer", ""), limits.max_field_bytes),
        caps_ex=int(CapsEx.MULTITRACK) if fields.get("raw") == "1" else 0,
    )
    framed = request.headers.get("Upgrade", "").lower() == _WEBSOCKET
    return Wish(connect, name, query, _MEDIA.get(only, EVERYTHING), framed)


def _shown(request: web.BaseRequest) -> str:
    """The key or token in a header."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return _clean(value.strip()) if scheme.lower() == _BEARER else ""


def _printable(text: str, most: int) -> str:
    """So many bytes of it at most."""
    text = "".join(each for each in _clean(text) if each.isprintable())
    return text.encode()[:most].decode(errors="ignore")


def _clean(text: str) -> str:
    """Without what stands for bytes that are no UTF-8, which cannot be written down."""
    return text.encode(errors="replace").decode()


def query_of(raw_path: str) -> str:
    """What stands behind a path, as it came."""
    return _clean(raw_path.partition("#")[0].partition("?")[2])


def decoded(raw_path: str) -> str:
    """A path as people write it; ``%xx`` that are no UTF-8 become characters that no name has."""
    path = raw_path.partition("#")[0].partition("?")[0]
    if not path.startswith("/"):  # As proxies are asked (RFC 9112, 3.2.2).
        path = f"/{path.partition('://')[2].partition('/')[2]}"
    return _clean(unquote(path, errors="replace"))
