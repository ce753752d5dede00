"""``hls`` and its kin: this server packages for every app unless it is told not to."""

from __future__ import annotations

from typing import Final

from rtmpd.imports.nginx_context import Application
from rtmpd.imports.nginx_words import HLS, put

_KEYS: Final = "segments are not encrypted: who may play is asked, and TLS hides them"


def write_hls(app: Application) -> None:
    """Where it is on."""
    on = app.last("hls")
    if on is None or not on.is_on:
        return
    table = (*app.table, "hls")
    app.draft.put((*table, "enabled"), True, on.place)
    for name, simple in HLS.items():
        said = app.last(name)
        if said is not None:
            put(said, table, simple, app.draft)
    for said in app.all("hls_variant"):
        app.draft.add((*table, "variants"), [f"{{name}}{said.first}"], said.place)
    keys = app.last("hls_keys")
    if keys is not None and keys.is_on:
        app.draft.leave(keys.place, "hls_keys", _KEYS)
    text = f"streams are at http.listen, /{app.name}/NAME/index.m3u8; files are written with directory alone"
    app.draft.remark(on.place, "hls", text)
