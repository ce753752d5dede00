"""Numbers and words of the protocol (RTMP 1.0; status codes as FMS and its successors send them)."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

DEFAULT_PORT: Final = 1935
DEFAULT_TLS_PORT: Final = 443
DEFAULT_CHUNK_SIZE: Final = 128
"""Bytes; both directions start here (section 5.4.1)."""
MAX_CHUNK_SIZE: Final = 0xFFFFFF
"""Bytes; a message cannot be longer, so a larger chunk size means nothing."""
MAX_MESSAGE_LENGTH: Final = 0xFFFFFF
DEFAULT_WINDOW_SIZE: Final = 2_500_000
"""Bytes; our WindowAckSize and SetPeerBandwidth, and the window we assume when a peer sends none."""
EXTENDED_TIMESTAMP: Final = 0xFFFFFF
"""Value of the 24-bit timestamp field that announces a 32-bit one (section 5.3.1.3)."""

# How data messages begin: with the name of their handler, in AMF0.
SET_DATA_FRAME: Final = b"\x02\x00\x0d@setDataFrame"
CLEAR_DATA_FRAME: Final = b"\x02\x00\x0f@clearDataFrame"
ON_META_DATA: Final = b"\x02\x00\x0aonMetaData"
SAMPLE_ACCESS: Final = b"\x02\x00\x11|RtmpSampleAccess"

CSID_CONTROL: Final = 2
CSID_COMMAND: Final = 3
CSID_AUDIO: Final = 4
CSID_DATA: Final = 5
"""Stream commands (onStatus) and data messages."""
CSID_VIDEO: Final = 6
MIN_CSID: Final = 2
MAX_CSID: Final = 65599


class MessageType(IntEnum):
    """Message type ids (sections 5.4 and 7.1)."""

    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_ACK_SIZE = 5
    SET_PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA_AMF3 = 15
    SHARED_OBJECT_AMF3 = 16
    COMMAND_AMF3 = 17
    DATA_AMF0 = 18
    SHARED_OBJECT_AMF0 = 19
    COMMAND_AMF0 = 20
    AGGREGATE = 22


MEDIA_CSIDS: Final = {
    int(MessageType.AUDIO): CSID_AUDIO,
    int(MessageType.VIDEO): CSID_VIDEO,
    int(MessageType.DATA_AMF0): CSID_DATA,
}
"""The chunk stream that we send media on, by type of message."""


class ChunkFormat(IntEnum):
    """The ``fmt`` bits of a chunk's basic header (section 5.3.1.2)."""

    FULL = 0
    SAME_STREAM = 1
    SAME_LENGTH_AND_STREAM = 2
    CONTINUATION = 3


class UserControlType(IntEnum):
    """Event types of a User Control message (section 7.1.7; 26 and above as FMS sends them)."""

    STREAM_BEGIN = 0
    STREAM_EOF = 1
    STREAM_DRY = 2
    SET_BUFFER_LENGTH = 3
    STREAM_IS_RECORDED = 4
    PING_REQUEST = 6
    PING_RESPONSE = 7
    SWF_VERIFY_REQUEST = 26
    SWF_VERIFY_RESPONSE = 27
    BUFFER_EMPTY = 31
    BUFFER_READY = 32


class BandwidthLimit(IntEnum):
    """Limit type of Set Peer Bandwidth (section 5.4.5)."""

    HARD = 0
    SOFT = 1
    DYNAMIC = 2


class ObjectEncoding(IntEnum):
    """``objectEncoding`` of connect (section 7.2.1.1)."""

    AMF0 = 0
    AMF3 = 3


class CapsEx(IntEnum):
    """Bits of ``capsEx`` in connect and its result (Enhanced RTMP v2)."""

    RECONNECT = 0x01
    MULTITRACK = 0x02
    MODEX = 0x04
    TIMESTAMP_NANO_OFFSET = 0x08


