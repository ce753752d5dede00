"""The table of docs/from-gortmp.md: complete, and every name on our side of it exists."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "from-gortmp.md"

EXPORTED = re.findall(
    r"\S+",
    """
Dial DialWithDialer HandshakeConn NewOutbounConn Handshake HandshakeSample SHandshake CalcDigestPos
CalcDHPos ValidateDigest ImprintWithDigest HMACsha256 CreateRandomBlock GetTimestamp CheckError
ReadBaseHeader ReadByteFromNetwork ReadAtLeastFromNetwork CopyNFromNetwork WriteToNetwork
CopyNToNetwork FlushToNetwork SetLogger ParseURL NewConn NewMessage NewClientChunkStream
NewInboundChunkStream ClientConn ClientConn.Connect ClientConn.CreateStream ClientConn.Close
ClientConn.URL ClientConn.Status ClientConn.Send ClientConn.Call ClientConn.Conn ClientConn.Events
ClientStream ClientStream.ID ClientStream.Pause ClientStream.Resume ClientStream.Seek
ClientStream.Close ClientStream.Received ClientStream.Attach ClientStream.Call ClientStreamHandler
ClientPublishStream ClientPublishStream.Publish ClientPublishStream.SendAudioData
ClientPublishStream.SendVideoData ClientPublishStream.PublishAudioData
ClientPublishStream.PublishVideoData ClientPublishStream.PublishData ClientPlayStream
ClientPlayStream.Play Conn Conn.Close Conn.Send Conn.CreateChunkStream Conn.CloseChunkStream
Conn.CreateMediaChunkStream Conn.CloseMediaChunkStream Conn.ClientChunkStream
Conn.InboundChunkStream Conn.NewTransactionID Conn.SetStreamBufferSize
Conn.SetWindowAcknowledgementSize Conn.SetPeerBandwidth Conn.SetChunkSize
Conn.SendUserControlMessage ConnHandler ClientChunkStream InboundChunkStream Header Message Command
ConnectionStatus AMFVersion AMF0 AMF3 RTMPEvent StatusEvent ClosedEvent AudioEvent VideoEvent
MetadataEvent CommandEvent UnknownDataEvent StreamCreatedEvent StreamBegin StreamEOF StreamDry
StreamIsRecorded Reader Writer RtmpURL RtmpURL.App Logger LogLevel ConnectionStatusClose
ConnectionStatusHandshakeOK ConnectionStatusConnect ConnectionStatusConnectOK
ConnectionStatusCreateStream ConnectionStatusCreateStreamOK HEADER_FMT_FULL HEADER_FMT_SAME_STREAM
HEADER_FMT_SAME_LENGTH_AND_STREAM HEADER_FMT_CONTINUATION RESULT_CONNECT_OK RESULT_CONNECT_REJECTED
RESULT_CONNECT_OK_DESC RESULT_CONNECT_REJECTED_DESC NETSTREAM_PLAY_START NETSTREAM_PLAY_RESET
NETSTREAM_PUBLISH_START CS_ID_PROTOCOL_CONTROL CS_ID_COMMAND CS_ID_USER_CONTROL SET_CHUNK_SIZE
ABORT_MESSAGE ACKNOWLEDGEMENT USER_CONTROL_MESSAGE WINDOW_ACKNOWLEDGEMENT_SIZE SET_PEER_BANDWIDTH
AUDIO_TYPE VIDEO_TYPE DATA_AMF3 SHARED_OBJECT_AMF3 COMMAND_AMF3 DATA_AMF0 SHARED_OBJECT_AMF0
COMMAND_AMF0 AGGREGATE_MESSAGE_TYPE EVENT_STREAM_BEGIN EVENT_STREAM_EOF EVENT_STREAM_DRY
EVENT_SET_BUFFER_LENGTH EVENT_STREAM_IS_RECORDED EVENT_PING_REQUEST EVENT_PING_RESPONSE
EVENT_REQUEST_VERIFY EVENT_RESPOND_VERIFY EVENT_BUFFER_EMPTY EVENT_BUFFER_READY BINDWIDTH_LIMIT_HARD
BINDWIDTH_LIMIT_SOFT BINDWIDTH_LIMIT_DYNAMIC SET_PEER_BANDWIDTH_HARD SET_PEER_BANDWIDTH_SOFT
SET_PEER_BANDWIDTH_DYNAMIC MAX_TIMESTAMP AUTO_TIMESTAMP DEFAULT_HIGH_PRIORITY_BUFFER_SIZE
DEFAULT_MIDDLE_PRIORITY_BUFFER_SIZE DEFAULT_LOW_PRIORITY_BUFFER_SIZE DEFAULT_CHUNK_SIZE
RTMP_DEFAULT_CHUNKSIZE DEFAULT_WINDOW_SIZE DEFAULT_CAPABILITIES DEFAULT_AUDIO_CODECS
DEFAULT_VIDEO_CODECS FMS_CAPBILITIES FMS_MODE RTMP_SIG_SIZE SHA256_DIGEST_LENGTH
RTMP_LARGE_HEADER_SIZE RTMP_LOG_NAME FLASH_PLAYER_VERSION FLASH_PLAYER_VERSION_STRING FMS_VERSION
FMS_VERSION_STRING SWF_URL_STRING PAGE_URL_STRING MIN_BUFFER_LENGTH GENUINE_FMS_KEY GENUINE_FP_KEY
DefaultObjectEncoding
""",
)
"""What gortmp exports, as an inventory of its source gives it."""


def rows() -> list[tuple[list[str], str, str]]:
    """Symbols of gortmp, our side, notes."""
    found = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            theirs, ours, notes = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((re.findall(r"`([^`]+)`", theirs), ours, notes))
    return found


def test_every_exported_symbol_has_one_row() -> None:
    listed = [symbol for symbols, _, _ in rows() for symbol in symbols]
    assert sorted(set(EXPORTED) - set(listed)) == []
    assert sorted({symbol for symbol in listed if listed.count(symbol) > 1}) == []


def test_what_has_no_equivalent_says_why() -> None:
    for symbols, ours, notes in rows():
        assert "`rtmpd." in ours or (ours == "—" and notes), symbols


def names() -> list[str]:
    return sorted({name for _, ours, _ in rows() for name in re.findall(r"`([^`]+)`", ours)})


@pytest.mark.parametrize("name", names())
def test_every_equivalent_exists(name: str) -> None:
    path, _, parameter = name.removesuffix("=)").partition("(")
    thing = resolve(path)
    if parameter:
        assert callable(thing)
        assert parameter in inspect.signature(thing).parameters


def resolve(path: str) -> object:
    """The object with this dotted name: a module's, or a class's, or one that instances are given."""
    parts = path.split(".")
    thing: object = importlib.import_module(parts[0])
    for position, part in enumerate(parts[1:], start=2):
        if hasattr(thing, part):
            thing = getattr(thing, part)
        elif inspect.isclass(thing):
            assert f"self.{part} = " in inspect.getsource(thing), path
            return None
        else:
            thing = importlib.import_module(".".join(parts[:position]))
    return thing


def test_missing_names_are_noticed() -> None:
    for path in ("rtmpd.nonsense", "rtmpd.Stream.nonsense", "rtmpd.rtmp.chunks.nonsense"):
        with pytest.raises((ImportError, AssertionError)):
            resolve(path)
