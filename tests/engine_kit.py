"""Stand-ins for the engine's neighbours: a loop with a manual clock, sinks that can be read, media."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.outlet import Outlet, Outlets
from rtmpd.engine.packet import AUDIO, DATA, VIDEO, Packet, WireFormat, is_for
from rtmpd.engine.packet_queue import Item, Mark
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, PlayOptions, TapOptions
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.stream import LiveStream
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.tap import Tap
from rtmpd.media.tracks import DEFAULT, TrackChoice
from rtmpd.rtmp import amf
from rtmpd.rtmp.messages import Message

KEY = StreamKey("live", "cam")
_FOR_EVER = 1e9

AVC_HEADER = bytes.fromhex("170000000001640028ff")
AVC_HEADER_2 = bytes.fromhex("170000000001640033ff")
FULL_HD = bytes.fromhex(
    "170000000001640028ffe1001b67640028acd940780227e5c044000003000400000300c83c60c65801000668ebe3cb22c0fdf8f800"
)
"""A header of H.264 in 1920x1080, as x264 makes it."""
AAC_HEADER = bytes.fromhex("af001210")
AVC_END = bytes.fromhex("1702000000")
HEVC_HEADER = b"\x90hvc1" + bytes(23)
HDR = b"\x84hvc1" + bytes(6)


def keyframe(body: str = "K") -> bytes:
    return b"\x17\x01\x00\x00\x00" + body.encode()


def inter(body: str = "P") -> bytes:
    return b"\x27\x01\x00\x00\x00" + body.encode()


def disposable(body: str = "D") -> bytes:
    return b"\x37\x01\x00\x00\x00" + body.encode()


def sound(body: str = "a") -> bytes:
    return b"\xaf\x01" + body.encode()


def metadata(**properties: float) -> bytes:
    return amf.encode_values("@setDataFrame", "onMetaData", amf.EcmaArray(properties))


def name_of(kind: int, payload: bytes) -> str:
    """A short word for a payload, so that a transcript can be read."""
    if kind == DATA:
        return "meta" if b"onMetaData" in payload[:16] else "data"
    if kind == AUDIO:
        return "AAC" if payload == AAC_HEADER else payload[2:].decode(errors="replace")
    fixed = {
        AVC_HEADER: "AVC",
        AVC_HEADER_2: "AVC2",
        AVC_END: "END",
        HEVC_HEADER: "HEVC",
        HDR: "HDR",
    }
    return fixed.get(payload) or payload[5:].rstrip(b".").decode(errors="replace")


@dataclass(frozen=True)
class NamedWire:
    """A wire format that can be read: ``name@timestamp`` and a space; pads to the payload's size."""

    tag: str = ""
    tracks: TrackChoice = DEFAULT

    @property
    def for_frames(self) -> NamedWire:
        return self

    def encode(self, packet: Packet) -> bytes:
        if not is_for(packet, self.tracks):
            return b""
        word = f"{self.tag}{name_of(packet.kind, packet.payload)}@{packet.timestamp}"
        return word.encode().ljust(len(packet.payload), b".") + b" "


class FakeSink:
    """A sink that keeps what it is handed. ``stuck`` leaves everything unsent."""

    def __init__(self, wire_format: WireFormat | None = None) -> None:
        self.wire_format: WireFormat = wire_format or NamedWire()
        self.writes: list[bytes] = []
        self.calls: list[str] = []
        self.unsent = 0
        self.stuck = False
        self.outlet: Outlet | None = None
        self.clock: Callable[[], float]
        self.on_write: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if self.stuck:
            self.unsent += len(data)
        if self.on_write is not None:
            self.on_write()

    def write_all(self, images: Sequence[bytes]) -> None:
        self.write(b"".join(images))

    def connect(self, outlets: Outlets, clock: Callable[[], float]) -> Outlet:
        """Its transport, made when first asked for."""
        if self.outlet is None:
            self.outlet = Outlet(outlets, self)
            self.clock = clock
        return self.outlet

    def pause(self) -> None:
        """What has been written passes the transport's high-water mark."""
        assert self.outlet is not None
        self.outlet.pause_writing(self.clock())

    def resume(self) -> None:
        """It has drained."""
        assert self.outlet is not None
        self.outlet.resume_writing(self.clock())

    def backlog(self) -> int:
        return self.unsent

    def abort(self, reason: CloseReason) -> None:
        self.calls.append(f"abort:{reason}")

    def close(self, reason: CloseReason) -> None:
        self.calls.append(f"close:{reason}")

    def stream_started(self) -> None:
        self.calls.append("started")

    def stream_ended(self) -> None:
        self.calls.append("ended")

    @property
    def words(self) -> list[str]:
        """Every packet handed over so far, padding cut off."""
        return [word.rstrip(".") for word in b"".join(self.writes).decode().split()]

    def take(self) -> str:
        """The words since the last ``take``, as one line."""
        line = " ".join(self.words)
        self.writes.clear()
        return line


