"""``record`` and its kin, and ``recorder``, as the recorder of an app."""

from __future__ import annotations

import re
from typing import Final

from rtmpd.imports.blocks import Directive, inherited
from rtmpd.imports.draft import Place
from rtmpd.imports.nginx_commands import write_command
from rtmpd.imports.nginx_context import Application
from rtmpd.imports.nginx_words import APP, COMMANDS, RECORD, put

_PATTERN: Final = re.compile(r"%.*%[^%]|%[^%]")


def write_record(app: Application) -> None:
    """What is recorded, where, and what the files are called."""
    blocks = app.all("recorder")
    for each in blocks[1:]:
        app.draft.leave(each.place, each.name, "a stream has one recorder, and the first of these is it")
    own = app.last("record")
    said = list(app.said)
    if blocks and (own is None or own.first == "off"):
        said = inherited(said, blocks[0].block)
        for each in blocks[0].block:
            if each.name in COMMANDS:
                write_command(app, each)
            elif each.name == "on_record_done":
                put(each, app.table, APP[each.name], app.draft)
    elif blocks:
        app.draft.leave(
            blocks[0].place, "recorder", "a stream has one recorder, and `record` of the app is it"
        )
    last = {each.name: each for each in said}
    record = last.get("record")
    if record is not None and "off" not in record.args:
        _write(app, record, last)


def _write(app: Application, record: Directive, last: dict[str, Directive]) -> None:
    what = set(record.args) - {"manual"}
    if what != {"all"} and not {"audio", "video"} <= what:
        text = "all that comes is recorded, or some tracks: key frames or one medium alone are not"
        app.draft.leave(record.place, "record", text)
        return
    path = last.get("record_path")
    if path is None or not path.first.startswith("/"):
        place = record.place if path is None else path.place
        app.draft.leave(place, "record_path", "name the folder as a whole path, in record.root")
        return
    table = (*app.table, "record")
    app.draft.put((*table, "start"), "manual" if "manual" in record.args else "always", record.place)
    app.draft.put((*table, "root"), path.first, path.place)
    app.draft.put((*table, "name"), *_name(last, record))
    for name, simple in RECORD.items():
        if name in last:
            put(last[name], table, simple, app.draft)


def _name(last: dict[str, Directive], record: Directive) -> tuple[str, Place]:
    """The name of files, and where it is said."""
    suffix, unique = last.get("record_suffix"), last.get("record_unique")
    text = (suffix.first if suffix else "").removesuffix(".flv").replace("{", "{{").replace("}", "}}")
    name = "{name}" + _PATTERN.sub(lambda found: f"{{start:{found[0]}}}", text, count=1)
    if unique is not None and unique.is_on and "{start" not in name:
        return f"{name}-{{start}}", unique.place
    return name, suffix.place if suffix else record.place
