"""The dialogue of a connection as lines for people, with the secrets cut out.

A line is a time in seconds, ``>`` for what the client says and ``<`` for what the server says, chunk stream,
message stream, and the message::

    0.003 > c8 s1 publish 5 *** 'live'
    0.004 < c5 s1 onStatus 0 null {level: 'status', code: 'NetStream.Publish.Start', description: 'Go on.'}
    0.005 > c4 s1 audio mp4a header, 7 bytes at 0 ms

Numbers and flags are shown. A text is shown where it is known to be no secret: names of commands and
properties, and the values of a few of them, without queries and passwords. The name of a stream is a key to
many a server, and cut out of everything that quotes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import Final

from rtmpd.exceptions import AmfError, ProtocolError
from rtmpd.rtmp.amf import UNDEFINED, AmfValue
from rtmpd.rtmp.chunk_listener import ChunkListener, Heard
from rtmpd.rtmp.command_scan import parse_command, parse_data, parse_head
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import BandwidthLimit, MessageType
from rtmpd.rtmp.control import parse_u32, parse_user_control
from rtmpd.rtmp.handshake import ClientHandshake, ServerHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.scrubbing import Scrubber, secrets_of
from rtmpd.rtmp.url import REDACTED, redact, split_query

MAX_LINE: Final = 1000
"""Characters of a line; the rest is cut off."""
_MAX_TEXT: Final = 100
"""Characters of one text."""
_MAX_SECRET_CHARS: Final = 1024
"""Of all secrets of a connection together: to look for them takes time by their length. With more they are
forgotten, and nothing that might quote one is shown.
"""
_MIN_KEY_CHARS: Final = 16
_LIMITS: Final = Limits()
_HOST: Final = re.compile("^[a-z]+://[^/?]*")
_LEVELS: Final = re.compile("[/\0]")

_KEY: Final = "key"
_QUOTES: Final = frozenset({"description", "details"})
"""What may quote a secret."""
_HARMLESS: Final = frozenset(
    {
        "app",
        "audioFourCcInfoMap",
        "code",
        "encoder",
        "flashVer",
        "fmsVer",
        "fourCcList",
        "handler",
        "level",
        "mode",
        "objectEncoding",
        "pageUrl",
        "redirect",
        "swfUrl",
        "tcUrl",
        "type",
        "version",
        "videoFourCcInfoMap",
    }
)
_ARGUMENTS: Final = {
    "publish": (_KEY, "mode"),
    "releaseStream": (_KEY,),
    "FCPublish": (_KEY,),
    "FCUnpublish": (_KEY,),
    "play": (_KEY,),
    "FCSubscribe": (_KEY,),
    "getStreamLength": (_KEY,),
}
"""What the arguments of commands are."""
_NUMBERS: Final[dict[int, str]] = {
    MessageType.SET_CHUNK_SIZE: "SetChunkSize",
    MessageType.ABORT: "Abort",
    MessageType.ACKNOWLEDGEMENT: "Acknowledgement",
    MessageType.WINDOW_ACK_SIZE: "WindowAckSize",
}
"""Control messages of one number."""


class Transcript:
    """Hears both sides of one connection from its first byte on, and writes a line for each thing said.

    ``clock`` gives seconds; ``describe_media(type, payload)`` says in a few words what an audio or video
    payload is, of which it is given no more than the first ``chunk_listener.HEAD_BYTES``.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float],
        describe_media: Callable[[int, bytes], str],
    ) -> None:
        self._write = write
        self._clock = clock
        self._began = clock()
        self._describe_media = describe_media
        self._client_handshake: ServerHandshake | None = ServerHandshake(bytes)
        self._server_handshake: ClientHandshake | None = ClientHandshake(bytes, digest=True)
        self._client: ChunkListener | None = ChunkListener()
        self._server: ChunkListener | None = ChunkListener()
        self._secrets: set[str] = set()
        self._too_many = False
        """Secrets, to be looked for."""
        self._scrubber = Scrubber(())

    def client_says(self, data: bytes) -> None:
        """Bytes from the client to the server."""
        if self._client is None:
            return
        try:
            if self._client_handshake is not None:
                data = self._hear_client_handshake(self._client_handshake, data)
            self._tell_all(">", self._client.hear(data))
        except ProtocolError as error:
            self._client = None
            self._tell(">", f"cannot be followed any further: {error}")

    def server_says(self, data: bytes) -> None:
        """Bytes from the server to the client."""
        if self._server is None:
            return
        try:
            if self._server_handshake is not None:
                data = self._hear_server_handshake(self._server_handshake, data)
            self._tell_all("<", self._server.hear(data))
        except ProtocolError as error:
            self._server = None
            self._tell("<", f"cannot be followed any further: {error}")

    # The handshake

    def _hear_client_handshake(self, handshake: ServerHandshake, data: bytes) -> bytes:
        if handshake.receive_data(data):
            self._tell(">", f"handshake C0 C1, {_kind(handshake.digest)}")
        if handshake.done:
            self._tell(">", "handshake C2")
            self._client_handshake = None
        return handshake.leftover()

    def _hear_server_handshake(self, handshake: ClientHandshake, data: bytes) -> bytes:
        handshake.receive_data(data)
        if handshake.done:
            self._tell("<", f"handshake S0 S1 S2, {_kind(handshake.digest)}")
            self._server_handshake = None
        return handshake.leftover()

    # Lines

    def _tell_all(self, mark: str, messages: Iterable[Heard]) -> None:
        for heard in messages:
            where = f"c{heard.csid} s{heard.message.stream_id}"
            self._tell(mark, f"{where} {self._describe(heard)}")

    def _tell(self, mark: str, text: str) -> None:
        line = f"{self._clock() - self._began:.3f} {mark} {text}"
        self._write(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}...")

    def _describe(self, heard: Heard) -> str:
        message, length = heard.message, heard.length
        size = f"{length} bytes at {message.timestamp} ms"
        whole = length == len(message.payload)
        try:
            match message.type:
                case MessageType.COMMAND_AMF0 | MessageType.COMMAND_AMF3 if whole:
                    return self._describe_command(parse_command(message, _LIMITS))
                case MessageType.COMMAND_AMF0 | MessageType.COMMAND_AMF3:
                    return f"{_escape(parse_head(message).name)} of {length} bytes"
                case MessageType.DATA_AMF0 | MessageType.DATA_AMF3 if whole:
                    return f"{self._describe_data(message)}, {size}"
                case MessageType.AUDIO | MessageType.VIDEO:
                    return f"{self._describe_media(message.type, message.payload)}, {size}"
                case _:
                    return _describe_control(message) or f"{_type_name(message.type)}, {size}"
        except AmfError as error:
            return f"{_type_name(message.type)} that cannot be decoded, {size}: {error}"
        except ProtocolError as error:
            return f"{_type_name(message.type)} that says nothing: {error}"

    def _describe_command(self, command: Command) -> str:
        self._learn(command)
        values = (command.command_object, *command.args)
        shown = self._show_all(values, chain([""], _ARGUMENTS.get(command.name, ())))
        return f"{_escape(command.name)} {command.transaction_id:g} {shown}".rstrip()

    def _describe_data(self, message: Message) -> str:
        name, values = parse_data(message, _LIMITS)
        shown = self._show_all(values, ["handler"] if name.startswith("@") else [])
        return f"{_escape(name)} {shown}".rstrip()

    # Values

    def _learn(self, command: Command) -> None:
        """Remember what is secret of a command, wherever it is quoted later."""
        secrets: set[str] = set()
        if command.name == "connect" and isinstance(command.command_object, dict):
            for text in (command.command_object.get(name) for name in ("app", "tcUrl")):
                if isinstance(text, str):
                    path, query = split_query(_HOST.sub("", text))
                    secrets.update(secrets_of(query), filter(_may_be_key, _LEVELS.split(path)))
        for value, kind in zip(command.args, _ARGUMENTS.get(command.name, ()), strict=False):
            if isinstance(value, str) and kind == _KEY:
                name, query = split_query(value)
                secrets.update([name], secrets_of(query))
        if not (self._too_many or secrets <= self._secrets):
            self._secrets |= secrets
            self._too_many = sum(map(len, self._secrets)) > _MAX_SECRET_CHARS
            if self._too_many:
                self._secrets.clear()
            self._scrubber = Scrubber(self._secrets)

    def _show_all(self, values: Iterable[AmfValue], kinds: Iterable[str]) -> str:
        return " ".join(
            self._show(value, kind) for value, kind in zip(values, chain(kinds, repeat("")), strict=False)
        )

    def _show(self, value: AmfValue, kind: str) -> str:
        """``kind`` is the name of the property, or what the argument is."""
        if value is UNDEFINED:
            return "undefined"
        match value:
            case None:
                return "null"
            case bool():
                return str(value).lower()
            case int() | float():
                return f"{value:.15g}"
            case str():
                return self._show_text(value, kind)
            case dict():
                items = (f"{_escape(name)}: {self._show(item, name)}" for name, item in value.items())
                return "{" + ", ".join(items) + "}"
            case list():
                return "[" + ", ".join(self._show(item, kind) for item in value) + "]"
            case _:
                return type(value).__name__

    def _show_text(self, text: str, kind: str) -> str:
        if kind in _QUOTES and not self._too_many:
            text = self._scrubber.scrub(text)
        elif kind in _HARMLESS:
            text = self._scrubber.redact(text)
        else:
            return REDACTED
        return f"'{_escape(redact(text))}'"


