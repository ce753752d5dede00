"""Whatever publishers, players and packet sinks do: nobody gets what it cannot decode, or gets it twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine_kit import AAC_HEADER, AVC_HEADER, AVC_HEADER_2, KEY, House, disposable, inter, keyframe, sound
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtmpd.engine.drops import DropReason
from rtmpd.engine.gop import PACKET_OVERHEAD_BYTES, GopLimits
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.packet import AUDIO, VIDEO, Packet, RtmpWire
from rtmpd.engine.packet_queue import Mark
from rtmpd.engine.polled import PolledOutlet, PolledSink
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions, Sink, SlowPlayerPolicy, StartPolicy, TapOptions
from rtmpd.engine.stream import LiveStream
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.tap import Tap
from rtmpd.exceptions import ResourceExhausted
from rtmpd.media.tracks import DEFAULT, TrackChoice
from rtmpd.rtmp.messages import Message

POLICY = SlowPlayerPolicy(
    max_backlog_bytes=600, max_backlog_seconds=3.0, resume_backlog_bytes=100, disconnect_after=20.0
)


@dataclass(frozen=True)
class RecordingWire:
    """Keeps the packets themselves: the image is their number in ``packets``."""

    tag: int
    packets: list[Packet] = field(default_factory=list, compare=False)
    tracks: TrackChoice = DEFAULT

    @property
    def for_frames(self) -> RecordingWire:
        return self

    def encode(self, packet: Packet) -> bytes:
        self.packets.append(packet)
        return (len(self.packets) - 1).to_bytes(4, "big") + bytes(len(packet.payload))


class Decoder:
    """Follows what it gets and complains about what it could not decode."""

    def __init__(self) -> None:
        self.mid_gop_allowed = False
        self.headers: dict[int, bytes] = {}
        self.last_frame = -1
        self.last_audio = -1

    def decode(self, packet: Packet) -> None:
        payload = packet.payload
        if payload in (AAC_HEADER, AVC_HEADER, AVC_HEADER_2):
            self.headers[packet.kind] = payload
            return
        assert packet.kind in self.headers, "a frame before its header"
        number = int(payload.split(b"#")[1])
        if packet.kind == AUDIO:
            assert number > self.last_audio, "audio out of order or twice"
            self.last_audio = number
            return
        version, kind = payload[5:7].decode()
        assert self.headers[VIDEO] == (AVC_HEADER if version == "1" else AVC_HEADER_2), "wrong header"
        if kind == "K":
            assert number >= self.last_frame, "keyframe out of order"
        elif self.mid_gop_allowed:
            assert number > self.last_frame, "video out of order or twice"
        else:
            depends_on = int(payload.split(b"#")[2])
            assert self.last_frame >= depends_on, "in the middle of a GOP"
            assert number > self.last_frame, "video out of order or twice"
        if kind != "D":
            self.last_frame = number


class CheckingSink(Decoder):
    """A player."""

    def __init__(self, wire_format: RecordingWire | RtmpWire) -> None:
        super().__init__()
        self.wire_format = wire_format
        self.unsent = 0
        self.slow = False
        self.polled = False
        self.outlet: Outlet
        self.closed = False
        self.detached = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        assert not self.detached
        assert isinstance(self.wire_format, RecordingWire)
        if self.slow:
            self.unsent += len(data)
        while data:
            packet = self.wire_format.packets[int.from_bytes(data[:4], "big")]
            data = data[4 + len(packet.payload) :]
            self.decode(packet)

    def write_all(self, images: Sequence[bytes]) -> None:
        self.write(b"".join(images))

    def connect(self, house: House, *, polled: bool) -> Sink:
        """What is to be attached."""
        outlets = house.registry.outlets
        if polled:
            self.polled = True
            self.outlet = outlet = PolledOutlet(outlets, self, house.loop.clock, 100)
            return PolledSink(self, outlet)
        self.outlet = Outlet(outlets, self)
        return self

    def backlog(self) -> int:
        return self.unsent

    def abort(self, reason: CloseReason) -> None:
        self.close(reason)

    def close(self, reason: CloseReason) -> None:
        self.closed = True

    def stream_started(self) -> None:
        self.headers.clear()

    def stream_ended(self) -> None:
        pass


class CheckingTaker(Decoder):
    """A packet sink, which takes everything at once while ``eager``."""

    def __init__(self, start: StartPolicy) -> None:
        super().__init__()
        self.mid_gop_allowed = start is StartPolicy.LIVE
        self.tap: Tap
        self.eager = False
        self.detached = False
        self.asleep = False
        self.live = False

    def ready(self) -> None:
        assert self.asleep
        assert not self.detached
        self.asleep = False
        if self.eager:
            self.catch_up()

    def close(self, reason: CloseReason) -> None:
        raise AssertionError(reason)

    def catch_up(self) -> None:
        while self.take():
            pass

    def take(self) -> bool:
        """Take and follow a batch."""
        items = self.tap.take()
        self.asleep = not items
        for item in items:
            if isinstance(item, Packet):
                assert self.live
                self.decode(item)
            elif item is Mark.GAP:
                assert self.live
            else:
                assert self.live == (item is Mark.ENDED)
                self.live = item is Mark.STARTED
                self.headers.clear()
        return bool(items)


def held_by_cache(stream: LiveStream) -> int:
    """Packets and images of a GOP cache, each rounded up to what is charged at a time."""
    step = 16 * 1024
    gop = stream.intake.gop
    packets = sum(len(packet.payload) + PACKET_OVERHEAD_BYTES for packet in gop.packets)
    images = sum(len(image) for burst in gop._images._bursts.values() for image in burst.images())
    images += sum(len(image) for _, _, left in gop._images._written for image in left.values())
    return (-(-packets // step) - (-images // step)) * step


class Engine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        limits = EngineLimits(gop=GopLimits(max_bytes=6000, audio_ms=100), memory_bytes=70_000)
        self.house = House(limits)
        self.wires = [RecordingWire(0), RecordingWire(1)]
        self.publication: Publication | None = None
        self.players: list[tuple[CheckingSink, Subscription]] = []
        self.takers: list[CheckingTaker] = []
        self.timestamp = 0
        self.number = 0
        self.reference = -1
        self.has_keyframe = False
        self.version = ""

    @precondition(lambda self: self.publication is None)
    @rule()
    def publish(self) -> None:
        try:
            self.publication = self.house.publish()
        except ResourceExhausted:
            return
        self.timestamp = 0
        self.reference = -1
        self.has_keyframe = False
        self.version = ""

    @precondition(lambda self: self.publication is not None)
    @rule()
    def unpublish(self) -> None:
        assert self.publication is not None
        self.publication.close(CloseReason.FINISHED)
        self.publication = None

    @precondition(lambda self: self.publication is not None)
    @rule(kinds=st.lists(st.sampled_from("KPPPDaaaAVW"), min_size=1, max_size=6))
    def media(self, kinds: list[str]) -> None:
        for kind in kinds:
            self.timestamp += 10
            self.number += 1
            self.receive(kind)

    def receive(self, kind: str) -> None:
        tail = f"#{self.number}#{self.reference}#"
        if kind == "A":
            payload = AAC_HEADER
        elif kind in "VW":
            payload = AVC_HEADER if kind == "V" else AVC_HEADER_2
            version = "1" if kind == "V" else "2"
            if self.version and version != self.version:
                # An encoder goes on with a keyframe after a new header.
                self.version = version
                self.send(VIDEO, payload)
                self.receive("K")
                return
            self.version = version
        elif kind == "a":
            payload = sound(tail)
        elif not self.version:
            payload = inter("1P" + tail)
        elif kind == "K":
            payload = keyframe(f"{self.version}K{tail}")
            self.reference = self.number
            self.has_keyframe = True
        elif kind == "P":
            payload = inter(f"{self.version}P{tail}")
            self.reference = self.number
        else:
            payload = disposable(f"{self.version}D{tail}")
        self.send(AUDIO if kind in "aA" else VIDEO, payload)

    def send(self, kind: int, payload: bytes) -> None:
        assert self.publication is not None
        self.publication.receive(Message(kind, self.timestamp, 1, payload), self.house.loop.now)

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.5, 4.0]))
    def run(self, seconds: float) -> None:
        self.house.loop.now += seconds
        self.house.loop.run(self.house.loop.now)
        self.house.registry.sample(self.house.loop.now)

    @rule(
        start=st.sampled_from(StartPolicy),
        wire=st.integers(0, 1),
        audio=st.booleans(),
        slow=st.booleans(),
        polled=st.booleans(),
    )
    def attach(self, start: StartPolicy, wire: int, audio: bool, slow: bool, polled: bool) -> None:
        sink = CheckingSink(self.wires[wire])
        sink.slow = slow
        sink.mid_gop_allowed = start is StartPolicy.LIVE
        options = PlayOptions(start=start, receive_audio=audio, policy=POLICY)
        attached = sink.connect(self.house, polled=polled)
        try:
            subscription = self.house.registry.attach(
                KEY, attached, sink.outlet, options, self.house.loop.now
            )
        except ResourceExhausted:
            return
        subscription.join(self.house.loop.now)
        self.players.append((sink, subscription))

    @precondition(lambda self: self.players)
    @rule(data=st.data())
    def detach(self, data: st.DataObject) -> None:
        sink, subscription = self.players.pop(data.draw(st.integers(0, len(self.players) - 1)))
        subscription.detach()
        sink.detached = True
        sink.outlet.close()

    @rule(start=st.sampled_from(StartPolicy), max_bytes=st.sampled_from([2000, 5000, 100_000]))
    def tap(self, start: StartPolicy, max_bytes: int) -> None:
        taker = CheckingTaker(start)
        options = TapOptions(start=start, max_bytes=max_bytes, max_seconds=3.0)
        taker.tap = self.house.registry.tap(KEY, taker, options, self.house.loop.now)
        self.takers.append(taker)

    @precondition(lambda self: self.takers)
    @rule(data=st.data(), how=st.sampled_from(["one batch", "all", "always", "never", "leave"]))
    def take(self, data: st.DataObject, how: str) -> None:
        taker = data.draw(st.sampled_from(self.takers))
        if how == "leave":
            self.takers.remove(taker)
            taker.tap.detach()
            taker.detached = True
            return
        taker.eager = how == "always"
        if how == "one batch":
            taker.take()
        elif how != "never":
            taker.catch_up()

    @precondition(lambda self: self.players)
    @rule(data=st.data(), unsent=st.sampled_from([0, 50, 300, 550, 700]), paused=st.booleans())
    def flow(self, data: st.DataObject, unsent: int, paused: bool) -> None:
        sink, _ = data.draw(st.sampled_from(self.players))
        if sink.polled:
            # It grows by what is written to it, and nobody says anything.
            sink.unsent = min(unsent, sink.unsent)
            return
        sink.unsent = unsent
        if paused:
            sink.outlet.pause_writing(self.house.loop.now)
        else:
            sink.outlet.resume_writing(self.house.loop.now)

    @precondition(lambda self: self.players)
    @rule(data=st.data(), what=st.sampled_from(["pause", "audio", "video"]), on=st.booleans())
    def control(self, data: st.DataObject, what: str, on: bool) -> None:
        _, subscription = data.draw(st.sampled_from(self.players))
        {
            "pause": subscription.set_paused,
            "audio": subscription.receive_audio,
            "video": subscription.receive_video,
        }[what](on)

    @precondition(lambda self: self.publication is not None)
    @rule(live=st.booleans(), pause=st.booleans())
    def whoever_keeps_up_gets_video_again(self, live: bool, pause: bool) -> None:
        """From the next keyframe on whatever it did before; with the next frame if it started live."""
        # A batch that is larger than a packet sink's bound is missed, and what is asked for here is in it.
        self.house.loop.run(self.house.loop.now)
        players = [(sink, subscription) for sink, subscription in self.players if subscription.attached]
        for taker in self.takers:
            taker.eager = True
            taker.catch_up()
        given_back = self.house.stats.drops.get("sink_memory", 0)
        for sink, subscription in players:
            sink.slow = False
            sink.unsent = 0
            if not sink.polled:
                sink.outlet.resume_writing(self.house.loop.now)
            subscription.set_paused(pause)
            subscription.set_paused(False)
            subscription.receive_video(True)
        if not self.version:
            self.receive("V")
        self.timestamp += 10
        self.number += 1
        # A stream that has had no keyframe yet gives nobody anything.
        anywhere = live and self.has_keyframe
        self.receive("P" if anywhere else "K")
        self.house.loop.run(self.house.loop.now)
        for sink, subscription in players:
            if subscription.attached and (sink.mid_gop_allowed or not anywhere):
                assert sink.last_frame == self.number, "no video for a player that keeps up"
        drops = self.house.stats.drops
        for taker in self.takers:
            if (taker.mid_gop_allowed or not anywhere) and given_back == drops.get("sink_memory", 0):
                assert taker.last_frame == self.number, "no video for a packet sink that keeps up"

    @invariant()
    def books_balance(self) -> None:
        if not hasattr(self, "house"):
            return
        budget = self.house.registry.budget
        self.house.registry.sample(self.house.loop.now)
        attached = [subscription for _, subscription in self.players if subscription.attached]
        assert self.house.stats.players == len(attached)
        assert self.house.stats.publishers == (self.publication is not None)
        unsent = [subscription.outlet.unsent_bytes for _, subscription in self.players]
        assert max(unsent, default=0) <= budget.backlog_bytes <= sum(unsent) == self.house.stats.unsent_bytes
        streams = list(self.house.registry.streams.values())
        assert budget.gop_bytes == sum(held_by_cache(stream) for stream in streams)
        headers = [packet for stream in streams for packet in stream.headers.packets(0)]
        assert budget.header_bytes == sum(len(packet.payload) for packet in headers)
        assert budget.queue_bytes == sum(taker.tap.held_bytes for taker in self.takers)
        assert bool(self.house.registry.streams) == bool(attached or self.takers or self.publication)
        assert self.house.stats.sink_errors == 0

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        self.house.loop.run(self.house.loop.now)
        for _, subscription in self.players:
            subscription.detach()
            subscription.outlet.close()
        for taker in self.takers:
            taker.catch_up()
            assert taker.live == (self.publication is not None)
            taker.tap.detach()
        if self.publication is not None:
            self.publication.close(CloseReason.FINISHED)
        self.house.loop.run(self.house.loop.now)
        assert not self.house.registry.streams
        assert self.house.registry.budget.used == 0
        assert self.house.stats.sink_errors == 0


def test_a_batch_beyond_the_bound_of_a_packet_sink_is_missed_and_the_frame_after_it_is_not() -> None:
    engine = Engine()
    engine.start()
    engine.publish()
    engine.tap(start=StartPolicy.LIVE, max_bytes=2000)
    engine.media(list("VKPPPP"))
    engine.media(list("PPPP"))
    engine.whoever_keeps_up_gets_video_again(live=True, pause=False)
    assert engine.takers[0].tap.drops == {DropReason.SINK_BEHIND: 9}
    engine.teardown()


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=150, stateful_step_count=40)
