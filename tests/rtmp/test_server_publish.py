"""Publishing: the request, its answers, media, and its end by either side."""

from __future__ import annotations

import pytest
from rtmp_dialogue import Client, aggregate, audio, command, connect, failure, metadata, video

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.amf import AmfValue, encode_values
from rtmpd.rtmp.command_scan import parse_command
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import MessageType, StatusCode
from rtmpd.rtmp.events import PublishEnded, PublishRequested
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message


def commands_heard(client: Client) -> list[Command]:
    """The raw commands of the replies."""
    messages = client._reader.receive_data(b"".join(client.session.data_to_send()))
    return [parse_command(m, Limits()) for m in messages if m.type == MessageType.COMMAND_AMF0]


STARTED = [
    "StreamBegin 1",
    "1: onFCPublish 0 NetStream.Publish.Start",
    "1: onStatus 0 status NetStream.Publish.Start",
]


def test_an_accepted_publish() -> None:
    client = Client().connected()
    assert client.call("publish", 5, "cam", "live", on=1) == [PublishRequested(1, "cam", "", "live")]
    assert client.hear() == []
    client.session.accept_publish(1, client.now)
    assert client.hear() == STARTED
    assert client.say(metadata(), audio(), video()) == [metadata(), audio(), video()]


def test_a_rejected_publish_says_why_and_ends_the_session() -> None:
    client = Client().connected()
    client.say(command("publish", 5, "cam", "live", on=1), audio())
    client.session.reject_publish(1, StatusCode.PUBLISH_BAD_NAME, "Somebody else does.", client.now)
    assert client.hear() == ["1: onStatus 0 error NetStream.Publish.BadName"]
    assert client.session.closing
    assert client.session.events_received() == []
    assert client.say(audio()) == []


def test_the_query_of_a_key_is_split_off_and_never_repeated_to_anybody() -> None:
    client = Client().connected()
    (request,) = client.call("publish", 5, "cam?key=s3cret&x=?", "live", on=1)
    assert request == PublishRequested(1, "cam", "key=s3cret&x=?", "live")
    client.session.accept_publish(1, client.now)
    client.call("FCUnpublish", 6, "cam?key=s3cret&x=?")
    assert b"s3cret" not in b"".join(client.session.data_to_send())


@pytest.mark.parametrize(
    ("args", "mode"),
    [
        (("cam",), "live"),
        (("cam", None), "live"),
        (("cam", "record"), "record"),
        (("cam", "append"), "append"),
        (("cam", "appendWithGap"), "appendWithGap"),
        (("cam", "LIVE; rm"), "live"),
        (("cam", 1.0), "live"),
    ],
)
def test_modes(args: tuple[AmfValue, ...], mode: str) -> None:
    client = Client().connected()
    assert client.call("publish", 5, *args, on=1) == [PublishRequested(1, "cam", "", mode)]


@pytest.mark.parametrize("args", [(), ("",), ("?key=1",), (None,), (7.0,), ({"a": 1.0},)])
def test_a_publish_of_no_name_is_asked_about_all_the_same(args: tuple[AmfValue, ...]) -> None:
    client = Client().connected()
    (request,) = client.call("publish", 5, *args, on=1)
    assert isinstance(request, PublishRequested)
    assert request.name == ""


def test_a_publish_of_type_17() -> None:
    client = Client().connected()
    payload = b"\x00" + encode_values("publish", 0, None, "cam", "live")
    assert client.say(Message(MessageType.COMMAND_AMF3, 0, 1, payload)) == [
        PublishRequested(1, "cam", "", "live")
    ]


@pytest.mark.parametrize("created", [0, 1])
def test_publish_and_media_on_message_stream_0(created: int) -> None:
    client = Client()
    client.say(connect())
    client.session.accept_connect(client.now)
    for _ in range(created):
        client.call("createStream", 2)
    client.hear()
    assert client.call("publish", 5, "cam", "live", on=0) == [PublishRequested(1, "cam", "", "live")]
    client.session.accept_publish(1, client.now)
    assert client.hear() == STARTED
    assert client.say(audio(on=0), audio(on=1)) == [audio(on=1), audio(on=1)]
    assert client.call("closeStream", on=0) == [PublishEnded(1)]
    assert client.say(audio(on=0), audio(on=1)) == []


