"""What is shown of people: ``[privacy]``."""

from __future__ import annotations

from typing import Literal

from rtmpd.daemon.fields import Section
from rtmpd.net.address_mask import Showing


class PrivacyConfig(Section):
    """How much is shown of the addresses of those who connect, whoever they are; docs/privacy.md."""

    addresses: Literal["full", "truncated", "hashed"] = "full"
    """In the log, over the API, in notifications and records, to programs and backends: "full"; "truncated"
    to the first 24 bits of an IPv4 and 48 of an IPv6 address; or "hashed", a text that is the same for the
    same address for a day at most, and that nobody can turn back. Limits, bans and rules work with whole
    addresses, in memory."""
    backends: Literal["same", "full", "truncated", "hashed"] = "same"
    """What backends are told that decide who may publish and play, and may need more to do so; "same" is as
    addresses has it."""

    @property
    def shown(self) -> Showing:
        """What people and programs see."""
        return Showing(self.addresses)

    @property
    def to_backends(self) -> Showing:
        """What backends are told."""
        return Showing(self.addresses if self.backends == "same" else self.backends)
