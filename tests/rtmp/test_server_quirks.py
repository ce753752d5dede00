"""What clients get wrong and are served all the same, and what a failed call leaves alive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rtmp_dialogue import Client, aggregate, audio, command, connect, failure, metadata, video

from rtmpd.rtmp.amf import EcmaArray, encode_values
from rtmpd.rtmp.constants import CapsEx, MessageType
from rtmpd.rtmp.events import (
    ConnectRequested,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ReceiveAudio,
    ReceiveVideo,
    ServerEvent,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.quirks import Quirk

LIMITS = Limits()
PUBLISH_START = [
    "StreamBegin 1",
    "1: onFCPublish 0 NetStream.Publish.Start",
    "1: onStatus 0 status NetStream.Publish.Start",
]


def command_with(tail: bytes, name: str, transaction_id: float, *args: object, on: int = 0) -> Message:
    body = encode_values(name, transaction_id, *args) + tail  # type: ignore[arg-type]
    return Message(MessageType.COMMAND_AMF0, 0, on, body)


# Bytes that are no value

TAILS = {
    "a zero": b"\0",
    "three zeros": bytes(3),
    "an end marker's last byte": b"\t",
    "a whole end marker": b"\0\0\t",
    "a byte that is no marker": b"\xff",
    "a string cut short": b"\x02\0\x09abc",
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_bytes_after_a_command_s_last_value_are_ignored_and_counted(tail: bytes) -> None:
    client = Client()
    (asked,) = client.say(command_with(tail, "connect", 1, {"app": "live"}))
    assert isinstance(asked, ConnectRequested)
    assert asked.params.app == "live"
    client.session.accept_connect(client.now)
    client.say(command_with(tail, "publish", 2, None, "cam", "live", on=1))
    client.session.accept_publish(1, client.now)
    client.say(audio(), command_with(tail, "createStream", 3, None))
    assert client.hear()[-1] == "_result 3 2"
    assert client.session.take_tolerated()[Quirk.TRAILING_BYTES] == 3


@pytest.mark.parametrize("cut", [1, 2, 3], ids=lambda cut: f"{cut} bytes cut")
def test_an_object_whose_end_is_cut(cut: int) -> None:
    client = Client()
    body = encode_values("connect", 1, {"app": "live", "map": EcmaArray({"avc1": 4.0})})
    (asked,) = client.say(Message(MessageType.COMMAND_AMF0, 0, 0, body[:-cut]))
    assert isinstance(asked, ConnectRequested)
    assert asked.params.connect_object["map"] == {"avc1": 4.0}
    assert client.session.take_tolerated() == {Quirk.OBJECT_END: 1}


BOMBS = {
    "an array of arrays": (b"\x0a\x00\x00\x00\x01" * 5000, "amf_depth"),
    "an array of 2**32 values": (b"\x0a\xff\xff\xff\xff", "amf_truncated"),
    "an object of objects": (b"\x03\x00\x01a" * 2000, "amf_depth"),
    "more values than there may be": (encode_values([None] * 256), "amf_values"),
    "an object that refers to itself": (b"\x03\x00\x01a\x07\x00\x00\x00\x00\x09", "amf_reference"),
    "an externalizable object": (b"\x11\x0a\x07\x01", "amf_externalizable"),
    "a long string of 4 GiB": (b"\x0c\xff\xff\xff\xff", "amf_truncated"),
    "a movie clip": (b"\x04", "amf_marker"),
    "XML": (b"\x0f\x00\x00\x00\x04<a/>", "bad_connect"),
    "a byte array of AMF3": (b"\x11\x0c\x07abc", "bad_connect"),
    "nothing": (b"", "bad_connect"),
    "a number": (encode_values(5), "bad_connect"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_instead_of_the_object_of_a_connect(name: str) -> None:
    body, reason = BOMBS[name]
    client = Client()
    payload = encode_values("connect", 1) + body
    assert failure(client.say(Message(MessageType.COMMAND_AMF0, 0, 0, payload))) == reason
    assert client.hear() == ["_error 1 error NetConnection.Connect.Rejected"]


# A refused connect is told why


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"app": "x" * 386}, "app_too_long"),
        ({"app": "live", "tcUrl": "rtmp://h/" + "x" * 1024}, "tc_url_too_long"),
        ({"app": "live?" + "x" * 2049}, "query_too_long"),
        ({"app": "live", "flashVer": "x" * 4097}, "field_too_long"),
    ],
    ids=["app", "tcUrl", "query", "flashVer"],
)
@pytest.mark.parametrize("transaction_id", [1, 0])
def test_a_connect_over_a_limit_is_told_so(
    properties: dict[str, str], reason: str, transaction_id: int
) -> None:
    client = Client()
    assert failure(client.say(connect(transaction_id=transaction_id, **properties))) == reason
    assert client.hear() == [f"_error {transaction_id} error NetConnection.Connect.Rejected"]


def test_a_second_connect_is_told_whatever_its_id() -> None:
    client = Client().publishing()
    assert failure(client.say(connect(transaction_id=0))) == "connect_twice"
    assert client.hear() == ["_error 0 error NetConnection.Connect.Rejected"]


def test_a_second_connect_that_cannot_be_decoded_is_told_as_one() -> None:
    client = Client().publishing()
    client.say(command_with(b"\x03\0\x03app", "connect", 4))
    assert client.hear() == ["_error 4 error NetConnection.Connect.Rejected"]


# The application


@pytest.mark.parametrize("missing", [{}, {"app": None}, {"app": ""}, {"app": 5.0}], ids=str)
def test_an_app_that_stands_in_tc_url_alone(missing: dict[str, object]) -> None:
    client = Client()
    (asked,) = client.say(
        command_with(b"", "connect", 1, {**missing, "tcUrl": "rtmp://host:1935/live/room?key=1"})
    )
    assert isinstance(asked, ConnectRequested)
    assert asked.params.app == "live/room"
    assert asked.params.app_query == "key=1"
    assert client.session.take_tolerated() == {Quirk.APP_IN_TC_URL: 1}


@pytest.mark.parametrize("tc_url", ["", "rtmp://host", "rtmp://host/", "host"])
def test_an_app_that_stands_nowhere(tc_url: str) -> None:
    client = Client()
    (asked,) = client.say(command_with(b"", "connect", 1, {"tcUrl": tc_url}))
    assert isinstance(asked, ConnectRequested)
    assert asked.params.app == ""
    assert client.session.take_tolerated() == {}


# Message streams


@pytest.mark.parametrize("on", [0, 5, 2**32 - 1])
def test_media_under_an_id_that_means_nothing_belong_to_the_only_publish(on: int) -> None:
    client = Client().publishing()
    said = [audio(on=on), video(on=on), metadata(on=on), aggregate(audio(), on=on)]
    assert client.say(*said) == [audio(), video(), metadata(), audio()]
    assert client.session.take_tolerated() == {Quirk.MEDIA_STREAM_ID: 4}


def test_media_chunk_streams_opened_without_a_full_header() -> None:
    client = Client().publishing()
    fmt1 = b"\x46" + bytes(3) + b"\0\0\4\x08" + audio().payload
    assert client.write(fmt1) == [audio()]


@pytest.mark.parametrize("on", [1, 2, LIMITS.max_message_streams])
def test_publish_and_play_without_create_stream(on: int) -> None:
    for name in ("publish", "play"):
        client = Client()
        client.say(connect())
        client.session.accept_connect(client.now)
        (asked,) = client.call(name, 2, "cam", on=on)
        assert isinstance(asked, PublishRequested | PlayRequested)
        assert asked.stream_id == on
        assert client.session.take_tolerated() == {Quirk.NO_CREATE_STREAM: 1}


# Ends and repetitions


def test_publish_false_ends_the_publish_and_not_the_connection() -> None:
    client = Client().publishing()
    assert client.call("publish", 0, False, on=1) == [PublishEnded(1)]
    assert client.hear() == ["1: onStatus 0 status NetStream.Unpublish.Success"]
    assert client.call("publish", 0, False, on=1) == []
    assert client.session.take_tolerated() == {Quirk.STOPPED_BY_FALSE: 2}
    assert client.call("publish", 7, "cam", on=1) == [PublishRequested(1, "cam", "", "live")]


def test_play_false_ends_the_play_and_not_the_connection() -> None:
    client = Client().playing()
    assert client.call("play", 0, False, on=1) == [PlayEnded(1)]
    assert client.hear() == ["1: onStatus 0 status NetStream.Play.Stop"]
    assert client.call("play", 0, False, on=1) == []
    assert client.session.take_tolerated() == {Quirk.STOPPED_BY_FALSE: 2}
    (asked,) = client.call("play", 7, "cam", on=1)
    assert isinstance(asked, PlayRequested)


@pytest.mark.parametrize("name", ["cam", "cam?key=1"])
def test_publishing_one_s_own_name_again_changes_nothing(name: str) -> None:
    client = Client().publishing()
    assert client.call("publish", 9, name, "live", on=1) == []
    assert client.hear() == ["1: onStatus 0 status NetStream.Publish.Start"]
    assert client.session.take_tolerated() == {Quirk.PUBLISH_AGAIN: 1}
    assert client.say(audio()) == [audio()]


# Data said as a command

DATA = metadata()
AS_COMMANDS = {
    "as it is": DATA.payload,
    "with a transaction id": encode_values("@setDataFrame", 0, "onMetaData", {}),
    "with a null object": encode_values("@setDataFrame", 4, None, "onMetaData", {}),
}


@pytest.mark.parametrize("name", AS_COMMANDS)
@pytest.mark.parametrize("type_", [MessageType.COMMAND_AMF0, MessageType.COMMAND_AMF3])
def test_metadata_said_as_a_command(name: str, type_: int) -> None:
    client = Client().publishing()
    prefix = b"\0" if type_ == MessageType.COMMAND_AMF3 else b""
    assert client.say(Message(type_, 0, 1, prefix + AS_COMMANDS[name])) == [DATA]
    assert client.session.take_tolerated() == {Quirk.DATA_AS_COMMAND: 1}
    assert client.hear() == []


def test_metadata_said_as_a_command_outside_a_publish_are_stray() -> None:
    client = Client().connected()
    assert client.say(*[Message(MessageType.COMMAND_AMF0, 0, 1, DATA.payload)] * 90) == []
    assert failure(client.say(*[metadata()] * 11)) == "stray_media"


# What a player says before its play


def test_what_is_not_to_be_received_holds_from_before_the_play() -> None:
    client = Client().connected()
    assert client.call("receiveVideo", 0, False, on=1) == []
    assert client.call("receiveAudio", 0, False, on=1) == []
    client.call("receiveAudio", 0, True, on=1)
    client.call("play", 5, "cam", on=1)
    client.session.accept_play(1, client.now)
    assert client.session.events_received() == [ReceiveVideo(1, False)]
    assert client.call("receiveVideo", 0, True, on=1) == [ReceiveVideo(1, True)]
    client.call("receiveAudio", 0, False, on=1)
    client.call("play", 6, "other", on=1)
    client.session.accept_play(1, client.now)
    assert client.session.events_received() == [ReceiveAudio(1, False)]


# What a failed call leaves alive

FAILING: dict[str, tuple[Message, list[str]]] = {
    "an undecodable call that is known": (
        command_with(b"\x0a\xff\xff\xff\xff", "FCPublish", 9),
        ["_error 9 error NetConnection.Call.Failed"],
    ),
    "a call of too many values": (
        command("_checkbw", 9, [None] * 300),
        ["_error 9 error NetConnection.Call.Failed"],
    ),
    "publish on a stream that cannot be": (
        command("publish", 9, "x", on=LIMITS.max_message_streams + 1),
        ["9: onStatus 0 error NetStream.Publish.BadName"],
    ),
    "play on a stream that cannot be": (
        command("play", 9, "x", on=2**32 - 1),
        [f"{2**32 - 1}: onStatus 0 error NetStream.Play.Failed"],
    ),
    "publish with too long a query": (
        command("publish", 9, "x?" + "q" * 2049, on=2),
        ["2: onStatus 0 error NetStream.Publish.BadName"],
    ),
    "undecodable, and asks for no answer": (command_with(b"\x04", "createStream", 0), []),
    "undecodable, on the stream that is live": (
        command_with(b"\x04", "publish", 9, on=1),
        ["_error 9 error NetConnection.Call.Failed"],
    ),
    "no command at all": (Message(MessageType.COMMAND_AMF0, 0, 0, b"\x05"), []),
    "an empty command": (Message(MessageType.COMMAND_AMF3, 0, 0, b""), []),
}
LIVE: dict[str, Callable[[], Client]] = {
    "publishing": lambda: Client().publishing(),
    "playing": lambda: Client().playing(),
}


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("state", LIVE)
def test_a_call_that_fails_beside_something_live_is_answered_and_ends_nothing(state: str, name: str) -> None:
    said, answer = FAILING[name]
    client = LIVE[state]()
    assert client.say(said) == []
    assert client.hear() == answer
    assert client.session.take_tolerated()[Quirk.REFUSED_CALL] == 1
    assert client.call("_checkbw", 10) == []
    assert client.hear() == ["_result 10 undefined"]
    assert client.session.take_tolerated() == {}


@pytest.mark.parametrize("name", [name for name in FAILING if "live" not in name])
def test_the_same_call_ends_a_connection_that_does_nothing_else(name: str) -> None:
    said, answer = FAILING[name]
    client = Client().connected()
    assert failure(client.say(said))
    assert client.hear() == answer


def test_one_stream_too_many_ends_nothing_that_is_live() -> None:
    client = Client().publishing()
    for number in range(LIMITS.max_message_streams - 1):
        client.call("createStream", number)
    client.hear()
    assert client.call("createStream", 99) == []
    assert client.hear() == ["_error 99 error NetConnection.Call.Failed"]
    assert client.say(audio()) == [audio()]


def test_failing_calls_have_a_rate() -> None:
    client = Client().publishing()
    events: list[ServerEvent] = []
    for _ in range(101):
        events += client.say(FAILING["no command at all"][0])
    assert failure(events) == "control_rate"


# Moving clients elsewhere


def test_a_client_that_can_reconnect_is_asked_to() -> None:
    client = Client()
    client.say(connect(capsEx=int(CapsEx.RECONNECT | CapsEx.MODEX)))
    client.session.accept_connect(client.now)
    client.hear()
    assert client.session.request_reconnect("rtmp://other/live", "We move.")
    assert client.hear() == ["onStatus 0 status NetConnection.Connect.ReconnectRequest"]
    assert client.session.request_reconnect()
    client.session.close()
    assert not client.session.request_reconnect()


@pytest.mark.parametrize("caps_ex", [0, int(CapsEx.MODEX | CapsEx.MULTITRACK)])
def test_a_client_that_cannot_reconnect_is_not_asked_to(caps_ex: int) -> None:
    client = Client()
    client.say(connect(capsEx=caps_ex))
    client.session.accept_connect(client.now)
    client.hear()
    assert not client.session.request_reconnect("rtmp://other/live")
    assert client.hear() == []
