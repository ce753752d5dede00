"""``hls`` and its kin: this server packages for every app unless it is told not to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rtmpd.imports.blocks import Directive
from rtmpd.imports.nginx_context import Application
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
    path, nested = app.last("hls_path"), app.last("hls_nested")
    old = None if path is None else _address(path.first.rstrip("/"), app.web)
    if path is not None and old is not None:
        file = "/{name}/index.m3u8" if nested is not None and nested.is_on else "/{name}.m3u8"
        now = f"/{app.name}/{{name}}/index.m3u8"
        if old + file != now:
            app.draft.add(("http", "aliases"), [f"{old}{file} -> {now}"], path.place)
    elif path is not None:
        app.draft.leave(path.place, "hls_path", _NOT_SERVED)
    text = f"streams are at http.listen, /{app.name}/NAME/index.m3u8; files are written with directory alone"
    app.draft.remark(on.place, "hls", text)


def _address(folder: str, web: Sequence[Directive]) -> str | None:
    """Below which path nginx had the files of ``folder``; None where it did not, or not so simply."""
    for each in web:
        prefix = each.args[-1].rstrip("/") if each.name == "location" and each.args else ""
        root, alias = each.says("root"), each.says("alias")
        for said, before in ((root, ""), (alias, prefix)):
            base = None if said is None else said.first.rstrip("/")
            if base is None or not f"{folder}/".startswith(f"{base}/"):
                continue
            address = before + folder[len(base) :]
            if f"{address}/".startswith(f"{prefix}/"):
                return address
    return None
