"""All packages: which streams are packaged, made when somebody asks for one."""

from __future__ import annotations

from collections.abc import Callable

from rtmpd.engine.budget import Unfinished
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life
from rtmpd.packaging.package import Package, Surroundings
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stats import HlsStats


class Packages:
    """One for each stream that somebody watches by HLS."""

    def __init__(
        self,
        registry: Registry,
        rules_of: Callable[[StreamKey], HlsRules | None],
        clock: Callable[[], float],
        unix_time: Callable[[], float],
        new_run: Callable[[], str],
    ) -> None:
        """``rules_of`` says how a stream is packaged, None if it is not; ``new_run()`` gives a word that no
        other package has had: letters and digits.
        """
        self.stats = HlsStats()
        self._registry = registry
        self._rules_of = rules_of
        self._around = Surroundings(registry, self.stats, clock, unix_time)
        self._new_run = new_run
        self._packages: dict[StreamKey, Package] = {}
        registry.add_reliever(self._relieve)

    def find(self, key: StreamKey, now: float) -> Package | None:
        """That of a stream, begun if there is none; None where nobody publishes it, or it is not packaged."""
        package = self._packages.get(key)
        if package is not None and not package.over and not (package.ended and self._is_live(key)):
            package.wanted(now)
            return package
        rules = self._rules_of(key)
        if rules is None or not self._is_live(key) or self._registry.budget.exhausted:
            return None
        if package is not None:
            package.drop()
        package = self._packages[key] = Package(self._around, key, rules, self._new_run(), asked=True)
        return package

    def look(self) -> None:
        """Call it about once a second."""
        now = self._around.clock()
        for key, package in list(self._packages.items()):
            package.look(now, kept=False)
            if package.over:
                del self._packages[key]

    def close(self) -> None:
        """Package nothing any more."""
        for package in self._packages.values():
            package.drop()
        self._packages.clear()

    def _is_live(self, key: StreamKey) -> bool:
        stream = self._registry.streams.get(key)
        return stream is not None and stream.life is not Life.IDLE

    def _relieve(self, unfinished: Unfinished) -> None:
        """Memory is short: the oldest segments go, of the largest package first."""
        budget = self._registry.budget
        if unfinished is not Unfinished.STUCK:
            return
        while budget.used > budget.target:
            found = [
                package.give_back()
                for package in sorted(
                    self._packages.values(), key=lambda package: package.held_bytes, reverse=True
                )
            ]
            if not any(found):
                return
