"""What nginx says of HTTP, as far as it is about streams: where files were, and which pages had them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rtmpd.imports.blocks import Directive
from rtmpd.imports.draft import Draft

_PLAYLIST: Final = "m3u8"
_HEADER: Final = "add_header Access-Control-Allow-Origin"
_NAMED: Final = "is http.origins: these pages may play by HTTP, and publish as any client may"
_UNNAMED: Final = "is no page: name those that may have streams in http.origins"


class Served(NamedTuple):
    """Where files of a folder are had by HTTP."""

    address: str
    """The path before their names."""
    block: Directive
    """The location or server that has them."""


def find_served(folder: str, web: Sequence[Directive]) -> Served | None:
    """Where nginx had the files of ``folder``; None where it did not, or not so simply."""
    for each in web:
        prefix = _prefix(each) or ""
        root, alias = each.says("root"), each.says("alias")
        for said, before in ((root, ""), (alias, prefix)):
            base = None if said is None else said.first.rstrip("/")
            if base is None or not f"{folder}/".startswith(f"{base}/"):
                continue
            address = before + folder[len(base) :]
            if f"{address}/".startswith(f"{prefix}/"):
                return Served(address, _location(address, each))
    return None


def write_origins(block: Directive, web: Sequence[Directive], draft: Draft) -> None:
    """Have those pages play that nginx let have what is at a location."""
    for each in _headers(block, web):
        origin = each.args[1] if len(each.args) > 1 else ""
        if origin == "*" or (origin.startswith(("http://", "https://")) and "$" not in origin):
            draft.add(("http", "origins"), [origin], each.place)
            draft.remark(each.place, _HEADER, _NAMED)
        else:
            draft.leave(each.place, _HEADER, _UNNAMED)


def ports_of(block: Directive, web: Sequence[Directive]) -> str:
    """Those of the server that a location is in, for people; empty where it is in none."""
    server = next((each for each in _outwards(block, web) if each.name == "server"), None)
    if server is None:
        return ""
    listens = [each.first.rpartition(":")[2] for each in server.named("listen")]
    ports = [port if port.isdecimal() else "80" for port in listens] or ["80"]
    return ", ".join(dict.fromkeys(ports))


def _prefix(location: Directive) -> str | None:
    """Of the paths that a location is for; None where it is none, or looks at them otherwise."""
    if location.name != "location" or not location.args or location.args[0] in ("~", "~*"):
        return None
    return location.args[-1].rstrip("/")


def _location(address: str, block: Directive) -> Directive:
    """The one within ``block`` that playlists at this address are in; ``block`` where there is none."""
    longest, found = -1, block
    for each in block.named("location"):
        prefix = _prefix(each)
        if prefix is None and _PLAYLIST in each.args[-1]:
            return each  # nginx prefers these.
        if prefix is not None and len(prefix) > longest and f"{address}/".startswith(f"{prefix}/"):
            longest, found = len(prefix), each
    return found if found is block else _location(address, found)


def _headers(block: Directive, web: Sequence[Directive]) -> list[Directive]:
    """Those about pages, of the innermost block that says anything of headers."""
    for each in _outwards(block, web):
        said = [header for one in (each, *each.named("if")) for header in one.named("add_header")]
        if said:
            return [header for header in said if f"{header.name} {header.first}".lower() == _HEADER.lower()]
    return []


def _outwards(block: Directive, web: Sequence[Directive]) -> Iterator[Directive]:
    """A block, and those that it lies in."""
    around: Directive | None = block
    while around is not None:
        inner = around
        yield inner
        around = next((each for each in web if any(one is inner for one in each.block)), None)
