"""How much of their clients' addresses is shown: in the log, over the API, to programs, in records.

What decides works with the addresses themselves: limits, bans, rules, proxies. They are in memory alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from rtmpd.net.addresses import network_of
from rtmpd.net.proxies import Network

KEY_LASTS: Final = 86400.0
"""Seconds for which the same address is shown as the same text, where it is hashed."""
_KEPT: Final = {4: 24, 6: 48}
"""Bits of an address that are shown where it is truncated, and what no network narrower than is."""
_TOKEN_BYTES: Final = 6


class Showing(StrEnum):
    """What is shown of an address."""

    FULL = "full"
    TRUNCATED = "truncated"
    HASHED = "hashed"


class AddressMask:
    """Shows addresses and networks as the settings have it, which may change.

    A hash is keyed with random bytes that nobody is told, so that nobody can try all addresses, and that are
    others after ``KEY_LASTS`` and with each start. ``clock()`` is in seconds.
    """

    def __init__(self, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._showing = Showing.FULL
        self._to_backends = Showing.FULL
        self._key = random_bytes(32)
        self._made_at = clock()
        self._ban_key = random_bytes(32)

    def apply(self, showing: Showing, to_backends: Showing) -> None:
        """Show so much of them from now on, and to those who decide who may publish and play."""
        self._showing = showing
        self._to_backends = to_backends

    @property
    def hides(self) -> bool:
        """Whether less is shown than there is."""
        return self._showing is not Showing.FULL

    def show(self, text: str) -> str:
        """An address, or a network, for people and programs. What is neither stays as it is."""
        return self._as(self._showing, text)

    def tell(self, text: str) -> str:
        """The same for backends that are asked who may publish and play."""
        return self._as(self._to_backends, text)

    def name_ban(self, network: str) -> str:
        """What a ban of ``network`` is called where the network may not be shown."""
        return f"ban-{_digest(self._ban_key, network)}" if self.hides else network

    def finder(self, wanted: str, *, may_guess: bool) -> Callable[[str], bool]:
        """Tells of an address whether it is ``wanted``, which is an address, a network or what ``show`` made
        of one. It tells no more of it than is shown: of truncated ones their network, of hashed ones whether
        it is this one, and that for those alone who ``may_guess``: there are not so many addresses.
        """
        network = _parse(wanted)
        if network is not None and self._showing is Showing.HASHED and not may_guess:
            return lambda _address: False
        if network is None or self._showing is Showing.HASHED:
            shown = wanted if network is None else self.show(wanted)
            return lambda address: self.show(address) == shown
        if self._showing is Showing.TRUNCATED:
            network = _widened(network)

        def is_wanted(address: str) -> bool:
            found = _parse(address)
            return found is not None and found.version == network.version and network.overlaps(found)

        return is_wanted

    def _as(self, showing: Showing, text: str) -> str:
        if showing is Showing.FULL or (network := _parse(text)) is None:
            return text
        if network.prefixlen <= _KEPT[network.version]:
            return text  # Nobody's in particular.
        if showing is Showing.TRUNCATED:
            wide = _widened(network)
            return str(wide) if "/" in text else str(wide.network_address)
        now = self._clock()
        if now - self._made_at >= KEY_LASTS:
            self._key, self._made_at = self._random_bytes(32), now
        # Who has an IPv6 network has all addresses in it.
        return f"h-{_digest(self._key, network_of(text) if '/' not in text else text)}"


def is_hashed(text: str) -> bool:
    """Whether ``text`` is as a hashed address is shown."""
    return re.fullmatch(r"h-[0-9a-f]{12}", text) is not None


def _parse(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _widened(network: Network) -> Network:
    kept = _KEPT[network.version]
    return network if network.prefixlen <= kept else network.supernet(new_prefix=kept)


def _digest(key: bytes, text: str) -> str:
    return hashlib.blake2b(text.encode(), key=key, digest_size=_TOKEN_BYTES).hexdigest()


OPEN: Final = AddressMask(lambda: 0.0, bytes)
"""Hides nothing."""
