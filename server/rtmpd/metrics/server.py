"""Totals of the process."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Final

from rtmpd import __version__
from rtmpd.engine.claim import SOURCES, HoldEnd
from rtmpd.engine.drops import DropReason
from rtmpd.engine.key import StreamKey
from rtmpd.engine.levels import REQUESTS, JoinEnd, Levels, Outage
from rtmpd.engine.origin import RTMP
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.slate import Slate
from rtmpd.engine.stats import ServerStats
from rtmpd.metrics.families import Family
from rtmpd.metrics.streams import StreamView
from rtmpd.reasons import HandshakeFailure, Refusal, SessionFailure
from rtmpd.rtmp.form import form
from rtmpd.rtmp.quirks import Quirk

_OTHERS: Final = ("hls", "http-flv", "ws-flv", "http-mp4", "ws-mp4")


def collect_server(stats: ServerStats, streams: Mapping[StreamKey, StreamView]) -> Iterator[Family]:
    """Build, connections, traffic, publishers and players."""
    build = Family("gauge", "rtmpd_build_info", "Always 1; what is running.", ("version", "form", "python"))
    build.add((__version__, form(), platform.python_version()), 1)
    yield build
    yield from _connections(stats)
    yield from _traffic(stats)
    yield from _occupancy(stats, streams)
    yield from _lives(stats)
    yield from _protocols(stats)
    yield from _losses(stats)
    yield from _service_levels(stats.levels)


def collect_memory(held: int, limit: int) -> Iterator[Family]:
    """Media in memory and its ceiling, in bytes."""
    yield Family("gauge", "rtmpd_memory_held_bytes", "Media held in caches and queues.").with_value(held)
    yield Family("gauge", "rtmpd_memory_limit_bytes", "Ceiling of the media held; 0 is none.").with_value(
        limit
    )


def _connections(stats: ServerStats) -> Iterator[Family]:
    yield Family(
        "gauge", "rtmpd_connections", "RTMP connections open now, by what they do.", ("state",)
    ).with_table(stats.connections)
    yield Family("counter", "rtmpd_connections_accepted", "RTMP connections ever accepted.").with_value(
        stats.connections_total
    )
    yield Family(
        "counter", "rtmpd_handshake_failures", "Connections closed before RTMP was spoken.", ("reason",)
    ).with_table(stats.handshake_failures, HandshakeFailure)
    yield Family(
        "counter",
        "rtmpd_session_failures",
        "Connections closed because the peer broke the protocol, a limit or a deadline.",
        ("reason",),
    ).with_table(stats.sessions_failed, SessionFailure)
    yield Family(
        "counter", "rtmpd_refusals", "Connects, publishes and plays not granted.", ("reason",)
    ).with_table(stats.refusals, Refusal)
    yield Family(
        "gauge", "rtmpd_banned_networks", "Addresses, and IPv6 /64 and /56 networks, that are banned now."
    ).with_value(stats.banned)
    yield Family("counter", "rtmpd_bans", "Bans for failed proofs.").with_value(stats.bans_total)
    yield Family(
        "counter",
        "rtmpd_tolerated",
        "What peers did against the specification and were served all the same.",
        ("quirk",),
    ).with_table(stats.tolerated, Quirk)


def _traffic(stats: ServerStats) -> Iterator[Family]:
    for name, text, value in (
        ("rtmpd_received_bytes", "Bytes read from RTMP connections.", stats.bytes_in),
        ("rtmpd_sent_bytes", "Bytes handed to RTMP connections and other outputs.", stats.bytes_out),
        ("rtmpd_received_messages", "RTMP messages received.", stats.messages_in),
        ("rtmpd_sent_messages", "RTMP messages sent.", stats.messages_out),
    ):
        yield Family("counter", name, text).with_value(value)


def _occupancy(stats: ServerStats, streams: Mapping[StreamKey, StreamView]) -> Iterator[Family]:
    idle = [stream for stream in streams.values() if stream.publication is None]
    waiting = sum(stream.players for stream in idle)
    yield Family(
        "gauge",
        "rtmpd_streams",
        "Names that are published (live) or that players only wait for (waiting).",
        ("state",),
    ).with_table({"live": len(streams) - len(idle), "waiting": len(idle)})
    yield Family(
        "gauge",
        "rtmpd_players",
        "Players of a live stream (playing), without a publisher (waiting), and of a file (recorded).",
        ("state",),
    ).with_table(
        {
            "playing": stats.players - waiting - stats.viewers,
            "waiting": waiting,
            "recorded": stats.viewers,
        }
    )


def _by_protocol(total: int, others: Mapping[str, int]) -> Mapping[str, int]:
    """What is not said to be another is RTMP."""
    return {**dict.fromkeys(_OTHERS, 0), **others, RTMP: total - sum(others.values())}


def _protocols(stats: ServerStats) -> Iterator[Family]:
    yield Family(
        "gauge", "rtmpd_players_by_protocol", "All players, by how they are sent media.", ("protocol",)
    ).with_table(_by_protocol(stats.players, stats.other_players))
    yield Family(
        "counter", "rtmpd_plays_by_protocol", "Plays granted, by how media is sent.", ("protocol",)
    ).with_table(_by_protocol(stats.plays_total, stats.other_plays))


def _lives(stats: ServerStats) -> Iterator[Family]:
    yield Family("counter", "rtmpd_publishes", "Publishes granted.").with_value(stats.publishes_total)
    yield Family("counter", "rtmpd_publishes_ended", "Publishes that ended, by why.", ("reason",)).with_table(
        stats.publishes_ended, CloseReason
    )
    yield Family(
        "counter",
        "rtmpd_publishes_without_media",
        "Publishes that ended without one audio or video message.",
    ).with_value(stats.publishes_without_media)
    yield Family(
        "gauge",
        "rtmpd_publishes_waiting",
        "Publishes whose answer waits for whether the encoder that has the name is gone.",
    ).with_value(stats.publishes_waiting)
    yield Family(
        "gauge", "rtmpd_streams_held", "Streams whose players are kept for an encoder that was lost."
    ).with_value(stats.held_streams)
    yield Family(
        "counter", "rtmpd_streams_held_ended", "Streams that are held no more, by why.", ("reason",)
    ).with_table(stats.holds_ended, HoldEnd)
    yield Family("gauge", "rtmpd_slates", "Streams that show a slate instead of their encoder.").with_value(
        stats.slates.on_air
    )
    yield Family("counter", "rtmpd_slates_shown", "Slates that were put on air.", ("slate",)).with_table(
        stats.slates.shown, Slate
    )
    yield Family(
        "counter", "rtmpd_slate_seconds", "For how long slates were shown that are over."
    ).with_value(stats.slates.seconds)
    yield Family(
        "counter",
        "rtmpd_switches",
        "Changes from the main encoder of a stream to its backup, and back, by which went on.",
        ("source",),
    ).with_table(stats.switches, SOURCES)
    yield Family("counter", "rtmpd_plays", "Plays granted.").with_value(stats.plays_total)
    yield Family(
        "counter", "rtmpd_players_closed", "Players that the server closed, by why.", ("reason",)
    ).with_table(stats.players_closed, CloseReason)


def _losses(stats: ServerStats) -> Iterator[Family]:
    yield Family(
        "counter",
        "rtmpd_dropped_packets",
        "Media packets that did not go out, one for each player that missed it.",
        ("reason",),
    ).with_table(stats.drops, DropReason)
    yield Family(
        "counter",
        "rtmpd_gop_cache_overflows",
        "GOPs longer than the cache may hold: late joiners got only the keyframe.",
    ).with_value(stats.gop_overflows)
    yield Family("counter", "rtmpd_gop_cache_trims", "GOP caches cut because memory ran short.").with_value(
        stats.gop_trims
    )
    yield Family(
        "counter",
        "rtmpd_keyframe_timeouts",
        "Players, and whole streams, whose video went on without the key frame that it waited for.",
    ).with_value(stats.keyframe_timeouts)
    yield Family(
        "gauge",
        "rtmpd_unsent_bytes",
        "Accepted by players that are behind and not sent; bytes that several wait with count for each.",
    ).with_value(stats.unsent_bytes)
    yield Family(
        "counter", "rtmpd_sink_errors", "Exceptions out of players' connections: bugs of rtmpd."
    ).with_value(stats.sink_errors)


def _service_levels(levels: Levels) -> Iterator[Family]:
    """Good and bad events of docs/service-levels.md."""
    requests = Family(
        "counter",
        "rtmpd_requests",
        "Connects, publishes and plays of clients, granted, refused for their fault, failed for ours.",
        ("request", "outcome"),
    )
    for outcome, table in (
        ("granted", levels.granted),
        ("refused", levels.refused),
        ("failed", levels.failed),
    ):
        for request in REQUESTS:
            requests.add((request, outcome), table.get(request, 0))
    yield requests
    yield Family(
        "counter", "rtmpd_joins", "Plays of live streams, by whether a first frame came.", ("outcome",)
    ).with_table(levels.joins, JoinEnd)
    yield Family(
        "counter", "rtmpd_stream_seconds", "Seconds of streams that were meant to be live."
    ).with_value(levels.stream_seconds)
    outages = Family(
        "counter", "rtmpd_stream_outage_seconds", "Seconds of these without media, by why.", ("cause",)
    )
    for cause in Outage:
        outages.add((str(cause),), levels.outages.get(cause, 0.0))
    yield outages
    yield Family("counter", "rtmpd_player_seconds", "Seconds of players of live streams.").with_value(
        levels.player_seconds
    )
    yield Family(
        "counter",
        "rtmpd_player_behind_seconds",
        "Seconds of connections that were too far behind to be sent everything.",
    ).with_value(levels.behind_seconds)


def collect_draining(draining: bool) -> Family:
    """Whether the server is about to end."""
    return Family(
        "gauge",
        "rtmpd_draining",
        "1 while the server is about to end: it lets nobody new in and waits for publishers.",
    ).with_value(float(draining))
