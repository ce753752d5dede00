"""What is needed of whoever knows who may ask: the answer is theirs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

METRICS: Final = "metrics"
HEALTH: Final = "health"
STAT: Final = "stat"
"""Words of ``admin.open``."""


class Proof(Protocol):
    """What somebody has shown to be; ``rtmpd.access.admin_access.AdminProof`` is one."""

    @property
    def name(self) -> str:
        """Who the log names."""

    @property
    def role(self) -> str:
        """A word of ``Role``."""

    @property
    def streams(self) -> tuple[str, ...]:
        """As in ``Actor``."""

    @property
    def until(self) -> float:
        """When it expires, in seconds since 1970."""

    @property
    def holds(self) -> Callable[[], bool]:
        """Whether it is still so."""


class Admission(Protocol):
    """Who may ask, as the settings say it now."""

    @property
    def open(self) -> Collection[str]:
        """Of ``METRICS``, ``HEALTH`` and ``STAT``, what everybody is shown."""

    @property
    def local(self) -> str:
        """The role of who asks from this machine; "none" where they show a token as well."""

    async def prove(self, shown: str, address: str) -> Proof:
        """Whose token it is. Raises ControlError."""
