"""Players by HTTP-FLV for a crowd: dialled with a GET, read as those of RTMP are."""

from __future__ import annotations

import asyncio
import math
import re
import socket
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from rtmpd.exceptions import ConnectionClosed, RequestRejected, UsageError
from rtmpd.media.flv import FlvReader
from rtmpd.net.resolver import RESOLVER
from rtmpd.rtmp.messages import Message
from rtmpd.tools.load.common import DIAL_TIMEOUT, Dialled

_ENDING: Final = ".flv"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ?([^\r]*)\r\n")
_MAX_HEAD_BYTES: Final = 16 * 1024
_READ_BYTES: Final = 256 * 1024
_STREAM_ID: Final = 1


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """Where an FLV is played by HTTP."""

    host: str
    port: int
    folder: str
    """Of the path, to the last slash."""
    name: str
    """Without ``.flv``."""
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> HttpUrl:
        """Raises UsageError, whose text holds no secret."""
        try:
            parts = urlsplit(text)
            port = parts.port or 80
        except ValueError:
            parts, port = SplitResult("", "", "", "", ""), 0
        folder, _, name = parts.path.rpartition("/")
        if parts.scheme != "http" or not parts.hostname or not name.endswith(_ENDING):
            raise UsageError("bench plays http://host:port/app/name.flv, without TLS")
        return cls(parts.hostname, port, f"{folder}/", name.removesuffix(_ENDING), parts.query)


class FlvMessages:
    """The tags of an FLV as the messages that they were; ``chunked`` as HTTP/1.1 has it (RFC 9112, 7.1)."""

    def __init__(self, *, chunked: bool = False) -> None:
        self._reader = FlvReader()
        self._chunked = chunked
        self._buffer = b""
        self._left = 0
        """Of a chunk."""

    def receive_data(self, data: bytes) -> list[Message]:
        """Raises FlvError."""
        tags = self._reader.receive_data(self._without_chunks(data) if self._chunked else data)
        return [Message(tag.type, tag.timestamp, _STREAM_ID, tag.payload) for tag in tags]

    def _without_chunks(self, data: bytes) -> bytes:
        data = self._buffer + data
        found: list[bytes] = []
        while data:
            if self._left:
                found.append(data[: self._left])
                self._left -= len(found[-1])
                data = data[len(found[-1]) :]
                continue
            # The end of the chunk before is an empty line.
            line, end, rest = data.removeprefix(b"\r\n").partition(b"\r\n")
            if not end:
                break
            self._left, data = int(line.partition(b";")[0] or b"0", 16), rest
        self._buffer = data
        return b"".join(found)


class HttpDialler:
    """Opens connections to one server, as ``Dialler`` does by RTMP."""

    def __init__(self, url: HttpUrl, address: tuple[str, int], family: int) -> None:
        self._url = url
        self._address = address
        self._family = family
        self._query = f"?{url.query}" if url.query else ""

    @classmethod
    async def resolve(cls, url: HttpUrl) -> HttpDialler:
        """Look up the host of ``url``. Raises ``ConnectFailed``."""
        family, _, _, _, address = (await RESOLVER.resolve(url.host, url.port))[0]
        return cls(url, (str(address[0]), int(address[1])), family)

    async def play(self, name: str) -> Dialled:
        """Connect, and ask for a stream. Raises ``OSError``, ``RtmpdError`` or ``TimeoutError``."""
        loop = asyncio.get_running_loop()
        url = self._url
        path = f"{url.folder}{name}{_ENDING}{self._query}"
        request = f"GET {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nUser-Agent: rtmpd bench\r\n\r\n"
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            started_at = loop.time()
            async with asyncio.timeout(DIAL_TIMEOUT):
                await loop.sock_connect(sock, self._address)
                await loop.sock_sendall(sock, request.encode())
                chunked, rest = await _head(sock)
            reader = FlvMessages(chunked=chunked)
            early = reader.receive_data(rest)
        except BaseException:
            sock.close()
            raise
        return Dialled(sock, reader, _STREAM_ID, early, started_at, loop.time(), math.inf)


async def _head(sock: socket.socket) -> tuple[bool, bytes]:
    """Read status line and headers: whether the body comes in chunks, and what of it has come."""
    loop = asyncio.get_running_loop()
    data = b""
    while b"\r\n\r\n" not in data:
        more = await loop.sock_recv(sock, _READ_BYTES)
        if not more or len(data) > _MAX_HEAD_BYTES:
            raise ConnectionClosed("the server gave no answer of HTTP")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    status = _STATUS.match(head + b"\r\n")
    if status is None or status[1] != b"200":
        text = "no answer of HTTP" if status is None else (status[1] + b" " + status[2]).decode("latin-1")
        raise RequestRejected(text, code=text[:3], description=text)
    return b"transfer-encoding: chunked" in head.lower(), rest
