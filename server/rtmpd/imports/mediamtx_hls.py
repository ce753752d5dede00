"""HLS of MediaMTX, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rtmpd.imports.blocks import number, seconds, spell_seconds
from rtmpd.imports.draft import Draft
from rtmpd.imports.marked_yaml import Entry

_TABLE: Final = ("apps", "*", "hls")
_TIMES: Final = {
    "hlsSegmentDuration": "segment",
    "hlsPartDuration": "part",
    "hlsMuxerCloseAfter": "idle",
}


def write_hls(said: Mapping[str, Entry], draft: Draft) -> None:
    """Put all of it into the draft."""
    on = said.get("hls")
    if on is not None and not on.is_on:
        draft.put((*_TABLE, "enabled"), False, on.place)
        return
    variant = said.get("hlsVariant")
    plain = variant is not None and variant.text.lower() in ("fmp4", "mpegts")
    if variant is not None and plain:
        draft.put((*_TABLE, "part"), 0, variant.place)
        if variant.text.lower() == "mpegts":
            draft.remark(variant.place, "hlsVariant", "segments are fragmented MP4, which all players take")
    for key, ours in _TIMES.items():
        entry = said.get(key)
        value = None if entry is None else seconds(entry.text)
        if entry is not None and value is not None and not (plain and ours == "part"):
            draft.put((*_TABLE, ours), spell_seconds(value), entry.place)
    _write_window(said, draft)
    _write_place(said, draft)
    folder = said.get("hlsDirectory")
    if folder is not None and folder.text.startswith("/"):
        draft.put((*_TABLE, "directory"), folder.text, folder.place)
    elif folder is not None and folder.text:
        draft.leave(folder.place, "hlsDirectory", "name the folder as a whole path, in hls.directory")


def _write_window(said: Mapping[str, Entry], draft: Draft) -> None:
    """How much is listed: so many segments there, so many seconds here."""
    count, duration = said.get("hlsSegmentCount"), said.get("hlsSegmentDuration")
    segments = None if count is None else number(count.text)
    if count is not None and segments is not None:
        each = (None if duration is None else seconds(duration.text)) or 1.0
        draft.put((*_TABLE, "window"), spell_seconds(segments * each), count.place)


def _write_place(said: Mapping[str, Entry], draft: Draft) -> None:
    """Where it is, and for which pages."""
    address, encrypted = said.get("hlsAddress"), said.get("hlsEncryption")
    secure = encrypted is not None and encrypted.is_on
    if address is not None:
        draft.put(("https" if secure else "http", "listen"), [address.text], address.place)
    chain, key = said.get("hlsServerCert"), said.get("hlsServerKey")
    if secure and chain is not None and key is not None:
        draft.put_certificate(chain.text, key.text, chain.place)
    proxies = said.get("hlsTrustedProxies")
    if proxies is not None and proxies.texts:
        draft.add(("network", "trusted_proxies"), proxies.texts, proxies.place)
    for name in ("hlsAllowOrigins", "hlsAllowOrigin"):
        origins = said.get(name)
        if origins is not None and origins.texts:
            draft.put(("http", "origins"), origins.texts, origins.place)
