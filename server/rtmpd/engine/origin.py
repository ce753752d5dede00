"""Who publishes or plays: what is known of the other side, for decisions, observers, logs and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from rtmpd.rtmp.url import public_query
from rtmpd.rtmp.via import NO_VIA, Via

_TICKS: Final = 4096
"""Of a millisecond: what the twelve bits behind it count."""

RTMP: Final = "rtmp"
"""The ``protocol`` of most clients."""
HANDOVER: Final = "handover"
"""The ``protocol`` between two processes of this server, while one takes over from the other."""


class Mask(Protocol):
    """Knows how much of an address is shown; ``net.address_mask.AddressMask`` is one."""

    def show(self, text: str, /) -> str:
        """To people and programs."""

    def tell(self, text: str, /) -> str:
        """To backends that are asked who may publish and play."""


class _Nothing:
    """Hides nothing."""

    def show(self, text: str, /) -> str:
        return text

    def tell(self, text: str, /) -> str:
        return text


PLAIN: Final = _Nothing()


@dataclass(frozen=True, slots=True)
class Origin:
    """The other side of a publication or subscription; one for all that a connection publishes and plays.

    There is nothing in it that may not be shown but ``address`` and ``network``: what is shown is ``shown``.
    """

    session: int = 0
    """Of ``SessionIds``; 0 is nobody's. By it the session is found in ``engine.sessions``."""
    protocol: str = RTMP
    """``rtmp``, or ``pull``, ``push`` and ``HANDOVER``: connections that this server made."""
    address: str = ""
    """IP address; the host of the other server for a relay."""
    network: str = ""
    """Whose share of the ceilings it takes: the address, or the network of that; nobody's if it is empty."""
    nameless: bool = False
    """The proxy that it comes through does not know who it is: no two need be the same."""
    connection: int = 0
    """Counts connections since the start; 0 for a relay."""
    listener: str = ""
    """``host:port`` that it came in by; empty for a relay."""
    tls: bool = False
    """As far as it is ended here, and not in a proxy."""
    agent: str = ""
    """What it calls itself: flashVer, or fmsVer of a server."""
    account: str = ""
    """Whom it was found to be; empty as long as nobody is asked."""
    identity: str = ""
    """Who it has proven to be: the same text for the same proof, whoever shows it; empty without one."""
    query: str = ""
    """Of the stream name, what of it is known to be no secret."""
    via: Via = NO_VIA
    """Servers that the stream came through on its way here, or will have come through behind it."""
    mask: Mask = field(default=PLAIN, repr=False, compare=False)
    """How much of the address is shown."""

    @property
    def shown(self) -> str:
        """The address, as it may be shown now."""
        return self.mask.show(self.address)

    @property
    def told(self) -> str:
        """The address, as backends are told it that decide who may publish and play."""
        return self.mask.tell(self.address)

    @property
    def is_relay(self) -> bool:
        """This server has made the connection, and let in nobody."""
        return self.protocol in ("pull", "push", HANDOVER)

    @property
    def is_borrowed(self) -> bool:
        """Another process of this server has it, and does all about it but serve our players."""
        return self.protocol == HANDOVER

    @property
    def who(self) -> str:
        """Whom to name for what it has done: the account, else the address, else the protocol."""
        return self.account or self.shown or self.protocol

    @property
    def begun_at(self) -> int:
        """When the session began: milliseconds since 1970, as its number says; 0 without one."""
        return self.session >> 80

    @property
    def session_id(self) -> str:
        """The session as text: see ``spell_session``."""
        return spell_session(self.session)

    def introduced(self, agent: str, via: Via) -> Origin:
        """The same, with what it says of itself when it connects."""
        return replace(self, agent=agent, via=via)

    def found_to_be(self, account: str, identity: str = "") -> Origin:
        """The same, once it is known whom it is; what is empty stays as it was."""
        if not (account or identity):
            return self
        return replace(self, account=account or self.account, identity=identity or self.identity)

    def asking(self, query: str) -> Origin:
        """The same, as far as ``query`` of a stream name may be shown."""
        public = public_query(query)
        return replace(self, query=public) if public else self


NOBODY: Final = Origin()
"""Where nothing is known."""


def spell_session(number: int) -> str:
    """A number of ``SessionIds`` as text: a UUID (RFC 9562, version 7), which sorts by time as it does."""
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def parse_session(text: str) -> int:
    """The number that ``spell_session`` has written like that, dashes or not. Raises ValueError."""
    digits = text.replace("-", "")
    if len(digits) != 32 or not digits.isascii() or not digits.isalnum():
        raise ValueError("sessions have UUIDs, such as 01932c07-a5f8-7d2e-8f10-5d4b0c6e3a91")
    return int(digits, 16)


class SessionIds:
    """Numbers of sessions, never the same twice on whatever server, rising with time.

    They are UUIDs of version 7 whose first random bits count parts of a millisecond (RFC 9562, section 6.2,
    method 3). Those of one server rise always, also within one part, and when the clock is set back.
    ``wall_clock()`` is seconds since 1970, ``random_bytes(n)`` are dice.
    """

    def __init__(self, wall_clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self._wall_clock = wall_clock
        self._random_bytes = random_bytes
        self._last = 0

    def __call__(self) -> int:
        self._last = max(int(self._wall_clock() * 1000 * _TICKS), self._last + 1)
        milliseconds, part = divmod(self._last, _TICKS)
        dice = int.from_bytes(self._random_bytes(8), "big") >> 2
        return milliseconds << 80 | 0x7 << 76 | part << 64 | 0b10 << 62 | dice
