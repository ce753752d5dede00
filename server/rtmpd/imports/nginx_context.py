"""What is known of one ``application`` of nginx-rtmp while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtmpd.imports.blocks import Directive
from rtmpd.imports.commands import Names
from rtmpd.imports.draft import Draft, Place


@dataclass(frozen=True, slots=True)
class Application:
    """One of them."""

    name: str
    place: Place
    said: Sequence[Directive]
    """What holds in it, of outer blocks too."""
    ports: frozenset[str]
    """Those of its server."""
    web: Sequence[Directive]
    """All that nginx says of HTTP."""
    draft: Draft
    names: Names = field(default_factory=Names)

    @property
    def table(self) -> tuple[str, str]:
        """Where it is with us."""
        return ("apps", self.name)

    def all(self, name: str) -> list[Directive]:
        """Those that are called so."""
        return [each for each in self.said if each.name == name]

    def last(self, name: str) -> Directive | None:
        """What holds of them, where that is one."""
        return next(iter(self.all(name)[::-1]), None)
