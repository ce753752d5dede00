"""What both sides share: protocol control, acknowledgements, liveness, and the order of what is held back."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtmp_dialogue import HANDSHAKE, Client, aggregate, audio, command, connect, failure, metadata, video

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp import control
from rtmpd.rtmp.constants import BandwidthLimit, MessageType
from rtmpd.rtmp.control import PingRequest, SetBufferLength
from rtmpd.rtmp.events import (
    ConnectRequested,
    HandshakeCompleted,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ServerEvent,
    SessionClosed,
    SessionFailed,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.server import ServerSession

WINDOW = 2_500_000
KIB = 1024


# Acknowledgements


def test_every_half_window_is_acknowledged() -> None:
    client = Client().publishing()
    before = client.session.bytes_received
    payload = audio(bytes(60_000))
    while client.session.bytes_received < WINDOW // 2 - 60_000:
        client.say(payload)
        assert client.hear() == []
    while not (heard := client.hear()):
        client.say(payload)
    assert before < client.session.bytes_received < WINDOW // 2 + 120_000
    assert heard == [f"Acknowledgement {client.session.bytes_received}"]


def test_the_peer_says_how_often_it_wants_acknowledgements() -> None:
    client = Client().publishing()
    client.say(control.window_ack_size(200_000))
    assert client.hear() == []
    client.say(audio(bytes(100_000)))
    assert client.hear() == [f"Acknowledgement {client.session.bytes_received}"]


def test_a_message_longer_than_the_window_is_acknowledged_while_it_arrives() -> None:
    client = Client().publishing()
    client.say(control.window_ack_size(200_000))
    data = client.encode(video(bytes(1_000_000)))
    for start in range(0, 500_000, 100_000):
        assert client.write(data[start : start + 100_000]) == []
        assert client.hear() == [f"Acknowledgement {client.session.bytes_received}"]


def test_an_acknowledgement_window_of_one_byte_costs_one_message_per_32_kib() -> None:
    client = Client().publishing()
    client.say(control.window_ack_size(1))
    data = client.encode(video(bytes(64 * KIB)))
    heard = []
    for start in range(0, len(data), 100):
        client.write(data[start : start + 100])
        heard += client.hear()
    assert len(heard) == 2


def test_one_receive_is_acknowledged_at_most_once() -> None:
    client = Client().publishing()
    client.say(control.window_ack_size(64 * KIB), *[audio(bytes(60_000))] * 20)
    assert client.hear() == [f"Acknowledgement {client.session.bytes_received}"]


def test_a_window_of_0_changes_nothing() -> None:
    client = Client().publishing()
    client.say(control.window_ack_size(0), audio(bytes(200_000)))
    assert client.hear() == []


@pytest.mark.parametrize("before", [2**31 - 10, 2**31, 2**32 - 50_000, 2**32 - 10])
def test_the_count_of_an_acknowledgement_wraps(before: int) -> None:
    client = Client().publishing()
    client.session.bytes_received = client.session._acknowledged = before
    client.say(control.window_ack_size(64 * KIB), audio(bytes(40_000)))
    assert client.hear() == [f"Acknowledgement {client.session.bytes_received % 2**32}"]


@pytest.mark.parametrize("total", [0, 1, 2**31, 2**32 - 1])
def test_acknowledgements_of_the_peer_are_believed_or_not_but_never_acted_on(total: int) -> None:
    client = Client().playing()
    assert client.say(*[control.acknowledgement(total)] * 500) == []
    assert client.hear() == []


# Bandwidth


def test_set_peer_bandwidth_is_answered_once_per_value() -> None:
    client = Client().connected()
    client.say(control.set_peer_bandwidth(5_000_000, BandwidthLimit.DYNAMIC))
    client.say(control.set_peer_bandwidth(5_000_000, BandwidthLimit.HARD))
    assert client.hear() == ["WindowAckSize 5000000"]
    client.say(control.set_peer_bandwidth(WINDOW, BandwidthLimit.SOFT))
    assert client.hear() == ["WindowAckSize 2500000"]


@pytest.mark.parametrize("window", [0, WINDOW])
def test_set_peer_bandwidth_of_nothing_new_is_not_answered(window: int) -> None:
    client = Client().connected()
    client.say(control.set_peer_bandwidth(window, BandwidthLimit.DYNAMIC))
    assert client.hear() == []


def test_a_tiny_peer_bandwidth_is_raised() -> None:
    client = Client().connected()
    client.say(control.set_peer_bandwidth(1, BandwidthLimit.HARD))
    assert client.hear() == ["WindowAckSize 65536"]


# Pings and other events


def test_a_ping_is_answered_with_its_own_time() -> None:
    client = Client().connected()
    client.say(control.user_control(PingRequest(123456)))
    assert client.hear() == ["PingResponse 123456"]


def test_a_silent_player_is_pinged_and_lives_by_any_byte() -> None:
    client = Client().playing()
    assert client.wait(59) == []
    assert client.hear() == []
    assert client.wait(1) == []
    (ping,) = client.hear()
    assert ping == f"PingRequest {int(client.now * 1000)}"
    client.wait(29)
    client.say(control.acknowledgement(1))
    assert client.wait(59) == []
    assert client.hear() == []


def test_a_player_that_answers_no_ping_is_gone() -> None:
    client = Client().playing()
    events = client.wait(89)
    assert events == []
    (failed,) = client.wait(1)
    assert isinstance(failed, SessionFailed)
    assert failed.error.reason == "idle"


def test_no_pings_when_told_so() -> None:
    client = Client(limits=Limits(ping_interval=0)).playing()
    assert client.session.next_deadline() is None
    assert client.wait(10_000) == []
    assert client.hear() == []


@pytest.mark.parametrize(
    "payload",
    [
        b"\x00\x03\0\0\0\1\0\0\x0b\xb8",
        b"\x00\x03\0\0\0\1",
        b"\x00\x06",
        b"\x00\x07\0\0\0\1",
        b"\x00\x1a\1",
        b"\x00\x1b" + bytes(42),
        b"\x00\x05\0\0\0\1",
        b"\xff\xff",
        b"\x00\x00",
    ],
)
def test_other_events_and_unknown_ones_are_ignored(payload: bytes) -> None:
    client = Client().playing()
    assert client.say(Message(MessageType.USER_CONTROL, 0, 0, payload)) == []
    assert client.hear() == []


@pytest.mark.parametrize("message_type", [0, 7, 10, 13, 14, 16, 19, 21, 23, 200, 255])
def test_shared_objects_and_unknown_types_are_ignored(message_type: int) -> None:
    client = Client().publishing()
    assert client.say(Message(message_type, 0, 1, b"anything"), audio()) == [audio()]


@pytest.mark.parametrize("message_type", [2, 4, 5, 6])
def test_control_messages_that_are_cut_short_mean_nothing(message_type: int) -> None:
    client = Client().publishing()
    assert client.say(Message(message_type, 0, 0, b""), Message(message_type, 0, 0, b"\1")) == []
    assert client.session.take_tolerated() == {Quirk.SHORT_CONTROL: 2}
    assert client.session.take_tolerated() == {}
    assert client.hear() == []
    assert client.say(audio()) == [audio()]


def test_a_chunk_size_cut_short_is_the_end() -> None:
    said = b"\x04" + bytes(3) + b"\0\0\3\1" + bytes(4) + b"\0\0\1"
    assert failure(Client().publishing().write(said)) == "bad_control"


def test_control_on_any_chunk_stream_and_message_stream() -> None:
    client = Client().connected()
    ping = control.user_control(PingRequest(5))
    ping.stream_id = 1
    client.say(ping)
    assert client.hear() == ["PingResponse 5"]


# What is held back while a request waits


def pipelined() -> list[Message]:
    parts = [audio(bytes([n]), timestamp=n) for n in range(20, 23)]
    return [
        connect(),
        command("createStream", 2),
        command("createStream", 3),
        command("publish", 4, "a", "live", on=1),
        metadata(),
        audio(timestamp=1),
        aggregate(*parts),
        Message(MessageType.DATA_AMF3, 30, 1, b"\x00\x02\x00\x01x"),
        command("publish", 5, "b", "live", on=2),
        video(on=2, timestamp=40),
        audio(timestamp=41),
        aggregate(*parts, on=2),
        command("closeStream", 0, on=2),
        command("play", 6, "a", on=2),
        audio(timestamp=50),
        command("FCUnpublish", 7, "a"),
    ]


EXPECTED = [
    PublishRequested(1, "a", "", "live"),
    metadata(),
    audio(timestamp=1),
    *[audio(bytes([n]), timestamp=n) for n in range(20, 23)],
    Message(MessageType.DATA_AMF0, 30, 1, b"\x02\x00\x01x"),
    PublishRequested(2, "b", "", "live"),
    video(on=2, timestamp=40),
    audio(timestamp=41),
    *[audio(bytes([n]), on=2, timestamp=n) for n in range(20, 23)],
    PublishEnded(2),
    PlayRequested(2, "a", "", -2, -1, False),
    audio(timestamp=50),
    PublishEnded(1),
]


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=12), st.booleans())
def test_order_is_kept_wherever_the_data_is_cut_and_however_late_the_answers(
    places: list[float], late: bool
) -> None:
    client = Client()
    data = client.encode(*pipelined())
    cuts = sorted(int(place * len(data)) for place in places)
    seen: list[ServerEvent] = []
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        client.session.receive_data(data[start:stop], client.now)
        if not late:
            seen += client.grant_everything()
    seen += client.grant_everything()
    assert seen[1:] == EXPECTED
    heard = client.hear()
    assert heard[3:6] == ["_result 1 status NetConnection.Connect.Success", "_result 2 1", "_result 3 2"]
    assert heard[-3:] == [
        "1: onFCUnpublish 0 NetStream.Unpublish.Success",
        "_result 7 undefined",
        "1: onStatus 0 status NetStream.Unpublish.Success",
    ]


def test_nothing_is_processed_before_the_answer() -> None:
    client = Client()
    (request,) = client.say(connect(), control.user_control(PingRequest(1)))
    assert isinstance(request, ConnectRequested)
    waiting = [client.session.awaiting_answer]
    assert client.say(control.user_control(PingRequest(2)), command("createStream", 2)) == []
    assert client.hear() == []
    client.session.accept_connect(client.now)
    waiting.append(client.session.awaiting_answer)
    assert waiting == [True, False]
    assert client.hear()[-3:] == ["PingResponse 1", "PingResponse 2", "_result 2 1"]


def test_a_chunk_size_said_while_a_request_waits_applies_at_once() -> None:
    client = Client()
    client.say(connect(), control.set_chunk_size(4096))
    client.say(command("createStream", 2), command("x" * 3000, 3))
    client.session.accept_connect(client.now)
    assert client.hear()[-2:] == ["_result 2 1", "_error 3 error NetConnection.Call.Failed"]


def test_nothing_is_late_while_a_request_waits() -> None:
    client = Client()
    client.say(connect())
    assert client.session.next_deadline() is None
    client.session.handle_timeout(client.now + 3600)
    client.now += 3600
    assert client.session.events_received() == []
    client.session.accept_connect(client.now)
    assert client.session.next_deadline() == client.now + 20


def test_a_session_has_no_dictionary_in_either_form() -> None:
    assert ServerSession.__dictoffset__ == 0


def test_an_answer_without_a_request_is_our_mistake() -> None:
    with pytest.raises(UsageError):
        Client().session._answered(0)


LATE: dict[str, tuple[Message, Callable[[ServerSession, float], None]]] = {
    "accept connect": (connect(), lambda session, now: session.accept_connect(now)),
    "reject connect": (connect(), lambda session, now: session.reject_connect("code", "no", now)),
    "accept publish": (
        command("publish", 3, "cam", on=1),
        lambda session, now: session.accept_publish(1, now),
    ),
    "reject publish": (
        command("publish", 3, "cam", on=1),
        lambda session, now: session.reject_publish(1, "code", "no", now),
    ),
    "accept play": (command("play", 3, "cam", on=1), lambda session, now: session.accept_play(1, now)),
    "reject play": (
        command("play", 3, "cam", on=1),
        lambda session, now: session.reject_play(1, "code", "no", now),
    ),
}


@pytest.mark.parametrize("answer", LATE)
@pytest.mark.parametrize("end", ["failed", "left", "closed"])
def test_a_late_answer_to_a_session_that_is_over_changes_nothing(end: str, answer: str) -> None:
    request, give = LATE[answer]
    client = Client() if "connect" in answer else Client().connected()
    client.say(request, audio())
    match end:
        case "failed":
            client.session.fail(ProtocolError(SessionFailure.BAD_DATA, "it failed"))
        case "left":
            client.session.receive_eof()
        case _:
            client.session.close()
    client.session.events_received()
    give(client.session, client.now)
    assert client.session.events_received() == []
    assert client.session.data_to_send() == []
    assert client.session.closing
    assert client.session.partial_bytes == 0
    assert client.say(audio()) == []


# Whoever takes the media ends the session


@pytest.mark.parametrize("piece", [1, 10**6], ids=["byte by byte", "whole"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["messages", "an aggregate"])
@pytest.mark.parametrize("end", ["end_publish", "fail", "close"])
def test_a_receiver_that_ends_the_session_gets_nothing_more(end: str, wrapped: bool, piece: int) -> None:
    client = Client().connected()
    client.call("publish", 3, "cam", on=1)
    got: list[int] = []

    def receive(message: Message, _now: float) -> None:
        got.append(message.timestamp)
        match end:
            case "end_publish":
                client.session.end_publish(1, "NetStream.Publish.Failed", "Enough.")
            case "fail":
                client.session.fail(ProtocolError(SessionFailure.BAD_DATA, "it failed"))
            case _:
                client.session.close()

    client.session.accept_publish(1, client.now, receive)
    client.hear()
    said = [audio(timestamp=time) for time in range(5)]
    data = client.encode(aggregate(*said)) if wrapped else client.encode(*said)
    data += client.encode(command("createStream", 9), Message(99, 0, 0, b"x"))
    for start in range(0, len(data), piece):
        client.write(data[start : start + piece])
    assert got == [0]
    assert client.hear() == (["1: onStatus 0 error NetStream.Publish.Failed"] if end == "end_publish" else [])


def test_what_ends_the_session_is_not_acknowledged() -> None:
    client = Client().connected()
    client.call("publish", 3, "cam", on=1)
    client.session.accept_publish(1, client.now, lambda _message, _now: client.session.close())
    client.say(control.window_ack_size(64 * KIB))
    client.hear()
    client.say(audio(bytes(60 * KIB)))
    assert client.session.data_to_send() == []


def test_a_session_that_is_over_holds_nobody() -> None:
    class Receiver:
        def take(self, _message: Message, _now: float) -> None:
            pass

    client = Client().connected()
    client.call("publish", 3, "cam", on=1)
    receiver = Receiver()
    client.session.accept_publish(1, client.now, receiver.take)
    gone = weakref.ref(receiver)
    gc.disable()
    try:
        client.session.close()
        del receiver
        assert gone() is None
    finally:
        gc.enable()


GARBAGE: dict[str, tuple[Callable[[], Client], bytes]] = {
    "in the handshake": (lambda: Client(handshake=False), b"GET / HTTP/1.1"),
    "at once": (lambda: Client().connected(), b"\xff" * 9),
    "behind a message": (lambda: Client().publishing(), Client().encode(audio()) + b"\xff" * 9),
    "behind a request": (
        lambda: Client().connected(),
        Client().encode(command("publish", 3, "cam", on=1)) + b"\xff" * 9,
    ),
    "in a command": (lambda: Client().connected(), Client().encode(Message(20, 0, 0, b"\5"))),
}


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("name", GARBAGE)
def test_a_session_that_failed_is_freed_with_its_last_reference(name: str, answered: bool) -> None:
    make, data = GARBAGE[name]
    client = make()
    gc.collect()
    gc.disable()
    try:
        client.write(data)
        if answered and client.session.awaiting_answer:
            client.session.accept_publish(1, client.now)
        client.session.close()
        client.session.events_received()
        del client
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_no_ping_comes_in_the_midst_of_a_handshake() -> None:
    client = Client(handshake=False, limits=Limits(ping_interval=1, handshake_timeout=10))
    client.write(HANDSHAKE[:100])
    assert client.wait(9) == []
    assert client.session.data_to_send() == []


def test_time_goes_on_while_a_request_waits() -> None:
    client = Client().connected()
    client.say(command("publish", 3, "cam", on=1), audio())
    times: list[float] = []
    client.wait(7)
    client.session.accept_publish(1, client.now, lambda _message, now: times.append(now))
    assert times == [client.now]


# Ends


def test_the_peer_closes_in_order() -> None:
    client = Client().publishing()
    client.session.receive_eof()
    assert client.session.events_received() == [SessionClosed()]
    assert client.session.closing
    client.session.receive_eof()
    assert client.say(audio()) == []
    assert client.session.next_deadline() is None


@pytest.mark.parametrize("size", [1, 1537, 3072])
def test_the_peer_leaves_in_the_handshake(size: int) -> None:
    client = Client(handshake=False)
    client.write(HANDSHAKE[:size])
    client.session.receive_eof()
    (failed,) = client.session.events_received()
    assert isinstance(failed, SessionFailed)
    assert failed.error.reason == "eof_in_handshake"


def test_a_health_check_that_only_connects_is_no_failure() -> None:
    client = Client(handshake=False)
    client.session.receive_eof()
    assert client.session.events_received() == [SessionClosed()]


def test_the_peer_closes_inside_a_message() -> None:
    client = Client().publishing()
    client.write(client.encode(video(bytes(5000)))[:1000])
    client.session.receive_eof()
    assert client.session.events_received() == [SessionClosed()]


def test_what_comes_after_the_end_is_ignored() -> None:
    client = Client().connected()
    events = client.write(b"\xff" * 20)
    assert isinstance(events[-1], SessionFailed)
    received = client.session.bytes_received
    assert client.say(control.user_control(PingRequest(1))) == []
    assert client.hear() == []
    assert client.session.bytes_received == received
    client.session.handle_timeout(client.now + 3600)
    client.session.receive_eof()
    assert client.session.events_received() == []
    assert client.session.next_deadline() is None


def test_counts() -> None:
    client = Client(handshake=False)
    assert client.write(HANDSHAKE) == [HandshakeCompleted(digest=False)]
    assert (client.session.bytes_received, client.session.messages_received) == (3073, 0)
    assert client.session.bytes_sent == 3073
    data = client.encode(connect(), control.user_control(SetBufferLength(0, 300)))
    client.write(data)
    assert (client.session.bytes_received, client.session.messages_received) == (3073 + len(data), 2)
