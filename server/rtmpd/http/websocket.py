"""WebSockets (RFC 6455) as far as players need them: the handshake, and what they say besides."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha1
from typing import Final, NamedTuple

from rtmpd.engine.flv_wire import frame_head
from rtmpd.exceptions import ProtocolError
from rtmpd.reasons import SessionFailure

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_MAX_CONTROL_BYTES: Final = 125
_MAX_DATA_BYTES: Final = 4096
"""Of one frame of data: nothing that players say means anything."""
_MAX_HEAD_BYTES: Final = 14

_FIN: Final = 0x80
_MASKED: Final = 0x80
_RESERVED: Final = 0x70
_LENGTH: Final = 0x7F
_CONTROL: Final = 8
_CLOSE: Final = 8
_PING: Final = 9
_PONG: Final = 10
_KNOWN: Final = frozenset({0, 1, 2, _CLOSE, _PING, _PONG})

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
BROKEN: Final = 1002
NOT_ALLOWED: Final = 1008
TOO_BIG: Final = 1009
FAILED: Final = 1011


def accept_key(key: str) -> str | None:
    """What answers ``Sec-WebSocket-Key``; None if that is no key."""
    try:
        if len(base64.b64decode(key, validate=True)) != _KEY_BYTES:
            return None
    except (binascii.Error, ValueError):
        return None
    # Not for security: the specification has it so.
    digest = sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def close_frame(code: int, text: str = "") -> bytes:
    """Says why the connection ends; the text is cut where it is too long."""
    payload = code.to_bytes(2, "big") + text.encode()[: _MAX_CONTROL_BYTES - 2]
    while True:
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            payload = payload[:-1]
        else:
            return frame_head(len(payload), _CLOSE) + payload


class Heard(NamedTuple):
    """What to do about a piece of input."""

    answer: bytes = b""
    """Pongs, and the answer to a close."""
    closed: bool = False
    """The client wants to leave."""


class FrameReader:
    """Takes what a client says in pieces of any size; holds less than one control frame of it.

    Data is skipped as it comes: no player has anything to say. Errors are ``websocket`` ones.
    """

    __slots__ = ("_buffer", "_fragmented", "_skip")

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = 0
        """Bytes of a frame of data that have not come yet."""
        self._fragmented = False
        """A message of several frames goes on."""

    def receive_data(self, data: bytes) -> Heard:
        """Raises ProtocolError, whose ``code`` is that of the close frame to send."""
        answers: list[bytes] = []
        data = self._buffer + data
        offset = 0
        while True:
            skipped = min(self._skip, len(data) - offset)
            self._skip -= skipped
            offset += skipped
            head = _head(data, offset)
            if head is None:
                break
            opcode, start, size = head
            self._check(data[offset], opcode, size)
            if opcode < _CONTROL:
                self._skip = size
                offset = start
                continue
            if start + size > len(data):
                break
            payload = _unmasked(data[start - 4 : start], data[start : start + size])
            offset = start + size
            if opcode == _CLOSE:
                self._buffer = b""
                code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else NORMAL
                answers.append(close_frame(code if 1000 <= code < 5000 else BROKEN))
                return Heard(b"".join(answers), closed=True)
            if opcode == _PING:
                answers.append(frame_head(size, _PONG) + payload)
        self._buffer = data[offset:]
        return Heard(b"".join(answers))

    def _check(self, first: int, opcode: int, size: int) -> None:
        whole = bool(first & _FIN)
        if first & _RESERVED or opcode not in _KNOWN:
            raise _broken("a frame of no known kind")
        if opcode >= _CONTROL:
            if not whole or size > _MAX_CONTROL_BYTES:
                raise _broken("a control frame in pieces, or of more than 125 bytes")
            return
        if (opcode == 0) is not self._fragmented:
            raise _broken("a frame that goes on with no message, or begins one within another")
        if size > _MAX_DATA_BYTES:
            raise _broken(f"a frame of {size} bytes, and players have nothing to say", TOO_BIG)
        self._fragmented = not whole


def _head(data: bytes, offset: int) -> tuple[int, int, int] | None:
    """Opcode, where the payload begins, and its size; None if there is more to come. Raises ProtocolError."""
    if len(data) - offset < 2:
        return None
    second = data[offset + 1]
    if not second & _MASKED:
        raise _broken("a frame without a mask")
    size = second & _LENGTH
    extra = {126: 2, 127: 8}.get(size, 0)
    start = offset + 2 + extra + 4
    if start > len(data):
        return None
    if extra:
        size = int.from_bytes(data[offset + 2 : offset + 2 + extra], "big")
    return data[offset] & 0x0F, start, size


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    return bytes([byte ^ mask[index & 3] for index, byte in enumerate(payload)])


def _broken(text: str, code: int = BROKEN) -> ProtocolError:
    return ProtocolError(SessionFailure.WEBSOCKET, text, code=str(code))
