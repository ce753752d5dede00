"""Streams as MP4, once somebody asks for one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import PlayOptions

if TYPE_CHECKING:
    from rtmpd.engine.mp4_wire import Mp4Wish
    from rtmpd.packaging.fragment_rules import FragmentRules
    from rtmpd.packaging.fragmenter import Fragmenter
    from rtmpd.packaging.fragments import Fragments


class Mp4Side:
    """Fragments, by the settings of now. As long as nobody asks for them nothing is imported."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._config = Config()
        self.fragments: Fragments | None = None
        """None as long as nobody has asked for any."""

    def apply(self, config: Config) -> None:
        """Follow other settings."""
        self._config = config

    def rules(self, path: str) -> FragmentRules | None:
        """See ``http.making.Maker``, as ``find``."""
        return self._config.at(path).mp4.to_rules()

    def find(self, key: StreamKey, wish: Mp4Wish, options: PlayOptions) -> Fragmenter:
        """Whose audience somebody is attached to, at once. Raises ``ResourceExhausted``."""
        if self.fragments is None:
            from rtmpd.packaging.fragments import Fragments

            self.fragments = Fragments(self._registry, self._clock, lambda: secrets.token_hex(4))
        return self.fragments.find(key, wish, options)

    def look(self) -> None:
        """Call it about once a second."""
        if self.fragments is not None:
            self.fragments.look()

    def close(self) -> None:
        """Make nothing more."""
        if self.fragments is not None:
            self.fragments.close()
