"""YAML as text with the lines that its values stand in. The only importer of yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import yaml

from rtmpd.exceptions import ConfigError
from rtmpd.imports.draft import Place

MAX_BYTES: Final = 256 * 1024
"""Of a file; those of MediaMTX have 30 KB."""
_MAX_VALUES: Final = 20_000
"""Of a file, with what aliases repeat."""
_MAX_DEPTH: Final = 20
_MERGE: Final = "tag:yaml.org,2002:merge"
_YES: Final = frozenset({"yes", "true", "on", "y"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, and where it stands."""

    place: Place
    text: str = ""
    """Of one that is neither a list nor a table."""
    items: tuple[Entry, ...] = ()
    table: tuple[tuple[str, Entry], ...] = ()

    @property
    def is_on(self) -> bool:
        """Whether it says so."""
        return self.text.lower() in _YES

    @property
    def empty(self) -> bool:
        """It says nothing."""
        return not (self.text or self.items or self.table)

    @property
    def texts(self) -> list[str]:
        """Of a list, or of the one value."""
        return [each.text for each in self.items] if self.items else [self.text] if self.text else []

    def get(self, key: str) -> Entry | None:
        """What a table has there."""
        return dict(self.table).get(key)


class _Walk:
    """Through one file, so far and no further."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._left = _MAX_VALUES

    def entry(self, node: yaml.Node, depth: int = 0) -> Entry:
        """Raises ``ConfigError``."""
        self._left -= 1
        place = Place(self._file, node.start_mark.line + 1, _MAX_VALUES - self._left)
        if depth > _MAX_DEPTH or self._left < 0:
            raise ConfigError([f"{place}: this file holds more, or lies deeper, than anybody writes"])
        if isinstance(node, yaml.SequenceNode):
            return Entry(place, items=tuple(self.entry(each, depth + 1) for each in node.value))
        if isinstance(node, yaml.MappingNode):
            return Entry(place, table=tuple(self._table(node, depth).items()))
        nothing = node.tag == "tag:yaml.org,2002:null"
        return Entry(place, text="" if nothing else str(node.value).replace("\0", ""))

    def _table(self, node: yaml.MappingNode, depth: int) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        merged: list[Entry] = []
        for key, value in node.value:
            entry = self.entry(value, depth + 1)
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if key.tag == _MERGE:
                merged += entry.items or [entry]
            elif not name or name in found:
                what = f"{name} stands twice in one table" if name else "a key is no text"
                raise ConfigError([f"{self._file}:{key.start_mark.line + 1}: {what}"])
            else:
                found[name] = entry
        for each in merged:
            found = dict(each.table) | found
        return found


def read(text: str, file: str) -> Entry:
    """The table that the file is. Raises ``ConfigError`` with where it is none."""
    if len(text) > MAX_BYTES:
        raise ConfigError([f"{file}: is larger than {MAX_BYTES // 1024} KiB, which no such file is"])
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = 0 if error.problem_mark is None else error.problem_mark.line + 1
        raise ConfigError([f"{file}:{line}: this is no YAML: {error.problem}"]) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError([f"{file}: this is no YAML"]) from None
    except RecursionError:
        raise ConfigError([f"{file}: lies deeper than anybody writes"]) from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError([f"{file}: has no settings: a file of MediaMTX is a table of keys"])
    return _Walk(file).entry(node)
