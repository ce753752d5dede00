"""The settings of this process, as they are read again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change, spell_settings
from rtmpd.control.settings_answers import Reload, ReloadRequest
from rtmpd.exceptions import ConfigError, NotPossible
from rtmpd.reasons import Problem


class LocalSettings:
    """``control.Settings`` of this process.

    ``reload`` reads them again, and tells what has changed by for whom; told True it changes nothing. It
    raises ConfigError.
    """

    def __init__(
        self, reload: Callable[[bool], Awaitable[Mapping[str, Sequence[str]]]], audit: Audit
    ) -> None:
        self._reload = reload
        self._audit = audit

    async def reload(self, request: ReloadRequest, by: Actor) -> Reload:
        if request.dry_run:
            changed = await self._read(dry_run=True)
        else:
            with self._audit.attempt(by, Change.RELOAD) as attempt:
                changed = await self._read(dry_run=False)
                attempt.after = spell_settings(changed.values())
        told = {effect: tuple(names) for effect, names in changed.items()}
        return Reload(dry_run=request.dry_run, changed=told)

    async def _read(self, *, dry_run: bool) -> Mapping[str, Sequence[str]]:
        try:
            return await self._reload(dry_run)
        except ConfigError as error:
            raise NotPossible(Problem.SETTINGS_REFUSED, "; ".join(error.problems)) from None
