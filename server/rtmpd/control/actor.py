"""Who is in charge: who asks for something, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import NotPossible
from rtmpd.reasons import Problem

ALL_STREAMS: Final = "*"
"""In place of a path."""


class Role(StrEnum):
    """What somebody may, each more than the one before."""

    READ = "read"
    """See everything that is no secret."""
    OPERATE = "operate"
    """Change what goes on, too."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks for something."""

    name: str = ""
    """Of what they have proven to be; empty where nobody is asked."""
    address: str = ""
    """They come from, as it may be shown: see ``net.address_mask``."""
    role: Role = Role.OPERATE
    streams: tuple[str, ...] = ()
    """Paths of the apps and streams that they have to do with, ``ALL_STREAMS`` among them or not; empty is
    all, and the server as a whole."""
    protocol: str = "http"
    """How they ask: ``http``, ``signal``, or ``watch`` where a file has changed."""

    @property
    def origin(self) -> Origin:
        """As others know them, such as those whom they throw out."""
        return Origin(protocol=self.protocol, address=self.address, account=self.name)

    @property
    def is_scoped(self) -> bool:
        """Whether they have to do with some streams only."""
        return bool(self.streams) and ALL_STREAMS not in self.streams

    def sees(self, key: StreamKey) -> bool:
        """Whether they have to do with a stream: what is to be asked before anything is told of one."""
        return not self.is_scoped or any(key == path or key.startswith(f"{path}/") for path in self.streams)

    def check_unscoped(self) -> None:
        """Raise NotPossible for whoever has to do with some streams only: this concerns all of them."""
        if self.is_scoped:
            text = f"this concerns the whole server, and {self.name or 'this token'} is for some streams only"
            raise NotPossible(Problem.OUT_OF_SCOPE, text)
