"""RTMP URLs, the queries that ride on app and stream names, and which names are accepted.

The split of a path into app and name is a convention, not part of any specification: by default the last
segment is the name and everything before it the app. Path and query are sent as they are written, as ffmpeg
and OBS send them: ``my%20key`` names a stream with a percent sign in it, and Adobe's authentication puts bare
base64 into queries, which a form decoder would spoil. Only user and password are decoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, unquote

from rtmpd.exceptions import UsageError
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import DEFAULT_PORT, DEFAULT_TLS_PORT

REDACTED: Final = "***"

_DEFAULT_PORTS: Final = {"rtmp": DEFAULT_PORT, "rtmps": DEFAULT_TLS_PORT}
_MAX_PORT_DIGITS: Final = 5
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USERINFO: Final = re.compile(r"(://[^/?\s:@]*):[^/\s]*@")
_QUERY: Final = re.compile(r"\?.+", re.DOTALL)
_PUBLIC: Final = re.compile(
    r"(?:track|audio)=(?:all|[0-9]{1,3})|track=(?:best|[1-9][0-9]{1,4}p(?:_?[0-9]{1,3})?)|backup=[01]"
)
"""A field that says which tracks are wanted, or which encoder it is; a key may stand under any other name."""
_REFUSED_CHARACTERS: Final = frozenset(" \"'`\\<>|?\N{REPLACEMENT CHARACTER}")
RESERVED: Final = "@"
"""Marks names that the server makes up itself; no peer may have one."""
_DEFAULT_INSTANCE: Final = "_definst_"
_KIND: Final = re.compile(r"(^|/)(?:mp4|flv):(?!\.{0,2}(?:/|$))")
"""Before a level that is one without it, too."""
_ENDING: Final = re.compile(r"\.(?:flv|mp4|f4v)$")
_MP4_ENDINGS: Final = (".mp4", ".f4v")
_SERVER: Final = "write scheme, host and port, such as rtmp://other.example"


@dataclass(frozen=True, slots=True)
class RtmpUrl:
    """Where a stream is published or played. ``str()`` and ``repr()`` hide secrets; ``full`` does not."""

    scheme: str
    """``rtmp`` or ``rtmps``."""
    host: str
    """Without brackets when it is an IPv6 address."""
    port: int
    app: str
    name: str = ""
    """Stream name; empty when the URL names an application only."""
    query: str = field(default="", repr=False)
    """What followed the first ``?``, as written."""
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, *, app: str | None = None) -> RtmpUrl:
        """Parse an ``rtmp://`` or ``rtmps://`` URL.

        ``app`` overrides the split of the path and must be its beginning, in whole segments.
        Raises UsageError, whose text holds no secret.
        """
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in _DEFAULT_PORTS:
            raise UsageError("an RTMP URL starts with rtmp:// or rtmps://")
        if any(character.isspace() or not character.isprintable() for character in rest):
            raise UsageError("an RTMP URL has no spaces or control characters")
        rest, query = split_query(rest)
        authority, _, path = rest.partition("/")
        userinfo, _, host_port = authority.rpartition("@")
        user, _, password = userinfo.partition(":")
        host, port = _split_host(host_port, _DEFAULT_PORTS[scheme])
        app, name = _split_path(path.strip("/"), app)
        return cls(scheme, host, port, app, name, query, unquote(user), unquote(password))

    @property
    def tc_url(self) -> str:
        """``tcUrl`` of a connect: no credentials, no stream, no query."""
        return f"{self.scheme}://{self._host_port}/{self.app}"

    def moved_to(self, tc_url: str) -> tuple[RtmpUrl, str]:
        """This URL at the place that its server names instead, and the query of the application there.

        ``tc_url`` is absolute. User and password do not go along to another host or port. Raises UsageError
        for what is no URL of the same scheme: a server must not talk a client out of TLS.
        """
        _, _, path = split_query(tc_url.partition("://")[2])[0].partition("/")
        there = RtmpUrl.parse(tc_url, app=path)
        if there.scheme != self.scheme:
            raise UsageError(f"a server of {self.scheme}:// may not move a client to {there.scheme}://")
        moved = replace(self, host=there.host, port=there.port, app=there.app)
        if (there.host, there.port) != (self.host, self.port):
            moved = replace(moved, user="", password="")
        return moved, there.query

    @property
    def full(self) -> str:
        """The whole URL, secrets and all."""
        return self._format(quote(self.password, safe=""), self.query)

    def __str__(self) -> str:
        return self._format(REDACTED, REDACTED)

    @property
    def _host_port(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def _format(self, password: str, query: str) -> str:
        userinfo = quote(self.user, safe="")
        if self.password:
            userinfo += f":{password}"
        if userinfo:
            userinfo += "@"
        path = f"{self.app}/{self.name}" if self.name else self.app
        suffix = f"?{query}" if self.query else ""
        return f"{self.scheme}://{userinfo}{self._host_port}/{path}{suffix}"


def split_query(text: str) -> tuple[str, str]:
    """Split an app, a stream name or a URL at its first ``?``; the query is returned without it."""
    path, _, query = text.partition("?")
    return path, query


def resolve(base: str, reference: str) -> str:
    """``reference`` as an absolute URL, seen from ``base`` (RFC 3986, section 5, without dot segments)."""
    if _ABSOLUTE.match(reference):
        return reference
    if not reference:
        return base
    scheme, _, rest = base.partition("://")
    authority, slash, path = split_query(rest)[0].partition("/")
    if reference.startswith("//"):
        return f"{scheme}:{reference}"
    if reference.startswith("/"):
        return f"{scheme}://{authority}{reference}"
    if not reference.startswith("?"):
        path = path[: path.rfind("/") + 1]
        slash = "/"
    return f"{scheme}://{authority}{slash}{path}{reference}"


def parse_query(query: str) -> dict[str, str]:
    """Fields of a query: ``+`` stays a plus, ``%xx`` is decoded, the last of equal names wins.

    A further ``?`` separates as ``&`` does: authenticating encoders append theirs to a query already there.
    """
    fields = (part.partition("=") for part in re.split(r"[&?]", query) if part)
    return {unquote(key): unquote(value) for key, _, value in fields}


def asks_to_stand_by(query: str) -> bool:
    """Whether an encoder says that it is the backup of another, ``backup=1``."""
    return bool(query) and parse_query(query).get("backup") == "1"


def public_query(query: str) -> str:
    """Those fields of a stream name's query that cannot be secrets: see ``_PUBLIC``."""
    return "&".join(field for field in re.split(r"[&?]", query) if _PUBLIC.fullmatch(field))


