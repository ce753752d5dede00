"""Series of relays: how many are in which state, and each one's progress for a bounded number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rtmpd.metrics.families import Family
from rtmpd.relay.push.relays import ADDED
from rtmpd.relay.status import RelayState, RelayStatus

_LABELS: Final = ("kind", "app", "stream", "remote", "relay")
_KINDS: Final = ("push", "pull")
_ADDED: Final = "_added"
"""Target label of all that were added at run time."""
_OTHER: Final = "_other"
"""That of targets beyond the bound."""


def collect_relays(relays: Sequence[RelayStatus], max_relays: int) -> Iterator[Family]:
    """All families; the first ``max_relays`` relays have series of their own."""
    count = Family("gauge", "rtmpd_relays", "Push and pull relays, by what they do now.", ("kind", "state"))
    numbers = Counter((relay.kind, relay.state) for relay in relays)
    for kind in _KINDS:
        for state in RelayState:
            count.add((kind, str(state)), numbers[kind, state])
    yield count
    yield _targets(relays, max_relays)
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
    slate = Family(
        "gauge", "rtmpd_relay_slate", "1 while a push shows a slate of its own, not the encoder.", _LABELS
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
        slate.add(labels, relay.slate is not None)
    yield from (state_of, passed, retries, lag_bytes, lag_seconds, unannounced, slate)


def _targets(relays: Sequence[RelayStatus], most: int) -> Family:
    """Pushes by the name that the settings give their target: each has as many streams as there are."""
    family = Family(
        "gauge",
        "rtmpd_push_target_streams",
        "Streams that are pushed to a target of the settings, by what their push does now.",
        ("target", "state"),
    )
    names: dict[str, None] = {}
    numbers: Counter[tuple[str, RelayState]] = Counter()
    for relay in relays:
        if relay.kind != "push":
            continue
        name = _ADDED if relay.id.startswith(ADDED) else relay.id
        if name not in names and len(names) >= most:
            name = _OTHER
        names[name] = None
        numbers[name, relay.state] += 1
    for name in names:
        for state in RelayState:
            family.add((name, str(state)), numbers[name, state])
    return family
