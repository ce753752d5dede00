from __future__ import annotations

import re
import resource
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from metrics_sources import FakeServer, busy_server, page, series, value
from prometheus_client.parser import text_string_to_metric_families

from rtmpd import __version__
from rtmpd.engine.drops import DropReason
from rtmpd.engine.levels import JoinEnd, Outage
from rtmpd.engine.sink import CloseReason
from rtmpd.reasons import HandshakeFailure, Refusal, SessionFailure
from rtmpd.rtmp.form import form
from rtmpd.rtmp.quirks import Quirk


def families(server: FakeServer) -> dict[str, str]:
    """Type of each family on the page, by name."""
    text = page(server.metrics())
    return {family.name: family.type for family in text_string_to_metric_families(text)}


def test_every_family_has_a_help_text_and_a_type() -> None:
    text = page(busy_server().metrics())
    names = set(re.findall(r"^(rtmpd_\w+?)(?:_bucket|_sum|_count)?(?:\{| )", text, re.MULTILINE))
    assert names
    for name in names:
        assert re.search(rf"^# HELP {name} \S", text, re.MULTILINE), name
        assert re.search(rf"^# TYPE {name} (counter|gauge|histogram)$", text, re.MULTILINE), name


def test_counters_end_in_total_and_units_are_base_units() -> None:
    text = page(busy_server().metrics())
    for name, kind in re.findall(r"^# TYPE (rtmpd_\w+) (\w+)$", text, re.MULTILINE):
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|kb|kbps|bits|minutes)(_|$)", name), name


def test_a_fresh_server_shows_its_totals_at_zero() -> None:
    metrics = FakeServer().metrics()
    for name in (
        "rtmpd_connections_accepted_total",
        "rtmpd_received_bytes_total",
        "rtmpd_sent_bytes_total",
        "rtmpd_received_messages_total",
        "rtmpd_sent_messages_total",
        "rtmpd_publishes_total",
        "rtmpd_plays_total",
        "rtmpd_gop_cache_overflows_total",
        "rtmpd_gop_cache_trims_total",
        "rtmpd_keyframe_timeouts_total",
        "rtmpd_unsent_bytes",
        "rtmpd_sink_errors_total",
        "rtmpd_time_to_first_frame_seconds_count",
        "rtmpd_event_loop_lag_seconds_count",
        "rtmpd_stream_seconds_total",
        "rtmpd_player_seconds_total",
        "rtmpd_player_behind_seconds_total",
    ):
        assert value(metrics, name) == 0, name


def test_service_levels_have_all_series_before_the_first_event() -> None:
    metrics = FakeServer().metrics()
    for request in ("connect", "publish", "play"):
        for outcome in ("granted", "refused", "failed"):
            assert value(metrics, "rtmpd_requests_total", request=request, outcome=outcome) == 0
    assert all(value(metrics, "rtmpd_joins_total", outcome=end) == 0 for end in JoinEnd)
    assert all(value(metrics, "rtmpd_stream_outage_seconds_total", cause=cause) == 0 for cause in Outage)


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("rtmpd_dropped_packets_total", DropReason),
        ("rtmpd_publishes_ended_total", CloseReason),
        ("rtmpd_players_closed_total", CloseReason),
        ("rtmpd_handshake_failures_total", HandshakeFailure),
        ("rtmpd_session_failures_total", SessionFailure),
        ("rtmpd_refusals_total", Refusal),
    ],
)
def test_every_reason_has_its_series_before_the_first_event(name: str, reasons: Iterable[str]) -> None:
    """So that rate() sees the first one."""
    metrics = FakeServer().metrics()
    assert {reason: value(metrics, name, reason=str(reason)) for reason in reasons} == dict.fromkeys(
        reasons, 0
    )


def test_every_quirk_has_its_series_before_the_first_event() -> None:
    metrics = FakeServer().metrics()
    assert {value(metrics, "rtmpd_tolerated_total", quirk=str(quirk)) for quirk in Quirk} == {0}


def test_a_stream_has_the_series_of_its_drops_before_the_first_one() -> None:
    server = FakeServer()
    server.publish("cam").stats.last_media_at = server.now
    metrics = server.metrics()
    for reason in DropReason:
        labels = {"app": "live", "stream": "cam", "reason": str(reason)}
        assert value(metrics, "rtmpd_stream_dropped_packets_total", **labels) == 0


