"""Transcripts of real and of made-up dialogues, and what they keep to themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_captures import load, names
from rtmp_dialogue import HANDSHAKE, audio, command, command_message

from rtmpd.media.summary import summary
from rtmpd.rtmp import control
from rtmpd.rtmp.amf import AmfValue, encode_values
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.command_scan import parse_command
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import BandwidthLimit, MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.transcript import MAX_LINE, Transcript

EXPECTED = Path(__file__).parent.parent / "golden" / "traces"


class Scribe:
    """A transcript of what a test lets both sides say; a second passes from line to line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.transcript = Transcript(self.lines.append, lambda: float(len(self.lines)), summary)
        self._writer = ChunkWriter()

    def say(self, *spoken: Message) -> list[str]:
        """The client says messages on chunk stream 3; the lines of them without time and place."""
        before = len(self.lines)
        self.transcript.client_says(b"".join(self._writer.write(message, 3) for message in spoken))
        return [line.split(" ", 4)[4] for line in self.lines[before:]]


@pytest.fixture
def scribe() -> Scribe:
    scribe = Scribe()
    scribe.transcript.client_says(HANDSHAKE)
    return scribe


def recorded(name: str) -> list[str]:
    scribe = Scribe()
    for direction, says in (("c2s", scribe.transcript.client_says), ("s2c", scribe.transcript.server_says)):
        if name in names(direction):
            capture = load(name, direction)
            says(capture.handshake + capture.chunks)
    return scribe.lines


def beginning(lines: list[str], mark: str) -> list[str]:
    """What one side says up to its first frame, times left out."""
    spoken = [line.partition(" ")[2] for line in lines if f" {mark} " in line]
    frames = [number for number, line in enumerate(spoken) if " frame," in line]
    return spoken[: frames[0] if frames else None]


@pytest.mark.parametrize("path", sorted(EXPECTED.glob("*.txt")), ids=lambda path: path.stem)
def test_a_recording(path: Path) -> None:
    """What both sides say up to the first frame, first the client's part and then the server's."""
    lines = recorded(path.stem)
    assert [*beginning(lines, ">"), *beginning(lines, "<")] == path.read_text().splitlines()
    frames = [line for line in lines if " frame, " in line]
    assert len(frames) > 50
    assert [line for line in lines if "cannot" in line] == []


def test_the_time_of_a_line() -> None:
    assert [line.split(" ")[0] for line in recorded("obs29-pub")[:3]] == ["0.000", "1.000", "2.000"]


@pytest.mark.parametrize("name", names())
def test_no_recording_tells_its_stream_key(name: str) -> None:
    lines = recorded(name)
    spoken = [each for each in lines if " publish " in each or " play " in each]
    assert len(spoken) == 1
    key = name_of_stream(name)
    assert len(key) >= 4
    assert [line for line in lines if key in line] == []


def name_of_stream(name: str) -> str:
    spoken = ChunkReader(Limits()).receive_data(load(name).chunks)
    commands = [parse_command(each, Limits()) for each in spoken if each.type == MessageType.COMMAND_AMF0]
    (asked,) = [each for each in commands if each.name in ("publish", "play")]
    return str(asked.args[0]).partition("?")[0]


# -- secrets


def test_where_secrets_are_said(scribe: Scribe) -> None:
    properties: dict[str, AmfValue] = {
        "app": "live?authmod=adobe&user=joe&response=SECRET",
        "tcUrl": "rtmp://me:SECRET@host/live?token=SECRET",
        "password": "SECRET",
        "nested": {"token": ["SECRET"]},
    }
    connect = Command("connect", 1, properties, ("SECRET", {"pass": "SECRET"}))
    (said,) = scribe.say(command_message(connect))
    assert said == (
        "connect 1 {app: 'live?***', tcUrl: 'rtmp://me:***@host/live?***', password: ***,"
        " nested: {token: [***]}} *** {pass: ***}"
    )
    assert scribe.say(command("publish", 3, "SECRET-key?token=SECRET", "live", on=1)) == [
        "publish 3 null *** 'live'"
    ]
    assert scribe.say(command("play", 4, "cam?token=SECRET", -2000, on=1)) == ["play 4 null *** -2000"]
    assert scribe.say(command("secureTokenResponse", 0, "SECRET")) == ["secureTokenResponse 0 null ***"]
    assert "SECRET" not in str(scribe.lines)


