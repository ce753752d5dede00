"""``hls`` and its kin: this server packages for every app unless it is told not to."""

from __future__ import annotations

from typing import Final

from rtmpd.imports.nginx_context import Application
from rtmpd.imports.nginx_words import HLS, put

_LEFT: Final = {
    "hls_keys": "segments are not encrypted: who may play is asked, and TLS hides them",
    "hls_variant": "streams of several sizes are one playlist where an encoder sends several tracks",
}


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
    for name, advice in _LEFT.items():
        said = app.last(name)
        if said is not None and said.first != "off":
            app.draft.leave(said.place, name, advice)
    text = f"streams are at http.listen, /{app.name}/NAME/index.m3u8, and no files are written"
    app.draft.remark(on.place, "hls", text)
