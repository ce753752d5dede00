"""What the terminal says once the server listens: where, what to type into an encoder, and who may."""

from __future__ import annotations

from collections.abc import Sequence

from rtmpd import __version__
from rtmpd.net.addresses import Address
from rtmpd.rtmp.constants import DEFAULT_PORT
from rtmpd.rtmp.form import described

_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def banner(rtmp: Sequence[Address], admin: Sequence[Address]) -> str:
    """A few lines for a person, without a trailing line feed; the addresses are the ones really bound."""
    shown = rtmp[0]
    server = f"rtmp://{_reachable(shown, DEFAULT_PORT)}/live"
    from_elsewhere = "" if shown.host else "  (from elsewhere: this machine's name or address)"
    local = all(address.is_loopback for address in rtmp)
    lines = [
        f"rtmpd {__version__} ({described()})",
        f"  RTMP      {_names(rtmp)}",
        f"  OBS       Settings > Stream > Custom: Server {server}   Stream Key test{from_elsewhere}",
        f"  watch     ffplay {server}/test",
    ]
    if admin:
        lines.append(f"  metrics   http://{_reachable(admin[0])}/metrics")
    who = "anyone on this machine" if local else "anyone who can reach the RTMP port"
    lines.append(f"  open      {who} may publish and watch: there is no password")
    exposed = [address for address in admin if not address.is_loopback]
    if exposed:
        lines.append(f"  open      anyone who can reach {_names(exposed)} can read the metrics")
    return "\n".join(lines)


def _names(addresses: Sequence[Address]) -> str:
    return ", ".join(f"every address, port {a.port}" if a.host in _WILDCARDS else str(a) for a in addresses)


def _reachable(address: Address, default_port: int | None = None) -> str:
    """The address as this machine itself can use it in a URL."""
    named = Address("localhost" if address.host in _WILDCARDS else address.host, address.port)
    return str(named).removesuffix(f":{default_port}")
