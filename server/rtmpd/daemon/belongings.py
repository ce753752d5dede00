"""What was decided while a server ran, by people or by itself, as a process hands it to the next.

Each thing is a row. One that is longer than we know is of a younger process, which says more; what was added
to rows later is optional. What cannot be read is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rtmpd.access.bans import Ban
from rtmpd.access.guard import Guard
from rtmpd.access.keys import Key
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.relay.pull.relays import PullRelays
from rtmpd.relay.push.relays import PushRelays
from rtmpd.serving.access import Action

if TYPE_CHECKING:
    from rtmpd.net.messages import Message

_PUSH_REST: Final = ("", True)
_BAN_REST: Final = ("", 0.0, 1)


@dataclass(frozen=True, slots=True)
class Belongings:
    """All of it."""

    guard: Guard
    pushes: PushRelays
    pulls: PullRelays
    keys: RuntimeKeys

    def handed(self, now: float) -> Message:
        """At the clock reading ``now``."""
        return {
            "bans": [_ban_row(ban, now) for ban in self.guard.at_the_door()],
            "askers": [_ban_row(ban, now) for ban in self.guard.at_the_admin_port()],
            "pushes": self.pushes.added(),
            "off": self.pushes.off(),
            "pulls_off": self.pulls.off(),
            "keys": list(map(_key_row, self.keys)),
            "revoked": [[digest.hex(), named] for digest, named in self.keys.revoked()],
        }

    def take(self, handed: Message, now: float) -> None:
        """The same again, in another process, whose clock reads ``now``."""
        self.guard.take(_bans(handed.get("bans"), now), _bans(handed.get("askers"), now))
        self._take_relays(handed)
        self._take_keys(handed)

    def _take_relays(self, handed: Message) -> None:
        for row in rows(handed.get("pushes"), 4):
            app, name, url, track, relay_id, on = (row + list(_PUSH_REST[len(row) - 4 :]))[:6]
            with suppress(UsageError, TypeError, ValueError):
                self.pushes.add(StreamKey(str(app), str(name)), str(url), track, str(relay_id), on=bool(on))
        for app, name, relay_id, *_ in rows(handed.get("off"), 3):
            with suppress(UsageError, ValueError):
                self.pushes.switch_off(StreamKey(str(app), str(name)), str(relay_id))

        for app, name, *_ in rows(handed.get("pulls_off"), 2):
            with suppress(UsageError):
                self.pulls.switch_off(StreamKey(str(app), str(name)))

    def _take_keys(self, handed: Message) -> None:
        for row in rows(handed.get("keys"), 8):
            with suppress(UsageError, TypeError, ValueError):
                self.keys.add(_key(row))
        for digest, named, *_ in rows(handed.get("revoked"), 2):
            with suppress(ValueError):
                self.keys.revoke(bytes.fromhex(str(digest)), named=bool(named))


def rows(value: object, length: int) -> Iterator[list[object]]:
    """Those of a list that are as long as they should be, or longer."""
    for each in value if isinstance(value, list) else []:
        if isinstance(each, list) and len(each) >= length:
            yield each


def _ban_row(ban: Ban, now: float) -> list[object]:
    return [ban.network, ban.until - now, ban.reason, now - ban.since, ban.count]


def _bans(value: object, now: float) -> Iterator[Ban]:
    for row in rows(value, 2):
        with suppress(TypeError, ValueError):
            network, left, reason, ago, count = (row + list(_BAN_REST[len(row) - 2 :]))[:5]
            said = None if reason is None else str(reason)
            since, until = now - float(str(ago)), now + float(str(left))
            yield Ban(str(network), since, until, 0, said, int(str(count)))


def _key_row(of: RuntimeKey) -> list[object]:
    key = of.key
    terms = [key.label, key.until, key.backup]
    return [of.action, of.path, key.digest.hex(), *terms, of.since, of.is_token]


def _key(row: list[object]) -> RuntimeKey:
    action, path, digest, label, until, backup, since, is_token, *_ = row
    name = str(path).partition("/")[2]
    key = Key(
        bytes.fromhex(str(digest)),
        name,
        str(label),
        None if until is None else float(str(until)),
        bool(backup),
    )
    return RuntimeKey(Action(str(action)), str(path), key, float(str(since)), bool(is_token))
