"""``hls`` of SRS: this server packages for every app unless it is told not to."""

from __future__ import annotations

import re
from typing import Final

from rtmpd.imports.blocks import Directive, spell_seconds
from rtmpd.imports.draft import HTTP, Draft
from rtmpd.imports.srs_words import LEFT

_WORDS: Final = re.compile(r"\{\w+\}")
_TIMES: Final = {"hls_fragment": "segment", "hls_window": "window"}


def write_hls(block: Directive, draft: Draft) -> None:
    """It is on."""
    table = ("apps", "*", "hls")
    draft.put((*table, "enabled"), True, block.place)
    for each in block.block:
        if each.name in _TIMES:
            try:
                draft.put((*table, _TIMES[each.name]), spell_seconds(float(each.first)), each.place)
            except ValueError:
                draft.leave(each.place, each.name, "is no number")
        elif each.name in LEFT:
            draft.leave(each.place, each.name, LEFT[each.name])
        elif each.name == "hls_keys" and each.is_on:
            draft.leave(
                each.place, each.name, "segments are not encrypted: who may play is asked, and TLS hides"
            )
    named = block.says("hls_m3u8_file")
    old = "[app]/[stream].m3u8" if named is None else named.first
    path = old.replace("[app]", "{app}").replace("[stream]", "{name}").replace("[vhost]/", "")
    if "[" in path or {"{app}", "{name}"} - {*_WORDS.findall(path)}:
        text = "streams are at /APP/NAME/index.m3u8: another order is for a proxy in front"
        draft.leave(block.place if named is None else named.place, "hls_m3u8_file", text)
    else:
        place = block.place if named is None else named.place
        draft.add(("http", "aliases"), [f"/{path.lstrip('./')} -> /{{app}}/{{name}}/index.m3u8"], place)
    text = f"streams are at {HTTP}, /APP/NAME/index.m3u8; files are written with directory alone"
    draft.remark(block.place, "hls", text)
