"""What metrics say of relays."""

from __future__ import annotations

from metrics_sources import FakeServer, fake_relay, series, value

from rtmpd.relay.status import RelayState


def test_every_relay_has_series() -> None:
    server = FakeServer(relays=[fake_relay("push"), fake_relay("pull")])
    labels = {"app": "live", "stream": "cam", "remote": "rtmp://elsewhere/live", "relay": "api-1"}
    page = server.page()
    for kind in ("push", "pull"):
        assert value(page, "rtmpd_relays", kind=kind, state="stalled") == 1
        assert value(page, "rtmpd_relays", kind=kind, state="live") == 0
        assert value(page, "rtmpd_relay_bytes_total", kind=kind, **labels) == 5000
        assert value(page, "rtmpd_relay_retries_total", kind=kind, **labels) == 2
        assert value(page, "rtmpd_relay_lag_bytes", kind=kind, **labels) == 300
        assert value(page, "rtmpd_relay_lag_seconds", kind=kind, **labels) == 1.5
        assert value(page, "rtmpd_relay_unannounced_codecs", kind=kind, **labels) == 1
        states = {
            state: value(page, "rtmpd_relay_state", kind=kind, state=state, **labels) for state in RelayState
        }
        assert states == dict.fromkeys(RelayState, 0) | {"stalled": 1}


def test_the_number_of_series_is_bounded_but_all_are_counted() -> None:
    relays = [fake_relay("push", f"api-{number}") for number in range(5)]
    page = FakeServer(relays=relays).page(2)
    assert value(page, "rtmpd_relays", kind="push", state="stalled") == 5
    assert len([key for key in series(page) if key[0] == "rtmpd_relay_bytes_total"]) == 2
