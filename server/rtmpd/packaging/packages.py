"""All packages: which streams are packaged, made when somebody asks for one."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rtmpd.engine.budget import Unfinished
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life
from rtmpd.net.scratch import Scratch
from rtmpd.packaging.folder import FolderWriter, Places, StreamFolder
from rtmpd.packaging.joined_package import JoinedPackage
from rtmpd.packaging.package import Package
from rtmpd.packaging.rules import HlsRules, variants_of
from rtmpd.packaging.stats import HlsStats
from rtmpd.packaging.stream_package import StreamPackage, Surroundings


class Packages(StreamObserver):
    """One for each stream that somebody watches by HLS, or that is packaged always."""

    def __init__(
        self,
        registry: Registry,
        rules_of: Callable[[StreamKey], HlsRules | None],
        clock: Callable[[], float],
        unix_time: Callable[[], float],
        new_run: Callable[[], str],
        places: Callable[[str, StreamKey], Places] | None = None,
    ) -> None:
        """``rules_of`` says how a stream is packaged, None if it is not; ``new_run()`` gives a word that no
        other package has had, as ``RUN`` says. ``places(root, key)`` says where files of a stream
        are; without it none are written.
        """
        self.stats = HlsStats()
        self._registry = registry
        self._rules_of = rules_of
        self._scratch = Scratch("", clock)
        self._around = Surroundings(registry, self.stats, clock, unix_time, self._scratch, self._folder)
        self._writer = FolderWriter(registry.budget.charge_queues, clock, self.stats)
        self._places = places
        self._new_run = new_run
        self._swept: set[str] = set()
        self._packages: dict[StreamKey, StreamPackage] = {}
        self._joined: dict[StreamKey, JoinedPackage] = {}
        registry.add_reliever(self._relieve)

    def find(self, key: StreamKey, now: float) -> Package | None:
        """That of a stream, begun if there is none; None where nobody publishes it, or it is not packaged."""
        rules = self._rules_of(key)
        names = () if rules is None else rules.variants
        if not names:
            package = self._find(key)
            if package is not None:
                package.wanted(now)
            return package
        joined = self._joined.get(key)
        if joined is None or joined.over:
            keys = variants_of(key, names)
            if not any(map(self._is_live, keys)):
                return None
            joined = self._joined[key] = JoinedPackage(key, keys, self._find, self._around.clock)
        joined.update()
        joined.wanted(now)
        return joined

    def apply(self, folder: str, roots: Collection[str] = ()) -> None:
        """Follow other settings; what does not fit into memory goes to ``folder``, if that is not empty.

        ``roots`` are all folders that files are written to.
        """
        self._scratch.move(folder)
        for root in self._swept.symmetric_difference(roots):
            self._writer.sweep(root)
        self._swept = set(roots)
        for key in list(self._registry.streams):
            self._begin(key)

    def published(self, publication: Publication) -> None:
        self._begin(publication.key)

    def look(self) -> None:
        """Call it about once a second."""
        now = self._around.clock()
        for key, package in list(self._packages.items()):
            if package.ended and self._is_live(key):
                package.drop()
            package.look(now, kept=package.rules.always and not package.ended)
            if package.over:
                del self._packages[key]
        for key, joined in list(self._joined.items()):
            rules = self._rules_of(key)
            joined.look(now, 0.0 if rules is None else rules.idle)
            if joined.over:
                del self._joined[key]

    def close(self) -> None:
        """Package nothing any more."""
        for package in [*self._packages.values(), *self._joined.values()]:
            package.drop()
        self._packages.clear()
        self._joined.clear()
        self._writer.close()
        if self._scratch.folder:
            self._scratch.close()

    async def wait_closed(self, grace: float) -> None:
        """Have the files of streams taken away within ``grace`` seconds, behind ``close``."""
        await self._writer.wait_closed(grace)

    # Inside

    def _begin(self, key: StreamKey) -> None:
        """If it is packaged though nobody asks."""
        rules = self._rules_of(key)
        if rules is not None and rules.always:
            self._find(key, asked=False)

    def _find(self, key: StreamKey, *, asked: bool = True) -> StreamPackage | None:
        """That of one stream alone."""
        rules = self._rules_of(key)
        if rules is None:
            return None
        package = self._packages.get(key)
        if package is not None and not package.over and not (package.ended and self._is_live(key)):
            return package
        if not self._is_live(key) or self._registry.budget.exhausted:
            return None
        if package is not None:
            package.drop()
        package = StreamPackage(self._around, key, rules, self._new_run(), asked=asked)
        self._packages[key] = package
        return package

    def _folder(self, key: StreamKey, rules: HlsRules, run: str) -> StreamFolder | None:
        if not rules.directory or self._places is None:
            return None
        return StreamFolder(self._writer, self._places(rules.directory, key), run, rules.window)

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
