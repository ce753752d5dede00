from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_sources import FakePublication, FakeServer, busy_server, series, value

from rtmpd.engine.encoder import EncoderStats
from rtmpd.engine.health import HealthKind
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.stats import StreamStats, TrackStats
from rtmpd.media.obs_sei import ObsReport
from rtmpd.metrics.streams import StreamMetrics

BYTES = "rtmpd_stream_sent_bytes_total"
OTHER = {"app": "_other", "stream": "_other"}


def shown(server: FakeServer, max_streams: int = 200) -> set[str]:
    """The stream labels of a page."""
    labels = (dict(labels) for _, labels in series(server.metrics(max_streams)))
    return {found["stream"] for found in labels if "stream" in found}


def test_the_health_of_an_ingest() -> None:
    server = FakeServer()
    stream = server.publish("one")
    stream.subscriptions = [object(), object()]
    stats = stream.stats
    stats.last_media_at = server.now - 0.25
    stats.video.timestamp, stats.audio.timestamp = 5000, 4900
    stats.keyframe_interval_ms, stats.keyframe_interval_max_ms = 2000, 4000
    stats.video.messages_in, stats.video.bytes_in, stats.audio.bytes_in = 30, 100_000, 8_000
    stats.timestamp_regressions, stats.timestamp_gaps, stats.unknown_packets = 1, 2, 3
    stats.totals.drops["slow_audio"] = 4
    stats.sample(server.now + 60.0)
    metrics = server.metrics()

    def of(name: str, **labels: str) -> float | None:
        return value(metrics, f"rtmpd_stream_{name}", app="live", stream="one", **labels)

    assert of("live") == 1
    assert of("players") == 2
    assert of("last_media_age_seconds") == 0.25
    assert of("av_skew_seconds") == 0.1
    assert of("keyframe_interval_seconds") == 2.0
    assert of("keyframe_interval_max_seconds") == 4.0
    assert of("received_bytes_total", media="video") == 100_000
    assert of("received_messages_total", media="video") == 30
    assert of("received_bytes_per_second", media="audio") == pytest.approx(8_000 / 60, rel=0.01)
    assert of("video_frames_per_second") == pytest.approx(0.5)
    assert of("timestamp_regressions_total") == 1
    assert of("timestamp_gaps_total") == 2
    assert of("unknown_packets_total") == 3
    assert of("dropped_packets_total", reason="slow_audio") == 4


def test_what_is_not_known_yet_has_no_series() -> None:
    server = FakeServer()
    server.publish("one")
    names = {name for name, labels in series(server.metrics()) if ("stream", "one") in labels}
    assert "rtmpd_stream_live" in names
    assert names.isdisjoint(
        {
            "rtmpd_stream_av_skew_seconds",
            "rtmpd_stream_keyframe_interval_seconds",
            "rtmpd_stream_last_media_age_seconds",
            "rtmpd_stream_video_frames_per_second",
        }
    )


def test_codecs_and_resolution_are_told() -> None:
    server = busy_server()
    for stream in server.streams.values():
        stream.publication = FakePublication(Origin(protocol="pull"))
    (labels,) = (dict(labels) for name, labels in series(server.metrics()) if name == "rtmpd_stream_info")
    assert labels["protocol"] == "pull"
    assert labels["video_codec"] == "avc1"
    assert labels["audio_codec"] == "mp4a"
    assert labels["resolution"] == "1280x720"


def test_label_values_are_escaped() -> None:
    assert 'we"ird\\name\n' in shown(busy_server())


def test_a_name_that_nobody_published_gets_no_series() -> None:
    """Players choose the names they wait for: anybody could fill Prometheus with them."""
    server = FakeServer()
    stream = server.publish("guess")
    stream.publication = None
    stream.subscriptions = [object()]
    assert shown(server) == set()


def test_a_stream_whose_publisher_left_stays_while_players_wait() -> None:
    server = FakeServer()
    stream = server.publish("one")
    stream.stats.last_media_at = server.now
    stream.publication = None
    assert value(server.metrics(), "rtmpd_stream_live", app="live", stream="one") == 0


