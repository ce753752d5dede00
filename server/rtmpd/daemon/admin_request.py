"""Requests to an admin port: that of the server that runs here with some settings, or one at a URL."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from rtmpd.daemon import secret_files
from rtmpd.daemon.config import Config
from rtmpd.daemon.environment import BEARER_VARIABLE
from rtmpd.exceptions import AdminRequestFailed
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.proxy_header import OWN

_TIMEOUT: Final = 4.0
_SILENCE: Final = 40.0
"""Seconds: a server that follows nothing says so every 15."""
_CHUNK: Final = 256 * 1024
_MOST_REFUSED: Final = 65_536
"""Bytes of an answer that is no file."""
_PAGE: Final = 1000
"""Of a list that is asked for at a time."""


class Told(NamedTuple):
    """One server-sent event."""

    id: str
    name: str
    data: str


@dataclass(frozen=True, slots=True)
class AdminPort:
    """Where a server is asked."""

    address: Address
    proxy: ProxyUse = ProxyUse.OFF
    tls: bool = False
    within: float = _TIMEOUT
    """Seconds until an answer."""
    token: str = field(default="", repr=False)
    """That is shown; empty is none."""

    def __str__(self) -> str:
        return str(self.address)

    @property
    def exposes_token(self) -> bool:
        """A token goes over a network as it is."""
        return bool(self.token) and not self.tls and not self.address.is_loopback

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers, None where that is nothing.

        ``path`` is below /api/v1. Raises AdminRequestFailed if it does not do it.
        """
        try:
            status, data = ask(
                self.address,
                f"/api/v1{path}",
                method,
                body,
                proxy=self.proxy,
                tls=self.tls,
                within=self.within,
                headers=self._headers(),
            )
        except (OSError, http.client.HTTPException) as error:
            raise AdminRequestFailed(f"{self} does not answer: {words(error)}") from error
        answer = None
        with contextlib.suppress(ValueError, RecursionError):
            answer = json.loads(data) if data else None
        if 200 <= status < 300:
            return answer
        raise self._refused(status, answer)

    def call_all(self, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """All parts of the list at ``path``, one after the other. Raises as ``call`` does."""
        items: list[dict[str, Any]] = []
        wanted = {**(query or {}), "limit": str(_PAGE)}
        while True:
            page = self.call("GET", f"{path}?{urlencode(wanted)}")
            items += page["items"]
            if page["next"] is None:
                return items
            wanted["after"] = page["next"]

    def download(self, path: str, file: BinaryIO, at: int) -> int:
        """Write what is at ``path``, as ``call`` has it, behind the first ``at`` bytes; how many came.

        Raises AdminRequestFailed, also if it ends early, and OSError of ``file``.
        """
        connection = http.client.HTTPConnection(self.address.host or "localhost", self.address.port)
        try:
            response = self._ask_for_file(connection, path, at)
            came = 0
            while data := self._some(response):
                file.write(data)
                came += len(data)
        finally:
            connection.close()
        return came

    def _ask_for_file(
        self, connection: http.client.HTTPConnection, path: str, at: int
    ) -> http.client.HTTPResponse:
        headers = self._headers() | ({"Range": f"bytes={at}-"} if at else {})
        try:
            connection.sock = _opened(self.address, self.proxy, self.tls)
            connection.sock.settimeout(_SILENCE)
            connection.request("GET", f"/api/v1{path}", headers=headers)
            response = connection.getresponse()
            if response.status == (http.client.PARTIAL_CONTENT if at else http.client.OK):
                return response
            said = response.read(_MOST_REFUSED)
        except (OSError, http.client.HTTPException) as error:
            raise AdminRequestFailed(f"{self} does not answer: {words(error)}") from error
        answer = None
        with contextlib.suppress(ValueError, RecursionError):
            answer = json.loads(said)
        raise self._refused(response.status, answer)

    def _some(self, response: http.client.HTTPResponse) -> bytes:
        """More of a file, nothing at its end. Raises AdminRequestFailed."""
        try:
            data = response.read(_CHUNK)
            missing = f"{response.length} bytes are missing" if not data and response.length else ""
        except (OSError, http.client.HTTPException) as error:
            data, missing = b"", words(error)
        if missing:
            raise AdminRequestFailed(f"the connection to {self} broke: {missing}; say it again to go on")
        return data

    def follow(self, path: str, after: str) -> Iterator[Told]:
        """Server-sent events of ``path``, as ``call`` has it, behind the one whose id is ``after``, if any.

        What only moves the id on has no data. It ends when the connection does. Raises AdminRequestFailed if
        it is refused, OSError or http.client.HTTPException if there is no sensible answer, or none any more.
        """
        connection = http.client.HTTPConnection(self.address.host or "localhost", self.address.port)
        try:
            sock = connection.sock = _opened(self.address, self.proxy, self.tls)
            headers = self._headers() | ({"Last-Event-ID": after} if after else {})
            connection.request("GET", f"/api/v1{path}", headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                answer = None
                with contextlib.suppress(ValueError, RecursionError):
                    answer = json.loads(response.read())
                raise self._refused(response.status, answer)
            # The connection has no socket any more if its end is that of the answer; the answer reads on.
            sock.settimeout(_SILENCE)
            yield from _told(response)
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _refused(self, status: int, answer: object) -> AdminRequestFailed:
        detail = answer.get("detail") if isinstance(answer, dict) else None
        text = str(detail) if detail else f"{self} answers {status}"
        if status == http.client.UNAUTHORIZED and not self.token:
            text = (
                f"{self} wants a token: name a file with one by --token-file; "
                "on its machine `rtmpd admin-token new NAME` makes one"
            )
        return AdminRequestFailed(text, status)


def token(file: str | None, environ: Mapping[str, str]) -> str:
    """What is in ``file``, else what this environment has to show; empty is nothing.

    Raises AdminRequestFailed.
    """
    try:
        text = secret_files.read_line(file, environ) if file else environ.get(BEARER_VARIABLE, "")
    except ValueError as error:
        raise AdminRequestFailed(f"token: {error}") from None
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise AdminRequestFailed(f"{file or BEARER_VARIABLE} has no token")
    return text


def port_here(config: Config, token: str = "") -> AdminPort:
    """That of the server of ``config`` on this machine. Raises AdminRequestFailed if there is none."""
    entrances = [each for each in config.admin.entrances() if each.address.port or each.address.path]
    # Who asks where others can ask shows a token, on this machine, too.
    usable = [each for each in entrances if each.address.is_loopback] or (entrances if token else [])
    if not usable:
        raise AdminRequestFailed(
            "no address of admin.listen is this machine's alone, and elsewhere it takes a token: "
            'add one such as "127.0.0.1:9936", or name a file with one by --token-file'
        )
    return AdminPort(from_here(usable[0].address), usable[0].proxy, token=token)


def port_at(url: str, token: str = "") -> AdminPort:
    """That at a URL, such as http://127.0.0.1:9935 or unix:/run/rtmpd/admin.sock.

    Raises AdminRequestFailed for one of another kind.
    """
    if url.startswith("unix:/"):
        return AdminPort(Address("", 0, url.removeprefix("unix:")), token=token)
    example = "write one such as http://127.0.0.1:9935"
    text = f"{url} is no URL of an admin port: {example}"
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        raise AdminRequestFailed(text) from None
    if parts.username is not None or parts.query:  # It may be a token.
        raise AdminRequestFailed(f"a token in a URL is seen by others: {example}, and --token-file")
    if not parts.hostname or parts.path.strip("/"):
        raise AdminRequestFailed(text)
    return AdminPort(Address(parts.hostname, port), tls=parts.scheme == "https", token=token)


def ask(
    address: Address,
    path: str,
    method: str = "GET",
    body: object = None,
    *,
    proxy: ProxyUse = ProxyUse.OFF,
    tls: bool = False,
    within: float = _TIMEOUT,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Status and body; with a PROXY header of our own where one is required. ``body`` is sent as JSON.

    Raises OSError or http.client.HTTPException if there is no sensible answer.
    """
    connection = http.client.HTTPConnection(address.host or "localhost", address.port)
    try:
        connection.sock = _opened(address, proxy, tls)
        connection.sock.settimeout(within)
        said = dict(headers or {})
        if body is None:
            connection.request(method, path, headers=said)
        else:
            said["Content-Type"] = "application/json"
            connection.request(method, path, json.dumps(body), said)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _told(lines: Iterable[bytes]) -> Iterator[Told]:
    """As the HTML standard reads them, where data has one line."""
    fields: dict[str, str] = {}
    for line in lines:
        text = line.decode(errors="replace").rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield Told(fields.get("id", ""), fields.get("event", ""), fields.get("data", ""))
            fields = {}


def stream_path(stream: str) -> str:
    """Where the API has the stream that is called so, such as live/show. Raises AdminRequestFailed."""
    app, _, name = stream.partition("/")
    if not name:
        raise AdminRequestFailed(f"{stream} names an app: write app and stream, such as live/test")
    return f"/streams/{quote(app, safe='')}/{quote(name, safe='')}"


def _opened(address: Address, proxy: ProxyUse, tls: bool) -> socket.socket:
    """A connection on which one may ask. Raises OSError."""
    sock = connect(address)
    try:
        if proxy is ProxyUse.REQUIRE:
            sock.sendall(OWN)
        if not tls:
            return sock
        import ssl  # Servers here are asked without.

        return ssl.create_default_context().wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise


def words(error: Exception) -> str:
    """What ``ask`` or ``connect`` raised, for people."""
    return getattr(error, "strerror", None) or str(error) or "no sensible answer"


def from_here(address: Address) -> Address:
    """Where this machine reaches what listens on ``address``."""
    if address.path:
        return address
    if not address.host:
        return Address("127.0.0.1", address.port)
    with contextlib.suppress(ValueError):
        ip = ipaddress.ip_address(address.host)
        if ip.is_unspecified:
            return Address("127.0.0.1" if ip.version == 4 else "::1", address.port)
    return address


def connect(address: Address) -> socket.socket:
    """Raises OSError."""
    if not address.path:
        return socket.create_connection((address.host, address.port), timeout=_TIMEOUT)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(_TIMEOUT)
        sock.connect(address.path)
    except BaseException:
        sock.close()
        raise
    return sock
