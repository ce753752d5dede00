"""The settings of this process, as they are and as they are read again."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change, spell_settings
from rtmpd.control.paging import cut
from rtmpd.control.settings_answers import Reload, ReloadRequest, Setting, SettingPage, SettingQuery
from rtmpd.exceptions import ConfigError, NotPossible
from rtmpd.reasons import Problem
from rtmpd.rtmp.url import clean_path, validate_name

DEFAULT: Final = "default"
"""The origin of what nobody says."""
_MAX_PATH_BYTES: Final = 1024
_DIGEST: Final = re.compile(r"sha256:[0-9a-fA-F]+")


class LocalSettings:
    """``control.Settings`` of this process.

    ``held`` tells those of a path, told None all that are in force. ``reload`` reads them again, and tells
    what has changed by for whom; told True it changes nothing. It raises ConfigError.
    """

    def __init__(
        self,
        held: Callable[[str | None], Awaitable[Sequence[Setting]]],
        reload: Callable[[bool], Awaitable[Mapping[str, Sequence[str]]]],
        audit: Audit,
    ) -> None:
        self._held = held
        self._reload = reload
        self._audit = audit

    async def list(self, query: SettingQuery, by: Actor) -> SettingPage:
        by.check_unscoped()
        path = None if query.path is None else clean_path(query.path)
        if path is not None and validate_name(path, _MAX_PATH_BYTES) is not None:
            raise NotPossible(Problem.BAD_REQUEST, "path: this cannot be an app or a stream")
        text = None if query.q is None else query.q.casefold()

        def wanted(setting: Setting) -> bool:
            return (text is None or text in setting.key.casefold()) and not (
                query.said and setting.origin == DEFAULT
            )

        part = await cut(await self._held(path), wanted, lambda each: each.key, query.after, query.limit)
        last = None if part.last is None else part.last.key
        return SettingPage(items=tuple(map(_shown, part.items)), next=last, total=part.total)

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


def _shown(setting: Setting) -> Setting:
    """Without digests: of a key or token that people have thought up they are as good as that itself."""
    return setting.model_copy(update={"value": _DIGEST.sub("sha256:...", setting.value)})
