"""What the terminal says once the server listens: where, what to type into an encoder, and who may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rtmpd import __version__
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.net.addresses import Address
from rtmpd.rtmp.constants import DEFAULT_PORT
from rtmpd.rtmp.form import described

_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


APP: Final = "live"
"""The app that is spoken of."""
_ANY_NAME: Final = "test"


def banner(
    rtmp: Sequence[Address], rtmps: Sequence[Address], admin: Sequence[Address], rules: PathRules
) -> str:
    """A few lines for a person, without a trailing line feed; the addresses are the ones really bound.

    ``rules`` are those of ``APP``. With names and addresses of usual length they fit into 80 columns.
    """
    local = all(address.is_loopback for address in (*rtmp, *rtmps))
    key = _stream_key(rules.publish)
    lines = [f"rtmpd {__version__} ({described()})", f"  RTMP      {_names(rtmp)}"]
    lines += next((_advice(address, key) for address in rtmp if not address.path), [])
    if rtmps:
        lines.append(f"  RTMPS     {_names(rtmps)}")
    if admin:
        lines.append(f"  metrics   {_metrics(admin[0])}")
    lines.append(f"  publish   to {APP}: {_who(rules.publish, local)}")
    if rules.publish.allow is Allow.LOCAL and not local:
        lines += [
            "            (that is everybody where port forwarding hides addresses);",
            "            for others: rtmpd key new",
        ]
    lines.append(f"  play      from {APP}: {_who(rules.play, local)}")
    exposed = [address for address in admin if not address.is_loopback]
    if exposed:
        ports = ", ".join(f"port {a.port}" if a.host in _WILDCARDS else str(a) for a in exposed)
        lines += [
            "  open      no password for the metrics either: anyone who can reach",
            f"            {ports}",
        ]
    return "\n".join(lines)


def _who(rules: Rules, local: bool) -> str:
    """Whom it takes; ``local``: nobody else can reach the port."""
    match rules.allow:
        case Allow.ANYONE:
            return "anyone on this machine" if local else "anyone who can reach the RTMP port"
        case Allow.LOCAL:
            return "anyone on this machine" if local else "anyone on this machine and private networks"
        case Allow.PROVEN:
            return _whoever_proves(rules)
        case Allow.NOBODY:
            return "nobody"


def _whoever_proves(rules: Rules) -> str:
    proofs = {
        "a user and password": rules.users is not None,
        "a key": rules.takes_keys or not rules.takes_proofs,
        "a link": rules.links is not None,
        "a token": rules.tokens is not None,
    }
    return f"whoever has {' or '.join(what for what, is_taken in proofs.items() if is_taken)}"


def _stream_key(rules: Rules) -> str:
    """What to type there into an encoder."""
    if rules.allow is not Allow.PROVEN or rules.users is not None:
        return _ANY_NAME
    if rules.takes_keys or not rules.takes_proofs:
        return "from rtmpd key new"
    return "from rtmpd token" if rules.links is not None else "NAME?jwt=TOKEN"


def _advice(address: Address, key: str) -> list[str]:
    server = f"rtmp://{_reachable(address, DEFAULT_PORT)}/{APP}"
    lines = [
        f"  OBS       Settings > Stream: Service Custom..., Stream Key {key},",
        f"            Server {server}",
        "            Settings > Output > Advanced: Keyframe Interval 2 s",
        f"  watch     ffplay {server}/{key if key == _ANY_NAME else 'NAME'}",
    ]
    if not address.host:
        lines.append("            from elsewhere: this machine's name or address for localhost")
    return lines


def _metrics(address: Address) -> str:
    if address.path:
        return f"curl --unix-socket {address.path} http://localhost/metrics"
    return f"http://{_reachable(address)}/metrics"


def _names(addresses: Sequence[Address]) -> str:
    return ", ".join(f"every address, port {a.port}" if _is_wildcard(a) else str(a) for a in addresses)


def _is_wildcard(address: Address) -> bool:
    return address.host in _WILDCARDS and not address.path


def _reachable(address: Address, default_port: int | None = None) -> str:
    """The address as this machine itself can use it in a URL."""
    named = Address("localhost" if address.host in _WILDCARDS else address.host, address.port)
    return str(named).removesuffix(f":{default_port}")