def test_streams_beyond_the_cap_are_added_up_and_the_worst_of_them_is_shown() -> None:
    server = FakeServer()
    for number in range(1, 5):
        stream = server.publish(f"s{number}")
        stream.subscriptions = [object()] * number
        stream.stats.totals.bytes_out = 10**number
        stream.stats.video.timestamp, stream.stats.audio.timestamp = 0, 100 * number
        stream.stats.keyframe_interval_ms = 1000 * number
        stream.stats.last_media_at = server.now - number
    metrics = server.metrics(max_streams=2)
    found = series(metrics)
    assert {dict(labels)["stream"] for name, labels in found if name == BYTES} == {"s1", "s2", "_other"}
    metrics = server.metrics(max_streams=2)
    assert value(metrics, "rtmpd_stream_live", **OTHER) == 2
    assert value(metrics, "rtmpd_stream_players", **OTHER) == 7
    assert value(metrics, "rtmpd_stream_av_skew_seconds", **OTHER) == -0.4
    assert value(metrics, "rtmpd_stream_keyframe_interval_seconds", **OTHER) == 4.0
    assert value(metrics, "rtmpd_stream_last_media_age_seconds", **OTHER) == 4.0


def test_without_overflow_there_is_no_overflow_series() -> None:
    server = FakeServer()
    server.publish("one")
    assert shown(server, max_streams=1) == {"one"}
    assert shown(server, max_streams=0) == {"_other"}


def test_a_stream_named_like_the_overflow_series_does_not_collide_with_it() -> None:
    server = FakeServer()
    server.publish("_other", app="_other")
    server.publish("one")
    server.publish("two")
    metrics = server.metrics(max_streams=1)
    assert value(metrics, "rtmpd_stream_live", **OTHER) == 2


def test_a_freed_place_goes_to_the_next_stream() -> None:
    server = FakeServer()
    server.publish("one")
    server.publish("two").stats.totals.bytes_out = 5
    metrics = server.metrics(max_streams=1)
    assert value(metrics, BYTES, app="live", stream="two") is None
    del server.streams[StreamKey("live", "one")]
    assert value(metrics, BYTES, app="live", stream="two") == 5
    assert value(metrics, BYTES, **OTHER) == 5, "what was counted there stays there"


def test_the_overflow_counter_keeps_what_ended_streams_counted() -> None:
    server = FakeServer()
    metrics = server.metrics(max_streams=0)
    server.publish("one").stats.totals.bytes_out = 100
    assert value(metrics, BYTES, **OTHER) == 100
    server.streams.clear()
    server.publish("two").stats.totals.bytes_out = 7
    assert value(metrics, BYTES, **OTHER) == 107


def test_a_publish_that_starts_over_adds_to_the_overflow_counter() -> None:
    server = FakeServer()
    metrics = server.metrics(max_streams=0)
    name = "rtmpd_stream_received_bytes_total"
    stream = server.publish("one")
    stream.stats.video.bytes_in = 100
    assert value(metrics, name, media="video", **OTHER) == 100
    stream.stats = StreamStats(now=server.now)
    stream.stats.video.bytes_in = 30
    assert value(metrics, name, media="video", **OTHER) == 130


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["grow", "restart", "end"]),
            st.integers(min_value=0, max_value=4),
            st.integers(min_value=0, max_value=1000),
        ),
        max_size=30,
    ),
    max_streams=st.integers(min_value=0, max_value=3),
)
def test_the_overflow_counters_never_go_backwards(
    steps: list[tuple[str, int, int]], max_streams: int
) -> None:
    server = FakeServer()
    metrics = StreamMetrics(server.streams, lambda: server.now)
    last = 0.0
    for action, number, amount in steps:
        key = StreamKey("live", str(number))
        if action == "end":
            server.streams.pop(key, None)
        elif action == "restart":
            server.publish(str(number)).stats.video.bytes_in = amount
        elif key in server.streams:
            server.streams[key].stats.video.bytes_in += amount
        samples = {
            (family.name, labels): value
            for family in metrics.collect(max_streams)
            for labels, value in family.samples
        }
        now = samples.get(("rtmpd_stream_received_bytes", ("_other", "_other", "video")), 0.0)
        assert now >= last
        last = now


@given(
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1000), st.integers(0, 3)), max_size=30),
    ended=st.integers(0, 4),
)
def test_the_overflow_counters_count_everything_once(steps: list[tuple[int, int, int]], ended: int) -> None:
    server = FakeServer()
    metrics = StreamMetrics(server.streams, lambda: server.now)
    for number in range(5):
        server.publish(str(number))
    total = 0
    for number, amount, scrapes in steps:
        server.streams[StreamKey("live", str(number))].stats.video.bytes_in += amount
        total += amount
        for _ in range(scrapes):
            list(metrics.collect(0))
    list(metrics.collect(0))
    del server.streams[StreamKey("live", str(ended))]
    for _ in range(2):
        samples = {
            (family.name, labels): value for family in metrics.collect(0) for labels, value in family.samples
        }
    assert samples["rtmpd_stream_received_bytes", ("_other", "_other", "video")] == total


