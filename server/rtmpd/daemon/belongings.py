"""What somebody in charge has done to a server while it ran, as a process hands it to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from rtmpd.access.keys import Key
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.relay.push.relays import PushRelays
from rtmpd.serving.access import Action


def of_keys(keys: RuntimeKeys) -> dict[str, object]:
    """Stream keys that were added, and those that are revoked."""
    return {
        "keys": list(map(_row, keys)),
        "revoked": [[digest.hex(), named] for digest, named in keys.revoked()],
    }


def take_keys(keys: RuntimeKeys, belongings: dict[str, object]) -> None:
    """The same again. What cannot be read is left out: the one before may be older, or younger."""
    for row in rows(belongings.get("keys"), 8):
        with suppress(UsageError, TypeError, ValueError):
            keys.restore(_key(row))
    for digest, named in rows(belongings.get("revoked"), 2):
        with suppress(ValueError):
            keys.revoke(bytes.fromhex(str(digest)), named=bool(named))


def take_off(pushes: PushRelays, belongings: dict[str, object]) -> None:
    """Push targets that are off stay off."""
    for app, name, relay_id, url in rows(belongings.get("off"), 4):
        key = StreamKey(str(app), str(name))
        with suppress(UsageError, ValueError):
            if url:
                pushes.restore(key, str(relay_id), str(url), on=False)
            else:
                pushes.switch_off(key, str(relay_id))


def rows(value: object, length: int) -> Iterator[list[object]]:
    """Those of a list that are as long as they should be."""
    for each in value if isinstance(value, list) else []:
        if isinstance(each, list) and len(each) == length:
            yield each


def _row(of: RuntimeKey) -> list[object]:
    key = of.key
    terms = [key.label, key.until, key.backup]
    return [of.action, of.path, key.digest.hex(), *terms, of.since, of.is_token]


def _key(row: list[object]) -> RuntimeKey:
    action, path, digest, label, until, backup, since, is_token = row
    name = str(path).partition("/")[2]
    key = Key(
        bytes.fromhex(str(digest)),
        name,
        str(label),
        None if until is None else float(str(until)),
        bool(backup),
    )
    return RuntimeKey(Action(str(action)), str(path), key, float(str(since)), bool(is_token))
