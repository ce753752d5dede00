"""A vhost of SRS as the table of all apps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from rtmpd.imports.blocks import Directive, number, spell_seconds
from rtmpd.imports.commands import Language, Names, name_of_host, translate
from rtmpd.imports.draft import Draft, Place
from rtmpd.imports.scripts import UNREAD
from rtmpd.imports.srs_blocks import is_enabled
from rtmpd.imports.srs_dvr import write_dvr
from rtmpd.imports.srs_hls import write_hls
from rtmpd.imports.srs_words import HOOKS, LEFT, OLD, PLAY, PUBLISH, SERVER, Simple

ALL: Final = ("apps", "*")
_VARIABLE: Final = re.compile(r"\[(app|stream|vhost|url|param|tcUrl|swfUrl|pageUrl|server|port)\]")
_KNOWN: Final = {"app": "{app}", "stream": "{name}", "vhost": "", "url": "{play_url}"}
_ANYONE: Final = (
    "anyone may publish, as before: `rtmpd key new` makes a key, and without allow only this machine and "
    "private networks publish"
)


class SrsVhost:
    """Writes it."""

    def __init__(self, vhost: Directive, ports: set[str], draft: Draft) -> None:
        self.vhost = vhost
        self.ports = frozenset(ports)
        self.draft = draft
        self._names = Names()

    def write(self) -> None:
        """Put all of it into the draft."""
        blocks: dict[str, Callable[[Directive], None]] = {
            "http_hooks": self._write_hooks,
            "forward": self._write_forward,
            "cluster": self._write_cluster,
            "exec": self._write_exec,
            "http_remux": self._write_remux,
            "dvr": lambda each: write_dvr(each, self.draft),
            "hls": lambda each: write_hls(each, self.draft),
            "play": lambda each: self._write_simple(each.block, PLAY),
            "publish": lambda each: self._write_simple(each.block, PUBLISH),
        }
        for each in self.vhost.block:
            if each.name in blocks:
                if each.name in ("play", "publish") or is_enabled(each):
                    blocks[each.name](each)
            elif each.name == "security":
                pass  # Read when it is known who asks a backend.
            elif each.name in LEFT:
                if not each.block or is_enabled(each):
                    self.draft.leave(each.place, each.name, LEFT[each.name])
            else:
                self._write_simple([each], SERVER | PLAY | PUBLISH)
        self._write_access()

    def _write_simple(self, said: Sequence[Directive], known: dict[str, Simple]) -> None:
        for each in said:
            name = OLD.get(each.name, each.name)
            if name in known:
                write_simple(each, () if name in SERVER else ALL, known[name], self.draft)

    def _write_hooks(self, block: Directive) -> None:
        for each in block.block:
            if each.name in HOOKS:
                self.draft.add((*ALL, "hooks", HOOKS[each.name]), each.args, each.place)
            elif each.name in ("on_hls", "on_hls_notify"):
                text = "not there: nobody is told of segments, and a recording is told of by on_record_done"
                self.draft.leave(each.place, each.name, text)
        self._speak_srs(block.place)
        if any(each.name in ("on_publish", "on_play") for each in block.block):
            self.draft.put((*ALL, "hooks", "decides"), True, block.place)

    def _speak_srs(self, place: Place) -> None:
        if self.draft.has(*ALL, "hooks"):
            self.draft.put((*ALL, "hooks", "dialect"), "srs", place)

    def _write_forward(self, block: Directive) -> None:
        for each in block.named("backend"):
            self.draft.add((*ALL, "hooks", "on_forward"), each.args, each.place)
            self._speak_srs(each.place)
        for each in block.named("destination"):
            for where in each.args:
                url = where if "://" in where else f"rtmp://{where}/[app]/[stream]"
                host = url.partition("://")[2].partition("/")[0]
                table = (*ALL, "push")
                name = self._names.free(table, name_of_host(host))
                self.draft.put((*table, name, "url"), _of_stream(url), each.place)

    def _write_cluster(self, block: Directive) -> None:
        for each in block.block:
            if each.name == "origin":
                origins = [f"rtmp://{host}/{{app}}/{{name}}" for host in each.args]
                self.draft.add((*ALL, "pull", "from"), origins, each.place)
            elif each.name == "origin_cluster" and each.is_on:
                text = "origins that ask each other are not there: name them all in pull.from"
                self.draft.leave(each.place, each.name, text)
            elif each.name == "vhost":
                self.draft.leave(each.place, "cluster vhost", "there are no vhosts: name it in pull.from")

    def _write_exec(self, block: Directive) -> None:
        for each in block.named("publish"):
            done = translate(each.args, Language(_VARIABLE, _KNOWN, self.ports), "")
            if done.missing or not done.command:
                what = ", ".join(sorted({f"[{name}]" for name in done.missing})) or "an empty command"
                text = f"{what} cannot stand in an argument: docs/processes.md has the environment"
                self.draft.leave(each.place, "exec publish", text)
                continue
            if done.unread:
                self.draft.leave(each.place, "exec publish", UNREAD)
                continue
            table = (*ALL, "run", self._names.free((*ALL, "run"), done.name))
            self.draft.put((*table, "command"), done.command, each.place)
            self.draft.put((*table, "publish"), done.publish, each.place)

    def _write_remux(self, block: Directive) -> None:
        mount = block.says("mount")
        if mount is None:
            return
        path, _, _ = mount.first.removeprefix("[vhost]").rpartition(".")
        prefix = path.removesuffix("/[app]/[stream]")
        if prefix == path or "[" in prefix:
            text = "streams are at http.prefix/APP/STREAM.flv: another order is for a proxy in front"
            self.draft.leave(mount.place, "http_remux mount", text)
        elif prefix:
            self.draft.put(("http", "prefix"), prefix, mount.place)

    def _write_access(self) -> None:
        security = self.vhost.says("security")
        rules = security.block if security is not None and is_enabled(security) else ()
        for action in ("publish", "play"):
            for name, key in (("allow", "ips"), ("deny", "deny_ips")):
                of = [each for each in rules if each.name == name and each.first == action]
                networks = [each.args[-1] for each in of]
                if name == "deny" and "all" in networks:
                    self.draft.put((*ALL, action, "allow"), "nobody", of[0].place)
                elif networks and "all" not in networks:
                    self.draft.add((*ALL, action, key), networks, of[0].place)
        asked = self.draft.get(*ALL, "hooks", "on_publish")
        if asked or self.draft.get(*ALL, "publish", "allow"):
            return
        place = self.vhost.place
        self.draft.put((*ALL, "publish", "allow"), "anyone", place)
        if not self.draft.get(*ALL, "publish", "ips"):
            self.draft.remark(place, "vhost", _ANYONE)
            if self.draft.goes_on("*"):
                self.draft.put((*ALL, "publish", "open"), True, place)


def _of_stream(url: str) -> str:
    return url.replace("[app]", "{app}").replace("[stream]", "{name}").replace("[vhost]", "")


def write_simple(each: Directive, table: Sequence[str], simple: Simple, draft: Draft) -> None:
    """A directive that is one setting below ``table``."""
    path = (*table, *simple.path)
    if simple.kind == "flag":
        draft.put(path, each.is_on, each.place)
    elif (count := number(each.first)) is None:
        draft.leave(each.place, each.name, "is no number")
    elif simple.kind == "seconds" or (simple.kind == "milliseconds" and path[-1] != "merge_window_ms"):
        scale = 1.0 if simple.kind == "seconds" else 0.001
        draft.put(path, spell_seconds(count * scale), each.place)
    else:
        draft.put(path, count, each.place)
