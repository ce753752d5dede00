"""rtmpd: an RTMP live ingest server, and the RTMP library it is built on.

    async with await rtmpd.connect("rtmp://host/app") as connection:
        async for packet in await connection.play("name"):
            ...

The client is loaded when it is first used: the server and its command line start without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rtmpd.exceptions import (
    AmfError,
    AuthenticationFailed,
    CallFailed,
    ChunkError,
    ClientError,
    ConnectFailed,
    ConnectionClosed,
    ConnectionLost,
    ConnectRejected,
    DeadlineExceeded,
    FlvError,
    HandshakeError,
    PlayRejected,
    ProtocolError,
    PublishRejected,
    RequestRejected,
    RequestTimeout,
    RtmpdError,
    StreamFailed,
    UsageError,
)

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection, ConnectionEvent, ConnectionState, Stream, connect
    from rtmpd.rtmp.amf import AmfValue, EcmaArray
    from rtmpd.rtmp.commands import Command, ConnectParams, ConnectResult, Status
    from rtmpd.rtmp.constants import BandwidthLimit, CapsEx, MessageType, ObjectEncoding, StatusCode
    from rtmpd.rtmp.events import CommandReceived, ReconnectRequested, StatusReceived, UserControlReceived
    from rtmpd.rtmp.messages import Message
    from rtmpd.rtmp.url import RtmpUrl

__version__ = "0.1.0"

__all__ = [
    "AmfError",
    "AmfValue",
    "AuthenticationFailed",
    "BandwidthLimit",
    "CallFailed",
    "CapsEx",
    "ChunkError",
    "ClientError",
    "Command",
    "CommandReceived",
    "ConnectFailed",
    "ConnectParams",
    "ConnectRejected",
    "ConnectResult",
    "Connection",
    "ConnectionClosed",
    "ConnectionEvent",
    "ConnectionLost",
    "ConnectionState",
    "DeadlineExceeded",
    "EcmaArray",
    "FlvError",
    "HandshakeError",
    "Message",
    "MessageType",
    "ObjectEncoding",
    "PlayRejected",
    "ProtocolError",
    "PublishRejected",
    "ReconnectRequested",
    "RequestRejected",
    "RequestTimeout",
    "RtmpUrl",
    "RtmpdError",
    "Status",
    "StatusCode",
    "StatusReceived",
    "Stream",
    "StreamFailed",
    "UsageError",
    "UserControlReceived",
    "__version__",
    "connect",
]

_HOMES = {
    "rtmpd.client.connect": ("Connection", "ConnectionEvent", "ConnectionState", "Stream", "connect"),
    "rtmpd.rtmp.amf": ("AmfValue", "EcmaArray"),
    "rtmpd.rtmp.commands": ("Command", "ConnectParams", "ConnectResult", "Status"),
    "rtmpd.rtmp.constants": ("BandwidthLimit", "CapsEx", "MessageType", "ObjectEncoding", "StatusCode"),
    "rtmpd.rtmp.events": ("CommandReceived", "ReconnectRequested", "StatusReceived", "UserControlReceived"),
    "rtmpd.rtmp.messages": ("Message",),
    "rtmpd.rtmp.url": ("RtmpUrl",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rtmpd' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
