"""Separate streams as variants of one: encoders that send each quality under a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rtmpd.engine.key import StreamKey
from rtmpd.packaging.multivariant import Member, write_multivariant
from rtmpd.packaging.package import Package, Waiting
from rtmpd.packaging.rendered import Rendered, render
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.stream_package import StreamPackage


class JoinedPackage(Package):
    """Has the renditions of all streams that are there, of each ``find(key)`` gives the package.

    Those of the stream of its own name are called as they are there, of the third ``v3-main`` and so on.
    """

    def __init__(
        self,
        key: StreamKey,
        keys: Sequence[StreamKey],
        find: Callable[[StreamKey], StreamPackage | None],
        now: float,
    ) -> None:
        super().__init__(key)
        self._keys = {"" if each == key else f"v{number}-": each for number, each in enumerate(keys, 1)}
        """By what the names of their renditions begin with, as are the members."""
        self._find = find
        self._members: dict[str, StreamPackage] = {}
        self._waiting = Waiting()
        self._cancels: list[Callable[[], None]] = []
        """What they do not have to tell any more."""
        self._wanted_at = now

    def update(self) -> None:
        """Somebody comes: streams may have come, or begun anew."""
        self._meet({prefix: self._find(key) for prefix, key in self._keys.items()})

    def wanted(self, now: float) -> None:
        self._wanted_at = now
        for _, member in self._current():
            member.wanted(now)

    def multivariant(self, query: str = "") -> Rendered | None:
        members = self._current()
        if any(member.multivariant() is None for _, member in members):
            return None
        told = [Member(prefix, *member.told()) for prefix, member in members]
        return render(write_multivariant(told, query)) if told else None

    def on_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._waiting.add(callback)

    def rendition(self, name: str) -> Rendition | None:
        for prefix, member in self._members.items():
            if name.startswith(prefix) and not member.over:
                found = member.rendition(name.removeprefix(prefix))
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
        self._cancels = [
            member.on_ready(self._hear)
            for member in self._members.values()
            if member.multivariant() is None and not member.over
        ]

    def _current(self) -> list[tuple[str, StreamPackage]]:
        """Those that go on; where all have ended, all."""
        there = [each for each in self._members.items() if not each[1].over]
        return [each for each in there if not each[1].ended] or there

    def _hear(self) -> None:
        if all(member.multivariant() is not None for _, member in self._current()):
            self._waiting.call()
