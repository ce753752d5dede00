"""What the terminal says once the server listens: where, what to type into an encoder, and who may."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from rtmpd import __version__
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.hooks.rules import HookRules, Moment
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance, ProxyUse
from rtmpd.rtmp.constants import DEFAULT_PORT
from rtmpd.rtmp.form import described

_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


APP: Final = "live"
"""The app that is spoken of; others as far as they are different."""
_ANY_NAME: Final = "test"
_NO_HOOKS: Final = HookRules()
_MORE: Final = " " * 12
"""Before what is told of the line above."""
_NAMES: Final = 3
"""Apps in one line."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who comes into an app, and the backend that has a say in it."""

    rules: PathRules
    hooks: HookRules = _NO_HOOKS

    def asks(self, moment: Moment) -> bool:
        return bool(self.hooks.urls.get(moment))

    @property
    def leads(self) -> bool:
        """Whether the backend alone knows with which name one publishes."""
        known = self.rules.publish.allow is Allow.PROVEN and not self.hooks.decides
        return self.asks(Moment.PUBLISH) and not known


class Reach(Enum):
    """Who can come at all."""

    MACHINE = "anyone on this machine"
    NETWORK = "anyone who can reach this server"
    PROXIES = "anyone whom a proxy lets through"


def banner(
    opened: Iterable[tuple[str, Entrance]],
    apps: Mapping[str, Admission],
    shown: Collection[str] = (),
    public_url: str = "",
    prefix: str = "",
    paged: bool = True,
    packaged: bool = True,
) -> str:
    """A few lines for a person, without a trailing line feed.

    ``opened`` are protocols and addresses as they are really bound, "metrics" those where nothing else is
    served; ``shown`` is what the admin port shows to everybody; ``public_url`` and ``prefix`` are those of
    HTTP, where streams of ``APP`` have pages if they are ``paged``, and HLS if they are ``packaged``.

    ``apps`` are ``APP``, those with settings of their own, and by "" all others. With names and addresses of
    usual length the lines fit into 80 columns.
    """
    at: dict[str, list[Entrance]] = {}
    for protocol, entrance in opened:
        at.setdefault(protocol, []).append(entrance)
    rtmp, rtmps, admin, metrics = (at.get(each, []) for each in ("rtmp", "rtmps", "admin", "metrics"))
    reach = _reach([*rtmp, *rtmps, *at.get("http", ()), *at.get("https", ())])
    # Behind a proxy an encoder would be refused: it names nobody.
    direct = [each.address for each in rtmp if each.proxy is not ProxyUse.REQUIRE and not each.address.path]
    lines = [f"rtmpd {__version__} ({described()})", f"  RTMP      {_names(rtmp)}"]
    lines += next((_advice(address, _stream_key(apps[APP])) for address in direct), [])
    if rtmps:
        lines.append(f"  RTMPS     {_names(rtmps)}")
    lines += _played_by_http(at, public_url, prefix, _stream_key(apps[APP]), paged=paged, packaged=packaged)
    lines += _console(admin)
    lines += [f"  metrics   {_metrics(each)}" for each in [*metrics, *admin][:1]]
    lines += _told("publish   to", Moment.PUBLISH, reach, apps)
    lines += _told("play      from", Moment.PLAY, reach, apps)
    lines += _exposed(metrics, "open      metrics and health, for anyone who can reach")
    if shown:
        lines += _exposed(admin, f"open      {' and '.join(shown)}, for anyone who can reach")
    else:
        lines += _exposed(admin, "tokens    rtmpd admin-token new, for whoever is to ask")
    return "\n".join(lines)


def _played_by_http(
    at: Mapping[str, Sequence[Entrance]],
    public_url: str,
    prefix: str,
    key: str,
    *,
    paged: bool,
    packaged: bool,
) -> Iterator[str]:
    """What to type into a player: where the world finds it, or else this machine."""
    found = [(each, "http") for each in at.get("http", ())] + [
        (each, "https") for each in at.get("https", ())
    ]
    for entrance, scheme in found[:1]:
        if public_url:
            base = public_url
        elif entrance.address.path or entrance.proxy is ProxyUse.REQUIRE:
            yield f"  HTTP-FLV  {_name(entrance)}"
            return
        else:
            base = f"{scheme}://{_reachable(entrance.address)}{prefix}"
        stream = f"{base}/{APP}/{key if key == _ANY_NAME else 'NAME'}"
        if paged:
            yield f"  browser   {stream}"
        if packaged:
            yield f"  HLS       {stream}/index.m3u8"
        yield f"  HTTP-FLV  {stream}.flv"


def _console(admin: Sequence[Entrance]) -> list[str]:
    """Where a browser of this machine is let in, without a token if there is such an address."""
    direct = [each for each in admin if each.proxy is not ProxyUse.REQUIRE and not each.address.path]
    found = sorted(direct, key=lambda each: not each.address.is_loopback)
    return [f"  console   {_url(each)}/" for each in found[:1]]


def _exposed(entrances: Sequence[Entrance], text: str) -> list[str]:
    """What is said of those that others can reach, if there are any."""
    addresses = [each.address for each in entrances if not each.address.is_loopback]
    ports = ", ".join(f"port {a.port}" if a.host in _WILDCARDS else str(a) for a in addresses)
    return [f"  {text}", f"{_MORE}{ports}"] if addresses else []


