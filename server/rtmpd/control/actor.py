"""Who is in charge: who asks for something, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtmpd.engine.origin import Origin


class Role(StrEnum):
    """What somebody may, each more than the one before."""

    READ = "read"
    """See everything that is no secret."""
    OPERATE = "operate"
    """Change what goes on, too."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks for a change."""

    name: str = ""
    """Of what they have proven to be; empty where nobody is asked."""
    address: str = ""
    """They come from, as ``net.addresses.peer_ip`` gives it."""
    role: Role = Role.OPERATE

    @property
    def origin(self) -> Origin:
        """As others know them, such as those whom they throw out."""
        return Origin(protocol="http", address=self.address, account=self.name)
