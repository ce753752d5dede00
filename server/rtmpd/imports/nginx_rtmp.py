"""nginx.conf with a block ``rtmp``, of nginx-rtmp or one of its forks, as settings of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rtmpd.imports.blocks import Directive, inherited, number, size, walk
from rtmpd.imports.draft import ADMIN, HTTP, Draft
from rtmpd.imports.nginx_app import write_application
from rtmpd.imports.nginx_context import Application
from rtmpd.imports.nginx_web import write_origins
from rtmpd.imports.nginx_words import KNOWN, SERVER, put

PAGE: Final = "docs/migrate-from-nginx-rtmp.md"
BLOCKS: Final = ("rtmp",)
"""One is in every such file."""
PROXIED: Final = (
    'write "proxy=require" behind the address in rtmp.listen, and your load balancer into '
    "network.trusted_proxies"
)
_IN_RTMP: Final = frozenset({"server"})
_AROUND: Final = frozenset({"rtmp", "server", "application"})
_PARAMETERS: Final = frozenset({"bind", "ipv6only", "so_keepalive", "backlog", "deferred"})
_MOST_PER_ADDRESS: Final = 1000
_LONGEST_MESSAGE: Final = (1 << 24) - 1
"""Bytes: more cannot be said."""
_USUAL_PARTIAL: Final = 12 << 20


def import_nginx(directives: Sequence[Directive], draft: Draft) -> None:
    """Write all that ``directives``, those of the file, say of RTMP; what else nginx does stays with it."""
    blocks = [each for each in directives if each.name == "rtmp"]
    web = [*walk([block for block in directives if block.name == "http"])]
    for block in blocks:
        servers = [*block.named("server")]
        common = [each for each in block.block if each.name not in _IN_RTMP]
        for server in servers:
            _import_server(inherited(common, server.block), web, draft)
    _import_web(web, draft)
    _tell_rest(blocks, draft)


def _import_server(directives: Sequence[Directive], web: Sequence[Directive], draft: Draft) -> None:
    ports: set[str] = set()
    for each in directives:
        if each.name == "listen":
            ports.add(_listen(each, draft))
    common = [each for each in directives if each.name not in ("application", "listen")]
    for each in common:
        _import_common(each, draft)
    for each in directives:
        if each.name == "application" and not draft.is_path(each.first):
            draft.leave(each.place, each.name, "no app can be called so here: give it a name without blanks")
        elif each.name == "application":
            outer = [one for one in common if one.name not in SERVER]
            said = inherited(outer, each.block)
            here = frozenset(ports or {"1935"})
            write_application(Application(each.first, each.place, said, here, web, draft))


def _import_common(each: Directive, draft: Draft) -> None:
    """A directive of all applications; what is of each is written there."""
    if each.name == "max_connections":
        _put_connections(each, draft)
    elif each.name == "max_message" and (limit := size(each.first)) is not None:
        limit = min(limit, _LONGEST_MESSAGE)
        draft.put(("rtmp", "limits", "max_message_bytes"), limit, each.place)
        if limit > _USUAL_PARTIAL:
            draft.put(("rtmp", "limits", "max_partial_bytes"), limit, each.place)
    elif each.name in SERVER:
        put(each, (), SERVER[each.name], draft)


def _put_connections(each: Directive, draft: Draft) -> None:
    limit = number(each.first)
    if not limit:
        draft.leave(each.place, each.name, "is no number")
        return
    draft.put(("rtmp", "limits", "max_connections"), limit, each.place)
    if limit < _MOST_PER_ADDRESS:
        draft.put(("rtmp", "limits", "max_connections_per_address"), limit, each.place)


def _listen(each: Directive, draft: Draft) -> str:
    """Where is listened; the port, or an empty text."""
    where, options = each.first, each.args[1:]
    host, _, port = where.rpartition(":") if not where.startswith("unix:") else (where, "", "")
    if not port.isdecimal() and not where.startswith("unix:"):
        host, port = where, "1935"
    address = where if where.startswith("unix:") else f"{'' if host == '*' else host}:{port}"
    for option in options:
        if option == "proxy_protocol":
            draft.leave(each.place, "listen ... proxy_protocol", PROXIED)
        elif option.partition("=")[0] not in _PARAMETERS:
            draft.leave(each.place, f"listen ... {option.partition('=')[0]}", "not there")
    held = draft.get("rtmp", "listen")
    everywhere = isinstance(held, list) and f":{port}" in held
    if not (everywhere and host.strip("[].:0") == ""):  # All of IPv6, or of IPv4.
        draft.add(("rtmp", "listen"), [address], each.place)
    return port


def _import_web(web: Sequence[Directive], draft: Draft) -> None:
    """What nginx shows of RTMP by HTTP."""
    for each in web:
        for said in each.block if each.name == "location" else ():
            path = each.args[-1] if each.args else ""
            if said.name == "rtmp_stat" and said.first != "off":
                draft.put(("compat", "nginx_rtmp", "admin"), True, said.place)
                draft.put(("compat", "nginx_rtmp", "stat_path"), path, said.place)
                text = f"is at {ADMIN}, or at the address of compat.nginx_rtmp.listen"
                draft.remark(said.place, said.name, text)
            elif said.name == "rtmp_control" and said.first != "off":
                draft.put(("compat", "nginx_rtmp", "admin"), True, said.place)
                draft.put(("compat", "nginx_rtmp", "control_path"), path, said.place)
            elif said.name == "flv_live":
                text = f"HTTP-FLV is at {HTTP}, /APP/NAME.flv: old addresses are for a proxy in front"
                draft.remark(said.place, said.name, text)
                write_origins(each, web, draft)


def _tell_rest(blocks: Sequence[Directive], draft: Draft) -> None:
    """What is not known wherever it stands, and what nothing was made of."""
    for each in walk(blocks, draft):
        if each.name not in KNOWN and not each.name.startswith(("hls_", "dash_")):
            draft.leave(each.place, each.name, "is not known to this import")
    rest = (each for each in walk(blocks, draft) if each.name not in _AROUND)
    draft.tell_rest((each.place, each.name) for each in rest)
