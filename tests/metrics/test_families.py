"""Metrics that have another name are there under both."""

from __future__ import annotations

from metrics_sources import busy_server, page, value

from rtmpd.metrics.families import Family, HistogramFamily, with_old_names

RENAMES = {"old_streams": ("streams", "0.1"), "old_lag_seconds": ("lag_seconds", "0.1")}


def test_the_old_name_stands_beside_the_new_one_and_says_so() -> None:
    streams = Family("gauge", "streams", "Streams.").with_value(3)
    lag = HistogramFamily("lag_seconds", "Lag.", (0.1,), (1, 2), 0.5)
    other = Family("counter", "other", "Other.")
    text = "Old name of {}, which the next minor version will not have. {}"
    assert list(with_old_names([streams, lag, other], RENAMES)) == [
        streams,
        Family("gauge", "old_streams", text.format("streams", "Streams."), samples=[((), 3)]),
        lag,
        HistogramFamily("old_lag_seconds", text.format("lag_seconds", "Lag."), (0.1,), (1, 2), 0.5),
        other,
    ]


def test_the_page_has_both() -> None:
    server = busy_server()
    renames = {"rtmpd_got_bytes": ("rtmpd_received_bytes", "0.1"), "process_rss": ("process_max_fds", "0.1")}
    metrics = server.metrics(renames=renames)
    assert value(metrics, "rtmpd_got_bytes_total") == value(metrics, "rtmpd_received_bytes_total")
    assert value(metrics, "process_rss") == value(metrics, "process_max_fds")
    text = page(metrics)
    assert "\n# HELP rtmpd_got_bytes_total Old name of rtmpd_received_bytes, " in text
    assert "rtmpd_got_bytes" not in page(server.metrics())