def test_the_tables_of_the_server_are_labelled() -> None:
    server = FakeServer()
    server.stats.connections["publishing"] = 3
    server.stats.handshake_failures["tls"] = 4
    server.stats.sessions_failed["chunk_size"] = 5
    server.stats.refusals["stream_busy"] = 6
    server.stats.publishes_ended["idle"] = 7
    server.stats.players_closed["slow"] = 8
    server.stats.drops["slow_video"] = 9
    metrics = server.metrics()
    assert value(metrics, "rtmpd_connections", state="publishing") == 3
    assert value(metrics, "rtmpd_handshake_failures_total", reason="tls") == 4
    assert value(metrics, "rtmpd_session_failures_total", reason="chunk_size") == 5
    assert value(metrics, "rtmpd_refusals_total", reason="stream_busy") == 6
    assert value(metrics, "rtmpd_publishes_ended_total", reason="idle") == 7
    assert value(metrics, "rtmpd_players_closed_total", reason="slow") == 8
    assert value(metrics, "rtmpd_dropped_packets_total", reason="slow_video") == 9


def test_streams_and_players_are_told_apart_by_whether_somebody_publishes() -> None:
    server = FakeServer()
    server.publish("one").subscriptions = [object(), object()]
    waiting = server.publish("two")
    waiting.publication = None
    waiting.subscriptions = [object()]
    server.stats.players = 3
    metrics = server.metrics()
    assert value(metrics, "rtmpd_streams", state="live") == 1
    assert value(metrics, "rtmpd_streams", state="waiting") == 1
    assert value(metrics, "rtmpd_players", state="playing") == 2
    assert value(metrics, "rtmpd_players", state="waiting") == 1


def test_histograms_are_cumulative_and_include_their_bounds() -> None:
    server = FakeServer()
    for seconds in (0.001, 0.002, 0.5):
        server.loop_lag.observe(seconds)
    metrics = server.metrics()
    name = "rtmpd_event_loop_lag_seconds"
    buckets = {
        bound: value(metrics, f"{name}_bucket", le=bound) for bound in ("0.001", "0.01", "0.1", "+Inf")
    }
    assert buckets == {"0.001": 1, "0.01": 2, "0.1": 2, "+Inf": 3}
    assert value(metrics, f"{name}_count") == 3
    assert value(metrics, f"{name}_sum") == pytest.approx(0.503)


def test_memory_build_and_process() -> None:
    server = FakeServer(memory_held=300)
    metrics = server.metrics()
    assert value(metrics, "rtmpd_memory_held_bytes") == 300
    assert value(metrics, "rtmpd_memory_limit_bytes") == 1024
    about = {("version", __version__), ("form", form())}
    assert any(name == "rtmpd_build_info" and about <= set(labels) for name, labels in series(metrics))


def test_the_process_has_its_standard_names() -> None:
    metrics = FakeServer().metrics()
    assert value(metrics, "process_start_time_seconds") == pytest.approx(time.time(), abs=60)
    files = len(list(Path("/proc/self/fd").iterdir()))
    assert value(metrics, "process_open_fds") == pytest.approx(files, abs=3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for name, least, most in (
        ("process_resident_memory_bytes", peak / 10, peak * 1.1),
        ("process_virtual_memory_bytes", peak / 10, float("inf")),
        ("process_cpu_seconds_total", 0.1, 10 * time.process_time()),
        ("process_max_fds", files, float("inf")),
    ):
        found = value(metrics, name)
        assert found is not None
        assert least < found <= most, name


def test_what_is_required_is_there() -> None:
    assert families(busy_server()).keys() >= {
        "rtmpd_stream_received_bytes_per_second",
        "rtmpd_stream_video_frames_per_second",
        "rtmpd_stream_keyframe_interval_seconds",
        "rtmpd_stream_av_skew_seconds",
        "rtmpd_stream_last_media_age_seconds",
        "rtmpd_stream_timestamp_regressions",
        "rtmpd_stream_dropped_packets",
        "rtmpd_time_to_first_frame_seconds",
        "rtmpd_event_loop_lag_seconds",
    }


def test_what_is_made_mp4_is_counted_once_somebody_has_asked_for_it() -> None:
    server = FakeServer()
    told = {
        family.name: family for family in server.metrics().collect() if family.name.startswith("rtmpd_mp4")
    }
    assert told["rtmpd_mp4_streams"].samples == [((), 3)]
    assert told["rtmpd_mp4_fragments"].samples == [((), 12)]
    assert (("gap",), 2) in told["rtmpd_mp4_corrections"].samples
    server.mp4 = None
    assert not [family for family in server.metrics().collect() if family.name.startswith("rtmpd_mp4")]