@pytest.mark.parametrize(
    ("app", "path", "shown"),
    [
        ("live/kids/{}", "live/kids/{}", "connect 1 {{app: 'live/kids/***', tcUrl: '{}/live/kids/***'}}"),
        ("{}", "live", "connect 1 {{app: '***', tcUrl: '{}/live'}}"),
        ("live", "live/{}", "connect 1 {{app: 'live', tcUrl: '{}/live/***'}}"),
        ("live\0{}", "live", "connect 1 {{app: 'live\\x00***', tcUrl: '{}/live'}}"),
    ],
)
def test_a_long_level_of_an_app_may_be_a_key_in_the_wrong_field(
    scribe: Scribe, app: str, path: str, shown: str
) -> None:
    key, host = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x", "rtmp://a-host-with-a-long-name.example"
    properties: dict[str, AmfValue] = {"app": app.format(key), "tcUrl": f"{host}/{path.format(key)}"}
    assert scribe.say(command_message(Command("connect", 1, properties))) == [shown.format(host)]


def test_what_is_said_of_a_secret_later(scribe: Scribe) -> None:
    scribe.say(command("FCPublish", 3, "my-key?token=hush%21hush"))
    code = "NetStream.Publish.Start"
    status: dict[str, AmfValue] = {"code": code, "description": "MY%2Dkey is live: hush!hush"}
    assert scribe.say(command("onStatus", 0, status)) == [
        "onStatus 0 null {code: 'NetStream.Publish.Start', description: '*** is live: ***'}"
    ]
    # A short name may be part of any word.
    scribe.say(command("publish", 3, "cam"))
    assert scribe.say(command("onStatus", 0, {"description": "A camera is live."})) == [
        "onStatus 0 null {description: '***'}"
    ]


@pytest.mark.parametrize(
    "name",
    ["publish", "releaseStream", "FCPublish", "FCUnpublish", "play", "FCSubscribe", "getStreamLength"],
)
def test_whoever_names_a_stream_tells_a_secret(scribe: Scribe, name: str) -> None:
    scribe.say(command(name, 3, "my-key?token=hush-hush"))
    assert scribe.say(command("onStatus", 0, {"code": "of my-key", "description": "hush-hush my-key"})) == [
        "onStatus 0 null {code: 'of ***', description: '*** ***'}"
    ]


def test_passwords_and_queries_of_any_url_are_cut_out(scribe: Scribe) -> None:
    properties: dict[str, AmfValue] = {
        "tcUrl": "rtmp://me:pass@h/live",
        "pageUrl": "https://h/page?session=5",
    }
    assert scribe.say(command_message(Command("connect", 1, properties))) == [
        "connect 1 {tcUrl: 'rtmp://me:***@h/live', pageUrl: 'https://h/page?***'}"
    ]


def test_a_password_that_is_longer_than_what_is_shown(scribe: Scribe) -> None:
    (said,) = scribe.say(command("connect", 1, {"tcUrl": f"rtmp://me:{'p' * 200}@h/live"}))
    assert said == "connect 1 null {tcUrl: 'rtmp://me:***@h/live'}"


@pytest.mark.parametrize("where", ["app", "tcUrl"])
def test_the_queries_of_a_connect_are_secrets(scribe: Scribe, where: str) -> None:
    scribe.say(command_message(Command("connect", 1, {where: "rtmp://h/live?token=hush-hush"})))
    assert scribe.say(command("_error", 1, {"description": "no hush-hush here"})) == [
        "_error 1 null {description: 'no *** here'}"
    ]


def test_more_secrets_than_are_remembered(scribe: Scribe) -> None:
    for number in range(1000):
        scribe.say(command("releaseStream", 0, f"key-{number}"))
    assert not scribe.transcript._secrets  # However many more come.
    assert scribe.say(command("onStatus", 0, {"code": "a.b", "description": "key-1 is live"})) == [
        "onStatus 0 null {code: 'a.b', description: ***}"
    ]


def test_a_secret_that_is_too_long_to_be_looked_for(scribe: Scribe) -> None:
    scribe.say(command("publish", 0, "k" * 1025))
    assert not scribe.transcript._secrets
    assert scribe.say(command("onStatus", 0, {"description": "k is live"})) == [
        "onStatus 0 null {description: ***}"
    ]


# -- everything else


