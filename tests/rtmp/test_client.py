"""The client's session: whole conversations with the server's, in memory, and what other servers answer."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import UsageError
from rtmpd.rtmp import commands, control
from rtmpd.rtmp.amf import UNDEFINED, AmfValue, encode_values
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.client import AUDIO_FOUR_CCS, VIDEO_FOUR_CCS, ClientSession, ClientSettings
from rtmpd.rtmp.command_scan import parse_command
from rtmpd.rtmp.commands import Command, ConnectParams, Status
from rtmpd.rtmp.constants import (
    BandwidthLimit,
    CapsEx,
    FourCcMask,
    StatusCode,
    StatusLevel,
    VideoFunction,
)
from rtmpd.rtmp.events import (
    CallRefused,
    CallSucceeded,
    ClientEvent,
    CommandReceived,
    ConnectAccepted,
    ConnectRefused,
    ConnectRequested,
    HandshakeCompleted,
    PauseRequested,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ReceiveAudio,
    ReceiveVideo,
    ReconnectRequested,
    SeekRequested,
    ServerEvent,
    SessionFailed,
    StatusReceived,
    StreamCreated,
    StreamEnded,
    StreamRefused,
    StreamStarted,
    UserControlReceived,
)
from rtmpd.rtmp.handshake import ServerHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSession

PARAMS = ConnectParams(app="live", tc_url="rtmp://host/live")
NOW = 100.0


def counted(size: int) -> bytes:
    return bytes((7 * i + 3) & 0xFF for i in range(size))


class Wire:
    """A client and a server joined by a wire that carries ``step`` bytes at a time."""

    def __init__(self, settings: ClientSettings | None = None, step: int = 0) -> None:
        self.client = ClientSession(random_bytes=counted, now=NOW, settings=settings)
        self.server = ServerSession(random_bytes=counted, now=NOW)
        self.step = step

    def run(self) -> tuple[list[ClientEvent], list[ClientEvent]]:
        """Carry everything both have to say; what the client and the server report."""
        client: list[ClientEvent] = []
        server: list[ServerEvent] = []
        while True:
            up = b"".join(self.client.data_to_send())
            down = b"".join(self.server.data_to_send())
            if not up and not down:
                return client, server
            self._carry(up, self.server, server)
            self._carry(down, self.client, client)

    def connect(self) -> None:
        self.run()
        self.client.connect(PARAMS)
        self.run()
        self.server.accept_connect(NOW)
        self.run()

    def stream(self) -> int:
        self.client.create_stream()
        created = next(event for event in self.run()[0] if isinstance(event, StreamCreated))
        return created.stream_id

    def published(self, name: str = "cam") -> int:
        self.connect()
        stream_id = self.stream()
        self.client.publish(stream_id, name)
        self.run()
        self.server.accept_publish(stream_id, NOW)
        self.run()
        return stream_id

    def played(self, name: str = "cam") -> int:
        self.connect()
        stream_id = self.stream()
        self.client.play(stream_id, name)
        self.run()
        self.server.accept_play(stream_id, NOW)
        self.run()
        return stream_id

    def _carry(self, data: bytes, to: ClientSession | ServerSession, events: list[ClientEvent]) -> None:
        step = self.step or len(data) or 1
        for start in range(0, len(data), step):
            to.receive_data(data[start : start + step], NOW)
            events += to.events_received()


def only(events: list[ClientEvent], kind: type[ClientEvent]) -> list[ClientEvent]:
    return [event for event in events if isinstance(event, kind)]


def codes(events: list[ClientEvent]) -> list[str]:
    return [event.status.code for event in events if isinstance(event, StatusReceived)]


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("digest", [False, True])
def test_publish_conversation(digest: bool, step: int) -> None:
    wire = Wire(ClientSettings(digest=digest, verify=True), step)
    client, server = wire.client, wire.server
    assert wire.run() == ([HandshakeCompleted(digest)], [HandshakeCompleted(digest)])

    assert client.connect(PARAMS) == 1
    _, [request] = wire.run()
    assert isinstance(request, ConnectRequested)
    assert (request.params.app, request.params.tc_url) == ("live", "rtmp://host/live")
    assert request.params.four_cc_list == VIDEO_FOUR_CCS + AUDIO_FOUR_CCS
    assert request.params.video_four_cc_info_map == dict.fromkeys(VIDEO_FOUR_CCS, FourCcMask.CAN_FORWARD)
    assert request.params.audio_four_cc_info_map == dict.fromkeys(AUDIO_FOUR_CCS, FourCcMask.CAN_FORWARD)
    assert request.params.caps_ex == sum(CapsEx) - CapsEx.RECONNECT  # Somebody has to act on it.
    assert request.params.video_function == sum(VideoFunction) - VideoFunction.CLIENT_LARGE_SCALE_TILE
    assert request.params.connect_object["type"] == "nonprivate"
    assert next(iter(request.params.connect_object)) == "app"

    server.accept_connect(NOW)
    [accepted], _ = wire.run()
    assert isinstance(accepted, ConnectAccepted)
    assert accepted.result.status.code == StatusCode.CONNECT_SUCCESS
    assert accepted.result.fms_ver == commands.FMS_VERSION
    assert accepted.result.video_four_cc_info_map == {"*": 4}
    assert accepted.result.four_cc_list == ("*",)
    assert accepted.result.caps_ex & CapsEx.MULTITRACK

    transaction_id = client.create_stream("cam?token=x")
    assert wire.run()[0] == [StreamCreated(transaction_id, 1)]
    client.publish(1, "cam?token=x", announce=False)
    assert wire.run()[1] == [PublishRequested(1, "cam", "token=x", "live")]
    server.accept_publish(1, NOW)
    events, _ = wire.run()
    assert [type(event) for event in events] == [UserControlReceived, StatusReceived, StreamStarted]

    client.send_media(9, 1, 40, b"video" * 30000)
    client.send_media(8, 1, 2**32 + 41, b"audio")
    client.send_media(18, 1, 0, b"data")
    assert wire.run()[1] == [
        Message(9, 40, 1, b"video" * 30000),
        Message(8, 41, 1, b"audio"),
        Message(18, 0, 1, b"data"),
    ]

    client.delete_stream(1)
    events, ended = wire.run()
    assert ended == [PublishEnded(1)]
    assert only(events, StreamEnded) == []
    assert codes(events) == [StatusCode.UNPUBLISH_SUCCESS]


@pytest.mark.parametrize("step", [0, 1])
def test_play_conversation(step: int) -> None:
    wire = Wire(step=step)
    wire.connect()
    client, server = wire.client, wire.server
    stream_id = wire.stream()
    client.play(stream_id, "cam?k=v", start=2.5, duration=10, reset=False)
    assert wire.run()[1] == [PlayRequested(1, "cam", "k=v", 2500.0, 10000.0, False)]
    server.accept_play(1, NOW)
    events, _ = wire.run()
    assert codes(events) == [StatusCode.PLAY_RESET, StatusCode.PLAY_START]
    [started] = only(events, StreamStarted)
    [access] = only(events, Message)
    assert isinstance(started, StreamStarted)
    assert events.index(started) < events.index(access)

    server.send_message(Message(9, 7, 1, b"video"), 6)
    assert wire.run()[0] == [Message(9, 7, 1, b"video")]

    client.seek(1, 1234)
    client.receive_audio(1, False)
    client.receive_video(1, True)
    events, asked = wire.run()
    assert asked == [SeekRequested(1, 1234), ReceiveAudio(1, False), ReceiveVideo(1, True)]
    assert StatusCode.SEEK_NOTIFY in codes(events)

    server.notify_unpublished(1)
    events, _ = wire.run()
    assert only(events, StreamEnded) == [StreamEnded(1, Status(), False)]
    assert codes(events) == [StatusCode.PLAY_UNPUBLISH_NOTIFY]
    server.send_message(Message(9, 8, 1, b"late"), 6)
    assert wire.run()[0] == []

    client.play(1, "cam")
    assert wire.run()[1] == [PlayEnded(1), PlayRequested(1, "cam", "", -2.0, -1.0, False)]
    server.accept_play(1, NOW)
    assert server.events_received() == [ReceiveAudio(1, False)]  # It holds for the stream.
    wire.run()
    client.delete_stream(1)
    assert wire.run()[1] == [PlayEnded(1)]


def test_a_pause_ends_nothing() -> None:
    wire = Wire()
    stream_id = wire.played()
    client = wire.client
    client.pause(stream_id, True, 99)
    events, asked = wire.run()
    assert asked == [PauseRequested(1, True)]
    assert codes(events) == [StatusCode.PAUSE_NOTIFY]
    assert only(events, UserControlReceived) == [UserControlReceived(control.StreamEof(1))]
    assert only(events, StreamEnded) == []
    client.pause(stream_id, False)
    client.pause(stream_id, True)
    assert only(wire.run()[0], StreamEnded) == []
    client.pause(stream_id, False)
    events, _ = wire.run()
    assert codes(events) == [StatusCode.UNPAUSE_NOTIFY]
    wire.server.send_user_control(control.StreamEof(1))
    assert only(wire.run()[0], StreamEnded) == [StreamEnded(1, Status(), False)]


def test_a_resume_may_be_told_by_status_alone() -> None:
    server = Scripted(streams=1).playing()
    eof = control.user_control(control.StreamEof(1))
    server.client.pause(1, True)
    server.status(StatusCode.PAUSE_NOTIFY)
    assert only(server.send(eof), StreamEnded) == []
    server.client.pause(1, False)
    server.status(StatusCode.UNPAUSE_NOTIFY)
    assert only(server.send(eof), StreamEnded) == [StreamEnded(1, Status(), False)]


@pytest.mark.parametrize(("asked", "sent"), [(0, [2_500_000]), (900_000, [])])
def test_the_server_chooses_the_window(asked: int, sent: list[int]) -> None:
    server = Scripted(connected=False)
    if asked:
        server.send(control.set_peer_bandwidth(asked, BandwidthLimit.DYNAMIC))
    server.client.data_to_send()
    server.say(commands.connect_result(1, 0))
    messages = ChunkReader(Limits()).receive_data(b"".join(server.client.data_to_send()))
    assert [control.parse_u32(message.payload) for message in messages] == sent


def test_a_seek_ends_nothing() -> None:
    server = Scripted(streams=1).playing()
    eof, begin = (control.user_control(event(1)) for event in (control.StreamEof, control.StreamBegin))
    server.client.seek(1, 1000)
    for message in (eof, begin):  # quirk(nginx-rtmp): marks a seek with both.
        assert [type(event) for event in server.send(message)] == [UserControlReceived]
    server.client.seek(1, 1000)
    server.status(StatusCode.SEEK_NOTIFY)
    assert only(server.send(eof), StreamEnded) == [StreamEnded(1, Status(), False)]


def test_the_order_of_obs_and_ffmpeg() -> None:
    wire = Wire()
    wire.connect()
    wire.client.create_stream("cam")
    assert names(wire.client) == ["releaseStream", "FCPublish", "createStream"]


def test_publish_announces_itself_when_create_stream_did_not() -> None:
    wire = Wire()
    wire.connect()
    stream_id = wire.stream()
    wire.client.publish(stream_id, "cam")
    assert names(wire.client) == ["releaseStream", "FCPublish", "publish"]


def sent(session: ClientSession) -> list[Command]:
    reader = ChunkReader(Limits())
    reader.chunk_size = session.settings.chunk_size
    messages = reader.receive_data(b"".join(session.data_to_send()))
    return [parse_command(message, Limits()) for message in messages if message.type == 20]


def names(session: ClientSession) -> list[str]:
    return [command.name for command in sent(session)]


def sent_ids(session: ClientSession) -> dict[str, int]:
    return {command.name: int(command.transaction_id) for command in sent(session)}


def commands_message(command: Command) -> Message:
    return Message(20, 0, 0, commands.serialize_command(command))


def test_refusals() -> None:
    wire = Wire()
    wire.run()
    wire.client.connect(PARAMS)
    wire.run()
    wire.server.reject_connect(StatusCode.CONNECT_REJECTED, "no such application", NOW)
    [refused], _ = wire.run()
    assert isinstance(refused, ConnectRefused)
    assert (refused.status.code, refused.status.description) == (
        StatusCode.CONNECT_REJECTED,
        "no such application",
    )
    assert wire.client.closing


@pytest.mark.parametrize("what", ["publish", "play"])
def test_refused_streams(what: str) -> None:
    wire = Wire()
    wire.connect()
    stream_id = wire.stream()
    if what == "publish":
        wire.client.publish(stream_id, "cam")
        wire.run()
        wire.server.reject_publish(stream_id, StatusCode.PUBLISH_BAD_NAME, "taken", NOW)
    else:
        wire.client.play(stream_id, "cam")
        wire.run()
        wire.server.reject_play(stream_id, StatusCode.PLAY_STREAM_NOT_FOUND, "taken", NOW)
    [refused] = only(wire.run()[0], StreamRefused)
    assert isinstance(refused, StreamRefused)
    assert (refused.stream_id, refused.status.description) == (1, "taken")
    with pytest.raises(UsageError):
        wire.client.send_media(8, 1, 0, b"x")


def test_the_server_ends_a_publish() -> None:
    wire = Wire()
    stream_id = wire.published()
    wire.server.end_publish(stream_id, StatusCode.PUBLISH_FAILED, "replaced")
    [ended] = only(wire.run()[0], StreamEnded)
    assert isinstance(ended, StreamEnded)
    assert (ended.failed, ended.status.description) == (True, "replaced")


def test_the_server_ends_a_play() -> None:
    wire = Wire()
    stream_id = wire.played()
    wire.server.end_play(stream_id, StatusCode.PLAY_FAILED, "over")
    [ended] = only(wire.run()[0], StreamEnded)
    assert isinstance(ended, StreamEnded)
    assert (ended.failed, ended.status.code) == (True, StatusCode.PLAY_FAILED)


def test_calls() -> None:
    wire = Wire()
    wire.connect()
    notice = wire.client.call("_checkbw")
    unknown = wire.client.call("nonsense", 1.0, [True])
    forgotten = wire.client.call("_checkbw")
    wire.client.forget(forgotten)
    wire.client.notify("nonsense")
    events, asked = wire.run()
    assert events[0] == CallSucceeded(notice, (UNDEFINED,))
    assert isinstance(events[1], CallRefused)
    assert (events[1].transaction_id, events[1].status.code) == (unknown, StatusCode.CALL_FAILED)
    assert len(events) == 2
    assert [type(event) for event in asked] == [CommandReceived, CommandReceived]


def test_own_misuse() -> None:
    session = ClientSession(random_bytes=counted, now=NOW)
    misuses: list[Callable[[], object]] = [
        lambda: session.connect(PARAMS),
        lambda: session.call("x"),
        lambda: session.notify("x"),
        session.create_stream,
        lambda: session.publish(1, "cam"),
        lambda: session.play(1, "cam"),
        lambda: session.pause(1, True),
        lambda: session.seek(1, 0),
        lambda: session.delete_stream(1),
        lambda: session.send_media(8, 1, 0, b""),
    ]
    for misuse in misuses:
        with pytest.raises(UsageError):
            misuse()
    wire = Wire()
    stream_id = wire.published()
    for misuse in (
        lambda: wire.client.connect(PARAMS),
        lambda: wire.client.publish(stream_id, "cam"),
        lambda: wire.client.play(stream_id, "cam"),
        lambda: wire.client.pause(stream_id, True),
        lambda: wire.client.send_media(20, stream_id, 0, b""),
    ):
        with pytest.raises(UsageError):
            misuse()


# A server scripted message by message


class Scripted:
    """A client that has shaken hands with a server that says what a test has it say."""

    def __init__(self, *, connected: bool = True, streams: int = 0) -> None:
        self.client = ClientSession(random_bytes=counted, now=NOW)
        handshake = ServerHandshake(counted)
        reply = handshake.receive_data(b"".join(self.client.data_to_send()))
        self.client.receive_data(reply, NOW)
        self.client.connect(PARAMS)
        self.client.events_received()
        if connected:
            self.say(commands.connect_result(1, 0))
        for number in range(streams):
            transaction_id = self.client.create_stream()
            self.say(commands.result(transaction_id, number + 1.0))
        self.client.data_to_send()

    def say(self, command: Command, stream_id: int = 0) -> list[ClientEvent]:
        return self.send(Message(20, 0, stream_id, commands.serialize_command(command)))

    def status(
        self, code: str, stream_id: int = 1, level: str = "status", **info: AmfValue
    ) -> list[ClientEvent]:
        return self.say(commands.on_status(level, code, "because", **info), stream_id)

    def send(self, message: Message) -> list[ClientEvent]:
        writer = ServerSession(random_bytes=counted, now=NOW)
        writer.send_message(message, 3)
        self.client.receive_data(b"".join(writer.data_to_send()), NOW)
        return self.client.events_received()

    def playing(self) -> Scripted:
        self.client.play(1, "cam")
        self.status(StatusCode.PLAY_START)
        self.client.data_to_send()
        return self


def test_a_connect_refused_by_on_status() -> None:
    server = Scripted(connected=False)
    [refused] = server.status(StatusCode.CONNECT_REJECTED, 0, StatusLevel.ERROR)
    assert isinstance(refused, ConnectRefused)
    assert refused.status.description == "because"


def test_a_connect_result_that_says_error() -> None:
    server = Scripted(connected=False)
    info = commands.status_object(StatusLevel.ERROR, StatusCode.CONNECT_FAILED, "because")
    [refused] = server.say(Command("_result", 1, None, (info,)))
    assert isinstance(refused, ConnectRefused)


def test_a_connect_result_without_objects() -> None:
    [accepted] = Scripted(connected=False).say(Command("_result", 1, None, ()))
    assert isinstance(accepted, ConnectAccepted)
    assert accepted.result.caps_ex == 0


def test_a_redirect_is_kept_in_the_status() -> None:
    target = "rtmp://other/live"
    server = Scripted(connected=False)
    command = commands.error(1, StatusCode.CONNECT_REJECTED, "x", ex={"code": 302.0, "redirect": target})
    [refused] = server.say(command)
    assert isinstance(refused, ConnectRefused)
    assert refused.status.info["ex"] == {"code": 302.0, "redirect": target}


def test_stream_ids_that_cannot_be_used() -> None:
    server = Scripted(streams=1)
    for given_id in (1.0, 0.0, -1.0, 2.0**32, 1.5, 2.5, math.inf, math.nan, True, "1", None):
        transaction_id = server.client.create_stream()
        [refused] = server.say(commands.result(transaction_id, given_id))
        assert isinstance(refused, CallRefused)
        assert "cannot be used" in refused.status.description
        assert ("a connection for each stream" in refused.status.description) == (repr(given_id) == "1.0")
    transaction_id = server.client.create_stream()
    [refused] = server.say(commands.error(transaction_id, StatusCode.CALL_FAILED, "no more"))
    assert isinstance(refused, CallRefused)
    assert refused.status.description == "no more"


def test_a_publish_refused_by_error() -> None:
    server = Scripted(streams=1)
    server.client.publish(1, "cam")
    publish_id = 5  # connect, createStream, releaseStream, FCPublish, publish
    [refused] = server.say(commands.error(publish_id, StatusCode.PUBLISH_DENIED, "no"))
    assert isinstance(refused, StreamRefused)
    assert refused.status.code == StatusCode.PUBLISH_DENIED


def test_what_onstatus_has_answered_no_error_refuses() -> None:
    server = Scripted(streams=1)
    play_ids = []
    for _ in range(80):
        server.client.play(1, "cam")
        play_ids.append(sent_ids(server.client)["play"])
        server.status(StatusCode.PLAY_START)
    server.client.play(1, "cam")
    latest = sent_ids(server.client)["play"]
    for play_id in (*play_ids, latest + 1, 0):
        assert server.say(commands.error(play_id, StatusCode.PLAY_FAILED, "late")) == []
    [refused] = server.say(commands.error(latest, StatusCode.PLAY_FAILED, "no"))
    assert isinstance(refused, StreamRefused)
    assert refused.status.description == "no"
    server.client.publish(1, "cam")
    assert server.say(commands.error(latest, StatusCode.PLAY_FAILED, "twice")) == []


def test_an_error_refuses_the_request_that_it_names() -> None:
    server = Scripted(streams=3)
    server.client.publish(1, "one")
    publish_id = sent_ids(server.client)["publish"]
    server.client.play(2, "two")
    play_id = sent_ids(server.client)["play"]
    refused = server.say(commands.error(play_id, StatusCode.PLAY_FAILED, "no"))
    refused += server.say(commands.error(publish_id, StatusCode.PUBLISH_DENIED, "no"))
    assert [event.stream_id for event in refused if isinstance(event, StreamRefused)] == [2, 1]


def test_an_answer_counts_once() -> None:
    server = Scripted()
    call_id = server.client.call("length")
    assert len(server.say(commands.result(call_id, 1.0))) == 1
    for late in (commands.result(call_id, 1.0), commands.error(call_id, StatusCode.CALL_FAILED, "late")):
        assert server.say(late) == []


def test_calls_that_a_server_does_not_answer_are_bounded() -> None:
    server = Scripted()
    calls = [server.client.call("length") for _ in range(64)]
    for ask in (lambda: server.client.call("length"), server.client.create_stream):
        with pytest.raises(UsageError, match="64 calls"):
            ask()
    server.client.forget(calls[0])
    server.client.create_stream()


@pytest.mark.parametrize(
    ("command", "heard"),
    [
        (commands.on_status(StatusLevel.STATUS, StatusCode.PLAY_RESET, "again"), 400),
        (Command("onBWCheck", 9), 400),
        (Command("onBWDone", 0, None, ("x" * 60_000,)), 3),
        (commands.result(7, [0.0] * 200), 13),
    ],
    ids=["onStatus", "a call", "many bytes", "many values"],
)
def test_a_servers_commands_are_charged_as_a_clients_are(command: Command, heard: int) -> None:
    server = Scripted(streams=1)
    events: list[ClientEvent] = []
    told = 0
    while not server.client.closing:
        events += server.say(command)
        told += 1
    last = events[-1]
    assert isinstance(last, SessionFailed)
    assert last.error.reason == "command_rate"
    assert heard - 10 <= told - 1 <= heard + 1


def test_nothing_is_heard_behind_a_refusal() -> None:
    """Not even in the same read: the session has ended."""
    server = Scripted(connected=False)
    writer = ChunkWriter()
    refusal = commands.error(1, StatusCode.CONNECT_REJECTED, "no")
    pieces = [commands_message(refusal), commands_message(commands.connect_result(1, 0))]
    server.client.receive_data(b"".join(writer.write(piece, 3) for piece in pieces), NOW)
    [refused] = server.client.events_received()
    assert isinstance(refused, ConnectRefused)
    with pytest.raises(UsageError):
        server.client.call("x")


def test_media_on_stream_0_is_for_the_only_stream() -> None:
    server = Scripted(streams=2)
    server.client.play(1, "cam")
    assert [type(event) for event in server.status(StatusCode.PLAY_START, 0)] == [StatusReceived]
    server.status(StatusCode.PLAY_START, 1)
    assert server.send(Message(9, 3, 0, b"video")) == []
    server.client.delete_stream(2)
    assert server.send(Message(9, 3, 0, b"video")) == [Message(9, 3, 1, b"video")]


def test_media_of_what_is_played_no_more_is_dropped() -> None:
    server = Scripted(streams=1).playing()
    late = Message(9, 3, 1, b"late")
    server.client.play(1, "other")
    assert server.send(late) == []
    server.status(StatusCode.PLAY_START)
    assert server.send(late) == [late]
    server.client.delete_stream(1)
    assert server.send(late) == []


def test_a_publish_still_asked_for_is_taken_back() -> None:
    server = Scripted(streams=2)
    server.client.publish(1, "cam", announce=False)
    server.client.data_to_send()
    server.client.delete_stream(1)
    server.client.delete_stream(2)
    assert names(server.client) == ["FCUnpublish", "deleteStream", "deleteStream"]


def test_a_play_to_the_end_has_no_duration() -> None:
    wire = Wire()
    wire.connect()
    wire.client.play(wire.stream(), "cam", reset=False)
    assert wire.run()[1] == [PlayRequested(1, "cam", "", -2.0, -1.0, False)]


def test_media_is_dropped_until_the_play_starts() -> None:
    server = Scripted(streams=1)
    server.client.play(1, "cam")
    assert server.send(Message(9, 0, 1, b"early")) == []
    server.status(StatusCode.PLAY_PUBLISH_NOTIFY)
    assert server.send(Message(9, 0, 1, b"video")) == [Message(9, 0, 1, b"video")]


def test_stray_media_never_ends_a_client() -> None:
    server = Scripted(streams=1)
    for _ in range(200):
        assert server.send(Message(9, 0, 7, b"stray")) == []
    assert not server.client.closing


def test_a_server_that_forgets_the_stream_id() -> None:
    server = Scripted(streams=1)
    server.client.play(1, "cam")
    events = server.status(StatusCode.PLAY_START, 0)
    assert [type(event) for event in events] == [StatusReceived, StreamStarted]
    assert server.send(Message(9, 3, 0, b"video")) == [Message(9, 3, 1, b"video")]


def test_data_of_the_connection_itself() -> None:
    data = Message(18, 0, 0, encode_values("onMetaData"))
    assert Scripted().send(data) == [data]


@pytest.mark.parametrize(
    "code", [StatusCode.PLAY_STOP, StatusCode.PLAY_COMPLETE, StatusCode.PLAY_UNPUBLISH_NOTIFY]
)
def test_ends_of_a_play(code: str) -> None:
    [_, ended] = Scripted(streams=1).playing().status(code)
    assert isinstance(ended, StreamEnded)
    assert (ended.status.code, ended.failed) == (code, False)


@pytest.mark.parametrize("code", [StatusCode.SEEK_FAILED, StatusCode.SEEK_INVALID_TIME])
def test_a_failed_seek_ends_nothing(code: str) -> None:
    events = Scripted(streams=1).playing().status(code, level=StatusLevel.ERROR)
    assert [type(event) for event in events] == [StatusReceived]


def test_a_failed_recording_does_not_end_the_publish() -> None:
    server = Scripted(streams=1)
    server.client.publish(1, "cam")
    server.status(StatusCode.PUBLISH_START)
    events = server.status(StatusCode.RECORD_FAILED, level=StatusLevel.ERROR)
    assert [type(event) for event in events] == [StatusReceived]
    [_, ended] = server.status(StatusCode.UNPUBLISH_SUCCESS)
    assert isinstance(ended, StreamEnded)
    assert ended.failed


@pytest.mark.parametrize(
    ("tc_url", "absolute"),
    [("/backup", "rtmp://host/backup"), (None, "rtmp://host/live"), ("rtmp://b/live", "rtmp://b/live")],
)
def test_reconnect_request(tc_url: str | None, absolute: str) -> None:
    info = {} if tc_url is None else {"tcUrl": tc_url}
    events = Scripted().status(StatusCode.CONNECT_RECONNECT_REQUEST, 0, **info)
    assert events == [ReconnectRequested(absolute, "because")]


def test_the_servers_own_calls_are_answered() -> None:
    server = Scripted()
    events = server.say(Command("onBWCheck", 9, None, ()))
    assert [type(event) for event in events] == [CommandReceived]
    assert names(server.client) == ["_error"]


@pytest.mark.parametrize(
    "name", ["onBWDone", "onFCPublish", "onFCUnpublish", "onFCSubscribe", "onFCUnsubscribe"]
)
def test_what_servers_call_without_a_wish_for_an_answer(name: str) -> None:
    server = Scripted()
    assert server.say(Command(name, 9, None, (8192.0,))) == []
    assert server.client.data_to_send() == []


def test_controls_on_the_wire() -> None:
    session = Scripted().client
    session.set_buffer_length(1, 3000)
    session.set_window_ack_size(1000)
    session.set_peer_bandwidth(2000)
    session.set_peer_bandwidth(2000, BandwidthLimit.HARD)
    session.send_user_control(control.PingResponse(5))
    session.set_chunk_size(4096)
    reader = ChunkReader(Limits())
    messages = reader.receive_data(b"".join(session.data_to_send()))
    assert [(message.type, message.payload.hex()) for message in messages] == [
        (4, "000300000001" + "00000bb8"),
        (5, "000003e8"),
        (6, "000007d002"),
        (6, "000007d000"),
        (4, "000700000005"),
        (1, "00001000"),
    ]


def test_pings_are_answered_and_silence_is_not_punished() -> None:
    session = Scripted().client
    assert session.next_deadline() is None
    writer = ServerSession(random_bytes=counted, now=NOW)
    writer.send_user_control(control.PingRequest(77))
    session.receive_data(b"".join(writer.data_to_send()), NOW)
    [reply] = ChunkReader(Limits()).receive_data(b"".join(session.data_to_send()))
    assert control.parse_user_control(reply.payload) == control.PingResponse(77)


def test_what_was_not_read_is_not_late() -> None:
    session = Scripted().client
    session.receive_data(b"\x03\0\0\0\0\0\x09\x14\0\0\0\0abc", NOW)
    deadline = session.next_deadline()
    assert deadline is not None
    session.reading_resumed(deadline + 1)
    session.handle_timeout(deadline + 1)
    assert not session.closing
    session.handle_timeout(2 * deadline)
    [failed] = session.events_received()
    assert isinstance(failed, SessionFailed)
    assert failed.error.reason == "partial_message_timeout"


@given(st.binary(max_size=300))
def test_hostile_bytes_never_raise(data: bytes) -> None:
    server = Scripted(streams=1).playing()
    server.client.receive_data(data, NOW)
    server.client.events_received()


@given(st.sampled_from(["_result", "_error", "onStatus"]), st.lists(st.none() | st.text() | st.floats()))
def test_hostile_answers_never_raise(name: str, args: list[AmfValue]) -> None:
    server = Scripted(streams=1).playing()
    server.client.create_stream()
    for transaction_id in range(8):
        server.say(Command(name, transaction_id, None, tuple(args)), transaction_id % 2)
