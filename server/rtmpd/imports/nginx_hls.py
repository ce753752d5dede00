"""``hls`` and its kin: this server packages for every app unless it is told not to."""

from __future__ import annotations

from typing import Final

from rtmpd.imports.draft import HTTP
from rtmpd.imports.nginx_context import Application
from rtmpd.imports.nginx_web import find_served, ports_of, write_origins
from rtmpd.imports.nginx_words import HLS, put

_LEFT: Final = (
    ("hls_keys", "on", "segments are not encrypted: who may play is asked, and TLS hides them"),
    ("hls_type", "event", "have dvr in hls: playlists list the last hours then, and not all that ever was"),
    ("hls_base_url", "", "segments are where their playlist is: a CDN has both, by cdn_secret in hls"),
)
"""Directives, what they say if it matters, and what to do."""
_NOT_SERVED: Final = (
    "files are not needed, and nothing in this file serves them: http.aliases leads from old addresses, and "
    "hls.directory writes files for a web server that is there already"
)


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
    for number, said in enumerate(app.all("hls_variant")):
        if number == 0:  # Each quality is to be had by its own name, too.
            app.draft.add((*table, "variants"), ["{name}"], said.place)
        app.draft.add((*table, "variants"), [f"{{name}}{said.first}"], said.place)
    for name, says, advice in _LEFT:
        said = app.last(name)
        if said is not None and says in ("", said.first):
            app.draft.leave(said.place, name, advice)
    before = _write_old_addresses(app)
    text = (
        f"streams are at {HTTP}, /{app.name}/NAME/index.m3u8{before}; files are written with directory alone"
    )
    app.draft.remark(on.place, "hls", text)


def _write_old_addresses(app: Application) -> str:
    """Lead from where nginx had the files, for the same pages; what is told of where that was."""
    path, nested = app.last("hls_path"), app.last("hls_nested")
    if path is None:
        return ""
    served = find_served(path.first.rstrip("/"), app.web)
    if served is None:
        app.draft.leave(path.place, "hls_path", _NOT_SERVED)
        return ""
    file = "/{name}/index.m3u8" if nested is not None and nested.is_on else "/{name}.m3u8"
    now = f"/{app.name}/{{name}}/index.m3u8"
    if served.address + file != now:
        app.draft.add(("http", "aliases"), [f"{served.address}{file} -> {now}"], path.place)
    write_origins(served.block, app.web, app.draft)
    ports = ports_of(served.block, app.web)
    return f", and were at port {ports} of nginx, which may pass them on" if ports else ""
