"""Who may ask over HTTP, as the settings have it now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config

if TYPE_CHECKING:
    from rtmpd.access.admin_access import AdminAccess, AdminProof


class ConfiguredAdmission:
    """``web.admission.Admission``; ``access()`` is needed once somebody shows something."""

    def __init__(self, config: Callable[[], Config], access: Callable[[], AdminAccess]) -> None:
        self._config = config
        self._access = access

    @property
    def open(self) -> tuple[str, ...]:
        return self._config().admin.open

    @property
    def local(self) -> str:
        return self._config().admin.local

    async def prove(self, shown: str, address: str) -> AdminProof:
        return await self._access().prove(shown, address)
