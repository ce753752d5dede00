"""The recorder of SRS (dvr) as that of all apps, or of some streams."""

from __future__ import annotations

import re
from typing import Final

from rtmpd.imports.blocks import Directive, spell_seconds
from rtmpd.imports.draft import Draft

_TIMES: Final = {
    "2006": "%Y",
    "01": "%m",
    "02": "%d",
    "15": "%H",
    "04": "%M",
    "05": "%S",
    "999": "%f",
    "timestamp": "%s",
}
_TIME: Final = r"\[(?:2006|01|02|15|04|05|999|timestamp)\]"
_RUN: Final = re.compile(rf"{_TIME}(?:[^\[\]{{}}]*{_TIME})*")
_ONE: Final = re.compile(r"\[(\w+)\]")
_DURATION: Final = "30"


def write_dvr(block: Directive, draft: Draft) -> None:
    """What is recorded, where, and what the files are called."""
    path = block.says("dvr_path")
    if path is None or not path.first.startswith("/"):
        place = block.place if path is None else path.place
        draft.leave(place, "dvr_path", "name the folder as a whole path, in record.root")
        return
    root, name = _split(path.first)
    apply = block.says("dvr_apply")
    streams = [] if apply is None else [each for each in apply.args if each != "all"]
    for app in streams or ["*"]:
        if app != "*" and not draft.is_path(app):
            draft.leave(path.place, "dvr_apply", "no stream can be called so here")
            continue
        table = ("apps", app, "record")
        draft.put((*table, "start"), "always", block.place)
        draft.put((*table, "root"), root, path.place)
        draft.put((*table, "name"), name, path.place)
        plan, duration = block.says("dvr_plan"), block.says("dvr_duration")
        if plan is not None and plan.first == "segment":
            said = duration or plan
            text = said.first if duration and said.first.isdecimal() else _DURATION
            draft.put((*table, "split_after"), spell_seconds(float(text)), said.place)
        if path.first.endswith(".mp4"):
            draft.put((*table, "mp4", "enabled"), True, path.place)
            draft.remark(path.place, "dvr_path", "MP4 files need rtmpd[mp4]")


def _split(path: str) -> tuple[str, str]:
    """The folder before anything that differs, and the name of files below it."""
    whole = path.replace("[vhost]/", "").replace("{", "{{").replace("}", "}}")
    fixed, bracket, rest = whole.partition("[")
    root, _, begin = fixed.rpartition("/")
    if not bracket:
        root, _, begin = whole.rpartition("/")
    name = (begin + bracket + rest).removesuffix(".flv").removesuffix(".mp4")
    name = _RUN.sub(lambda found: "{start:" + _ONE.sub(lambda one: _TIMES[one[1]], found[0]) + "}", name)
    return root or "/", name.replace("[app]", "{app}").replace("[stream]", "{name}")
