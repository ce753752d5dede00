"""Through which servers a relayed stream comes, so that relays never go round in circles.

A relay that connects says two things in its connect object: which servers the stream has passed (or will have
passed, when it is fetched), and how many on the longest way. Whoever finds itself among the first refuses,
and whoever finds the second too long. Servers of other makes ignore both, as they must any other property.

Who fetches a stream is told by the origin what to call it. That is another name than the one that the origin
connects with, and counts for publishes only: anybody may claim to fetch for anybody, and a player that could
claim to be the origin of a stream would have the origin refuse everybody who waits for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode

VIA: Final = "rtmpdVia"
"""Property: a strict array of names of servers, the nearest last."""
HOPS: Final = "rtmpdHops"
"""Property: the number of servers on the longest way."""
MAX_HOPS: Final = 16
"""Servers on one way; a longer way is no way anybody planned."""
_MAX_NAME: Final = 64
"""Characters of a server's name."""
_MAX_BYTES: Final = 1024
"""Of all names together, as they are encoded. Beyond it the farthest servers are not named."""
_LEAST_BYTES: Final = 16
"""That a name counts at least, so that their number is bounded too: servers count the values of a connect."""
_OVERHEAD: Final = 3
"""Bytes of an AMF0 string beside its characters."""


@dataclass(frozen=True, slots=True)
class Via:
    """The servers between somebody and us: those that a stream has passed, or will have passed there."""

    servers: tuple[str, ...] = ()
    """Names, each once, the nearest last. Where ways meet it has those of all ways; some may be missing."""
    hops: int = 0
    """Servers on the longest way."""

    def through(self, name: str) -> Via:
        """The same behind one more server."""
        return Via(_nearest((name, *reversed(self.servers))), self.hops + 1)

    def to_params(self) -> ConnectParams:
        """Parameters of a connect that says this."""
        return ConnectParams(connect_object={VIA: list(self.servers), HOPS: float(self.hops)})


NO_VIA: Final = Via()
"""Of whoever is no relay of this make."""


def via_of(properties: Mapping[str, AmfValue]) -> Via:
    """What the other side says that it comes through; whatever is odd counts as not said.

    Who names servers and no depth, as older relays do, is taken to be the only one.
    """
    given = properties.get(VIA)
    names = given if isinstance(given, (list, tuple)) else []
    servers = [name for name in names if isinstance(name, str) and 0 < len(name) <= _MAX_NAME]
    hops = properties.get(HOPS)
    if not isinstance(hops, int | float) or isinstance(hops, bool) or not hops >= 1:
        hops = 1 if servers else 0
    if not hops:
        return NO_VIA
    return Via(_nearest(reversed(servers)), int(min(hops, MAX_HOPS + 1)))


def join(ways: Iterable[Via]) -> Via:
    """All ways in one: of a stream that many wait for."""
    different = dict.fromkeys(ways)
    ranks = zip_longest(*(reversed(way.servers) for way in different))
    nearest = (name for rank in ranks for name in rank if name is not None)
    return Via(_nearest(nearest), max((way.hops for way in different), default=0))


def introduction(via: Via, instance_id: str) -> dict[str, AmfValue]:
    """What the answer to a connect that comes through ``via`` says of this server, for ``via_of``."""
    return {VIA: [_origin_name(instance_id)]} if via.hops else {}


def check_connect(via: Via, instance_id: str) -> None:
    """Raise ``Refused`` if a stream that comes through ``via`` would come here again, or has come too far."""
    if instance_id in via.servers:
        raise _loop(StatusCode.CONNECT_REJECTED)
    if via.hops > MAX_HOPS:
        text = f"This relay has come through more than {MAX_HOPS} servers."
        raise Refused(StatusCode.CONNECT_REJECTED, text, Refusal.RELAY_HOPS)


def check_publish(via: Via, instance_id: str) -> None:
    """Raise ``Refused`` if what is published through ``via`` was fetched from here."""
    if via.servers and _origin_name(instance_id) in via.servers:
        raise _loop(StatusCode.PUBLISH_REJECTED)


def _origin_name(instance_id: str) -> str:
    """What a server is called by those that fetch from it."""
    return hashlib.sha256(instance_id.encode()).hexdigest()[:16]


def _loop(code: str) -> Refused:
    text = "This relay is a loop: the stream would come back to a server that it has come through."
    return Refused(code, text, Refusal.RELAY_LOOP)


def _nearest(names: Iterable[str]) -> tuple[str, ...]:
    """The first of ``names``, which begin with the nearest, that fit; in the order of the way."""
    kept: dict[str, None] = {}
    room = _MAX_BYTES
    for name in names:
        if name not in kept:
            room -= max(len(name.encode(errors="replace")), _LEAST_BYTES) + _OVERHEAD
            if room < 0:
                break
            kept[name] = None
    return tuple(reversed(kept))
