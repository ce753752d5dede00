"""Separate streams as variants of one: encoders that send each quality under a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.packaging.multivariant import Member, write_multivariant
from rtmpd.packaging.package import Package, Waiting
from rtmpd.packaging.rendered import Rendered, render
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.stream_package import StreamPackage

_PATIENCE: Final = 4.0
"""Seconds for which a stream is waited for that cannot be shown yet, while others can: by then it is known
how far apart its key frames are, if it sends any."""


class JoinedPackage(Package):
    """Has the renditions of all streams that are there, of each ``find(key)`` gives the package.

    Those of the stream of its own name are called as they are there, of the third ``v3-main`` and so on.
    """

    def __init__(
        self,
        key: StreamKey,
        keys: Sequence[StreamKey],
        find: Callable[[StreamKey], StreamPackage | None],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(key)
        self._keys = {"" if each == key else f"v{number}-": each for number, each in enumerate(keys, 1)}
        """By what the names of their renditions begin with, as are the members."""
        self._find = find
        self._clock = clock
        self._members: dict[str, StreamPackage] = {}
        self._lacking: dict[str, float] = {}
        """Since when there has been nothing to show of members."""
        self._waiting = Waiting()
        self._cancels: list[Callable[[], None]] = []
        """What they do not have to tell any more."""
        self._wanted_at = clock()

    def update(self) -> None:
        """Somebody comes: streams may have come, or begun anew."""
        self._meet({prefix: self._find(key) for prefix, key in self._keys.items()})

    def wanted(self, now: float) -> None:
        self._wanted_at = now
        for _, member in self._current():
            member.wanted(now)

    def multivariant(self, query: str = "") -> Rendered | None:
        told = [Member(prefix, *member.told()) for prefix, member in self._shown()]
        return render(write_multivariant(told, query)) if told else None

    def on_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._waiting.add(callback)

    def rendition(self, playlist: str) -> Rendition | None:
        for prefix, member in self._members.items():
            if playlist.startswith(prefix) and not member.over:
                found = member.rendition(playlist.removeprefix(prefix))
                if found is not None:
                    return found
        return None

    def owner(self, name: str) -> Rendition | None:
        owners = (member.owner(name) for member in self._members.values())
        return next((owner for owner in owners if owner is not None), None)

    def look(self, now: float, idle: float) -> None:
        """Call it about once a second. It ends where nobody has asked for ``idle`` seconds: a stream may be
        a variant of any number of names.
        """
        members = self._members
        if now - self._wanted_at >= idle or all(member.over for member in members.values()):
            self.drop()
            return
        # What cannot be packaged is tried again for whoever comes, and not every second.
        refused = {prefix: member for prefix, member in members.items() if member.problem}
        self._meet({prefix: refused.get(prefix) or self._find(key) for prefix, key in self._keys.items()})
        self._hear()

    def drop(self) -> None:
        # Its streams are others' too.
        self.over = True
        self._meet({})
        self._waiting.call()

    # Inside

    def _meet(self, found: Mapping[str, StreamPackage | None]) -> None:
        """Have those as members, and hear of those alone."""
        for cancel in self._cancels:
            cancel()
        self._members = {prefix: member for prefix, member in found.items() if member is not None}
        self._cancels = []
        now = self._clock()
        for prefix, member in self._members.items():
            if member.ready_at is not None:
                self._lacking.pop(prefix, None)
            elif not member.over:
                # Who comes again and again, and never sends anything, is waited for once.
                self._lacking.setdefault(prefix, now)
                self._cancels.append(member.on_ready(self._hear))

    def _current(self) -> list[tuple[str, StreamPackage]]:
        """Those that go on; where all have ended, all."""
        there = [each for each in self._members.items() if not each[1].over]
        return [each for each in there if not each[1].ended] or there

    def _shown(self) -> list[tuple[str, StreamPackage]]:
        """Those whose playlists there are; none as long as it is worth to wait for others."""
        current = self._current()
        ready = [each for each in current if each[1].ready_at is not None]
        since = [member.ready_at for _, member in current if member.ready_at is not None]
        lacking = [self._lacking[prefix] for prefix, member in current if member.ready_at is None]
        if since and lacking and self._clock() < max(min(since), *lacking) + _PATIENCE:
            return []
        return ready

    def _hear(self) -> None:
        if self._shown() or not self._current():
            self.problem = " ".join(
                dict.fromkeys(each.problem for each in self._members.values() if each.problem)
            )
            self._waiting.call()