def test_two_streams_of_one_connection() -> None:
    client = Client().publishing("a")
    client.call("createStream", 6)
    client.call("publish", 7, "b", "live", on=2)
    client.session.accept_publish(2, client.now)
    assert client.say(audio(on=1), video(on=2)) == [audio(on=1), video(on=2)]
    assert client.call("FCUnpublish", 8, "b") == [PublishEnded(2)]
    assert client.say(audio(on=1), video(on=2)) == [audio(on=1)]


# Media


def test_data_of_type_15_comes_out_as_type_18() -> None:
    client = Client().publishing()
    data = encode_values("onMetaData", {"width": 1.0})
    for payload in (b"\x00" + data, data):
        assert client.say(Message(MessageType.DATA_AMF3, 5, 1, payload)) == [
            Message(MessageType.DATA_AMF0, 5, 1, data)
        ]


@pytest.mark.parametrize("payload", [b"", b"\x00" * 50, b"\x02\xff\xff", b"\x0d"])
def test_data_that_cannot_be_decoded_ends_nothing(payload: bytes) -> None:
    client = Client().publishing()
    message = Message(MessageType.DATA_AMF0, 0, 1, payload)
    assert client.say(message, audio()) == [message, audio()]


@pytest.mark.parametrize("payload", [b"", b"\xaf", b"\x52\x00"])
def test_tiny_media_pass(payload: bytes) -> None:
    client = Client().publishing()
    assert client.say(audio(payload), video(payload)) == [audio(payload), video(payload)]


def test_aggregates_are_taken_apart_with_their_times() -> None:
    client = Client().publishing()
    message = aggregate(audio(timestamp=100), video(timestamp=120), audio(b"", timestamp=140))
    message.timestamp = 5000
    assert client.say(message) == [
        audio(timestamp=5000),
        video(timestamp=5020),
        audio(b"", timestamp=5040),
    ]


def test_obs_ends_with_a_jump_back_to_0_that_nobody_minds() -> None:
    client = Client().publishing()
    messages = [audio(timestamp=0xFFFFFFFF), video(timestamp=0), audio(timestamp=0x80000000)]
    assert client.say(*messages) == messages


# The encoder's end


@pytest.mark.parametrize("key", ["cam", "cam?key=s3cret"])
@pytest.mark.parametrize("named", ["cam", "cam?key=s3cret", "cam?other=1"])
def test_fc_unpublish_finds_the_stream_whatever_its_query(key: str, named: str) -> None:
    client = Client().publishing(key)
    assert client.call("FCUnpublish", 6, named) == [PublishEnded(1)]
    assert client.hear() == [
        "1: onFCUnpublish 0 NetStream.Unpublish.Success",
        "_result 6 undefined",
        "1: onStatus 0 status NetStream.Unpublish.Success",
    ]
    assert client.call("deleteStream", 7, 1) == []


@pytest.mark.parametrize("named", ["other", "", None, "ca", "cam/", 1.0])
def test_fc_unpublish_of_another_name_ends_nothing(named: AmfValue) -> None:
    client = Client().publishing()
    assert client.call("FCUnpublish", 6, named) == []
    assert client.hear() == ["_result 6 undefined"]
    assert client.say(audio()) == [audio()]


def test_fc_publish_and_fc_unpublish_notices_hold_code_and_description() -> None:
    client = Client().connected()
    client.call("publish", 5, "cam", "live", on=1)
    client.session.accept_publish(1, client.now)
    client.call("FCUnpublish", 0, "cam")
    notices = [c for c in commands_heard(client) if c.name.startswith("onFC")]
    assert [(c.name, c.transaction_id, c.command_object) for c in notices] == [
        ("onFCPublish", 0, None),
        ("onFCUnpublish", 0, None),
    ]
    assert [c.args for c in notices] == [
        ({"code": "NetStream.Publish.Start", "description": "cam is now published."},),
        ({"code": "NetStream.Unpublish.Success", "description": "cam is now unpublished."},),
    ]


