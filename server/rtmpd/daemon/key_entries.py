"""The stream keys of the settings and their files, each with where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rtmpd.access.keys import Key
from rtmpd.daemon.access_config import KEYS, AccessConfig
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.app_config import APPS
from rtmpd.daemon.values import spell


@dataclass(frozen=True)
class KeyEntry:
    """A key, and where it stands."""

    action: str
    table: str
    key: Key
    setting: str
    file: str = ""
    """With its line; else the setting itself has it."""


def entries(rules: ConfiguredRules) -> Iterator[KeyEntry]:
    """All of them; a key may be there more than once."""
    for table, said in rules.config.apps.items():
        sections: tuple[tuple[str, AccessConfig], ...] = (("publish", said.publish), ("play", said.play))
        for action, access in sections:
            for key in access.all_keys():
                yield KeyEntry(action, table, key, spell((APPS, table, action, KEYS, key.name)))
            if access.keys_file:
                setting = spell((APPS, table, action, "keys_file"))
                for key in rules.files[access.keys_file].ring:
                    yield KeyEntry(action, table, key, setting, access.keys_file)
