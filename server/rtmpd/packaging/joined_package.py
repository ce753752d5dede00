"""Separate streams as variants of one: encoders that send each quality under a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.packaging.multivariant import Member, write_multivariant
from rtmpd.packaging.package import Package, Waiting
from rtmpd.packaging.rendered import Rendered, render
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.stream_package import StreamPackage

_LOOK_EVERY: Final = 1.0


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
        self._keys = keys
        self._find = find
        self._members: dict[str, StreamPackage] = {}
        """By what the names of their renditions begin with."""
        self._waiting = Waiting()
        self._heard: set[StreamPackage] = set()
        self._looked_at = self._wanted_at = now
        self._look(now)

    def wanted(self, now: float) -> None:
        self._wanted_at = now
        for member in self._members.values():
            member.wanted(now)
        if now - self._looked_at >= _LOOK_EVERY or any(each.ended for each in self._members.values()):
            self._look(now)

    def multivariant(self, query: str = "") -> Rendered | None:
        members = self._members.items()
        if not members or any(member.multivariant() is None and not member.over for _, member in members):
            return None
        told = [Member(prefix, *member.told()) for prefix, member in members if not member.over]
        return render(write_multivariant(told, query)) if told else None

    def on_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._waiting.add(callback)

    def rendition(self, name: str) -> Rendition | None:
        for prefix, member in self._members.items():
            if name.startswith(prefix) and (found := member.rendition(name[len(prefix) :])) is not None:
                return found
        return None

    def owner(self, name: str) -> Rendition | None:
        owners = (member.owner(name) for member in self._members.values())
        return next((owner for owner in owners if owner is not None), None)

    def look(self, now: float, idle: float) -> None:
        """Call it about once a second. It ends where nobody has asked for ``idle`` seconds: a stream may be
        a variant of any number of names.
        """
        self.over = now - self._wanted_at >= idle or all(member.over for member in self._members.values())
        if self.over:
            self._waiting.call()

    def drop(self) -> None:
        # Its streams are others' too.
        self.over = True
        self._waiting.call()

    # Inside

    def _look(self, now: float) -> None:
        """Streams may have come, or begun anew."""
        self._looked_at = now
        members: dict[str, StreamPackage] = {}
        for number, key in enumerate(self._keys, 1):
            found = self._find(key)
            if found is not None:
                members["" if key == self.key else f"v{number}-"] = found
                if found not in self._heard:
                    self._heard.add(found)
                    found.on_ready(partial(self._hear, found))
        self._members = members

    def _hear(self, member: StreamPackage) -> None:
        if member.over:
            self._heard.discard(member)
        if all(each.over or each.multivariant() is not None for each in self._members.values()):
            self._waiting.call()