@pytest.mark.parametrize("argument", [1, "cam", "any text", None])
def test_delete_stream_by_id_and_by_the_name_that_gstreamer_sends(argument: AmfValue) -> None:
    client = Client().publishing()
    assert client.call("deleteStream", 7, argument) == [PublishEnded(1)]
    assert client.hear() == []
    assert client.call("createStream", 8) == []
    assert client.hear() == ["_result 8 1"]


def test_delete_stream_without_argument() -> None:
    assert Client().publishing().call("deleteStream", 7) == [PublishEnded(1)]


@pytest.mark.parametrize("argument", [2, 0, 1.5, -1, float("nan"), True])
def test_delete_stream_of_another_id_ends_nothing(argument: float) -> None:
    client = Client().publishing()
    assert client.call("deleteStream", 7, argument) == []
    assert client.say(audio()) == [audio()]


def test_a_closed_stream_can_publish_again() -> None:
    client = Client().publishing()
    assert client.call("closeStream", 0, on=1) == [PublishEnded(1)]
    assert client.call("closeStream", 0, on=1) == []
    assert client.hear() == []
    assert client.call("publish", 8, "again", "live", on=1) == [PublishRequested(1, "again", "", "live")]


# The server's end


def test_the_server_ends_a_publish() -> None:
    client = Client().publishing()
    client.session.end_publish(1, StatusCode.PUBLISH_FAILED, "Another encoder took over.")
    assert client.hear() == ["1: onStatus 0 error NetStream.Publish.Failed"]
    assert client.session.closing
    assert client.say(audio()) == []


def test_the_end_of_a_publish_is_told_once() -> None:
    client = Client().publishing()
    client.session.end_publish(1, StatusCode.PUBLISH_FAILED, "Another encoder took over.")
    client.session.end_publish(1, StatusCode.PUBLISH_FAILED, "The server is shutting down.")
    assert len(client.hear()) == 1


def test_the_server_ends_a_publish_that_the_encoder_has_just_ended() -> None:
    client = Client().publishing()
    client.call("deleteStream", 0, 1)
    client.session.end_publish(1, StatusCode.PUBLISH_FAILED, "Another encoder took over.")
    assert client.hear() == []
    assert client.session.closing


# Out of turn


def test_publish_twice_on_one_stream_is_refused() -> None:
    client = Client().publishing()
    assert failure(client.call("publish", 8, "other", "live", on=1)) == "publish_twice"
    assert client.hear() == ["1: onStatus 0 error NetStream.Publish.BadName"]


def test_publish_on_a_stream_that_plays_is_refused() -> None:
    client = Client().playing()
    assert failure(client.call("publish", 8, "other", "live", on=1)) == "publish_twice"


@pytest.mark.parametrize("name", ["publish", "play"])
def test_a_request_on_a_stream_that_cannot_be_is_the_end_and_told(name: str) -> None:
    client = Client().connected()
    assert failure(client.call(name, 5, "cam", on=Limits().max_message_streams + 1)) == "unknown_stream"
    code = "NetStream.Publish.BadName" if name == "publish" else "NetStream.Play.Failed"
    assert client.hear() == [f"9: onStatus 0 error {code}"]


def test_answers_without_a_request_are_our_mistake() -> None:
    session = Client().connected().session
    with pytest.raises(UsageError):
        session.accept_publish(1, 0)
    with pytest.raises(UsageError):
        session.reject_publish(1, StatusCode.PUBLISH_FAILED, "No.", 0)
    publishing = Client().publishing().session
    with pytest.raises(UsageError):
        publishing.accept_publish(1, 0)
    with pytest.raises(UsageError):
        publishing.accept_play(1, 0)
