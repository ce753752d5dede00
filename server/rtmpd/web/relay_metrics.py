"""Series of relays: how many are in which state, and each one's progress for a bounded number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rtmpd.relay.status import RelayState, RelayStatus
from rtmpd.web.families import Family

_LABELS: Final = ("kind", "app", "stream", "remote", "relay")
_KINDS: Final = ("push", "pull")


def collect_relays(relays: Sequence[RelayStatus], max_relays: int) -> Iterator[Family]:
    """All families; the first ``max_relays`` relays have series of their own."""
    count = Family("gauge", "rtmpd_relays", "Push and pull relays, by what they do now.", ("kind", "state"))
    numbers = Counter((relay.kind, relay.state) for relay in relays)
    for kind in _KINDS:
        for state in RelayState:
            count.add((kind, str(state)), numbers[kind, state])
    yield count
    state_of = Family(
        "gauge", "rtmpd_relay_state", "1 for the state that the relay is in.", (*_LABELS, "state")
    )
    passed = Family("counter", "rtmpd_relay_bytes", "Media sent (push) or received (pull).", _LABELS)
    retries = Family("counter", "rtmpd_relay_retries", "Attempts that failed or broke off.", _LABELS)
    lag_bytes = Family("gauge", "rtmpd_relay_lag_bytes", "Media of a push that is not sent yet.", _LABELS)
    lag_seconds = Family(
        "gauge",
        "rtmpd_relay_lag_seconds",
        "Age of the oldest media not sent yet (push), or time since the last media (pull).",
        _LABELS,
    )
    unannounced = Family(
        "gauge",
        "rtmpd_relay_unannounced_codecs",
        "Codecs that a push sends and its remote has not said it knows.",
        _LABELS,
    )
    for relay in relays[:max_relays]:
        labels = (relay.kind, relay.key.app, relay.key.name, relay.remote, relay.id)
        for state in RelayState:
            state_of.add((*labels, str(state)), relay.state is state)
        passed.add(labels, relay.bytes)
        retries.add(labels, relay.retries)
        lag_bytes.add(labels, relay.lag_bytes)
        lag_seconds.add(labels, relay.lag_seconds)
        unannounced.add(labels, len(relay.unannounced))
    yield from (state_of, passed, retries, lag_bytes, lag_seconds, unannounced)
