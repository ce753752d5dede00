"""What a client sent, byte for byte, with the texts blanked out in which secrets could be.

Names of streams, queries, users and passwords are texts of AMF0, perhaps with the header of a chunk in the
middle. So the chunk stream is followed, and each byte of a text becomes ``*``: lengths and everything around
it stay, so that tools can still read it. A few texts are known to be harmless. Where nothing can be made of
the bytes, as behind what broke the protocol, whatever looks like a text is blanked out.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from rtmpd.exceptions import ChunkError
from rtmpd.rtmp.chunk_listener import ChunkListener, Heard
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.handshake import BLOCK_BYTES
from rtmpd.rtmp.states import CALLS

_RTMP: Final = 3
_HANDSHAKE_BYTES: Final = 1 + 2 * BLOCK_BYTES
_TEXT: Final = re.compile(rb"[\x20-\x7e]{4,}")
_WORD: Final = re.compile(rb"[A-Za-z0-9]")
_NAME: Final = re.compile(rb"[A-Za-z_@|][A-Za-z0-9_.]{0,23}")
"""Of properties and of data messages; what is longer may be a key."""
_HARMLESS: Final = frozenset({b"encoder", b"flashVer", b"fourCcList", b"type", b"level", b"code"})
"""Properties whose texts are shown."""
_KNOWN: Final = frozenset(name.encode() for row in CALLS.rows for name in row.names) | {
    *(b"@setDataFrame", b"onMetaData", b"|RtmpSampleAccess", b"live", b"record", b"append")
}
"""Texts that are no secret, wherever they stand."""
_PLAIN: Final = frozenset({MessageType.AUDIO, MessageType.VIDEO, *range(1, 7)})
"""Types of messages without texts: media, and protocol control."""
_AMF0: Final = frozenset({MessageType.COMMAND_AMF0, MessageType.DATA_AMF0})
_AMF3: Final = frozenset({MessageType.COMMAND_AMF3, MessageType.DATA_AMF3})
"""In which AMF0 begins behind a byte."""
_MOST_LEVELS: Final = 32

Span = tuple[int, int]
"""From where to where."""


def blanked(data: bytes) -> bytes:
    """As long as ``data``, which begins with the first byte that the client sent."""
    if data[:1] != bytes([_RTMP]):
        # HTTP perhaps, or TLS, which is no text: how it begins says what it is.
        return data[:4] + _WORD.sub(b"*", data[4:]) if _is_text(data[4:]) else _without_texts(data)
    if len(data) <= _HANDSHAKE_BYTES:
        return data
    listener = _Located()
    head, body = data[:_HANDSHAKE_BYTES], data[_HANDSHAKE_BYTES:]
    with suppress(ChunkError):  # From there on nothing is known.
        listener.hear(body)
    out = bytearray(body)
    for kind, spans in listener.messages:
        if kind not in _PLAIN:
            _replace(out, spans, _of_message(kind, b"".join([body[begin:end] for begin, end in spans])))
    for spans in listener.unfinished:
        _replace(out, spans, _without_texts(b"".join([body[begin:end] for begin, end in spans])))
    out[listener.reached :] = _without_texts(body[listener.reached :])
    return head + bytes(out)


class _Located(ChunkListener):
    """Hears in one go, and knows where in that the payload of each message was."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[int, list[Span]]] = []
        """Type and places of those that came whole."""
        self.reached = 0
        """Up to here it was understood."""
        self._places: dict[int, list[Span]] = {}

    @property
    def unfinished(self) -> list[list[Span]]:
        """Places of those that have not come whole."""
        return list(self._places.values())

    def _take(self, data: bytes, pos: int, heard: list[Heard]) -> int:
        csid, before = self._csid, len(heard)
        end = super()._take(data, pos, heard)
        self._places.setdefault(csid, []).append((pos, end))
        if len(heard) > before:
            self.messages.append((heard[-1].message.type, self._places.pop(csid)))
        self.reached = end
        return end


def _replace(out: bytearray, spans: list[Span], data: bytes) -> None:
    pos = 0
    for begin, end in spans:
        out[begin:end] = data[pos : pos + end - begin]
        pos += end - begin


def _is_text(data: bytes) -> bool:
    return data.isascii() and not any(byte < 9 for byte in data)


def _without_texts(data: bytes) -> bytes:
    return _TEXT.sub(lambda found: b"*" * len(found[0]), data)


def _of_message(kind: int, payload: bytes) -> bytes:
    if kind in _AMF0:
        return _Amf(payload, 0).blank()
    if kind in _AMF3:
        return _Amf(payload, 1).blank()
    return _without_texts(payload)


class _Amf:
    """Values of AMF0 (section 2), whose texts are blanked out."""

    def __init__(self, payload: bytes, begin: int) -> None:
        self._in = payload
        self._out = bytearray(payload)
        self._pos = begin

    def blank(self) -> bytes:
        """All of it."""
        begin = 0
        try:
            while (begin := self._pos) < len(self._in):
                self._value(b"", 0)
        except ValueError:
            # Of what cannot be read, or is nested too deeply, nothing is known.
            self._out[begin:] = _without_texts(self._in[begin:])
        return bytes(self._out)

    def _value(self, name: bytes, level: int) -> None:
        if level > _MOST_LEVELS:
            raise ValueError("too deep")
        marker = self._in[self._pos]
        self._pos += 1
        match marker:
            case 0x00:
                self._skip(8)
            case 0x01:
                self._skip(1)
            case 0x02:
                self._text(self._number(2), name)
            case 0x03:
                self._properties(level)
            case 0x05 | 0x06 | 0x0D:
                pass
            case 0x07:
                self._skip(2)
            case 0x08:
                self._skip(4)
                self._properties(level)
            case 0x0A:
                for _ in range(self._number(4)):
                    self._value(name, level + 1)
            case 0x0B:
                self._skip(10)
            case 0x0C | 0x0F:
                self._text(self._number(4), b"")
            case 0x10:
                self._text(self._number(2), b"")
                self._properties(level)
            case _:
                raise ValueError("no AMF0")

    def _properties(self, level: int) -> None:
        while True:
            size = self._number(2)
            begin = self._pos
            name = self._taken(size)
            if not name:
                self._skip(1)  # The marker of the end.
                return
            if not _NAME.fullmatch(name):
                self._out[begin : self._pos] = b"*" * size
            self._value(name, level + 1)

    def _text(self, size: int, name: bytes) -> None:
        begin = self._pos
        text = self._taken(size)
        if name not in _HARMLESS and text not in _KNOWN:
            self._out[begin : self._pos] = b"*" * size

    def _number(self, size: int) -> int:
        return int.from_bytes(self._taken(size), "big")

    def _taken(self, size: int) -> bytes:
        begin = self._pos
        self._skip(size)
        return self._in[begin : self._pos]

    def _skip(self, size: int) -> None:
        if self._pos + size > len(self._in):
            raise ValueError("cut off")
        self._pos += size