def redact(text: str) -> str:
    """``text`` (a URL, an app, a stream name) with its password and its whole query replaced."""
    return _QUERY.sub(f"?{REDACTED}", _USERINFO.sub(rf"\1:{REDACTED}@", text))


def clean_path(*parts: str) -> str:
    """What an app and a stream name mean together, as one path, whichever of them holds which part of it.

    Left out is what clients add by mistake: what follows a NUL (the end of a C string sent along), slashes
    too many, blanks and newlines at the ends of a level (a key that was pasted). Nor is the default instance
    a level that anybody means. Queries are to be split off before.
    """
    # quirk(fmle): the default instance of an app is written out, as in live/_definst_/cam.
    cut = [part.partition("\0")[0] for part in parts]
    levels = [level.strip() for part in cut for level in part.split("/")]
    return "/".join(level for level in levels if level not in ("", _DEFAULT_INSTANCE))


def bare_names(name: str) -> list[str]:
    """What else a player may mean that asks for ``name``, likeliest first: it without the kind of a file.

    quirk(flash, ffmpeg): a player says mp4:cam.mp4, or mp4:cam, of what its URL calls cam.mp4 or cam.
    """
    plain = _KIND.sub(r"\1", name)
    candidates = [plain, _ENDING.sub("", name), _ENDING.sub("", plain)]
    return [candidate for candidate in dict.fromkeys(candidates) if candidate != name]


def awaited_name(name: str) -> str:
    """What a player that asks for ``name`` waits for when neither that nor a bare name is published.

    It is the name without ``mp4:`` and ``flv:``, which only players say, but for one case. An ending stays,
    because nobody adds one by himself: it is what both sides were told.
    """
    plain = _KIND.sub(r"\1", name)
    # quirk(ffmpeg): publishes mp4:cam.mp4, too, when its URL ends in cam.mp4.
    return name if plain.endswith(_MP4_ENDINGS) else plain


def validate_name(text: str, max_bytes: int) -> Refusal | None:
    """Why ``text`` (its query split off) is no app or stream name; None when it is one.

    A name is one or more levels separated by ``/``. A level is not empty, ``.`` or ``..`` and consists of
    printable characters of any alphabet, without blanks, quotes, backslashes, ``<>|?`` and the replacement
    character that stands for bad UTF-8. Names that are too long are refused, not cut: cut ones collide. So
    are names with the character that marks our own.
    """
    if not text:
        return Refusal.NAME_EMPTY
    if len(text.encode(errors="replace")) > max_bytes:
        return Refusal.NAME_TOO_LONG
    if not text.isprintable() or not _REFUSED_CHARACTERS.isdisjoint(text):
        return Refusal.NAME_CHARACTER
    if RESERVED in text:
        return Refusal.NAME_RESERVED
    if any(level in ("", ".", "..") for level in text.split("/")):
        return Refusal.NAME_LEVEL
    return None


def _split_host(text: str, default_port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, closing, after = text[1:].partition("]")
        if not closing or ":" not in host or (after and not after.startswith(":")):
            raise UsageError("an IPv6 address in a URL is written [address]:port")
        port_text = after[1:]
    else:
        host, _, port_text = text.partition(":")
        if ":" in port_text:
            raise UsageError("an IPv6 address in a URL stands in square brackets")
    if not host:
        raise UsageError("the URL names no host")
    if not port_text:
        return host, default_port
    plain = port_text.isascii() and port_text.isdigit() and len(port_text) <= _MAX_PORT_DIGITS
    if not (plain and 0 < int(port_text) <= 65535):
        raise UsageError("the port of a URL is a number from 1 to 65535")
    return host, int(port_text)


def _split_path(path: str, app: str | None) -> tuple[str, str]:
    if app is None:
        head, _, last = path.rpartition("/")
        app, name = (head, last) if head else (last, "")
    else:
        app = app.strip("/")
        if path != app and not path.startswith(f"{app}/"):
            raise UsageError("the path of the URL does not begin with the app")
        name = path[len(app) + 1 :]
    if not app:
        raise UsageError("the URL names no application: rtmp://host/app/name is expected")
    return app, name


def check_server(text: str) -> str:
    """``text`` if it names a server for clients to go to, or nothing. Raises ValueError."""
    if not text:
        return text
    try:
        url = RtmpUrl.parse(f"{text.rstrip('/')}/app")
    except UsageError as error:
        raise ValueError(f"{error}: {_SERVER}") from None
    if url.app != "app" or url.name or url.query or url.user:
        raise ValueError(f"the app is the client's own: {_SERVER}")
    return text.rstrip("/")