def _may_be_key(level: str) -> bool:
    """Some clients put the whole path into the app, which else has short levels."""
    return len(level) >= _MIN_KEY_CHARS


def _kind(digest: bool) -> str:
    return "digest" if digest else "simple"


def _type_name(message_type: int) -> str:
    """``aggregate``, ``command AMF3``, or ``type 99`` for one that is not known."""
    try:
        return MessageType(message_type).name.lower().replace("_amf", " AMF").replace("_", " ")
    except ValueError:
        return f"type {message_type}"


def _describe_control(message: Message) -> str:
    """In words of the specification; empty for other messages."""
    match message.type:
        case MessageType.USER_CONTROL:
            event = parse_user_control(message.payload)
            names = [name for name in type(event).__dataclass_fields__ if name != "payload"]
            return " ".join([type(event).__name__, *(f"{getattr(event, name)}" for name in names)])
        case MessageType.SET_PEER_BANDWIDTH:
            limit = message.payload[4] if len(message.payload) > 4 else -1
            word = BandwidthLimit(limit).name.lower() if limit in set(BandwidthLimit) else "unlimited"
            return f"SetPeerBandwidth {parse_u32(message.payload)} {word}"
        case _:
            name = _NUMBERS.get(message.type)
            return f"{name} {parse_u32(message.payload)}" if name else ""


def _escape(text: str) -> str:
    """The text cut short, with nothing left in it that moves a cursor."""
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]}..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
