"""The work of the hot paths without sockets: ``micro.py`` times it, ``regression/gate.py`` counts it.

Every workload is made of the same two seconds of a 1.1 Mbit/s stream: 146 packets, one key frame.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial

from hls_workloads import Studio, answers, fragments, packaging
from stand_ins import EmptyTransport, NullPublisher, NullSink, Unplanned

from rtmpd.access.guard import Guard
from rtmpd.access.keys import Key, KeyRing, digest_of
from rtmpd.access.policy import AccessPolicy
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.packet import AUDIO, VIDEO, RtmpWire
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import PlayOptions
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.subscriber import Subscription
from rtmpd.media.decode_time import StreamTime
from rtmpd.media.fmp4 import Run, fragment
from rtmpd.media.mp4_feed import Timed, TrackFeed
from rtmpd.media.tags import audio_flags, video_flags
from rtmpd.rtmp import amf
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.command_scan import parse_command
from rtmpd.rtmp.commands import Command, serialize_command, status_object
from rtmpd.rtmp.constants import CSID_VIDEO
from rtmpd.rtmp.control import set_chunk_size
from rtmpd.rtmp.events import ConnectRequested, PlayRequested, PublishRequested
from rtmpd.rtmp.handshake import ClientHandshake, ServerHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving.access import AccessRequest, Action, Grant, name_stream
from rtmpd.tools.load.common import encode_command
from rtmpd.tools.load.media import MediaSpec, Programme

GOP_SECONDS = 2.0
SINKS = 100
VIEWERS = 20
KEYS = 10_000
_PART_MS = 200
"""Length of a part of LL-HLS."""
_UNTIL_SPECIALIZED = 50
"""Runs after which CPython has made up its mind about the bytecode."""
PACKETS_PER_FLUSH = 4
"""What a server under some load merges."""
_STREAM_ID = 1
_NOW = 1.0


@dataclass(frozen=True, slots=True)
class Workload:
    """``run`` does ``operations`` of ``unit`` on ``size`` bytes in all; every call does the same again."""

    name: str
    unit: str
    operations: int
    size: int
    run: Callable[[], object]


def all_workloads() -> list[Workload]:
    """Every workload, ready to run."""
    gop = _gop()
    size = sum(len(message.payload) for message in gop)
    count = len(gop)
    return [
        *(
            Workload(f"chunk_reader_{chunk}", "message", count, size, _reader(gop, chunk))
            for chunk in (128, 4096, 65536)
        ),
        *(
            Workload(f"encode_message_{chunk}", "message", count, size, partial(_encode_all, gop, chunk))
            for chunk in (128, 4096, 65536)
        ),
        *(
            Workload(f"session_{chunk}", "message", count, size, _session(gop, chunk))
            for chunk in (128, 4096)
        ),
        Workload("publish_unplayed", "message", count, size, _engine(gop, 0)),
        Workload(f"publish_to_{SINKS}", "message", count, size, _engine(gop, SINKS)),
        Workload("join_gop", "player", 1, size, _join(gop, watched=True)),
        Workload("join_first", "player", 1, size, _join(gop, watched=False)),
        Workload("fmp4_parts", "message", count, size, _fmp4(gop, _PART_MS)),
        Workload("fmp4_frames", "message", count, size, _fmp4(gop, 0)),
        *_browsers(gop, size),
        Workload("handshake_simple", "handshake", 1, 3 * 1536, _handshake(digest=False)),
        Workload("handshake_digest", "handshake", 1, 3 * 1536, _handshake(digest=True)),
        *_admissions(),
        *_amf_workloads(),
    ]


def _gop() -> list[Message]:
    """Headers and two seconds of media."""
    programme = Programme(MediaSpec(keyframe_interval=GOP_SECONDS))
    messages = programme.headers(_STREAM_ID, 0)
    while programme.due < GOP_SECONDS:
        messages.append(programme.next_packet(_STREAM_ID, 0))
    return messages


def _copy(messages: list[Message]) -> list[Message]:
    return [Message(m.type, m.timestamp, m.stream_id, m.payload) for m in messages]


def _images(gop: list[Message], chunk_size: int) -> list[bytes]:
    return [encode_message(m.type, m.timestamp, m.stream_id, m.payload, CSID_VIDEO, chunk_size) for m in gop]


def _announce(chunk_size: int) -> bytes:
    message = set_chunk_size(chunk_size)
    return encode_message(message.type, 0, 0, message.payload, 2, 128)


def _reader(gop: list[Message], chunk_size: int) -> Callable[[], object]:
    """Every message arrives in a piece of its own, as encoders write them."""
    reader = ChunkReader(Limits())
    reader.receive_data(_announce(chunk_size))
    images = _images(gop, chunk_size)

    def run() -> None:
        receive = reader.receive_data
        for image in images:
            receive(image)

    return run


def _encode_all(gop: list[Message], chunk_size: int) -> None:
    for message in gop:
        encode_message(
            message.type, message.timestamp, message.stream_id, message.payload, CSID_VIDEO, chunk_size
        )


def _session(gop: list[Message], chunk_size: int) -> Callable[[], object]:
    """A publisher's session, from received bytes to its events."""
    unlimited = Limits(max_messages=1_000_000_000, max_messages_burst=1_000_000_000)
    session = ServerSession(random_bytes=bytes, now=_NOW, limits=unlimited)
    handshake = ClientHandshake(bytes)
    session.receive_data(handshake.initial(), _NOW)
    session.receive_data(bytes(1536) + _announce(chunk_size), _NOW)
    ask = partial(encode_command, chunk_size=chunk_size)
    session.receive_data(ask(Command("connect", 1, {"app": "live"}), 0), _NOW)
    assert any(isinstance(event, ConnectRequested) for event in session.events_received())
    session.accept_connect(_NOW)
    session.receive_data(ask(Command("createStream", 2), 0), _NOW)
    session.receive_data(ask(Command("publish", 3, None, ("cam", "live")), _STREAM_ID), _NOW)
    assert any(isinstance(event, PublishRequested) for event in session.events_received())
    session.accept_publish(_STREAM_ID, _NOW)
    session.data_to_send()
    images = _images(gop, chunk_size)

    def run() -> None:
        for image in images:
            session.receive_data(image, _NOW)
            session.events_received()
            session.data_to_send()

    return run


