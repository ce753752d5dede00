"""Pushes and pulls of a server as commands name, list and tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtmpd.daemon.asked_server import say
from rtmpd.daemon.config_options import parse_path
from rtmpd.daemon.control_command import print_json

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

StreamPath = Annotated[
    str, typer.Argument(metavar="APP/STREAM", parser=parse_path, show_default=False, help="The stream.")
]
OneStream = Annotated[
    str | None,
    typer.Argument(metavar="[APP/STREAM]", parser=parse_path, show_default=False, help="Of this alone."),
]


def show_all(port: AdminPort, kind: str, stream: str | None, nothing: str, *, as_json: bool) -> None:
    """All of a ``kind``, or those of one stream; ``nothing`` is said where there are none.

    Raises AdminRequestFailed.
    """
    found = port.call_all("/relays", {"kind": kind} | ({} if stream is None else {"stream": stream}))
    if as_json:
        print_json({"items": found})
    elif not found:
        say(nothing)
    for relay in () if as_json else found:
        show(relay, as_json=False)


def show(relay: dict[str, Any], *, as_json: bool) -> None:
    """One, for people or as JSON."""
    if as_json:
        print_json(relay)
        return
    name = relay["id"] if relay["kind"] == "push" else ""
    shown = "slate" if relay.get("slate") else ""  # A server that is older than this command has none.
    parts = f"{relay['app']}/{relay['name']}", name, relay["remote"], relay["state"], shown
    said = "  ".join(filter(None, parts))
    say(f"{said}: {relay['reason']}" if relay["reason"] else said)
