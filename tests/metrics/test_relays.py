"""What metrics say of relays."""

from __future__ import annotations

from dataclasses import replace

from metrics_sources import FakeServer, fake_relay, series, value

from rtmpd.engine.key import StreamKey
from rtmpd.relay.status import RelayState


def test_every_relay_has_series() -> None:
    server = FakeServer(relays=[fake_relay("push"), fake_relay("pull")])
    labels = {"app": "live", "stream": "cam", "remote": "rtmp://elsewhere/live", "relay": "api-1"}
    metrics = server.metrics()
    for kind in ("push", "pull"):
        assert value(metrics, "rtmpd_relays", kind=kind, state="stalled") == 1
        assert value(metrics, "rtmpd_relays", kind=kind, state="live") == 0
        assert value(metrics, "rtmpd_relay_bytes_total", kind=kind, **labels) == 5000
        assert value(metrics, "rtmpd_relay_retries_total", kind=kind, **labels) == 2
        assert value(metrics, "rtmpd_relay_lag_bytes", kind=kind, **labels) == 300
        assert value(metrics, "rtmpd_relay_lag_seconds", kind=kind, **labels) == 1.5
        assert value(metrics, "rtmpd_relay_unannounced_codecs", kind=kind, **labels) == 1
        states = {
            state: value(metrics, "rtmpd_relay_state", kind=kind, state=state, **labels)
            for state in RelayState
        }
        assert states == dict.fromkeys(RelayState, 0) | {"stalled": 1}


def test_pushes_are_told_by_the_name_of_their_target() -> None:
    ids = ["twitch", "twitch", "youtube", "api-1", "api-2", "third", "fourth"]
    relays = [
        replace(fake_relay("push", name), key=StreamKey("live", f"cam-{number}"))
        for number, name in enumerate(ids)
    ]
    metrics = FakeServer(relays=[*relays, fake_relay("pull", "origin")]).metrics(3)
    stalled = {
        dict(labels)["target"]: number
        for (name, labels), number in series(metrics).items()
        if name == "rtmpd_push_target_streams" and ("state", "stalled") in labels
    }
    assert stalled == {"twitch": 2, "youtube": 1, "_added": 2, "_other": 2}
    assert value(metrics, "rtmpd_push_target_streams", target="twitch", state="live") == 0


def test_the_number_of_series_is_bounded_but_all_are_counted() -> None:
    relays = [fake_relay("push", f"api-{number}") for number in range(5)]
    metrics = FakeServer(relays=relays).metrics(2)
    assert value(metrics, "rtmpd_relays", kind="push", state="stalled") == 5
    assert len([key for key in series(metrics) if key[0] == "rtmpd_relay_bytes_total"]) == 2
