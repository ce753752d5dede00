"""The server's side of a connection: connect and the calls that belong to no stream."""

from __future__ import annotations

import math
import struct

import pytest
from golden_captures import load
from rtmp_dialogue import Client, audio, command, connect, failure

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.amf import AmfValue, encode_values
from rtmpd.rtmp.command_scan import parse_command
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import MessageType, StatusCode
from rtmpd.rtmp.events import (
    CommandReceived,
    ConnectRequested,
    HandshakeCompleted,
    LengthRequested,
    PublishRequested,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.server import ServerSettings


def connect_result(client: Client) -> Command:
    """The raw ``_result`` of connect, the last thing said."""
    output = client.session.data_to_send()
    (message,) = client._reader.receive_data(b"".join(output))[-1:]
    return parse_command(message, Limits())


# Handshake and connect


def test_the_handshake_is_answered_in_one_piece_and_reported() -> None:
    client = Client(handshake=False)
    assert client.write(b"\x03" + bytes(1535)) == []
    assert client.session.data_to_send() == []
    assert client.write(bytes(1)) == []
    (answer,) = client.session.data_to_send()
    assert len(answer) == 1 + 1536 + 1536
    assert answer[5:9] == bytes(4)  # FFmpeg and rtmpdump would look for a digest.
    assert client.write(bytes(1536)) == [HandshakeCompleted(digest=False)]


def test_a_digest_handshake_is_reported_as_such() -> None:
    client = Client(handshake=False)
    assert client.write(load("ffmpeg51-pub").handshake) == [HandshakeCompleted(digest=True)]


def test_connect_in_the_segment_of_c2() -> None:
    client = Client(handshake=False)
    handshake, request = client.write(b"\x03" + bytes(3072) + client.encode(connect("live?token=x")))
    assert handshake == HandshakeCompleted(digest=False)
    assert isinstance(request, ConnectRequested)
    assert (request.params.app, request.params.app_query) == ("live", "token=x")


def test_connect_is_answered_in_the_order_that_every_client_accepts() -> None:
    client = Client()
    client.say(connect())
    assert client.hear() == []
    client.session.accept_connect(client.now)
    assert client.hear() == [
        "WindowAckSize 2500000",
        "SetPeerBandwidth 2500000 dynamic",
        "SetChunkSize 65536",
        "_result 1 status NetConnection.Connect.Success",
    ]


def test_settings_are_what_is_announced() -> None:
    client = Client(settings=ServerSettings(chunk_size=4096, window_ack_size=5_000_000))
    client.say(connect())
    client.session.accept_connect(client.now)
    assert client.hear()[:3] == [
        "WindowAckSize 5000000",
        "SetPeerBandwidth 5000000 dynamic",
        "SetChunkSize 4096",
    ]


@pytest.mark.parametrize(("asked", "told"), [(3.0, 3.0), (0.0, 0.0), (None, 0.0), (1.0, 0.0), ("3", 0.0)])
def test_object_encoding_is_echoed_if_it_is_one(asked: AmfValue, told: float) -> None:
    client = Client()
    client.say(connect(objectEncoding=asked))
    client.session.accept_connect(client.now)
    info = connect_result(client).args[0]
    assert isinstance(info, dict)
    assert info["objectEncoding"] == told


def test_connect_of_type_17_is_answered_with_type_20() -> None:
    client = Client()
    payload = b"\x00" + encode_values("connect", 1, {"app": "live", "objectEncoding": 3})
    (request,) = client.say(Message(MessageType.COMMAND_AMF3, 0, 0, payload))
    assert isinstance(request, ConnectRequested)
    client.session.accept_connect(client.now)
    assert client.hear()[-1] == "_result 1 status NetConnection.Connect.Success"


def test_enhanced_rtmp_is_offered_in_the_first_object_of_the_result() -> None:
    client = Client()
    client.say(connect())
    client.session.accept_connect(client.now)
    server = connect_result(client).command_object
    assert isinstance(server, dict)
    assert server["fourCcList"] == ["*"]
    assert server["videoFourCcInfoMap"] == server["audioFourCcInfoMap"] == {"*": 4.0}
    assert server["capsEx"] == 1 | 2 | 4 | 8


def test_a_rejected_connect_gets_an_error_with_its_id_and_the_session_is_over() -> None:
    client = Client()
    client.say(connect(transaction_id=7), command("createStream", 8))
    client.session.reject_connect(StatusCode.CONNECT_REJECTED, "No such application.", client.now)
    assert client.hear() == ["_error 7 error NetConnection.Connect.Rejected"]
    assert client.session.closing
    assert client.call("createStream", 9) == []
    assert client.hear() == []


def test_a_second_connect_is_an_error_and_the_end() -> None:
    client = Client().connected()
    assert failure(client.say(connect(transaction_id=4))) == "connect_twice"
    assert client.hear() == ["_error 4 error NetConnection.Connect.Rejected"]


def test_a_second_connect_behind_the_first_waits_for_its_answer() -> None:
    client = Client()
    events = client.say(connect(), connect("other", transaction_id=2))
    assert [type(event) for event in events] == [ConnectRequested]
    client.session.accept_connect(client.now)
    assert failure(client.session.events_received()) == "connect_twice"
    assert client.hear()[-2:] == [
        "_result 1 status NetConnection.Connect.Success",
        "_error 2 error NetConnection.Connect.Rejected",
    ]


@pytest.mark.parametrize("name", ["createStream", "publish", "play", "releaseStream", "_checkbw", "x" * 5000])
def test_any_command_before_connect_is_the_end(name: str) -> None:
    client = Client()
    events = client.call(name, 1, "cam")
    assert failure(events) == "command_before_connect"
    assert len(str(events[-1])) < 300
    assert client.hear() == []


@pytest.mark.parametrize("answer", ["accept_connect", "reject_connect"])
def test_an_answer_without_a_connect_is_our_mistake(answer: str) -> None:
    client = Client()
    arguments = () if answer == "accept_connect" else (StatusCode.CONNECT_REJECTED, "No.")
    with pytest.raises(UsageError):
        getattr(client.session, answer)(*arguments, client.now)
    client.say(connect())
    client.session.accept_connect(client.now)
    client.hear()
    with pytest.raises(UsageError):
        getattr(client.session, answer)(*arguments, client.now)
    assert client.hear() == []


# Calls


def test_streams_are_numbered_from_1() -> None:
    client = Client().connected()
    client.call("createStream", 5)
    client.call("deleteStream", 0, 1)
    client.call("createStream", 6)
    assert client.hear() == ["_result 5 2", "_result 6 1"]


@pytest.mark.parametrize("name", ["releaseStream", "FCPublish", "_checkbw", "FCUnpublish"])
def test_notices_get_a_result_of_undefined(name: str) -> None:
    client = Client().connected()
    assert client.call(name, 4, "cam") == []
    assert client.hear() == ["_result 4 undefined"]


def test_how_long_something_is_is_asked_of_who_knows() -> None:
    client = Client().connected()
    assert client.call("getStreamLength", 3, "cam?token=x") == [LengthRequested(3, "cam", "token=x")]
    client.call("createStream", 4)
    assert client.hear() == []
    client.session.answer_length(3, 2.5, client.now)
    assert client.hear() == ["_result 3 2.5", "_result 4 2"]
    client.call("getStreamLength", 5, "cam")
    client.session.reject_length(5, StatusCode.PLAY_FAILED, "No.", client.now)
    assert client.hear() == ["_error 5 error NetStream.Play.Failed"]
    assert client.session.closing


def test_fc_subscribe_is_confirmed_without_the_secrets_in_the_name() -> None:
    client = Client().connected()
    client.call("FCSubscribe", 3, "cam?token=x")
    (data,) = client.session.data_to_send()
    assert b"onFCSubscribe" in data
    assert b"NetStream.Play.Start" in data
    assert b"token" not in data


def test_an_unknown_call_is_reported_and_refused() -> None:
    client = Client().connected()
    (event,) = client.call("setPeerInfo", 9, "a", 1.0)
    # Nobody pays for decoding what nobody knows.
    assert event == CommandReceived(0, Command("setPeerInfo", 9))
    assert client.hear() == ["_error 9 error NetConnection.Call.Failed"]


def test_the_name_of_an_unknown_call_is_not_echoed_at_length() -> None:
    client = Client().connected()
    client.call("x" * 60_000, 9)
    assert sum(map(len, client.session.data_to_send())) < 300


@pytest.mark.parametrize(
    "name", ["_result", "_error", "onStatus", "FCUnsubscribe", "close", "ping", "onTimeCoordInfo"]
)
def test_what_wants_no_answer_gets_none(name: str) -> None:
    client = Client().connected()
    assert client.call(name, 4, "cam") == []
    assert client.hear() == []


@pytest.mark.parametrize(
    "name",
    ["createStream", "releaseStream", "FCPublish", "FCUnpublish", "_checkbw", "getStreamLength", "foo"],
)
def test_transaction_id_0_gets_no_reply(name: str) -> None:
    client = Client().connected()
    client.call(name, 0, "cam")
    assert client.hear() == []


@pytest.mark.parametrize("transaction_id", [-1.0, 0.5, float("nan"), float("inf"), 2.0**53, "1", None])
def test_a_transaction_id_that_is_none_gets_no_reply(transaction_id: AmfValue) -> None:
    client = Client().connected()
    payload = encode_values("_checkbw", transaction_id, None)
    assert client.say(Message(MessageType.COMMAND_AMF0, 0, 0, payload)) == []
    assert client.hear() == []


@pytest.mark.parametrize("given", [0, -1, 1.5, math.nan, math.inf, 2.0**60], ids=str)
def test_a_connect_is_answered_whatever_its_transaction_id(given: float) -> None:
    def answer(*, accept: bool) -> float:
        client = Client()
        payload = encode_values("connect", given, {"app": "live"})
        client.say(Message(MessageType.COMMAND_AMF0, 0, 0, payload))
        assert client.session.take_tolerated() == {Quirk.CONNECT_ID: 1}
        if accept:
            client.session.accept_connect(client.now)
        else:
            client.session.reject_connect(StatusCode.CONNECT_REJECTED, "No.", client.now)
        said = client.session.data_to_send()[-1]
        assert said[12:].startswith(encode_values("_result" if accept else "_error"))
        return said_id(said)

    for accept in (True, False):
        assert str(answer(accept=accept)) == str(float(given))


def said_id(reply: bytes) -> float:
    """The transaction id of a ``_result`` or ``_error``."""
    start = 12 + 3 + int.from_bytes(reply[13:15], "big") + 1
    return float(struct.unpack_from(">d", reply, start)[0])


@pytest.mark.parametrize("given", ["1", None, True, [1.0]], ids=str)
def test_a_connect_whose_transaction_id_is_no_number_gets_the_usual_one(given: AmfValue) -> None:
    client = Client()
    client.say(Message(MessageType.COMMAND_AMF0, 0, 0, encode_values("connect", given, {"app": "live"})))
    client.session.accept_connect(client.now)
    assert client.hear()[-1].startswith("_result 1 ")


def test_an_undecodable_command_is_the_end() -> None:
    client = Client()
    assert failure(client.say(Message(MessageType.COMMAND_AMF0, 0, 0, b"\x02\x00\x09conn"))) != ""
    assert client.session.closing


def test_a_whole_dialogue_sent_before_any_answer() -> None:
    client = Client(handshake=False)
    everything = [
        connect(),
        command("releaseStream", 2, "cam"),
        command("FCPublish", 3, "cam"),
        command("createStream", 4),
        command("publish", 5, "cam", "live", on=1),
        audio(timestamp=10),
    ]
    client.write(b"\x03" + bytes(3072) + client.encode(*everything))
    client.session.data_to_send()
    client.session.accept_connect(client.now)
    assert client.session.events_received() == [PublishRequested(1, "cam", "", "live")]
    assert client.hear()[3:] == [
        "_result 1 status NetConnection.Connect.Success",
        "_result 2 undefined",
        "_result 3 undefined",
        "_result 4 1",
    ]
    client.session.accept_publish(1, client.now)
    assert client.session.events_received() == [audio(timestamp=10)]