def _publication() -> tuple[Registry, Flusher, Publication]:
    flusher = Flusher(lambda _: Unplanned(), lambda _, __: Unplanned(), lambda: _NOW, lambda: _NOW)
    registry = Registry(flusher, ServerStats(), EngineLimits(merge_window=0.0))
    return registry, flusher, registry.claim(StreamKey("live", "cam"), NullPublisher(), NOBODY, _NOW)


def _outlet(registry: Registry) -> Outlet:
    """A transport that is never full."""
    return Outlet(registry.outlets, EmptyTransport())


def _attach(registry: Registry, outlet: Outlet) -> Subscription:
    """One more player."""
    return registry.attach(
        StreamKey("live", "cam"), NullSink(RtmpWire(65536, _STREAM_ID)), outlet, PlayOptions(), _NOW
    )


def _engine(gop: list[Message], players: int) -> Callable[[], object]:
    """From a publisher's message to every player's write."""
    registry, flusher, publication = _publication()
    for _ in range(players):
        _attach(registry, _outlet(registry)).join(_NOW)
    messages = _copy(gop)

    def run() -> None:
        receive = publication.receive
        for number, message in enumerate(messages):
            receive(message, _NOW)
            if number % PACKETS_PER_FLUSH == 0:
                flusher.flush()
        flusher.flush()

    return run


def _fmp4(gop: list[Message], part_ms: int) -> Callable[[], object]:
    """All of it as fragments of ``part_ms``, as HLS cuts it, or of a frame each (0), as MSE does."""
    media = [
        (kind, message.timestamp, message.payload, flags(message.payload))
        for message in gop
        for kind, flags in ((AUDIO, audio_flags), (VIDEO, video_flags))
        if message.type == kind
    ]

    def run() -> None:
        stream = StreamTime()
        feeds = {kind: TrackFeed(kind, kind, stream, held=part_ms > 0) for kind in (AUDIO, VIDEO)}
        pending: dict[int, list[Timed]] = {AUDIO: [], VIDEO: []}
        due = part_ms
        for kind, timestamp, payload, flags in media:
            given = feeds[kind].take(timestamp, payload, flags)
            if given is None:
                continue
            pending[kind].append(given)
            if timestamp >= due:
                due += part_ms
                fragment(1, [_run(each) for each in pending.values() if each])
                pending = {AUDIO: [], VIDEO: []}

    return run


def _browsers(gop: list[Message], size: int) -> list[Workload]:
    """A stream that is packaged, and its viewers answered."""

    def studio() -> Studio:
        return Studio(gop, GOP_SECONDS, PACKETS_PER_FLUSH)

    count = len(gop)
    run, answered = answers(studio(), _PART_MS / 1000, VIEWERS)
    return [
        *(
            Workload(f"hls_parts_{part}", "message", count, size, packaging(studio(), part / 1000))
            for part in (_PART_MS, 333)
        ),
        Workload(f"hls_to_{VIEWERS}", "answer", answered, size * VIEWERS, run),
        Workload("mse_frames", "message", count, size, fragments(studio())),
    ]


def _run(timed: list[Timed]) -> Run:
    return Run(timed[0].track.track_id, timed[0].decode_time, [each.sample for each in timed])


