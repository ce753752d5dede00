"""What MediaMTX records of a path, as our recorder of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from rtmpd.imports.blocks import seconds, spell_seconds
from rtmpd.imports.draft import Draft
from rtmpd.imports.marked_yaml import Entry

_RUN: Final = re.compile(r"%[YmdHMSfsz](?:[^%{}]*%[YmdHMSfsz])*")


def write_record(app: tuple[str, ...], effective: Callable[[str], Entry | None], draft: Draft) -> None:
    """It is recorded, as what is ``effective`` there says."""
    table = (*app, "record")
    record, where = effective("record"), effective("recordPath")
    if record is None:
        return
    if where is None or not where.text.startswith("/"):
        place = record.place if where is None else where.place
        draft.leave(place, "recordPath", "name the folder as a whole path, in record.root")
        return
    root, name = _split(where.text)
    draft.put((*table, "start"), "always", record.place)
    draft.put((*table, "root"), root, where.place)
    draft.put((*table, "name"), name, where.place)
    for key, ours in (
        ("recordSegmentDuration", ("split_after",)),
        ("recordDeleteAfter", ("keep", "max_age")),
    ):
        entry = effective(key)
        value = None if entry is None else seconds(entry.text)
        if entry is not None and value is not None:
            draft.put((*table, *ours), spell_seconds(value), entry.place)
    form = effective("recordFormat")
    if form is not None and form.text == "fmp4":
        draft.put((*table, "mp4", "enabled"), True, form.place)
        draft.remark(form.place, "recordFormat", "MP4 files need rtmpd[mp4]")
    elif form is not None and form.text:
        draft.leave(form.place, "recordFormat", "files are FLV, and MP4 with record.mp4")


def _split(text: str) -> tuple[str, str]:
    """The folder before anything that differs, and the name of files below it."""
    whole = text.replace("{", "{{").replace("}", "}}")
    fixed, percent, rest = whole.partition("%")
    root, _, begin = fixed.rpartition("/")
    name = (begin + percent + rest).replace("%path", "{app}/{name}")
    return root or "/", _RUN.sub(lambda found: f"{{start:{found[0]}}}", name)
