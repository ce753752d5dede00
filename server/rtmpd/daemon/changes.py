"""What differs from one configuration to another, and for whom that holds."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpd.daemon.app_config import APPS
from rtmpd.daemon.config import Config
from rtmpd.daemon.fields import Effect
from rtmpd.daemon.keys import Key, named_in, names_in, walk, walk_app
from rtmpd.daemon.values import KeyPath, spell

Changes = dict[Effect, list[str]]
"""Names of keys that say something else, and of tables of apps that come or go."""


def compare(before: Config, after: Config) -> Changes:
    """What ``after`` says otherwise than ``before``."""
    changes: Changes = {}
    for key in _keys(before, after):
        if key.said(before) != key.said(after):
            changes.setdefault(key.effect, []).append(key.name)
    # They make an app of several levels, or no longer.
    tables = [spell((APPS, name)) for name in sorted(before.apps.keys() ^ after.apps.keys())]
    if tables:
        changes.setdefault(Effect.CONNECTIONS, []).extend(tables)
    return changes


def _keys(*configs: Config) -> Iterator[Key]:
    yield from walk()
    yield from named_in(*configs)
    apps: dict[str, dict[KeyPath, None]] = {}
    for config in configs:
        for name, app in config.apps.items():
            apps.setdefault(name, {}).update(dict.fromkeys(names_in(app)))
    for name, named in apps.items():
        yield from walk_app(name, named)
