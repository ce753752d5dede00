"""Relays as they are told."""

from __future__ import annotations

from rtmpd.control.answers import Carrier
from rtmpd.control.relay_answers import Relay, RelayKind
from rtmpd.control.stream_answers import SlateKind
from rtmpd.relay.status import RelayStatus


def place(relay: RelayStatus) -> str:
    """Where it stands in a list."""
    return f"{relay.key} {relay.kind} {relay.id}"


def place_of(relay: Relay) -> str:
    """The same of one that is told."""
    return f"{relay.app}/{relay.name} {relay.kind.value} {relay.id}"


def relay(status: RelayStatus) -> Relay:
    """A relay, with all that is known of it."""
    return Relay(
        kind=RelayKind(status.kind),
        id=status.id,
        carried_by=Carrier.THIS,
        app=status.key.app,
        name=status.key.name,
        remote=status.remote,
        state=str(status.state),
        bytes=status.bytes,
        retries=status.retries,
        lag_bytes=status.lag_bytes,
        lag_seconds=round(status.lag_seconds, 3),
        unannounced=status.unannounced,
        status=status.status,
        reason=status.reason,
        slate=None if status.slate is None else SlateKind(status.slate.value),
        retry_in_seconds=None if status.retry_in is None else round(status.retry_in, 3),
    )
