"""Recorded files, as the settings of each stream are now; nothing is loaded before one may be played."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.key import StreamKey

if TYPE_CHECKING:
    from rtmpd.outputs.library import Library
    from rtmpd.outputs.recorded_file import RecordedFile
    from rtmpd.outputs.vod_rules import VodRules


class VodSide:
    """The files that may be played. ``config()`` is the configuration in force, ``max_descriptor`` as for
    ``Library``.
    """

    def __init__(self, config: Callable[[], Config], max_descriptor: int = sys.maxsize) -> None:
        self._config = config
        self._max_descriptor = max_descriptor
        self._library: Library | None = None
        self._offering: tuple[Config | None, bool] = (None, False)
        """Whether any app of that configuration has a folder of files: every player asks."""

    def offers(self, key: StreamKey) -> bool:
        """Whether the app has a folder of files."""
        config = self._config()
        of, any_does = self._offering
        if config is not of:
            any_does = any(app.vod.root for app in config.outcomes.values())
            self._offering = config, any_does
        return any_does and bool(config.at(str(key)).vod.root)

    async def open(self, key: StreamKey) -> RecordedFile | None:
        """The file of that name; see ``outputs.library.Library.open``."""
        if self._library is None:
            from rtmpd.outputs.library import Library

            self._library = Library(self._rules, self._max_descriptor)
        return await self._library.open(key)

    def _rules(self, key: StreamKey) -> VodRules | None:
        from rtmpd.outputs.vod_rules import VodRules

        vod = self._config().at(str(key)).vod
        if not vod.root:
            return None
        return VodRules(vod.root.replace("{app}", key.app), vod.pause_timeout)
