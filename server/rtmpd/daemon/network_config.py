"""What is around the server: ``[network]``, and what all that is listened on must be like."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from rtmpd.daemon.fields import Effect, Networks, Section
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance, ProxyUse
from rtmpd.net.proxies import Network, TrustedProxies


class NetworkConfig(Section):
    """What is around the server."""

    trusted_proxies: Annotated[Networks, Effect.CONNECTIONS] = ()
    """Addresses and networks of your own load balancers and reverse proxies, which are believed when they
    say for whom they connect: by a PROXY header to listeners with proxy=accept or proxy=require, over HTTP
    by Forwarded or X-Forwarded-For. So is whoever may open a Unix socket, and nobody else."""

    def networks(self) -> tuple[Network, ...]:
        """``trusted_proxies``, taken apart."""
        return tuple(map(ipaddress.ip_network, self.trusted_proxies))

    def proxies(self) -> TrustedProxies:
        """Who is believed."""
        return TrustedProxies(self.networks())


def find_conflict(
    listeners: Mapping[str, Sequence[Entrance]], network: NetworkConfig
) -> tuple[str, dict[str, str]] | None:
    """What is wrong with the entrances of some keys: a template with its values; None if nothing is."""
    for key, entrances in listeners.items():
        for entrance in entrances:
            if entrance.proxy is not ProxyUse.OFF and not (entrance.address.path or network.trusted_proxies):
                text = (
                    "{low_key}: {entrance} believes nobody yet: name your proxies in network.trusted_proxies"
                )
                return text, {"low_key": key, "entrance": str(entrance)}
    return next(_find_taken(listeners), None)


def _find_taken(listeners: Mapping[str, Sequence[Entrance]]) -> Iterator[tuple[str, dict[str, str]]]:
    taken: dict[Address, tuple[str, Entrance]] = {}
    for key, entrances in listeners.items():
        for entrance in entrances:
            address = entrance.address
            other, first = taken.setdefault(address, (key, entrance))
            if not (address.port or address.path):
                continue
            if other != key:
                text = "{low_key} and {high_key} both name {address}: give one another port"
                yield text, {"low_key": key, "high_key": other, "address": str(address)}
            elif first != entrance:
                text = "{low_key} names {address} in two ways: leave one out"
                yield text, {"low_key": key, "address": str(address)}
