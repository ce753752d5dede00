"""mediamtx.yml as settings of ours, as far as it is about what this server does."""

from __future__ import annotations

from typing import Final

from rtmpd.exceptions import ConfigError
from rtmpd.imports.blocks import seconds, spell_seconds
from rtmpd.imports.draft import ADMIN, Draft, Place
from rtmpd.imports.marked_yaml import Entry
from rtmpd.imports.mediamtx_access import write_access
from rtmpd.imports.mediamtx_hls import write_hls
from rtmpd.imports.mediamtx_paths import MediaMtxPath, table_of
from rtmpd.imports.mediamtx_words import ABSENT, LEFT, NEEDLESS, PREFIXES, TIMES

PAGE: Final = "docs/migrate-from-mediamtx.md"
ALL: Final = ("apps", "*")
_TABLES: Final = frozenset({"paths", "pathDefaults", "authInternalUsers", "authHTTPExclude"})
"""Keys that say nothing themselves."""
_KEYS: Final = frozenset({*_TABLES, *TIMES, *ABSENT, *LEFT, *NEEDLESS, "logLevel"})


def import_mediamtx(settings: Entry, draft: Draft) -> None:
    """Write all that the file says. Raises ``ConfigError`` where it is another program's."""
    said = dict(settings.table)
    if not any(map(_is_known, said)):
        raise ConfigError(
            [f"{settings.place.file}: there is no key of MediaMTX in it: is it the right file?"]
        )
    _write_rtmp(said, draft)
    write_hls(said, draft)
    defaults = said.get("pathDefaults")
    if defaults is not None:
        MediaMtxPath("*", defaults, None, draft).write()
    for name, path in _paths(said):
        place = table_of(name, path.place, draft)
        if place is not None:
            MediaMtxPath(place, path, defaults, draft).write()
    write_access(settings, draft)
    for key, entry in settings.table:
        _write_one(key, entry, draft)
    tables = (settings, *([] if defaults is None else [defaults]), *(path for _, path in _paths(said)))
    keys = (each for table in tables for each in table.table if each[0] not in _TABLES)
    draft.tell_rest((entry.place, key) for key, entry in keys)


def _is_known(key: str) -> bool:
    return key in _KEYS or key.startswith(PREFIXES)


def _paths(said: dict[str, Entry]) -> tuple[tuple[str, Entry], ...]:
    paths = said.get("paths")
    return () if paths is None else paths.table


def _write_one(key: str, entry: Entry, draft: Draft) -> None:
    """A setting of the server that is one of ours, or none."""
    if key == "logLevel":
        level = "warning" if entry.text == "warn" else entry.text
        draft.put(("log", "level"), level, entry.place)
    elif key in TIMES:
        write_time(entry, (*ALL, *TIMES[key]), key, draft)
    elif key == "api" and entry.is_on:
        draft.put(("compat", "mediamtx", "admin"), True, entry.place)
        draft.remark(entry.place, key, f"is at {ADMIN}, or at the address of compat.mediamtx.listen")
    elif key == "metrics" and entry.is_on:
        draft.remark(entry.place, key, f"/metrics is at {ADMIN}, or at the address of metrics.listen")
    elif key in ABSENT:
        if entry.is_on:
            draft.leave(entry.place, key, ABSENT[key])
    elif key in LEFT:
        if not entry.empty:
            draft.leave(entry.place, key, LEFT[key])
    elif not _is_known(key):
        draft.leave(entry.place, key, "is not known to this import")


def _listen_here(place: Place, draft: Draft) -> None:
    """As little as can be."""
    draft.put(("rtmp", "listen"), ["127.0.0.1:1935"], place)
    draft.remark(place, "rtmp", "is always spoken here, in the clear: for this very machine alone")


def write_time(entry: Entry, path: tuple[str, ...], key: str, draft: Draft) -> None:
    """A duration as Go has it."""
    value = seconds(entry.text)
    if value is None:
        draft.leave(entry.place, key, "is no duration")
    else:
        draft.put(path, spell_seconds(value), entry.place)


def _write_rtmp(said: dict[str, Entry], draft: Draft) -> None:
    """Where RTMP is spoken, and with which certificate."""
    on, address, secure = said.get("rtmp"), said.get("rtmpAddress"), said.get("rtmpsAddress")
    encryption = said.get("rtmpEncryption")
    how = "no" if encryption is None else encryption.text.lower()
    if on is not None and not on.is_on:
        _listen_here(on.place, draft)
    elif encryption is not None and how == "strict":
        _listen_here(encryption.place, draft)
    elif address is not None:
        draft.put(("rtmp", "listen"), [address.text], address.place)
    if how in ("strict", "optional"):
        chain, key = said.get("rtmpServerCert"), said.get("rtmpServerKey")
        if secure is not None:
            draft.put(("rtmps", "listen"), [secure.text], secure.place)
        if chain is not None and key is not None:
            draft.put_certificate(chain.text, key.text, chain.place)
    proxies = said.get("rtmpTrustedProxies")
    if proxies is not None and proxies.texts:
        draft.add(("network", "trusted_proxies"), proxies.texts, proxies.place)
        text = 'write "proxy=require" or "proxy=accept" behind the address in rtmp.listen, as they come'
        draft.leave(proxies.place, "rtmpTrustedProxies", text)
