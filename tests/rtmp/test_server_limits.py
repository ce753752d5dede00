"""What a hostile or broken client may cost: deadlines, floods, limits, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rtmp_dialogue import HANDSHAKE, Client, aggregate, audio, command, connect, failure, metadata, video

from rtmpd.rtmp import messages as control
from rtmpd.rtmp.amf import AmfValue, encode_values
from rtmpd.rtmp.constants import BandwidthLimit, MessageType
from rtmpd.rtmp.events import (
    Event,
    PlayRequested,
    PublishRequested,
    SessionFailed,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message, PingRequest

LIMITS = Limits()
SECRET = "s3cret"


def failed_after(client: Client, events: list[Event], since: float) -> tuple[str, float]:
    return failure(events), client.session._now - since


# Deadlines


@pytest.mark.parametrize(("said", "reason"), [(0, "handshake_timeout"), (3072, "handshake_timeout")])
def test_a_handshake_by_drops_has_one_deadline(said: int, reason: str) -> None:
    client = Client(handshake=False)
    began = client.now
    client.write(HANDSHAKE[:said])
    while not (events := client.wait(0.5)):
        client.write(b"")
    assert failed_after(client, events, began) == (reason, 10)


def test_connect_shares_the_deadline_of_the_handshake() -> None:
    client = Client(handshake=False)
    began = client.now
    client.wait(6)
    client.write(HANDSHAKE)
    assert failed_after(client, client.wait(60), began) == ("connect_timeout", 10)


def test_the_deadline_stands_however_much_is_said_before_connect() -> None:
    client = Client()
    for _ in range(9):
        assert client.wait(1) == []
        client.say(control.user_control(PingRequest(1)))
    assert failure(client.wait(1)) == "connect_timeout"


def test_somebody_connected_has_to_publish_or_play() -> None:
    client = Client().connected()
    began = client.now
    for number in range(19):
        assert client.wait(1) == []
        client.call("_checkbw", number)
    assert failed_after(client, client.wait(60), began) == ("request_timeout", 20)


def test_a_silent_publisher_is_gone() -> None:
    client = Client().publishing()
    client.wait(15)
    client.say(audio())
    spoke = client.now
    assert client.wait(9.9) == []
    assert failed_after(client, client.wait(60), spoke) == ("publisher_idle", 10)


def test_a_publisher_has_more_time_for_its_first_frame() -> None:
    client = Client().publishing()
    began = client.now
    assert failed_after(client, client.wait(60), began) == ("publisher_idle", 20)


def test_a_publisher_lives_by_any_byte() -> None:
    client = Client().publishing()
    data = client.encode(video(bytes(50)))
    for place in range(len(data) - 1):
        client.write(data[place : place + 1])
        assert client.wait(9) == []


def test_a_publisher_that_ended_its_publish_may_be_silent() -> None:
    client = Client().publishing()
    client.call("FCUnpublish", 6, "cam")
    assert client.wait(59) == []


@pytest.mark.parametrize("held", [1, 5, 12, 500])
def test_a_message_begun_and_never_finished(held: int) -> None:
    client = Client().playing()
    client.write(client.encode(video(bytes(1000)))[:held])
    began = client.now
    assert failed_after(client, client.wait(60), began) == ("partial_message_timeout", 20)


def test_every_deadline_is_announced_and_none_is_early() -> None:
    client = Client()
    deadline = client.session.next_deadline()
    assert deadline == client.now + 10
    client.session.handle_timeout(deadline - 0.001)
    assert client.session.events_received() == []
    client.session.handle_timeout(deadline)
    assert failure(client.session.events_received()) == "connect_timeout"
    assert client.session.next_deadline() is None


# Not RTMP


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"\x16\x03\x01\x02\x00", "tls"),
        (b"\x06", "rtmpe"),
        (b"\xf3\x00\x04\x7f\x00\x00\x01\x03", "proxy"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "proxy"),
        (b"\x00", "version"),
        (b"\xff" * 4000, "not_rtmp"),
    ],
)
def test_scanners_are_told_nothing(first: bytes, reason: str) -> None:
    client = Client(handshake=False)
    assert failure(client.write(first)) == reason
    assert client.session.data_to_send() == []


# Floods


def flood(client: Client, make: Callable[[int], Message], count: int) -> str:
    """Say ``count`` messages one by one at one moment; the reason that ends it, or nothing."""
    for number in range(count):
        events = client.say(make(number))
        if client.session.closing:
            return failure(events)
    return ""


def test_unknown_calls_before_publish_are_numbered() -> None:
    client = Client().connected()
    assert flood(client, lambda n: command("foo", n + 3), LIMITS.max_calls - 2) == ""
    assert failure(client.call("foo", 999)) == "too_many_calls"


def test_calls_after_publish_or_play_are_bound_by_a_rate() -> None:
    for client in (Client().publishing(), Client().playing()):
        assert flood(client, lambda n: command("pause", 0, True, on=1), 100) == ""
        client.wait(1)
        assert flood(client, lambda n: command("foo", n + 3), 101) == "control_rate"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: control.set_chunk_size(128 + n % 2),
        lambda n: control.abort(5),
        lambda n: control.window_ack_size(65536 + n),
        lambda n: control.set_peer_bandwidth(65536 + n, BandwidthLimit.DYNAMIC),
        lambda n: control.user_control(PingRequest(n)),
        lambda n: Message(MessageType.USER_CONTROL, 0, 0, b"\xff\xff"),
    ],
)
def test_control_messages_are_bound_by_a_rate(make: Callable[[int], Message]) -> None:
    client = Client().connected()
    assert flood(client, make, 100) == ""
    client.wait(0.5)
    assert flood(client, make, 50) == ""
    assert flood(client, make, 1) == "control_rate"


def test_a_flood_of_pings_is_not_reflected() -> None:
    client = Client().connected()
    flood(client, lambda n: control.user_control(PingRequest(n)), 100)
    assert client.hear() == [f"PingResponse {n}" for n in range(LIMITS.max_pings)]


def test_message_streams_are_numbered() -> None:
    client = Client().connected()
    assert flood(client, lambda n: command("createStream", n + 3), LIMITS.max_message_streams - 1) == ""
    assert len(client.hear()) == LIMITS.max_message_streams - 1
    assert failure(client.call("createStream", 99)) == "too_many_streams"


def test_a_flood_of_empty_messages_is_slowed_down() -> None:
    client = Client(limits=Limits(max_messages=100, max_messages_burst=500)).publishing()
    start = client.encode(audio(b""))
    client.write(start + b"\xc4" * 490)
    assert client.session.throttle_delay == 0
    client.write(b"\xc4" * 50)
    assert 0.4 < client.session.throttle_delay < 0.5
    client.wait(0.5)
    client.write(b"\xc4")
    assert client.session.throttle_delay == 0


def test_parts_of_aggregates_count_as_messages() -> None:
    client = Client(limits=Limits(max_messages=100, max_messages_burst=500)).publishing()
    client.say(aggregate(*[audio(b"")] * 600))
    assert 1 < client.session.throttle_delay < 1.1


@pytest.mark.parametrize("make", [audio, video, metadata])
@pytest.mark.parametrize("on", [0, 2, 2**32 - 1])
def test_media_outside_a_publish_are_dropped_and_counted(make: Callable[..., Message], on: int) -> None:
    client = Client().publishing()
    assert flood(client, lambda n: make(on=on), LIMITS.max_stray_media) == ""
    assert client.say(audio()) == [audio()]
    assert failure(client.say(make(on=on))) == "stray_media"


def test_media_before_connect_are_stray() -> None:
    client = Client()
    assert flood(client, lambda n: audio(), LIMITS.max_stray_media) == ""
    assert failure(client.say(audio())) == "stray_media"


@pytest.mark.parametrize("wrapped", [aggregate(*[audio()] * 101), aggregate(*[video()] * 1000)])
def test_stray_media_in_aggregates_count_one_by_one(wrapped: Message) -> None:
    assert failure(Client().connected().say(wrapped)) == "stray_media"


# Limits


@pytest.mark.parametrize(("name", "code"), [("publish", "Publish.BadName"), ("play", "Play.Failed")])
def test_a_query_that_is_too_long(name: str, code: str) -> None:
    client = Client().connected()
    (event,) = client.call(name, 5, "cam?" + "x" * LIMITS.max_query_bytes, on=1)
    assert isinstance(event, PublishRequested | PlayRequested)
    client = Client().connected()
    assert (
        failure(client.call(name, 5, "cam?" + "x" * (LIMITS.max_query_bytes + 1), on=1)) == "query_too_long"
    )
    assert client.hear() == [f"1: onStatus 0 error NetStream.{code}"]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"app": "x" * 129}, "app_too_long"),
        ({"app": "live?" + "x" * 2049}, "query_too_long"),
        ({"tcUrl": "rtmp://" + "x" * 1024}, "tc_url_too_long"),
        ({"flashVer": "x" * 4097}, "field_too_long"),
    ],
)
def test_a_connect_that_is_too_long(properties: dict[str, AmfValue], reason: str) -> None:
    assert failure(Client().call_connect(properties)) == reason


def test_a_connect_without_an_object() -> None:
    assert failure(Client().call("connect", 1, {"app": "live"})) == "bad_connect"


def test_chunk_streams_are_numbered() -> None:
    client = Client().connected()
    header = bytes(11)
    data = b"".join(b"\x00" + bytes([csid]) + header for csid in range(LIMITS.max_chunk_streams))
    assert failure(client.write(data)) == "chunk_streams"


def declared(message_type: int, size: int) -> bytes:
    return b"\x05" + bytes(3) + size.to_bytes(3, "big") + bytes([message_type]) + bytes(4)


@pytest.mark.parametrize(("message_type", "limit"), [(20, 65536), (17, 65536), (18, 2**20), (9, 10 * 2**20)])
def test_a_length_is_refused_before_the_body_arrives(message_type: int, limit: int) -> None:
    assert Client().connected().write(declared(message_type, limit)) == []
    assert failure(Client().connected().write(declared(message_type, limit + 1))) == "message_too_long"


@pytest.mark.parametrize("size", [0, 1, 127, 0x80000000, 0xFFFFFFFF])
def test_chunk_sizes_that_cost_too_much(size: int) -> None:
    message = Message(MessageType.SET_CHUNK_SIZE, 0, 0, size.to_bytes(4, "big"))
    data = b"\x02" + bytes(5) + b"\x04\x01" + bytes(4) + message.payload
    assert failure(Client().connected().write(data)) == "chunk_size"


def test_a_new_header_in_the_middle_of_a_message() -> None:
    client = Client().connected()
    client.write(declared(9, 1000) + bytes(128))
    assert failure(client.write(declared(9, 10))) == "header_mid_message"


def test_a_header_repeated_that_never_was() -> None:
    assert failure(Client().write(b"\xc7")) == "no_header"


@pytest.mark.parametrize(
    "payload",
    [
        aggregate(Message(MessageType.AGGREGATE, 0, 1, b"")).payload,
        aggregate(command("publish", 1, "x")).payload,
        aggregate(*[audio(b"")] * 1001).payload,
        b"\x08\xff\xff\xff" + bytes(7) + b"short",
        b"\x08\x00",
    ],
)
def test_aggregates_that_are_none(payload: bytes) -> None:
    client = Client().publishing()
    assert failure(client.say(Message(MessageType.AGGREGATE, 0, 1, payload))) == "bad_aggregate"


def test_how_many_messages_an_aggregate_may_hold_is_a_setting() -> None:
    client = Client(limits=Limits(max_aggregate_parts=2)).publishing()
    assert len(client.say(aggregate(*[audio(b"")] * 2))) == 2
    assert failure(client.say(aggregate(*[audio(b"")] * 3))) == "bad_aggregate"


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00\x00\x00\x01" * 5000,
        b"\x0a\xff\xff\xff\xff",
        b"\x03\x00\x01a" * 2000,
        b"\x0f\x00\x00\x00\x04<a/>",
        b"\x11\x0c\x05abc",
        b"\x04",
        b"\x0c\xff\xff\xff\xff",
    ],
)
def test_amf_bombs_in_connect(body: bytes) -> None:
    client = Client()
    payload = encode_values("connect", 1) + body
    assert failure(client.say(Message(MessageType.COMMAND_AMF0, 0, 0, payload)))


# What is said of a failure


def hostile_sessions() -> list[tuple[Client, list[Message]]]:
    name = f"cam?key={SECRET}"
    url = f"rtmp://u:{SECRET}@host/live?key={SECRET}"
    long_url = f"rtmp://u:{SECRET}@{'x' * 2000}"
    return [
        (Client(), [command("publish", 5, name, on=1)]),
        (Client(), [connect(f"live?key={SECRET}" + "x" * 3000, tcUrl=url)]),
        (Client(), [connect("live", tcUrl=long_url)]),
        (Client(), [connect("live" + "x" * 200, tcUrl=url, swfUrl=url)]),
        (Client(), [connect("live", flashVer=SECRET * 1000)]),
        (Client().connected(), [connect(f"live?key={SECRET}", tcUrl=url)]),
        (Client().connected(), [command("publish", 5, name + "x" * 3000, on=1)]),
        (Client().connected(), [command("publish", 5, name, on=7)]),
        (Client().publishing(name), [command("publish", 5, name, on=1)]),
        (Client().publishing(name), [command("play", 5, name, on=1)]),
        (Client().connected(), [command("play", 5, name, on=9)]),
        (Client().connected(), [command(f"\x1b[31m\n{'x' * 70}", 5, name)] * 101),
        (Client(), [Message(MessageType.COMMAND_AMF0, 0, 0, encode_values("connect", 1, SECRET) + b"\x04")]),
        (Client(), [Message(MessageType.COMMAND_AMF0, 0, 0, encode_values(SECRET, 1) + b"\x02\xff\xff")]),
        (Client().publishing(name), [metadata(on=3)] * 101),
    ]


@pytest.mark.parametrize("number", range(len(hostile_sessions())))
def test_a_failure_is_told_in_one_short_printable_line_without_secrets(number: int) -> None:
    client, messages = hostile_sessions()[number]
    (failed,) = [event for event in client.say(*messages) if isinstance(event, SessionFailed)]
    text = str(failed.error)
    assert SECRET not in text
    assert text.isprintable()
    assert 10 < len(text) < 200
    assert failed.error.reason.replace("_", "").isalpha()
    assert SECRET.encode() not in b"".join(client.session.data_to_send())