def _join(gop: list[Message], *, watched: bool) -> Callable[[], object]:
    """A player that gets a whole GOP out of the cache, and leaves; others stay if ``watched``."""
    registry, flusher, publication = _publication()
    if watched:
        _attach(registry, _outlet(registry)).join(_NOW)
    for number, message in enumerate(gop):
        publication.receive(message, _NOW)
        if number % PACKETS_PER_FLUSH == 0:
            flusher.flush()
    flusher.flush()
    outlet = _outlet(registry)

    def run() -> None:
        subscription = _attach(registry, outlet)
        subscription.join(_NOW)
        subscription.detach()

    return run


def _handshake(*, digest: bool) -> Callable[[], object]:
    """The server's side."""
    client = ClientHandshake(bytes, digest=digest)
    initial = client.initial()
    c2 = client.receive_data(ServerHandshake(bytes).receive_data(initial))

    def run() -> None:
        server = ServerHandshake(bytes)
        server.receive_data(initial)
        server.receive_data(c2)
        assert server.done

    return run


def _admissions() -> list[Workload]:
    """From the first byte to an accepted publish or play, where anyone may and where a key is needed."""
    texts = [f"{number:x}-is-the-key-of-this" for number in range(KEYS)]
    ring = KeyRing(Key(digest_of(text), f"show{number}") for number, text in enumerate(texts))
    anyone, keyed = Rules(Allow.ANYONE), Rules(Allow.PROVEN, ring=ring)
    name, key = f"show{KEYS // 2}", texts[KEYS // 2]
    asks = (
        ("publish_open", anyone, Action.PUBLISH, name),
        ("publish_by_key", keyed, Action.PUBLISH, key),
        ("play_open", anyone, Action.PLAY, name),
        ("play_by_key", keyed, Action.PLAY, f"{name}?key={key}"),
    )
    return [
        Workload(f"accept_{what}", "client", 1, len(key), _admission(rules, action, asked))
        for what, rules, action, asked in asks
    ]


class _OneBook:
    """The same rules for every path."""

    tables: Container[str] = frozenset()

    def __init__(self, rules: Rules) -> None:
        self._rules = PathRules(rules, rules)
        self.takes_secrets = rules.takes_secrets

    def at(self, _path: str) -> PathRules:
        return self._rules


def _admission(rules: Rules, action: Action, asked: str) -> Callable[[], object]:
    book = _OneBook(rules)
    policy = AccessPolicy(book, lambda: _NOW, b"secret")
    guard = Guard(lambda: _NOW, ServerStats())
    limits = Limits()
    handshake = ClientHandshake(bytes).initial() + bytes(1536)
    ask = partial(encode_command, chunk_size=65536)
    connect = ask(Command("connect", 1, {"app": "live", "tcUrl": "rtmp://localhost/live"}), 0)
    create = ask(Command("createStream", 2), 0)
    request = ask(
        Command(action, 3, None, (asked, "live") if action is Action.PUBLISH else (asked,)), _STREAM_ID
    )
    origin = Origin(address="203.0.113.7", network="203.0.113.7")

    def run() -> None:
        session = ServerSession(random_bytes=bytes, now=_NOW, limits=limits)
        session.receive_data(handshake + _announce(65536) + connect, _NOW)
        params = next(e.params for e in session.events_received() if isinstance(e, ConnectRequested))
        session.accept_connect(_NOW)
        session.receive_data(create + request, _NOW)
        event = next(e for e in session.events_received() if isinstance(e, PublishRequested | PlayRequested))
        assert not guard.turns_away(origin.network)
        key = name_stream(params.app, event.name, action, book.tables, limits)
        granted = policy.authorize(AccessRequest(action, key, origin, params, event.query))
        registry, *_ = _publication()
        if action is Action.PUBLISH:
            session.accept_publish(_STREAM_ID, _NOW)
        else:
            session.accept_play(_STREAM_ID, _NOW)
            _attach(registry, _outlet(registry)).join(_NOW)
        session.data_to_send()
        assert isinstance(granted, Grant)  # At once: only a token is waited for.
        assert granted.key.name.startswith("show")

    for _ in range(_UNTIL_SPECIALIZED):  # They are compared with each other, and share most of their code.
        run()
    return run


def _amf_workloads() -> list[Workload]:
    connect = Command(
        "connect",
        1,
        {
            "app": "live",
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; FMSc/1.0)",
            "swfUrl": "rtmp://127.0.0.1/live",
            "tcUrl": "rtmp://127.0.0.1/live",
        },
    )
    message = Message(20, 0, 0, serialize_command(connect))
    status = Command("onStatus", 0, None, (status_object("status", "NetStream.Play.Start", "Started cam."),))
    metadata = amf.encode_values("onMetaData", amf.EcmaArray({f"property{i}": float(i) for i in range(20)}))
    limits = Limits()
    return [
        Workload("amf_connect", "command", 1, len(message.payload), partial(parse_command, message, limits)),
        Workload("amf_metadata", "value", 1, len(metadata), partial(amf.decode_values, metadata)),
        Workload(
            "amf_status", "command", 1, len(serialize_command(status)), partial(serialize_command, status)
        ),
    ]
