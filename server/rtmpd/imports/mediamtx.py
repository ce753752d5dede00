"""mediamtx.yml as settings of ours, as far as it is about what this server does."""

from __future__ import annotations

from typing import Final

from rtmpd.imports.blocks import seconds, spell_seconds
from rtmpd.imports.draft import Draft
from rtmpd.imports.marked_yaml import Entry
from rtmpd.imports.mediamtx_access import write_access
from rtmpd.imports.mediamtx_hls import write_hls
from rtmpd.imports.mediamtx_paths import MediaMtxPath, table_of
from rtmpd.imports.mediamtx_words import ABSENT, LEFT, NEEDLESS, PREFIXES, TIMES

PAGE: Final = "docs/migrate-from-mediamtx.md"
ALL: Final = ("apps", "*")


def import_mediamtx(settings: Entry, draft: Draft) -> None:
    """Write all that the file says."""
    said = dict(settings.table)
    _write_rtmp(said, draft)
    write_hls(said, draft)
    defaults = said.get("pathDefaults")
    if defaults is not None:
        MediaMtxPath("*", defaults, None, draft).write()
    paths = said.get("paths")
    for name, path in paths.table if paths is not None else ():
        place = table_of(name, path.place, draft)
        if place is not None:
            MediaMtxPath(place, path, defaults, draft).write()
    write_access(settings, draft)
    for key, entry in settings.table:
        _write_one(key, entry, draft)


def _write_one(key: str, entry: Entry, draft: Draft) -> None:
    """A setting of the server that is one of ours, or none."""
    if key == "logLevel":
        level = "warning" if entry.text == "warn" else entry.text
        draft.put(("log", "level"), level, entry.place)
    elif key in TIMES:
        write_time(entry, (*ALL, *TIMES[key]), key, draft)
    elif key == "api" and entry.is_on:
        draft.put(("compat", "mediamtx", "admin"), True, entry.place)
        draft.remark(
            entry.place, key, "is at the address of admin.listen, or at that of compat.mediamtx.listen"
        )
    elif key == "metrics" and entry.is_on:
        draft.remark(
            entry.place, key, "/metrics is at the address of admin.listen, or at that of metrics.listen"
        )
    elif key in ABSENT:
        if entry.is_on:
            draft.leave(entry.place, key, ABSENT[key])
    elif key in LEFT:
        if not entry.empty:
            draft.leave(entry.place, key, LEFT[key])
    elif key not in NEEDLESS and not key.startswith(PREFIXES):
        draft.leave(entry.place, key, "is not known to this import")


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
        draft.put(("rtmp", "listen"), [], on.place)
    elif encryption is not None and how == "strict":
        draft.put(("rtmp", "listen"), [], encryption.place)
    elif address is not None:
        draft.put(("rtmp", "listen"), [address.text], address.place)
    if how in ("strict", "optional"):
        chain, key = said.get("rtmpServerCert"), said.get("rtmpServerKey")
        if secure is not None:
            draft.put(("rtmps", "listen"), [secure.text], secure.place)
        if chain is not None and key is not None:
            files = [{"chain_file": chain.text, "key_file": key.text}]
            draft.put(("rtmps", "certificates"), files, chain.place)
    proxies = said.get("rtmpTrustedProxies")
    if proxies is not None and proxies.texts:
        draft.put(("network", "trusted_proxies"), proxies.texts, proxies.place)
        text = 'write "proxy=require" or "proxy=accept" behind the address in rtmp.listen, as they come'
        draft.leave(proxies.place, "rtmpTrustedProxies", text)
