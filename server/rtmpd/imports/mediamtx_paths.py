"""One path of MediaMTX, or all of them, as the table of a stream, or of an app."""

from __future__ import annotations

import re
import shlex
from typing import Final

from rtmpd.imports.blocks import number, seconds, spell_seconds
from rtmpd.imports.commands import Language, Names, translate
from rtmpd.imports.draft import Draft, Place
from rtmpd.imports.marked_yaml import Entry
from rtmpd.imports.mediamtx_record import write_record
from rtmpd.imports.mediamtx_words import (
    PATH_EVENTS,
    PATH_LEFT,
    PATH_NEEDLESS,
    PATH_PREFIXES,
    PATH_RUNS,
    PATH_TIMES,
)
from rtmpd.imports.scripts import UNREAD

_EVERY: Final = frozenset({"all", "all_others", "~^.*$", "~^.+$", "~^(.*)$", "~^(.+)$", "~.*", "~^.*", "~"})
_BELOW: Final = re.compile(r"~\^([\w.-]+(?:/[\w.-]+)*)/(?:\(?(?:\.[+*]|\[\^/\]\+)\)?\$?)?")
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_KNOWN: Final = {
    "MTX_PATH": "{app}/{name}",
    "RTSP_PATH": "{app}/{name}",
    "RTMP_PORT": "1935",
    "RTSP_PORT": "8554",
}
_OF_FILES: Final = {"MTX_SEGMENT_PATH": "{file}", "MTX_SEGMENT_DURATION": "{duration}"}
_PORTS: Final = frozenset({"1935", "8554"})


def table_of(name: str, place: Place, draft: Draft) -> str | None:
    """The app or stream that a path is; None, told, where it can be none."""
    if name in _EVERY:
        return "*"
    below = _BELOW.fullmatch(name)
    if below is not None:
        return below[1]
    if name.startswith("~"):
        text = "there are no regular expressions: a table holds for all below its path"
        draft.leave(place, f"paths {name}", text)
        return None
    if "/" not in name:
        text = "encoders name an app and a stream: give it two levels, as in live/show"
        draft.leave(place, f"paths {name}", text)
        return None
    if not draft.is_path(name):
        draft.leave(place, f"paths {name}", "no stream can be called so here")
        return None
    return name


class MediaMtxPath:
    """Writes it."""

    def __init__(self, path: str, said: Entry, defaults: Entry | None, draft: Draft) -> None:
        """``path`` is that of ours, ``defaults`` what holds for all paths."""
        self.table = ("apps", path)
        self.path = path
        self.said = said
        self._defaults = defaults
        self.draft = draft
        self._names = Names()

    def effective(self, key: str) -> Entry | None:
        """What it says, or else what all do."""
        found = self.said.get(key)
        return self._defaults.get(key) if found is None and self._defaults is not None else found

    def write(self) -> None:
        """Put all of it into the draft."""
        self._write_source()
        record = self.effective("record")
        if any(key.startswith("record") for key, _ in self.said.table) and record is not None:
            if record.is_on:
                write_record(self.table, self.effective, self.draft)
            elif self._defaults is not None:  # What holds for all may say that it is.
                self.draft.put((*self.table, "record", "start"), "never", record.place)
        for key, entry in self.said.table:
            if key in PATH_RUNS or key in PATH_EVENTS:
                if entry.text:
                    self._write_command(key, entry)
            elif key == "maxReaders":
                most = number(entry.text)
                if most is None:
                    self.draft.leave(entry.place, key, "is no number")
                elif most:
                    self.draft.put((*self.table, "player", "max_players_per_stream"), most, entry.place)
            elif key == "overridePublisher":
                how = "takeover" if entry.is_on else "reject"
                self.draft.put((*self.table, "handover", "on_duplicate"), how, entry.place)
            elif key in PATH_LEFT:
                if not entry.empty and entry.text not in ("no", "false"):
                    self.draft.leave(entry.place, key, PATH_LEFT[key])
            elif not (
                key in PATH_NEEDLESS or key in PATH_TIMES or key == "source" or key.startswith(PATH_PREFIXES)
            ):
                self.draft.leave(entry.place, key, "is not known to this import")

    def _write_source(self) -> None:
        source = self.said.get("source")
        if source is None or source.text in ("", "publisher"):
            return
        if not source.text.startswith(("rtmp://", "rtmps://")):
            text = 'only RTMP is pulled: a process with ffmpeg and start = "viewer" fetches all else'
            self.draft.leave(source.place, "source", text)
            return
        missing: list[str] = []
        known = _KNOWN | {"G1": "{name}"}
        url = Language(_VARIABLE, known, ()).translate(source.text, missing)
        if missing:
            self.draft.leave(source.place, "source", "only {app} and {name} stand in an origin's URL")
            return
        table = (*self.table, "pull")
        self.draft.put((*table, "from"), [url], source.place)
        on_demand = self.effective("sourceOnDemand")
        if on_demand is None or not on_demand.is_on:
            place = source.place if on_demand is None else on_demand.place
            self.draft.put((*table, "on_demand"), False, place)
            self.draft.put((*table, "names"), [self.path.partition("/")[2]], place)
        for key, path in PATH_TIMES.items():
            entry = self.effective(key)
            value = None if entry is None else seconds(entry.text)
            if entry is not None and value is not None:
                self.draft.put((*self.table, *path), spell_seconds(value), entry.place)

    def _write_command(self, key: str, entry: Entry) -> None:
        event = PATH_EVENTS.get(key)
        kind = "run" if event is None else "exec"
        try:
            words = shlex.split(entry.text)
        except ValueError:
            words = []
        done = translate(words, Language(_VARIABLE, _KNOWN | (_OF_FILES if event else {}), _PORTS), "")
        if done.missing or not done.command:
            what = ", ".join(sorted({f"${name}" for name in done.missing})) or "an unfinished quotation"
            text = f"{what} cannot stand in an argument: docs/processes.md has the environment"
            self.draft.leave(entry.place, key, text)
            return
        if done.unread:
            self.draft.leave(entry.place, key, UNREAD)
            return
        table = (*self.table, kind, self._names.free((*self.table, kind), done.name))
        self.draft.put((*table, "command"), done.command, entry.place)
        if event is not None:
            self.draft.put((*table, "on"), [event], entry.place)
            return
        self.draft.put((*table, "publish"), done.publish, entry.place)
        if PATH_RUNS[key] != "media":
            self.draft.put((*table, "start"), PATH_RUNS[key], entry.place)
        again = self.effective(f"{key}Restart")
        if again is None or not again.is_on:
            self.draft.put((*table, "restart"), "never", entry.place if again is None else again.place)
        linger = self.effective(f"{key}CloseAfter")
        value = None if linger is None else seconds(linger.text)
        if linger is not None and value is not None:
            self.draft.put((*table, "linger"), spell_seconds(value), linger.place)
        if done.rtsp:
            self.draft.remark(entry.place, key, "published by RTSP: see that its codecs are those of RTMP")
