"""Through which servers a relayed stream has come, so that relays never go round in circles.

A relay that connects names every instance the stream has passed in a property of its connect object; whoever
finds itself among them refuses. Servers that do not know the property ignore it, as they must any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtmpd.exceptions import Refused
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode

VIA: Final = "rtmpdVia"
"""Property of the connect object: a strict array of instance ids, in the order of the way."""
MAX_HOPS: Final = 16
"""Servers on one way; a longer way is no way anybody planned."""
_MAX_ID: Final = 64
"""Characters of an instance id."""


def via_of(params: ConnectParams) -> tuple[str, ...]:
    """The instances that a connect says it comes through; whatever is odd counts as none."""
    given = params.connect_object.get(VIA)
    if not isinstance(given, list):
        return ()
    return tuple(item for item in given if isinstance(item, str) and 0 < len(item) <= _MAX_ID)


def via_params(via: Iterable[str], instance_id: str) -> ConnectParams:
    """Parameters of a connect that passes on what came through ``via``, each instance once."""
    return ConnectParams(connect_object={VIA: list(dict.fromkeys([*via, instance_id]))})


def check_via(via: tuple[str, ...], instance_id: str) -> None:
    """Raise ``Refused`` if a stream that came through ``via`` would come to ``instance_id`` again."""
    if instance_id in via:
        text = "This relay is a loop: the stream would come back to a server that it has come through."
        raise Refused(StatusCode.CONNECT_REJECTED, text, "relay_loop")
    if len(via) > MAX_HOPS:
        text = f"This relay has come through {len(via)} servers, more than {MAX_HOPS}."
        raise Refused(StatusCode.CONNECT_REJECTED, text, "relay_hops")
