"""An evening on which everything happens that events tell of."""

from __future__ import annotations

from dataclasses import replace

from engine_kit import AAC_HEADER, AVC_HEADER, FakePublisher, House, inter, keyframe, sound
from events_kit import CAM, ENCODER, NOON, made

from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.engine.claim import Claim, ClaimPolicy, Place
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin, SessionIds
from rtmpd.engine.packet import AUDIO, Packet
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions
from rtmpd.engine.slate import Slate, SlateRules
from rtmpd.events.feed import EventFeed
from rtmpd.events.model import Event, EventKind
from rtmpd.outputs.recording import Recording, RecordingEnd
from rtmpd.relay.status import RelayState, RelayStatus

PLAYER = Origin(session=2, address="192.0.2.2", connection=2, agent="LNX 9,0,124,2")
HEADER_720P = bytes.fromhex(
    "17000000000164001fffe1001a6764001facd9405005bb011000000300100000030320f183196001000668ebe3cb22c0"
)
STATUS = RelayStatus(
    kind="push",
    id="twitch",
    key=CAM,
    remote="rtmps://live.example.com/app",
    state=RelayState.BACKOFF,
    bytes=0,
    retries=1,
    lag_bytes=0,
    lag_seconds=0.0,
    unannounced=(),
    status="",
    reason="cannot connect to live.example.com port 443: Connection refused",
    retry_in=1.0,
)


class Grace(ClaimPolicy):
    def supersede(self, _claim: Claim, /) -> CloseReason | None:
        return CloseReason.KICKED

    def hold(self, _key: StreamKey, ending: Ending, /) -> float:
        return 10.0 if ending.reason is CloseReason.CONNECTION_LOST else 0.0


class Everything:
    def __init__(self) -> None:
        self.first: dict[EventKind, Event] = {}

    def wants(self, _kind: EventKind, _key: object) -> bool:
        return True

    def hear(self, event: Event) -> None:
        self.first.setdefault(event.kind, event)


def evening() -> dict[EventKind, Event]:
    """The first event of each kind, of an evening on which everything happens."""
    house, heard = House(), Everything()
    loop, registry = house.loop, house.registry

    def wall_clock() -> float:
        return NOON + loop.now

    feed = EventFeed(registry.sessions, SessionIds(wall_clock, bytes), loop.clock, wall_clock)
    registry.observe(feed)
    feed.add_listener(heard)

    def later(seconds: float) -> None:
        loop.now += seconds
        registry.sample(loop.now)
        loop.run(loop.now)

    first = registry.claim(CAM, FakePublisher(), ENCODER, loop.now, Grace())
    later(0.4)
    house.send(first, (0, AAC_HEADER), (0, HEADER_720P), (0, keyframe()), (0, sound()))
    _, player = house.play(PlayOptions(origin=PLAYER))
    feed.push_changed(STATUS, ENCODER)
    audit = Audit(feed.audited)
    audit.note(
        Actor("ann", "192.0.2.7"),
        Change.BAN,
        "192.0.2.2",
        "spam",
        after="by hand, until 2023-11-14T23:00Z",
    )
    for second in range(25):  # Far too long for a group of pictures.
        later(1.0)
        house.send(first, (1000 * second, inter()), (1000 * second, sound()))
    house.send(first, (25_000, keyframe()))
    for _ in range(12):
        later(1.0)
        house.send(first, (37_000, sound()))
    house.send(first, (37_000, b"\x2fmp3"), (37_020, b"\x2fmp3"))
    first.close(CloseReason.CONNECTION_LOST)
    later(3.2)
    second = registry.claim(CAM, FakePublisher(), ENCODER, loop.now, Grace())
    house.send(second, (0, AVC_HEADER), (0, keyframe()))
    later(1.0)
    backup = registry.claim(CAM, FakePublisher(), ENCODER, loop.now, Grace(), place=Place(backup=True))
    house.send(backup, (0, AVC_HEADER), (0, keyframe()))
    second.close(CloseReason.CONNECTION_LOST)
    registry.apply(replace(registry.limits, slate=SlateRules()))
    cover = house.stream.cover_with(Slate.FILE, [], loop.now, lambda: None)
    later(0.5)
    cover.push(Packet(AUDIO, 0, sound(), 0), 500, loop.now)
    house.send(backup, (500, keyframe()))
    later(1.0)
    path = "/var/lib/rtmpd/recordings/live/cam/2023-11-14_22-13-20_1.flv"
    feed.recording_started(CAM, path, ENCODER)
    feed.recording_failed(CAM, path, "no space left on device", ENCODER)
    size, codecs, end = 5_250_000, ("H.264", "AAC"), RecordingEnd.PUBLISH_ENDED
    root = "/var/lib/rtmpd/recordings"
    feed.recording_finished(Recording(CAM, path, root, 1, NOON, 42.5, size, codecs, end), ENCODER)
    player.detach()
    backup.close(CloseReason.FINISHED)
    loop.run(loop.now)
    heard.first[EventKind.TEST] = made(EventKind.TEST)
    return heard.first
