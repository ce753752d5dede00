"""Rules for tests of who may publish and play, and who asks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

import pytest

from rtmpd.access.keys import Key, KeyRing, digest_of
from rtmpd.access.policy import AccessPolicy
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.serving.access import AccessRequest, Action, Grant

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
OTHER = "z7a2kxhkv7c2r2bq789uv37gdvpukb87b"
EXPIRED = "mdn777zx64g3mjpcvnv8wgqxk5uv2m5ra"
NOW = 1_800_000_000.0
HERE, NEAR, FAR = "127.0.0.1", "192.168.7.9", "203.0.113.7"
RING = KeyRing(
    [
        Key(digest_of(KEY), "show", "Studio 2"),
        Key(digest_of(OTHER), "talk"),
        Key(digest_of(EXPIRED), "show", until=NOW),
    ]
)
OPEN = Rules(Allow.ANYONE)
LOCAL = Rules(Allow.LOCAL)
KEYED = Rules(Allow.PROVEN, ring=RING)


@dataclass
class Book:
    """Rules of the app, and of some of its streams."""

    app: PathRules
    tables: frozenset[str] = frozenset()
    streams: dict[str, PathRules] = field(default_factory=dict)
    takes_secrets: bool = False

    def at(self, path: str) -> PathRules:
        return self.streams.get(path, self.app)


def policy(publish: Rules = OPEN, play: Rules = OPEN, **streams: PathRules) -> AccessPolicy:
    book = Book(PathRules(publish, play), streams={f"live/{name}": rules for name, rules in streams.items()})
    return AccessPolicy(book, lambda: NOW, b"secret")


def public(rules: Rules, name: str, action: Action = Action.PUBLISH, play: Rules = OPEN) -> str:
    """What is shown of a name in an app with these rules for who publishes, and for players."""
    book = Book(PathRules(rules, play), takes_secrets=rules.takes_secrets or play.takes_secrets)
    return AccessPolicy(book, lambda: NOW, b"secret").as_public(action, StreamKey("live", name)).name


def request(action: Action, name: str, query: str = "", address: str = FAR) -> AccessRequest:
    origin = Origin(address=address, network=address)
    return AccessRequest(action, StreamKey("live", name), origin, ConnectParams(), query)


def at_once(answer: object) -> Grant:
    assert isinstance(answer, Grant)
    return answer


def publish(decider: AccessPolicy, name: str, query: str = "", address: str = FAR) -> Grant:
    return at_once(decider.authorize(request(Action.PUBLISH, name, query, address)))


def play(decider: AccessPolicy, name: str, query: str = "", address: str = FAR) -> Grant:
    return at_once(decider.authorize(request(Action.PLAY, name, query, address)))


def refused(call: object, *arguments: object) -> Refused:
    assert callable(call)
    with pytest.raises(Refused) as caught:
        call(*arguments)
    for key in (KEY, OTHER, EXPIRED):
        assert key not in repr(caught.value)
    return caught.value


def networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


IDENTITY = f"key:{digest_of(KEY).hex()}"
