"""What a hostile or broken client may cost: deadlines, floods, limits, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rtmp_dialogue import HANDSHAKE, Client, aggregate, audio, command, connect, failure, metadata, video

from rtmpd.rtmp import command_scan, control
from rtmpd.rtmp.amf import AmfValue, encode_values
from rtmpd.rtmp.constants import BandwidthLimit, MessageType
from rtmpd.rtmp.control import PingRequest
from rtmpd.rtmp.events import (
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ServerEvent,
    SessionFailed,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.rates import TokenBucket

LIMITS = Limits()
SECRET = "s3cret"


def failed_after(client: Client, events: list[ServerEvent], since: float) -> tuple[str, float]:
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


@pytest.mark.parametrize(
    "calls",
    [
        [command("closeStream", on=1)],
        [command("createStream"), command("deleteStream", 0, 2)],
        [command("FCUnpublish", 0, "cam")],
    ],
    ids=["closeStream", "deleteStream", "FCUnpublish"],
)
def test_to_end_what_has_ended_puts_no_deadline_off(calls: list[Message]) -> None:
    client = Client().playing()
    client.call("closeStream", 0, on=1)
    ended = client.now
    for _ in range(19):
        assert client.wait(1) == []
        client.say(*calls)
    assert failed_after(client, client.wait(60), ended) == ("request_timeout", 20)


@pytest.mark.parametrize("state", ["publishing", "playing"])
def test_somebody_whose_last_stream_has_ended_has_to_ask_for_another(state: str) -> None:
    client = Client().publishing() if state == "publishing" else Client().playing()
    client.wait(5)
    ended = client.now
    client.call("deleteStream", 6, 1)
    assert client.wait(15) == []
    client.say(control.acknowledgement(1))
    assert failed_after(client, client.wait(60), ended) == ("request_timeout", 20)


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
    assert client.hear() == ["_error 99 error NetConnection.Call.Failed"]


def test_a_flood_of_empty_messages_is_slowed_down() -> None:
    client = Client(limits=Limits(max_messages=100, max_messages_burst=500)).publishing()
    start = client.encode(audio(b""))
    client.write(start + b"\xc4" * 490)
    assert client.session.take_throttle() is None
    client.write(b"\xc4" * 50)
    delay = client.session.take_throttle()
    assert delay is not None
    assert 0.4 < delay < 0.5
    client.wait(0.5)
    client.session.resume(client.now)
    client.write(b"\xc4")
    assert client.session.take_throttle() is None


def test_parts_of_aggregates_count_as_messages() -> None:
    client = Client(limits=Limits(max_messages=100, max_messages_burst=500)).publishing()
    client.say(aggregate(*[audio(b"")] * 600))
    delay = client.session.take_throttle()
    assert delay is not None
    assert 1 < delay < 1.1


@pytest.mark.parametrize("make", [audio, video, metadata])
@pytest.mark.parametrize("on", [0, 2, 2**32 - 1])
def test_media_outside_a_publish_are_dropped_and_counted(make: Callable[..., Message], on: int) -> None:
    client = Client().connected()
    client.call("createStream", 3)
    assert flood(client, lambda n: make(on=on), LIMITS.max_stray_media) == ""
    assert failure(client.say(make(on=on))) == "stray_media"


@pytest.mark.parametrize("make", [audio, video, metadata])
def test_media_on_another_stream_than_the_one_that_publishes_are_stray(make: Callable[..., Message]) -> None:
    client = Client().publishing()
    client.call("createStream", 3)
    assert flood(client, lambda n: make(on=2), LIMITS.max_stray_media) == ""
    assert client.say(audio()) == [audio()]
    assert failure(client.say(make(on=2))) == "stray_media"


@pytest.mark.parametrize("on", [0, 7])
def test_media_that_could_be_of_two_publishes_are_stray(on: int) -> None:
    client = Client().publishing()
    client.call("publish", 4, "other", on=2)
    client.session.accept_publish(2, client.now)
    assert flood(client, lambda n: audio(on=on), LIMITS.max_stray_media) == ""
    assert failure(client.say(audio(on=on))) == "stray_media"


BEFORE_CONNECT = {
    "audio": audio(),
    "data": metadata(),
    "aggregate": aggregate(audio()),
    "empty aggregate": Message(MessageType.AGGREGATE, 0, 0, b""),
    "data of type 15": Message(MessageType.DATA_AMF3, 0, 0, b""),
    "shared object": Message(MessageType.SHARED_OBJECT_AMF0, 0, 0, b"x"),
    "unknown type": Message(99, 0, 0, b"x"),
    "empty acknowledgement": Message(MessageType.ACKNOWLEDGEMENT, 0, 0, b""),
}


@pytest.mark.parametrize("name", BEFORE_CONNECT)
def test_before_connect_there_is_only_control(name: str) -> None:
    client = Client()
    assert client.say(control.acknowledgement(9), control.window_ack_size(1 << 20)) == []
    assert failure(client.say(BEFORE_CONNECT[name])) == "message_before_connect"


@pytest.mark.parametrize("message_type", [3, 10, 16, 19, 22, 99, 255])
def test_what_means_nothing_is_stray_unless_something_is_published(message_type: int) -> None:
    nothing = Message(message_type, 0, 0, b"")
    client = Client().playing()
    assert flood(client, lambda n: nothing, LIMITS.max_stray_media) == ""
    assert failure(client.say(nothing)) == "stray_media"
    client = Client().publishing()
    assert flood(client, lambda n: nothing, 2 * LIMITS.max_stray_media) == ""
    assert client.say(audio()) == [audio()]


@pytest.mark.parametrize("wrapped", [aggregate(*[audio()] * 101), aggregate(*[video()] * 150)])
def test_stray_media_in_aggregates_count_one_by_one(wrapped: Message) -> None:
    assert failure(Client().connected().say(wrapped)) == "stray_media"


# What decoding costs


def fat_command(name: str, values: int, *, on: int = 1) -> Message:
    return command(name, 0, [{}] * (values - 4), on=on)


@pytest.mark.parametrize("state", ["connected", "publishing", "playing"])
def test_what_is_decoded_is_paid_for(state: str) -> None:
    client = {
        "connected": lambda: Client().connected(),
        "publishing": lambda: Client().publishing(),
        "playing": lambda: Client().playing(),
    }[state]()
    client.wait(2)
    # 1 for the command, 1 for the 512 bytes, 32 for the 256 values; 400 may be spent at once.
    assert flood(client, lambda n: fat_command("_checkbw", 256), 11) == ""
    assert flood(client, lambda n: fat_command("_checkbw", 256), 1) == "command_rate"


def test_what_is_paid_for_comes_back() -> None:
    client = Client().playing()
    for _ in range(20):
        client.wait(1)
        assert flood(client, lambda n: fat_command("pause", 256), 5) == ""


def test_long_commands_cost_by_their_size() -> None:
    client = Client().playing()
    client.wait(2)
    assert flood(client, lambda n: command("pause", 0, "x" * 60_000, on=1), 3) == ""
    assert flood(client, lambda n: command("pause", 0, "x" * 60_000, on=1), 1) == "command_rate"


def test_a_command_that_is_remembered_costs_the_same() -> None:
    client = Client().playing()
    client.wait(2)
    assert flood(client, lambda n: fat_command("pause", 40), 66) == ""
    assert flood(client, lambda n: fat_command("pause", 40), 1) == "command_rate"


def test_nobody_decodes_what_has_no_name_here(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client().playing()
    monkeypatch.setattr(command_scan, "ScannedCommand", None)
    assert flood(client, lambda n: fat_command("nonsense", 4000), 50) == ""
    assert flood(client, lambda n: fat_command("onStatus", 4000), 50) == ""


def test_a_command_of_too_many_values() -> None:
    assert Client().connected().say(fat_command("FCPublish", 256)) == []
    assert failure(Client().connected().say(fat_command("FCPublish", 257))) == "amf_values"


def test_connections_of_one_place_wait_for_one_another() -> None:
    place = TokenBucket(rate=10, burst=100, now=1000)
    one, other = Client(shared_cost=place), Client(shared_cost=place)
    for client in (one, other):
        client.connected()
        assert client.session.take_throttle() is None
    flood(one, lambda n: fat_command("_checkbw", 200), 5)
    assert one.session.take_throttle() is not None
    assert other.call("_checkbw", 7) == []
    delay = other.session.take_throttle()
    assert delay is not None
    assert 1 < delay < 9
    other.call("_checkbw", 8)
    assert other.hear() == []
    other.session.resume(other.now)  # Too early: it waits on.
    assert other.session.take_throttle() == pytest.approx(delay)
    assert other.hear() == []
    other.wait(delay + 1)
    other.session.resume(other.now)
    assert other.hear() == ["_result 7 undefined", "_result 8 undefined"]
    assert other.session.take_throttle() is None


# Turns


def test_more_than_a_turn_of_messages_waits_for_the_next_one() -> None:
    client = Client(limits=Limits(max_messages_per_turn=100)).publishing()
    data = client.encode(audio(b"")) + b"\xc4" * 249 + client.encode(command("FCUnpublish", 9, "cam"))
    assert len(client.write(data)) == 100
    assert client.session.take_throttle() == 0
    assert client.write(client.encode(command("_checkbw", 10))) == []
    client.session.resume(client.now)
    assert len(client.session.events_received()) == 100
    assert client.session.take_throttle() == 0
    client.session.resume(client.now)
    assert client.session.events_received() == [audio(b"")] * 50 + [PublishEnded(1)]
    assert client.session.take_throttle() is None
    assert client.hear()[-1] == "_result 10 undefined"
    client.session.resume(client.now)
    assert client.session.events_received() == []


def test_who_has_published_nothing_has_shorter_turns() -> None:
    limits = Limits(max_stray_media=10**9)
    taken = []
    for client in (Client(limits=limits).connected(), Client(limits=limits).publishing()):
        before = client.session.messages_received
        nothing = client.encode(Message(10, 0, 0, b""))
        client.write(nothing + bytes((nothing[0] | 0xC0,)) * 499)  # Each like the one before.
        taken.append((client.session.messages_received - before, client.session.take_throttle()))
    assert taken == [(128, 0), (500, None)]


# What is held


def test_unfinished_and_waiting_messages_are_held_bytes() -> None:
    client = Client()
    assert client.session.partial_bytes == 0
    client.say(connect())
    waiting = client.encode(command("createStream", 2))
    client.write(waiting)
    assert client.session.partial_bytes == len(waiting)
    client.session.accept_connect(client.now)
    assert client.session.partial_bytes == 0
    client.say(command("publish", 3, "cam", on=1), audio(bytes(1000)))
    assert client.session.partial_bytes >= 1000
    client.session.accept_publish(1, client.now)
    assert client.session.partial_bytes == 0
    client.write(client.encode(video(bytes(100_000)))[:50_000])
    assert 45_000 < client.session.partial_bytes <= 50_000
    client.session.close()
    assert client.session.partial_bytes == 0


def test_an_unfinished_message_ages_whatever_else_is_said() -> None:
    client = Client().playing()
    client.write(declared(9, 1000))
    began = client.now
    while client.now - began < 19:
        client.say(control.acknowledgement(1))
        assert client.wait(0.5) == []
    assert failed_after(client, client.wait(5), began) == ("partial_message_timeout", 20)


@pytest.mark.parametrize("size", [1, 5])
def test_a_header_that_comes_in_drops_ages_from_its_first_byte(size: int) -> None:
    client = Client().playing()
    began = client.now
    data = declared(9, 1000)
    for place in range(0, len(data), size):
        client.write(data[place : place + size])
        if events := client.wait(19 / 4):
            break
    else:
        events = client.wait(20)
    assert failed_after(client, events, began) == ("partial_message_timeout", 20)


def test_an_unfinished_message_does_not_age_while_we_make_its_sender_wait() -> None:
    client = Client().connected()
    request = client.encode(command("play", 3, "cam", on=1)).replace(b"\x04", b"\x05", 1)
    client.write(client.encode(audio(bytes(200)))[:140] + request)
    client.wait(50)
    client.session.accept_play(1, client.now)
    assert client.wait(19.9) == []
    assert failure(client.wait(5)) == "partial_message_timeout"


# Media before there is a publish


@pytest.mark.parametrize("piece", [1, 100, 10**6])
def test_who_sends_media_before_the_answer_is_not_failed_for_being_early(piece: int) -> None:
    client = Client().connected()
    data = client.encode(command("publish", 3, "cam", on=1), audio(), video(bytes(9000)), audio(b"x"))
    events: list[ServerEvent] = []
    for start in range(0, len(data), piece):
        events += client.write(data[start : start + piece])
    assert [type(event) for event in events] == [PublishRequested]
    client.session.accept_publish(1, client.now)
    assert client.session.events_received() == [audio(), video(bytes(9000)), audio(b"x")]


@pytest.mark.parametrize("piece", [1, 100, 10**6])
def test_who_is_let_play_sends_no_media(piece: int) -> None:
    client = Client().connected()
    data = client.encode(command("play", 3, "cam", on=1), video(bytes(9000)))
    for start in range(0, len(data), piece):
        client.write(data[start : start + piece])
    client.session.accept_play(1, client.now)
    assert failure(client.session.events_received()) == "early_media"


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
        ({"app": "x" * (LIMITS.max_path_bytes + 1)}, "app_too_long"),
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
    assert Client().publishing().write(declared(message_type, limit)) == []
    assert failure(Client().publishing().write(declared(message_type, limit + 1))) == "message_too_long"


@pytest.mark.parametrize("message_type", [8, 9, 15, 18, 22])
@pytest.mark.parametrize("state", ["connected", "playing"])
def test_media_of_who_publishes_nothing_are_small(state: str, message_type: int) -> None:
    def client() -> Client:
        return Client().connected() if state == "connected" else Client().playing()

    assert client().write(declared(message_type, 4096)) == []
    assert failure(client().write(declared(message_type, 4097))) == "early_media"


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


def test_an_aggregate_of_too_many_messages() -> None:
    client = Client().publishing()
    assert failure(client.say(aggregate(*[audio(b"")] * 1001))) == "bad_aggregate"


def test_how_many_messages_an_aggregate_may_hold_is_a_setting() -> None:
    client = Client(limits=Limits(max_aggregate_parts=2)).publishing()
    assert len(client.say(aggregate(*[audio(b"")] * 2))) == 2
    assert failure(client.say(aggregate(*[audio(b"")] * 3))) == "bad_aggregate"


# What is said of a failure


NAME = f"cam?key={SECRET}"
URL = f"rtmp://u:{SECRET}@host/live?key={SECRET}"


def new() -> Client:
    return Client()


def connected() -> Client:
    return Client().connected()


def publishing() -> Client:
    return Client().publishing(NAME)


def first_bytes(body: bytes) -> Message:
    return Message(MessageType.COMMAND_AMF0, 0, 0, body)


HOSTILE: dict[str, tuple[Callable[[], Client], list[Message]]] = {
    "publish before connect": (new, [command("publish", 5, NAME, on=1)]),
    "app and query too long": (new, [connect(f"live?key={SECRET}" + "x" * 3000, tcUrl=URL)]),
    "tcUrl too long": (new, [connect("live", tcUrl=f"rtmp://u:{SECRET}@{'x' * 2000}")]),
    "app too long": (new, [connect("live" + "x" * 400, tcUrl=URL, swfUrl=URL)]),
    "flashVer too long": (new, [connect("live", flashVer=SECRET * 1000)]),
    "connect without an object": (new, [first_bytes(encode_values("connect", 1, SECRET) + b"\x04")]),
    "connect cut short": (new, [first_bytes(encode_values("connect", SECRET) + b"\x02\xff")]),
    "connect twice": (connected, [connect(f"live?key={SECRET}", tcUrl=URL)]),
    "query too long": (connected, [command("publish", 5, NAME + "x" * 3000, on=1)]),
    "publish on no stream": (connected, [command("publish", 5, NAME, on=9)]),
    "play on no stream": (connected, [command("play", 5, NAME, on=9)]),
    "too many calls": (connected, [command(f"\x1b[31m\n{'x' * 70}", 5, NAME)] * 101),
    "stray media": (connected, [metadata(on=3)] * 101),
    "two publishes on a stream": (publishing, [command("publish", 5, f"x{NAME}", on=1)]),
    "play on a publish": (publishing, [command("play", 5, NAME, on=1)]),
    "media too early": (connected, [video(SECRET.encode() * 1000)]),
    "commands that cost too much": (publishing, [command("seek", 5, SECRET * 10_000)] * 9),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_failure_is_told_in_one_short_printable_line_without_secrets(name: str) -> None:
    make, messages = HOSTILE[name]
    client = make()
    (failed,) = [event for event in client.say(*messages) if isinstance(event, SessionFailed)]
    text = str(failed.error)
    assert SECRET not in text
    assert text.isprintable()
    assert 10 < len(text) < 200
    assert failed.error.reason.replace("_", "").isalpha()
    assert SECRET.encode() not in b"".join(client.session.data_to_send())


def test_what_is_closed_in_the_midst_of_a_turn_holds_nothing() -> None:
    client = Client(limits=Limits(max_messages_per_turn=100)).connected()
    client.say(command("publish", 3, "cam", on=1))
    client.session.accept_publish(1, client.now, lambda _message, _now: client.session.close())
    client.write(client.encode(audio(bytes(20))) * 250)
    assert client.session.closing
    assert client.session.partial_bytes == 0
