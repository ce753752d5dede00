"""Streams for browsers, once somebody asks for one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry

if TYPE_CHECKING:
    from rtmpd.packaging.package import Package
    from rtmpd.packaging.packages import Packages
    from rtmpd.packaging.rules import HlsRules


class HlsSide:
    """Packages, by the settings of now. As long as nobody asks for one, and no stream is always packaged,
    nothing is imported.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._config = Config()
        self.packages: Packages | None = None
        """None as long as none is wanted."""

    def apply(self, config: Config) -> None:
        """Follow other settings, in the running event loop."""
        self._config = config
        wanted = any(app.hls.always for app in config.outcomes.values())
        if self.packages is None and wanted:
            self.packages = self._make()
        elif self.packages is not None:
            self._apply(self.packages)

    def find(self, key: StreamKey, now: float) -> Package | None:
        """That of a stream; None where nobody publishes it, or HLS is off."""
        if self.packages is None:
            rules = self._rules_of(key)
            if rules is None or not (rules.variants or key in self._registry.streams):
                return None
            self.packages = self._make()
        return self.packages.find(key, now)

    def look(self) -> None:
        """Call it about once a second."""
        if self.packages is not None:
            self.packages.look()

    def close(self) -> None:
        """Package nothing any more."""
        if self.packages is not None:
            self.packages.close()

    async def wait_closed(self, grace: float) -> None:
        """Have files of streams taken away within ``grace`` seconds, behind ``close``."""
        if self.packages is not None:
            await self.packages.wait_closed(grace)

    def _make(self) -> Packages:
        from rtmpd.outputs.names import open_folder, stream_levels
        from rtmpd.packaging.folder import Places
        from rtmpd.packaging.packages import Packages

        def places(root: str, key: StreamKey) -> Places:
            return Places(root, stream_levels(key), open_folder)

        packages = Packages(
            self._registry, self._rules_of, self._clock, time.time, lambda: secrets.token_hex(4), places
        )
        self._registry.observe(packages)
        self._apply(packages)
        return packages

    def _apply(self, packages: Packages) -> None:
        apps = self._config.outcomes.values()
        roots = {app.hls.directory for app in apps if app.hls.enabled and app.hls.directory}
        packages.apply(self._config.spool.path, roots)

    def _rules_of(self, key: StreamKey) -> HlsRules | None:
        return self._config.at(str(key)).hls.to_rules()