def test_a_dead_stream_is_not_described() -> None:
    server = FakeServer()
    stream = server.publish("one")
    stats = stream.stats
    stats.video.codec, stats.width, stats.height, stats.last_media_at = "avc1", 640, 360, server.now
    stats.keyframe_interval_ms = stats.keyframe_interval_max_ms = 2000
    stats.video.timestamp = stats.audio.timestamp = 1
    stats.tracks[9, 1] = TrackStats()
    described = {
        "rtmpd_stream_info",
        "rtmpd_stream_keyframe_interval_seconds",
        "rtmpd_stream_keyframe_interval_max_seconds",
        "rtmpd_stream_av_skew_seconds",
        "rtmpd_stream_track_info",
        "rtmpd_stream_track_frames_per_second",
    }
    assert {name for name, _ in series(server.metrics())} >= described
    stream.publication = None
    left = {name for name, labels in series(server.metrics()) if ("stream", "one") in labels}
    assert not left & described
    assert "rtmpd_stream_live" in left


def test_tracks_have_series_of_their_own() -> None:
    server = FakeServer()
    stats = server.publish("one").stats
    stats.last_media_at = server.now
    for track, width in ((0, 640), (1, 426)):
        figures = stats.tracks[9, track] = TrackStats()
        figures.codec, figures.width, figures.height = "avc1", width, 240
        figures.frames, figures.bytes_in = 300 * (track + 1), 1000
        figures.keyframe(0)
        figures.keyframe(2000)
    stats.tracks[8, 1] = TrackStats()
    stats.sample(server.now + 60.0)
    metrics = server.metrics()
    labels = {"app": "live", "stream": "one", "media": "video", "track": "1"}
    assert value(metrics, "rtmpd_stream_track_info", codec="avc1", resolution="426x240", **labels) == 1
    assert value(metrics, "rtmpd_stream_track_frames_per_second", **labels) == pytest.approx(10, rel=0.01)
    assert value(metrics, "rtmpd_stream_track_keyframe_interval_seconds", **labels) == 2
    audio = labels | {"media": "audio"}
    assert value(metrics, "rtmpd_stream_track_received_bytes_per_second", **audio) == 0


def test_an_encoder_that_speaks_has_series_and_another_none() -> None:
    server = FakeServer()
    server.publish("silent").stats.last_media_at = server.now
    stream = server.publish("one")
    stream.stats.last_media_at = server.now
    encoder = stream.stats.encoder = EncoderStats(0)
    encoder.note(0, ObsReport(100.0, 100.5, 60, 3, 2, 58, 60, 1), server.now)
    encoder.note(1, ObsReport(100.0, 100.5, 60, 3, 2, 58, 60, 4), server.now)
    encoder.note(0, ObsReport(101.0, 101.2, 60, 0, 0, 60, 60, 0), server.now + 1.75)
    labels = {"app": "live", "stream": "one"}
    fates = {
        fate: value(server.metrics(), "rtmpd_stream_encoder_frames_total", fate=fate, **labels)
        for fate in ("rendered", "lagged", "sent", "dropped")
    }
    assert fates == {"rendered": 120, "lagged": 3, "sent": 118, "dropped": 2}
    skipped = "rtmpd_stream_encoder_track_frames_total"
    assert value(server.metrics(), skipped, track="1", fate="skipped", **labels) == 4
    assert value(server.metrics(), "rtmpd_stream_encoder_delay_seconds", **labels) == pytest.approx(0.2)
    uplink = value(server.metrics(), "rtmpd_stream_encoder_uplink_delay_seconds", **labels)
    assert uplink == pytest.approx(0.75)
    named = [labels for name, labels in series(server.metrics()) if "encoder" in name]
    assert named
    assert not [labels for labels in named if ("stream", "silent") in labels]


def test_warnings_are_shown_while_they_hold() -> None:
    server = FakeServer()
    stream = server.publish("one")
    labels = {"app": "live", "stream": "one", "kind": "audio_silent"}
    assert value(server.metrics(), "rtmpd_stream_health", **labels) is None
    stream.health.raise_warning(HealthKind.AUDIO_SILENT, 1.0, seconds=5.0)
    assert value(server.metrics(), "rtmpd_stream_health", **labels) == 1
    server.publish("two").health.raise_warning(HealthKind.AUDIO_SILENT, 1.0, seconds=5.0)
    assert value(server.metrics(max_streams=0), "rtmpd_stream_health", kind="audio_silent", **OTHER) == 2
    stream.health.clear(HealthKind.AUDIO_SILENT)
    assert value(server.metrics(), "rtmpd_stream_health", **labels) is None
