"""One ``application`` of nginx-rtmp as the table of an app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtmpd.imports import access_lists
from rtmpd.imports.access_lists import Access
from rtmpd.imports.blocks import Directive, spell_seconds
from rtmpd.imports.nginx_commands import write_command
from rtmpd.imports.nginx_context import Application
from rtmpd.imports.nginx_hls import write_hls
from rtmpd.imports.nginx_record import write_record
from rtmpd.imports.nginx_relays import write_pull, write_push
from rtmpd.imports.nginx_words import APP, COMMANDS, LEFT, put

_ANYONE: Final = (
    "anyone may publish, as before: `rtmpd key new` makes a key, and without allow only this machine and "
    "private networks publish"
)
_SHADOWED: Final = "comes before a deny of a network around it: lists have no order here, and deny_ips wins"
_HLS_TOO: Final = (
    "who may not play does not by HLS either, which nginx had for anyone: leave it away for viewers by HLS"
)
_BEHIND: Final = "wait_timeout"


def write_application(app: Application) -> None:
    """Put all of it into the draft."""
    for each in app.said:
        _write_one(app, each)
    write_record(app)
    write_hls(app)
    _write_hooks(app)
    _write_access(app)


def _write_one(app: Application, each: Directive) -> None:
    special: dict[str, Callable[[Application, Directive], None]] = {
        "push": write_push,
        "pull": write_pull,
        "play": _write_vod,
        "idle_streams": _write_idle,
    }
    if each.name in special:
        special[each.name](app, each)
    elif each.name in COMMANDS:
        write_command(app, each)
    elif each.name in APP:
        put(each, app.table, APP[each.name], app.draft)
    elif each.name in LEFT and each.first != "off":
        app.draft.leave(each.place, each.name, LEFT[each.name])


def _write_hooks(app: Application) -> None:
    table = (*app.table, "hooks")
    if not app.draft.has(*table):
        return
    asked = [each for each in app.said if each.name.startswith("on_")]
    place = asked[0].place if asked else app.place
    app.draft.put((*table, "dialect"), "nginx-rtmp", place)
    if any(each.name in ("on_publish", "on_play") for each in asked):
        app.draft.put((*table, "decides"), True, place)
    method = app.last("notify_method")
    if method is not None and method.first == "get":
        app.draft.put((*table, "method"), "get", method.place)


def _write_access(app: Application) -> None:
    rules = [each for each in app.said if each.name in ("allow", "deny")]
    publish, play = (access_lists.read(rules, action) for action in ("publish", "play"))
    _put_access(app, "publish", publish)
    _put_access(app, "play", play)
    hls = app.last("hls")
    if play.said and (play.nobody or play.ips or play.deny_ips) and hls is not None and hls.is_on:
        app.draft.leave(play.said[-1].place, play.said[-1].name, _HLS_TOO)
    live = app.last("live")
    if live is None or not live.is_on:  # Nobody publishes there, either.
        app.draft.put((*app.table, "publish", "allow"), "nobody", app.place)
        return
    if publish.nobody or app.all("on_publish"):
        return
    place = publish.said[0].place if publish.said else app.place
    app.draft.put((*app.table, "publish", "allow"), "anyone", place)
    if not publish.ips:
        app.draft.remark(place, f"application {app.name}", _ANYONE)
        if app.draft.goes_on(app.name):
            app.draft.put((*app.table, "publish", "open"), True, place)


def _put_access(app: Application, action: str, access: Access) -> None:
    table = (*app.table, action)
    for each in access.hidden:
        app.draft.leave(each.place, each.name, _SHADOWED)
    for key, networks in (("ips", access.ips), ("deny_ips", access.deny_ips)):
        if networks:
            app.draft.add((*table, key), networks, access.said[0].place)
    if access.nobody:
        app.draft.put((*table, "allow"), "nobody", access.said[0].place)


def _write_vod(app: Application, each: Directive) -> None:
    folders = [path for path in each.args if path.startswith("/")]
    if folders:
        app.draft.put((*app.table, "vod", "root"), folders[0].rstrip("/") or "/", each.place)
    if len(folders) != 1 or len(each.args) != 1:
        app.draft.leave(
            each.place, each.name, "one folder of FLV files is played, and no other server's files"
        )


def _write_idle(app: Application, each: Directive) -> None:
    if each.first == "off":
        app.draft.put((*app.table, "player", _BEHIND), spell_seconds(1.0), each.place)
