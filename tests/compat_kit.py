"""A server as somebody in charge is told of it, made up: what the dialects of other servers are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rtmpd.compat.survey import Survey
from rtmpd.control.server_answers import Machine, Process, ServerInfo, Totals
from rtmpd.control.session_answers import Session, SessionKind, StreamUse, UseKind
from rtmpd.control.stream_answers import Audio, StreamState, StreamSummary, Video

STARTED = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
UPTIME = 3600.5
NOW = STARTED + timedelta(seconds=UPTIME)
ENCODER = "01932c07-a5f8-7d2e-8f10-5d4b0c6e3a91"
PLAYER = "01932c07-a5f9-7d2e-8f10-5d4b0c6e3a92"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def server(**other: Any) -> ServerInfo:
    totals = Totals(
        connections={"publishing": 1, "playing": 1},
        connections_total=7,
        publishers=1,
        publishes_total=2,
        players=1,
        plays_total=3,
        streams_published=1,
        streams_held=0,
        streams_on_slate=0,
        bytes_in=5_000_000,
        bytes_out=9_000_000,
        bits_per_second_in_10s=2_600_000.9,
        bits_per_second_out_10s=5_200_000.0,
        refusals={},
        bans=0,
        unsent_bytes=0,
        media_bytes=0,
        media_limit_bytes=0,
    )
    said = {
        "instance": "0123456789abcdef",
        "version": "0.1.0",
        "form": "compiled",
        "python": "3.13.1",
        "started": STARTED,
        "serving_since": STARTED,
        "uptime_seconds": UPTIME,
        "ready": True,
        "unready_reason": None,
        "rtmp_port": 1935,
        "http": None,
        "state": None,
        "drain": None,
        "predecessor": None,
        "totals": totals,
        "process": Process(id=4711, memory_bytes=64 * 1024 * 1024, cpu_seconds=12.5, cpu_cores=0.25),
        "log": {"level": "info", "trace": "", "until": None},
        "machine": Machine(cores=4, memory_bytes=8 << 30, load_1m=0.5, load_5m=0.4, load_15m=0.3),
    }
    return ServerInfo(**{**said, **other})


def video(**other: Any) -> Video:
    said = {
        "codec": "avc1",
        "profile": "High",
        "level": "4.1",
        "compatibility": 0,
        "timestamp_seconds": 60.04,
        "bits_per_second_1s": 2_400_000.0,
        "bits_per_second_10s": 2_500_000.7,
        "bytes": 18_750_000,
        "width": 1920,
        "height": 1080,
        "frames": 1500,
        "frames_per_second": 29.97,
        "key_frame_interval_seconds": 2.0,
        "key_frame_interval_max_seconds": 2.0,
        "key_frame_age_seconds": 0.5,
    }
    return Video(**{**said, **other})


def audio(**other: Any) -> Audio:
    said = {
        "codec": "mp4a",
        "profile": "LC",
        "timestamp_seconds": 60.0,
        "samples_per_second": 48000,
        "channels": 2,
        "bits_per_second_1s": 128_000.0,
        "bits_per_second_10s": 128_000.0,
        "bytes": 960_000,
    }
    return Audio(**{**said, **other})


def stream(app: str = "live", name: str = "show", **other: Any) -> StreamSummary:
    said = {
        "app": app,
        "name": name,
        "state": StreamState.LIVE,
        "carried_by": "this",
        "since": ago(60.0),
        "held_since": None,
        "slate": None,
        "delay_seconds": 0.0,
        "session": ENCODER,
        "address": "192.0.2.7",
        "account": "ann",
        "video": video(),
        "audio": audio(),
        "players": 1,
        "predecessor_players": 0,
        "bytes_out": 19_710_000,
        "bits_per_second_out_10s": 2_628_000.0,
        "dropped": 0,
        "warnings": (),
    }
    return StreamSummary(**{**said, **other})


def holding(app: str = "live", name: str = "show", state: StreamState = StreamState.HOLDING) -> StreamSummary:
    """Nobody publishes it, and players wait."""
    nobody = dict.fromkeys(("since", "session", "address", "account", "video", "audio"))
    return stream(app, name, state=state, held_since=ago(5.0), bits_per_second_out_10s=0.0, **nobody)


def session(
    kind: SessionKind = SessionKind.PUBLISHER, path: str = "live/show", *, file: bool = False, **other: Any
) -> Session:
    app, _, name = path.partition("/")
    action = UseKind.PUBLISH if kind in (SessionKind.PUBLISHER, SessionKind.PULL) else UseKind.PLAY
    use = StreamUse(app=app, name=name, action=action, since=ago(60.0), file=file)
    is_encoder = kind is SessionKind.PUBLISHER
    said = {
        "id": ENCODER if is_encoder else PLAYER,
        "kind": kind,
        "carried_by": "this",
        "protocol": "rtmp",
        "since": ago(61.5),
        "address": "192.0.2.7" if is_encoder else "2001:db8::7",
        "listener": "0.0.0.0:1935",
        "tls": False,
        "connection": 6 if is_encoder else 7,
        "agent": "FMLE/3.0 (compatible; FMSc/1.0)" if is_encoder else "LNX 9,0,124,2",
        "account": "ann" if is_encoder else "",
        "uses": () if kind is SessionKind.PENDING else (use,),
        "bytes_in": 19_800_000 if is_encoder else 3_500,
        "bytes_out": 4_000 if is_encoder else 19_710_000,
        "dropped": 0 if is_encoder else 12,
        "backlog_bytes": 0,
        "behind_seconds": None,
        "tcp": None,
    }
    return Session(**{**said, **other})


def survey(
    streams: Sequence[StreamSummary] | None = None, sessions: Sequence[Session] | None = None
) -> Survey:
    """A stream with its encoder and a player, or what is given."""
    return Survey(
        server(),
        [stream()] if streams is None else streams,
        [session(), session(SessionKind.PLAYER)] if sessions is None else sessions,
    )
