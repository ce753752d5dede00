"""Command and data messages, read: first over, to know what decoding them takes, and then decoded."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from rtmpd.exceptions import AmfError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp import amf, amf_scan
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.commands import Command, is_number
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message, amf0_payload

_MAX_TRANSACTION_ID: Final = 2**53
_read_double = Struct(">d").unpack_from


class CommandHead(NamedTuple):
    """What a command message begins with, read without a look at what follows."""

    name: str
    transaction_id: float
    """As in ``Command``."""
    given_id: float
    """The transaction id as it came; 1 for one that is not a number."""
    end: int
    """Where the name ends in the payload."""


def parse_head(message: Message) -> CommandHead:
    """Name and transaction id of a message of type 20 or 17. Raises AmfError when it has no name."""
    payload = message.payload
    # quirk(flash): type 17 starts with a format selector, 0 in practice; some senders leave it out.
    start = 1 if message.type == MessageType.COMMAND_AMF3 and payload[:1] == b"\x00" else 0
    marker = payload[start] if len(payload) > start else -1
    if marker not in (amf_scan.STRING, amf_scan.LONG_STRING):
        raise AmfError(SessionFailure.BAD_COMMAND, "a command message does not start with a name")
    name_at = start + (3 if marker == amf_scan.STRING else 5)
    end = name_at + int.from_bytes(payload[start + 1 : name_at], "big")
    if end > len(payload):
        raise AmfError(
            SessionFailure.AMF_TRUNCATED, f"a name of {end - name_at} bytes, {len(payload) - name_at} left"
        )
    name = payload[name_at:end].decode("utf-8", "replace")
    given = 1.0
    if len(payload) >= end + 9 and payload[end] == amf_scan.NUMBER:
        given = float(_read_double(payload, end + 1)[0])
        return CommandHead(name, _transaction_id(given), given, end)
    return CommandHead(name, 0.0, given, end)


def data_of_command(message: Message, head: CommandHead) -> bytes:
    """The payload of the data message that was said as a command: without transaction id and null object."""
    payload = message.payload
    rest = head.end
    if payload[rest : rest + 1] == bytes((amf_scan.NUMBER,)):
        rest += 9
    if payload[rest : rest + 1] in (bytes((amf_scan.NULL,)), bytes((amf_scan.UNDEFINED,))):
        rest += 1
    return amf.encode_values(head.name) + payload[rest:]


class ScannedCommand:
    """A command message that has been walked over but not decoded: what it holds, before it is paid for.

    Raises AmfError when it cannot be decoded or holds more than it may.
    """

    __slots__ = ("_amf3", "_body", "_command", "_count", "repaired", "trailing", "values")

    def __init__(self, payload: bytes, amf3: bool, max_depth: int, max_values: int) -> None:
        scanned = amf.scan(payload, max_depth=max_depth, max_values=max_values, min_values=_MIN_VALUES)
        self._amf3 = amf3
        self._body = scanned.body
        self._count = scanned.length
        self._command: Command | None = None
        self.values: int = scanned.values
        """How many values decoding it makes, those inside others included."""
        self.trailing: bool = scanned.trailing > 0
        """Bytes that are no value follow the last one."""
        self.repaired: bool = scanned.missing_ends > 0
        """The end of an object was missing."""

    def decode(self) -> Command:
        """The command, the same each time."""
        if self._command is None:
            values = amf.read_values(self._body, self._count)
            if not values or not isinstance(values[0], str):
                raise AmfError(SessionFailure.BAD_COMMAND, "a command message does not start with a name")
            transaction_id = _transaction_id(values[1]) if len(values) > 1 else 0.0
            command_object = values[2] if len(values) > 2 else None
            name = str(values[0])
            self._command = Command(name, transaction_id, command_object, tuple(values[3:]), self._amf3)
            self._body = b""
        return self._command


def scan_command(message: Message, limits: Limits) -> ScannedCommand:
    """Walk over a command message of type 20 or 17. Raises AmfError when it is not one."""
    amf3 = message.type == MessageType.COMMAND_AMF3
    return ScannedCommand(amf0_payload(message), amf3, limits.max_amf_depth, limits.max_command_values)


def scan_request(message: Message, limits: Limits) -> ScannedCommand:
    """``scan_command`` for servers: a thousand players that join say the same, byte for byte.

    What is short is walked over and decoded once, for as long as it is remembered. The command and all that
    it holds then belong to everybody who said it, so nobody may change them.
    """
    if len(message.payload) <= _SHORT_BYTES:
        amf3 = message.type == MessageType.COMMAND_AMF3
        max_values = min(limits.max_command_values, _FEW_VALUES)
        with suppress(AmfError):  # Too many values to be remembered, or malformed: found out below.
            return _remembered(amf0_payload(message), amf3, limits.max_amf_depth, max_values)
    return scan_command(message, limits)


def parse_command(message: Message, limits: Limits) -> Command:
    """Decode a command message of type 20 or 17 at once. Raises AmfError when it is not one.

    A transaction id that is missing, not a number or not one that a client may use counts as 0:
    nobody waits for the reply.
    """
    return scan_command(message, limits).decode()


def parse_data(message: Message, limits: Limits | None = None) -> tuple[str, list[AmfValue]]:
    """Handler name and arguments of a data message, type 18 or 15. Raises AmfError."""
    limits = limits or Limits()
    payload = amf0_payload(message)
    values = amf.decode_values(payload, max_depth=limits.max_amf_depth, max_values=limits.max_amf_values)
    if not values or not isinstance(values[0], str):
        raise AmfError(SessionFailure.BAD_DATA, "a data message does not start with a name")
    return str(values[0]), values[1:]


_MIN_VALUES: Final = 3
"""Name, transaction id and command object: what follows them and is no value may be left out."""
_SHORT_BYTES: Final = 512
_FEW_VALUES: Final = 64
_remembered = lru_cache(maxsize=128)(ScannedCommand)
"""Ten megabytes if somebody sets out to fill it, a few hundred kilobytes of what clients really say."""


def _transaction_id(value: AmfValue) -> float:
    if not is_number(value) or not math.isfinite(value):
        return 0.0
    return float(value) if 0 <= value < _MAX_TRANSACTION_ID and value == math.floor(value) else 0.0
