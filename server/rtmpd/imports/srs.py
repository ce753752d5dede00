"""srs.conf as settings of ours. There are no vhosts: what is said of the default one is said of all apps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rtmpd.imports.blocks import Directive, number
from rtmpd.imports.draft import ADMIN, Draft
from rtmpd.imports.srs_blocks import in_force, is_enabled
from rtmpd.imports.srs_vhost import SrsVhost, write_simple
from rtmpd.imports.srs_words import KNOWN, LEFT, SERVER

PAGE: Final = "docs/migrate-from-srs.md"
BLOCKS: Final = ("listen", "vhost", "rtmps", "http_api", "http_server")
"""One of them is in every such file."""
_LEVELS: Final = {"verbose": "debug", "info": "debug", "trace": "info", "warn": "warning", "error": "error"}
_MOST_PER_ADDRESS: Final = 1000
_API: Final = {
    "raw_api": "settings are not changed by HTTP: change the file, and `rtmpd reload`",
    "auth": "the admin port has tokens: `rtmpd token new` makes one",
    "https": "have admin.listen with a proxy in front that speaks TLS",
}
"""Parts of the API that are not there."""


def import_srs(directives: Sequence[Directive], draft: Draft) -> None:
    """Write all that ``directives``, those of the file, say."""
    vhosts = [each for each in directives if each.name == "vhost"]
    plain = [each for each in vhosts if each.first == "__defaultVhost__"] or vhosts[:1]
    ports = {"1935"}
    for each in directives:
        if each.name == "listen":
            ports |= _listen(each, ("rtmp", "listen"), draft)
    for each in directives:
        if each.name == "vhost":
            if each in plain:
                SrsVhost(each, ports, draft).write()
            else:
                text = "there are no vhosts: what is said of the default one holds whatever a client calls us"
                draft.leave(each.place, "vhost", text)
        elif each.name != "listen":
            _import_one(each, draft)
    for each in in_force(directives, draft):
        if each.name not in KNOWN and not each.name.startswith(("dvr_", "hls_")):
            draft.leave(each.place, each.name, "is not known to this import")
    draft.tell_rest((each.place, each.name) for each in in_force(directives, draft) if each.name != "vhost")


def _import_one(each: Directive, draft: Draft) -> None:
    if each.name == "max_connections" and (limit := number(each.first)):
        draft.put(("rtmp", "limits", "max_connections"), limit, each.place)
        if limit < _MOST_PER_ADDRESS:
            draft.put(("rtmp", "limits", "max_connections_per_address"), limit, each.place)
    elif each.name in ("srs_log_level", "srs_log_level_v2"):
        if each.first in _LEVELS:
            draft.put(("log", "level"), _LEVELS[each.first], each.place)
    elif each.name in SERVER:
        write_simple(each, (), SERVER[each.name], draft)
    elif each.name in _BLOCKS:
        if is_enabled(each):
            _BLOCKS[each.name](each, draft)
    elif each.name in LEFT and (is_enabled(each) or not each.block):
        draft.leave(each.place, each.name, LEFT[each.name])


def _listen(each: Directive, path: tuple[str, ...], draft: Draft) -> set[str]:
    """Each address that it names; their ports."""
    ports = set()
    for where in each.args:
        host, _, port = where.rpartition(":")
        draft.add(path, [f"{host if host.strip('.0') else ''}:{port}"], each.place)
        ports.add(port)
    return ports


def _rtmps(block: Directive, draft: Draft) -> None:
    _tls(block, "rtmps", draft)


def _tls(block: Directive, protocol: str, draft: Draft) -> None:
    """Where that is, and with which certificate: there is one for all."""
    listen, key, chain = (block.says(name) for name in ("listen", "key", "cert"))
    if listen is not None:
        _listen(listen, (protocol, "listen"), draft)
    if key is None or chain is None:
        draft.leave(block.place, block.name, "wants key and cert: rtmps.certificates names both")
        return
    draft.put_certificate(chain.first, key.first, chain.place)


def _http_api(block: Directive, draft: Draft) -> None:
    draft.put(("compat", "srs", "admin"), True, block.place)
    text = f"is at {ADMIN}, below /srs, or at the address of compat.srs.listen as it was"
    draft.remark(block.place, block.name, text)
    for name, advice in _API.items():
        said = block.says(name)
        if said is not None and is_enabled(said):
            draft.leave(said.place, f"http_api {name}", advice)


def _http_server(block: Directive, draft: Draft) -> None:
    listen = block.says("listen")
    if listen is not None:
        _listen(listen, ("http", "listen"), draft)
    secure = block.says("https")
    if secure is not None and is_enabled(secure):
        _tls(secure, "https", draft)
    folder = block.says("dir")
    if folder is not None:
        text = "pages and files of this folder are for another web server; FLV files for [apps.NAME.vod]"
        draft.remark(folder.place, "http_server dir", text)


def _exporter(block: Directive, draft: Draft) -> None:
    draft.remark(block.place, block.name, LEFT["exporter"])


_BLOCKS: Final[Mapping[str, Callable[[Directive, Draft], None]]] = {
    "rtmps": _rtmps,
    "http_api": _http_api,
    "http_server": _http_server,
    "http_stream": _http_server,
    "exporter": _exporter,
}