class FakePacketSink:
    """A packet sink that keeps what it takes: at once, or while ``busy`` only when told."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.calls: list[str] = []
        self.busy = False
        self.tap: Tap

    def ready(self) -> None:
        self.calls.append("ready")
        if not self.busy:
            self.catch_up()

    def catch_up(self) -> None:
        while items := self.tap.take():
            self.items += items

    def close(self, reason: CloseReason) -> None:
        self.calls.append(f"close:{reason}")

    def take(self) -> str:
        """What has come since the last ``take``, as one line."""
        line = " ".join(map(word_of, self.items))
        self.items.clear()
        return line


def word_of(item: Item) -> str:
    """A packet's name and time, or the mark."""
    if isinstance(item, Mark):
        return f"<{item.value}>"
    return f"{name_of(item.kind, item.payload)}@{item.timestamp}"


class FakePublisher:
    def __init__(self) -> None:
        self.closed: CloseReason | None = None

    def close(self, reason: CloseReason) -> None:
        self.closed = reason


@dataclass(eq=False)
class FakeHandle:
    """A callback that has yet to run, in one of the loop's lists."""

    loop: FakeLoop
    callback: Callable[[], None]
    when: float

    def cancel(self) -> None:
        for waiting in (self.loop.soon, self.loop.later):
            if self in waiting:
                waiting.remove(self)


class FakeLoop:
    """``call_soon``, ``call_later`` and a clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[FakeHandle] = []
        self.later: list[FakeHandle] = []

    def call_soon(self, callback: Callable[[], None]) -> FakeHandle:
        self.soon.append(FakeHandle(self, callback, self.now))
        return self.soon[-1]

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeHandle:
        self.later.append(FakeHandle(self, callback, self.now + delay))
        return self.later[-1]

    def clock(self) -> float:
        return self.now

    def turn(self) -> None:
        """One turn of the loop: what was due at its start."""
        due = [handle for handle in self.later if handle.when <= self.now]
        self.later = [handle for handle in self.later if handle.when > self.now]
        ready, self.soon = self.soon, []
        for handle in ready + due:
            handle.callback()

    def run(self, until: float | None = None) -> None:
        """Turn until nothing is left to do, moving the clock to each timer, at most to ``until``."""
        while self.soon or any(handle.when <= self.now for handle in self.later):
            self.turn()
        while self.later and (until is None or min(handle.when for handle in self.later) <= until):
            self.now = max(self.now, min(handle.when for handle in self.later))
            self.turn()
            while self.soon:
                self.turn()
        if until is not None:
            self.now = max(self.now, until)


@dataclass
class House:
    """A registry with its surroundings, and short verbs for transcripts."""

    limits: EngineLimits = field(default_factory=EngineLimits)
    loop: FakeLoop = field(default_factory=FakeLoop)
    stats: ServerStats = field(default_factory=ServerStats)

    def __post_init__(self) -> None:
        flusher = Flusher(self.loop.call_soon, self.loop.call_later, self.loop.clock, self.loop.clock)
        # Publishers of these tests may be silent: what becomes of that has tests of its own.
        limits = dataclasses.replace(
            self.limits,
            first_media_timeout=_FOR_EVER,
            idle_publisher_timeout=_FOR_EVER,
            stall=_FOR_EVER,
        )
        self.registry = Registry(flusher, self.stats, limits)

    @property
    def stream(self) -> LiveStream:
        return self.registry.streams[KEY]

    def publish(self, key: StreamKey = KEY, origin: Origin = NOBODY) -> Publication:
        return self.registry.claim(key, FakePublisher(), origin, self.loop.now)

    def play(
        self,
        options: PlayOptions | None = None,
        sink: FakeSink | None = None,
        key: StreamKey = KEY,
    ) -> tuple[FakeSink, Subscription]:
        sink = sink or FakeSink()
        outlet = sink.connect(self.registry.outlets, self.loop.clock)
        subscription = self.registry.attach(key, sink, outlet, options or PlayOptions(), self.loop.now)
        subscription.join(self.loop.now)
        return sink, subscription

    def tap(
        self,
        options: TapOptions | None = None,
        sink: FakePacketSink | None = None,
        key: StreamKey = KEY,
    ) -> tuple[FakePacketSink, Tap]:
        sink = sink or FakePacketSink()
        sink.tap = self.registry.tap(key, sink, options or TapOptions(), self.loop.now)
        if not sink.busy:
            sink.catch_up()
        return sink, sink.tap

    def send(self, publication: Publication, *media: tuple[int, bytes]) -> None:
        """Receive each (timestamp, payload), then let the loop run."""
        for timestamp, payload in media:
            publication.receive(message(timestamp, payload), self.loop.now)
        self.loop.run(self.loop.now)

    def send_headers(self, publication: Publication, timestamp: int = 0) -> None:
        self.send(publication, (timestamp, AAC_HEADER), (timestamp, AVC_HEADER))


def message(timestamp: int, payload: bytes) -> Message:
    """A message whose type follows from its first byte, as far as the payloads of these tests go."""
    first = payload[:1]
    kind = (
        DATA
        if first == b"\x02"
        else AUDIO
        if first.endswith((b"\x2f", b"\xaf", b"\x9f", b"\x95", b"\xb2"))
        else VIDEO
    )
    return Message(kind, timestamp & 0xFFFFFFFF, 1, payload)