def _reach(entrances: Sequence[Entrance]) -> Reach:
    if any(each.proxy is not ProxyUse.REQUIRE and not each.address.is_loopback for each in entrances):
        return Reach.NETWORK
    if any(each.proxy is not ProxyUse.OFF for each in entrances):
        return Reach.PROXIES
    return Reach.MACHINE


def _told(what: str, moment: Moment, reach: Reach, apps: Mapping[str, Admission]) -> Iterator[str]:
    """Who may do that in ``APP``, and in which apps it is somebody else."""
    by_whom: dict[tuple[str, ...], list[str]] = {tuple(_who(apps[APP], moment, reach)): []}
    for name, admission in apps.items():
        by_whom.setdefault(tuple(_who(admission, moment, reach)), []).append(name or "other apps")
    for number, ((first, *more), names) in enumerate(by_whom.items()):
        if number == 0:
            yield f"  {what} {APP}: {first}"
        else:
            rest = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
            yield f"{_MORE}{what.split()[1]} {', '.join(names[:_NAMES])}{rest}: {first}"
        yield from (f"{_MORE}{each}" for each in more)


def _who(admission: Admission, moment: Moment, reach: Reach) -> list[str]:
    """Whom it takes, in lines."""
    rules = admission.rules.publish if moment is Moment.PUBLISH else admission.rules.play
    if rules.allow is Allow.NOBODY:
        return ["nobody"]
    # It is asked about whoever may come in, and if it decides about whom a proof is missing, too.
    if admission.asks(moment) and (admission.hooks.decides or rules.allow is Allow.ANYONE):
        return ["whoever the backend lets in"]
    proofs = _proofs(rules)
    proven = f"whoever has {' or '.join(proofs or ['a key'])}"
    match rules.allow:
        case Allow.ANYONE:
            lines = [reach.value]
        case Allow.LOCAL if reach is Reach.MACHINE:
            lines = [reach.value]
        case Allow.LOCAL:
            lines = [f"{Reach.MACHINE.value} and private networks", *([f"and {proven}"] if proofs else [])]
        case Allow.PROVEN:
            lines = [proven]
    if admission.asks(moment) or admission.asks(Moment.CONNECT):
        lines.append("if the backend agrees")
    if rules.allow is Allow.LOCAL and reach is not Reach.MACHINE:
        lines += _cautions(reach, moment, proofs)
    return lines


def _cautions(reach: Reach, moment: Moment, proofs: Sequence[str]) -> Iterator[str]:
    """What to know of where only those who are near may."""
    advised = moment is Moment.PUBLISH and not proofs
    if reach is Reach.NETWORK:
        yield f"(that is everybody where port forwarding hides addresses){';' if advised else ''}"
    if advised:
        yield "for others: rtmpd key new"


def _proofs(rules: Rules) -> list[str]:
    proofs = {
        "a user and password": rules.users is not None,
        "a key": rules.takes_keys,
        "a link": rules.links is not None,
        "a token": rules.tokens is not None,
    }
    return [what for what, is_taken in proofs.items() if is_taken]


def _stream_key(live: Admission) -> str:
    """What to type there into an encoder."""
    rules = live.rules.publish
    if live.leads:
        return "of your backend"
    if rules.allow is not Allow.PROVEN or rules.users is not None:
        return _ANY_NAME
    if rules.takes_keys or not rules.takes_proofs:
        return "from rtmpd key new"
    return "from rtmpd token" if rules.links is not None else "NAME?jwt=TOKEN"


def _advice(address: Address, key: str) -> list[str]:
    server = f"rtmp://{_reachable(address, DEFAULT_PORT)}/{APP}"
    lines = [
        f"  OBS       Settings > Stream: Service Custom..., Stream Key {key},",
        f"{_MORE}Server {server}",
        f"{_MORE}Settings > Output > Advanced: Keyframe Interval 2 s",
        f"  watch     ffplay {server}/{key if key == _ANY_NAME else 'NAME'}",
    ]
    if not address.host:
        lines.append(f"{_MORE}from elsewhere: this machine's name or address for localhost")
    return lines


def _metrics(entrance: Entrance) -> str:
    address = entrance.address
    if entrance.proxy is ProxyUse.REQUIRE:
        return _name(entrance)
    if address.path:
        return f"curl --unix-socket {address.path} http://localhost/metrics"
    return f"{_url(entrance)}/metrics"


def _url(entrance: Entrance) -> str:
    return f"http://{_reachable(entrance.address)}"


def _names(entrances: Sequence[Entrance]) -> str:
    return ", ".join(_name(each) for each in entrances)


def _name(entrance: Entrance) -> str:
    address = entrance.address
    name = f"every address, port {address.port}" if _is_wildcard(address) else str(address)
    return name if entrance.proxy is ProxyUse.OFF else f"{name} (proxy={entrance.proxy})"


def _is_wildcard(address: Address) -> bool:
    return address.host in _WILDCARDS and not address.path


def _reachable(address: Address, default_port: int | None = None) -> str:
    """The address as this machine itself can use it in a URL."""
    named = Address("localhost" if address.host in _WILDCARDS else address.host, address.port)
    return str(named).removesuffix(f":{default_port}")