def test_every_kind_of_value(scribe: Scribe) -> None:
    assert scribe.say(command("sum", 2, 1, 2.5, True, None, [1, "a"], {"b": False})) == [
        "sum 2 null 1 2.5 true null [1, ***] {b: false}"
    ]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (control.acknowledgement(7), "Acknowledgement 7"),
        (control.abort(4), "Abort 4"),
        (control.set_peer_bandwidth(8, BandwidthLimit.SOFT), "SetPeerBandwidth 8 soft"),
        (Message(MessageType.SET_PEER_BANDWIDTH, 0, 0, bytes(4) + b"\x09"), "SetPeerBandwidth 0 unlimited"),
        (control.user_control(control.PingRequest(9)), "PingRequest 9"),
        (control.user_control(control.SwfVerifyResponse(b"x" * 42)), "SwfVerifyResponse"),
        (Message(MessageType.USER_CONTROL, 0, 0, b"\0\x63abc"), "UnknownUserControl 99"),
        (Message(MessageType.WINDOW_ACK_SIZE, 0, 0, b"\1"), "window ack size that says nothing: "),
        (Message(MessageType.AGGREGATE, 20, 1, bytes(30)), "aggregate, 30 bytes at 20 ms"),
        (Message(MessageType.SHARED_OBJECT_AMF0, 0, 0, b"x"), "shared object AMF0, 1 bytes at 0 ms"),
        (Message(99, 0, 0, b"x"), "type 99, 1 bytes at 0 ms"),
        (Message(MessageType.COMMAND_AMF0, 0, 0, b"\x05"), "command AMF0 that cannot be decoded, 1 bytes"),
        (Message(MessageType.DATA_AMF3, 5, 1, b"\0" + encode_values("onCuePoint")), "onCuePoint, "),
        (audio(b"", timestamp=3), "audio empty, 0 bytes at 3 ms"),
    ],
)
def test_every_kind_of_message(scribe: Scribe, message: Message, line: str) -> None:
    (said,) = scribe.say(message)
    assert said.startswith(line)


def test_a_command_too_long_to_be_looked_at(scribe: Scribe) -> None:
    (said,) = scribe.say(command("publish", 3, "x" * 5000))
    assert said == "publish of 5023 bytes"


def test_a_line_has_an_end_and_moves_no_cursor(scribe: Scribe) -> None:
    many: dict[str, AmfValue] = {f"property-{number}": number for number in range(100)}
    scribe.say(command("connect\x1b[2J", 1, many))
    assert len(scribe.lines[-1]) == MAX_LINE + len("...")
    assert r"connect\x1b[2J 1" in scribe.lines[-1]
    assert scribe.say(command("x\x1b[2J", 0, {"\x1b[2J": 1})) == [r"x\x1b[2J 0 null {\x1b[2J: 1}"]
    (said,) = scribe.say(command("x\x1b[2J", 0, "y" * 5000))
    assert said == r"x\x1b[2J of 5021 bytes"


def test_a_text_has_an_end(scribe: Scribe) -> None:
    (said,) = scribe.say(command("onStatus", 0, {"code": "x" * 300}))
    assert said == f"onStatus 0 null {{code: '{'x' * 100}...'}}"


def test_what_is_no_rtmp_is_said_once() -> None:
    scribe = Scribe()
    scribe.transcript.client_says(b"GET / HTTP/1.1\r\n")
    scribe.transcript.client_says(b"Host: localhost\r\n\r\n")
    (line,) = scribe.lines
    assert line.startswith("0.000 > cannot be followed any further: HTTP request")


def test_a_server_that_speaks_no_rtmp_is_not_followed_either() -> None:
    scribe = Scribe()
    for _ in range(3):
        scribe.transcript.server_says(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    (line,) = scribe.lines
    assert line.startswith("0.000 < cannot be followed any further: ")


def test_what_is_no_chunk_stream_ends_one_side_only(scribe: Scribe) -> None:
    scribe.transcript.client_says(b"\xff" * 10)
    scribe.transcript.client_says(b"more")
    assert scribe.lines[2:] == [
        "2.000 > cannot be followed any further: fmt 3 on chunk stream 63, which has had no header"
    ]
    capture = load("obs29-pub", "s2c")
    scribe.transcript.server_says(capture.handshake + capture.chunks)
    assert len(scribe.lines) > 5
