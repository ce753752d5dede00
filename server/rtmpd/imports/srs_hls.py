"""``hls`` of SRS: this server packages for every app unless it is told not to."""

from __future__ import annotations

from typing import Final

from rtmpd.imports.blocks import Directive, spell_seconds
from rtmpd.imports.draft import Draft

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
        elif each.name == "hls_keys" and each.is_on:
            draft.leave(
                each.place, each.name, "segments are not encrypted: who may play is asked, and TLS hides"
            )
    text = "streams are at http.listen, /APP/NAME/index.m3u8; files are written with directory alone"
    draft.remark(block.place, "hls", text)