class FourCcMask(IntEnum):
    """Values in ``videoFourCcInfoMap`` and ``audioFourCcInfoMap`` (Enhanced RTMP v2)."""

    CAN_DECODE = 0x01
    CAN_ENCODE = 0x02
    CAN_FORWARD = 0x04


class VideoFunction(IntEnum):
    """Bits of ``videoFunction`` in connect (section 7.2.1.1 and Enhanced RTMP v2)."""

    CLIENT_SEEK = 0x01
    CLIENT_HDR = 0x02
    CLIENT_PACKET_TYPE_METADATA = 0x04
    CLIENT_LARGE_SCALE_TILE = 0x08


class StatusLevel(StrEnum):
    STATUS = "status"
    WARNING = "warning"
    ERROR = "error"


class StatusCode(StrEnum):
    """``code`` of an onStatus, ``_result`` or ``_error`` information object."""

    CONNECT_SUCCESS = "NetConnection.Connect.Success"
    CONNECT_REJECTED = "NetConnection.Connect.Rejected"
    CONNECT_INVALID_APP = "NetConnection.Connect.InvalidApp"
    CONNECT_FAILED = "NetConnection.Connect.Failed"
    CONNECT_APP_SHUTDOWN = "NetConnection.Connect.AppShutdown"
    CONNECT_CLOSED = "NetConnection.Connect.Closed"
    CONNECT_RECONNECT_REQUEST = "NetConnection.Connect.ReconnectRequest"
    CALL_FAILED = "NetConnection.Call.Failed"
    CALL_BAD_VERSION = "NetConnection.Call.BadVersion"
    CALL_PROHIBITED = "NetConnection.Call.Prohibited"
    PROXY_NOT_RESPONDING = "NetConnection.Proxy.NotResponding"
    PUBLISH_START = "NetStream.Publish.Start"
    PUBLISH_BAD_NAME = "NetStream.Publish.BadName"
    PUBLISH_DENIED = "NetStream.Publish.Denied"
    PUBLISH_REJECTED = "NetStream.Publish.Rejected"
    PUBLISH_FAILED = "NetStream.Publish.Failed"
    PUBLISH_UNAUTHORIZED = "NetStream.Publish.Unauthorized"
    PUBLISH_IDLE = "NetStream.Publish.Idle"
    UNPUBLISH_SUCCESS = "NetStream.Unpublish.Success"
    PLAY_RESET = "NetStream.Play.Reset"
    PLAY_START = "NetStream.Play.Start"
    PLAY_STOP = "NetStream.Play.Stop"
    PLAY_COMPLETE = "NetStream.Play.Complete"
    PLAY_FAILED = "NetStream.Play.Failed"
    PLAY_STREAM_NOT_FOUND = "NetStream.Play.StreamNotFound"
    PLAY_PUBLISH_NOTIFY = "NetStream.Play.PublishNotify"
    PLAY_UNPUBLISH_NOTIFY = "NetStream.Play.UnpublishNotify"
    PLAY_SWITCH = "NetStream.Play.Switch"
    PLAY_TRANSITION = "NetStream.Play.Transition"
    PLAY_INSUFFICIENT_BANDWIDTH = "NetStream.Play.InsufficientBW"
    PLAY_FILE_STRUCTURE_INVALID = "NetStream.Play.FileStructureInvalid"
    PLAY_NO_SUPPORTED_TRACK_FOUND = "NetStream.Play.NoSupportedTrackFound"
    PAUSE_NOTIFY = "NetStream.Pause.Notify"
    UNPAUSE_NOTIFY = "NetStream.Unpause.Notify"
    SEEK_NOTIFY = "NetStream.Seek.Notify"
    SEEK_FAILED = "NetStream.Seek.Failed"
    SEEK_INVALID_TIME = "NetStream.Seek.InvalidTime"
    RECORD_START = "NetStream.Record.Start"
    RECORD_STOP = "NetStream.Record.Stop"
    RECORD_FAILED = "NetStream.Record.Failed"
    RECORD_NO_ACCESS = "NetStream.Record.NoAccess"
