"""``push`` and ``pull`` of nginx-rtmp as targets and origins of ours."""

from __future__ import annotations

import re
from typing import Final

from rtmpd.imports.blocks import Directive
from rtmpd.imports.commands import name_of_host
from rtmpd.imports.nginx_context import Application

_URL: Final = re.compile(r"(?:(rtmps?)://)?([^/]+?)(?:/([^/]*)(?:/(.*))?)?")
_HERE: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?")
_VARIABLE: Final = re.compile(r"\$\{?(app|name)\b\}?")
_QUIET: Final = frozenset({"static", "live", "start", "stop"})
_COPY: Final = ["ffmpeg", "-i", "{play_url}", "-c", "copy", "-f", "flv", "{publish_url}"]


def write_push(app: Application, each: Directive) -> None:
    """A target, or a process where it is this server itself."""
    parsed = _parse(app, each)
    if parsed is None:
        return
    scheme, host, there, name, _ = parsed
    if _is_here(app, host):
        table = (*app.table, "run", app.names.free((*app.table, "run"), "copy"))
        app.draft.put((*table, "command"), _COPY, each.place)
        app.draft.put((*table, "publish"), [f"{there}/{name or '{name}'}"], each.place)
        text = "a push to this server itself would be a loop: it is a process that copies"
        app.draft.remark(each.place, each.name, text)
        return
    table = (*app.table, "push", app.names.free((*app.table, "push"), name_of_host(host)))
    url = f"{scheme}://{host}/{there}"
    app.draft.put((*table, "url"), url if name and name != "{name}" else f"{url}/{{name}}", each.place)
    if name and name != "{name}":
        app.draft.put((*table, "key"), name, each.place)


def write_pull(app: Application, each: Directive) -> None:
    """An origin, of the whole app or of one stream."""
    parsed = _parse(app, each)
    if parsed is None:
        return
    scheme, host, there, remote, local = parsed
    table = (f"{app.name}/{local}" if local else app.name, "pull")
    origin = f"{scheme}://{host}/{there}/{remote or local or '{name}'}"
    app.draft.add(("apps", *table, "from"), [origin], each.place)
    if local:
        app.draft.put(("apps", *table, "names"), [local], each.place)
    if "static" in each.args:
        if local:
            app.draft.put(("apps", *table, "on_demand"), False, each.place)
        else:
            app.draft.leave(each.place, "pull ... static", "name the streams that are fetched always")


def _parse(app: Application, each: Directive) -> tuple[str, str, str, str, str] | None:
    """Scheme, host, app and name over there, and the name here; None, told, where that cannot be."""
    found = _URL.fullmatch(each.first)
    if found is None:
        app.draft.leave(each.place, each.name, "is no URL of a server")
        return None
    scheme, host, there, name = (group or "" for group in found.groups())
    options = dict(word.partition("=")[::2] for word in each.args[1:])
    local = options.pop("name", "") if each.name == "pull" else ""
    name = name or options.pop("playPath", "") or options.pop("name", "")
    there = options.pop("app", "") or there or "{app}"
    unknown = sorted(options.keys() - _QUIET)
    if unknown:
        text = "is not sent: what this server says of itself is always the same"
        app.draft.leave(each.place, f"{each.name} ... {unknown[0]}", text)
    there, name = (_VARIABLE.sub(r"{\1}", text.strip("/")) for text in (there, name))
    return scheme or "rtmp", host, there, name, local


def _is_here(app: Application, host: str) -> bool:
    found = _HERE.fullmatch(host)
    return found is not None and (found[1] or "1935") in app.ports
