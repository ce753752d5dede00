"""The dialogue with one address in the log: what of it, how much, and what it costs the others."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

import pytest
from engine_kit import AVC_HEADER, keyframe
from net_kit import HEADERS, serve
from rtmp_dialogue import HANDSHAKE, command, connect

from rtmpd.engine.origin import Origin
from rtmpd.net.wire_tap import WireTap
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving.tracing import Tracer

HERE = ipaddress.ip_network("127.0.0.0/8")


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Traced:
    """A tracer of one network, and what it has logged."""

    caplog: pytest.LogCaptureFixture
    clock: Clock = field(default_factory=Clock)
    tracer: Tracer = field(init=False)

    def __post_init__(self) -> None:
        self.caplog.set_level("DEBUG", "rtmpd.serving.tracing")
        self.tracer = Tracer(ipaddress.ip_network("192.0.2.0/24"), self.clock)

    def tap(self, address: str = "192.0.2.1", number: int = 1) -> WireTap | None:
        return self.tracer.tap(Origin(address=address, connection=number))

    def lines(self) -> list[tuple[str, dict[str, object]]]:
        return logged(self.caplog)


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    """Messages of the tracer with their fields."""
    records = [each for each in caplog.records if each.name == "rtmpd.serving.tracing"]
    return [(each.getMessage(), dict(vars(each)["fields"])) for each in records]


@pytest.fixture
def traced(caplog: pytest.LogCaptureFixture) -> Traced:
    return Traced(caplog)


async def test_a_publish_and_a_play_are_written_down(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "rtmpd.serving.tracing")
    async with serve(tracer=Tracer(HERE, Clock())) as house:
        publisher = await house.client()
        publisher.say(
            connect("live?key=SECRET", tcUrl="rtmp://me:SECRET@host/live"),
            command("createStream", 2),
            command("publish", 3, "SECRET-cam?token=SECRET", on=1),
        )
        publisher.send(*HEADERS, (0, keyframe("A")))
        await publisher.answer()
        player = await house.client()
        await player.play("SECRET-cam")
        await player.until("1: A@0")
    dialogue: dict[object, list[str]] = {}
    for _, fields in logged(caplog):
        dialogue.setdefault(fields["connection"], []).append(str(fields["line"]).partition(" ")[2])
    published, played = dialogue.values()
    for line in (
        "> handshake C0 C1, simple",
        "< handshake S0 S1 S2, simple",
        "> c4 s0 connect 1 {app: 'live?***', tcUrl: 'rtmp://me:***@host/live'}",
        "> c4 s1 publish 3 null ***",
        f"> c4 s1 video avc1 header, {len(AVC_HEADER)} bytes at 0 ms",
    ):
        assert line in published, line
    assert any(line.startswith("< c3 s0 _result 1 {fmsVer:") for line in published)
    assert "< c2 s0 StreamBegin 1" in played
    assert any(line.startswith("< c6 s1 video avc1 key frame, ") for line in played)
    assert "SECRET" not in str(published)


async def test_others_have_their_own_transport_and_session(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing stands in the way of who is not traced, not even for a question a message."""
    caplog.set_level("DEBUG", "rtmpd.serving.tracing")
    async with serve(tracer=Tracer(ipaddress.ip_network("192.0.2.1"), Clock())) as house:
        client = await house.client()
        await client.publish()
        (open_connection,) = house.connections
        assert type(open_connection.session) is ServerSession
        assert "Transport" in type(open_connection.transport).__name__
    assert logged(caplog) == []


def test_only_the_network_that_is_asked_for(traced: Traced) -> None:
    assert traced.tap("192.0.2.255") is not None
    for address in ("192.0.3.1", "::1", "unix"):
        assert traced.tap(address) is None


def test_another_network_is_for_those_who_come_and_ends_what_is_written_of_others(traced: Traced) -> None:
    tap = traced.tap()
    assert tap is not None
    traced.tracer.apply(ipaddress.ip_network("192.0.3.0/24"))
    tap.received(HANDSHAKE)
    assert traced.tap() is None
    assert traced.lines() == []
    other = traced.tap("192.0.3.1")
    assert other is not None
    other.received(HANDSHAKE)
    assert traced.lines()
    traced.tracer.apply(None)
    assert traced.tap("192.0.3.1") is None


def test_long_lines_are_broken(traced: Traced) -> None:
    tap = traced.tap()
    assert tap is not None
    tap.received(HANDSHAKE)
    properties = {f"property{number}": number for number in range(30)}
    tap.received(encode_message(20, 0, 0, command("connect", 1, properties).payload, 3, 128))
    lines = [str(fields["line"]) for _, fields in traced.lines()]
    assert len(lines) > 4
    assert max(map(len, lines)) <= 190
    assert lines[3].startswith("  property")


def test_so_many_lines_a_second_and_the_others_are_counted(traced: Traced) -> None:
    tap = traced.tap()
    assert tap is not None
    tap.received(HANDSHAKE)
    message = encode_message(8, 0, 1, b"\xaf\x01", 4, 128)
    tap.received(message * 1000)
    assert [name for name, _ in traced.lines()] == ["trace"] * 400
    traced.clock.now = 1.0
    tap.received(message)
    assert traced.lines()[400:] == [
        ("trace lines left out", {"lines": 602}),
        ("trace", {"connection": 1, "line": "1.000 > c4 s1 audio mp4a frame, 2 bytes at 0 ms"}),
    ]
    tap.received(message)
    assert [name for name, _ in traced.lines()[402:]] == ["trace"], "they are counted once"


def test_so_many_connections_at_a_time(traced: Traced) -> None:
    taps = [traced.tap(number=number) for number in range(16)]
    assert traced.tap(number=16) is None
    assert traced.lines() == [("not traced", {"client": "192.0.2.1", "connection": 16, "traced": 16})]
    taps.pop()
    assert traced.tap(number=17) is not None


def test_so_many_connections_one_after_the_other(traced: Traced) -> None:
    assert all(traced.tap(number=number) for number in range(32))
    assert traced.tap(number=32) is None
    assert traced.lines() == [("not traced", {"client": "192.0.2.1", "connection": 32, "traced": 0})]
    traced.clock.now = 0.5
    assert traced.tap(number=33) is not None
