"""``rtmpd pull``: the streams that the server that runs here fetches from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server
from rtmpd.daemon.config_options import Assignments, ConfigPaths
from rtmpd.daemon.control_command import AsJson
from rtmpd.daemon.relay_lines import OneStream, StreamPath, show, show_all

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

app = typer.Typer(
    name="pull",
    help="List the streams that the server that runs here fetches from others, switch them off and on.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(
    stream: OneStream = None,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Show what is fetched now or switched off, and how each pull gets on."""
    with asked_server(url, token_file, config, assignments) as port:
        show_all(port, "pull", stream, "Nothing is pulled.", as_json=as_json)


@app.command()
def off(
    stream: StreamPath,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Fetch a stream no more, whoever waits for it, until it is switched on or the server ends."""
    with asked_server(url, token_file, config, assignments) as port:
        _change(port, "off", stream, as_json)


@app.command()
def on(
    stream: StreamPath,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Fetch it again: at once if somebody waits for it, or the settings have it fetched always."""
    with asked_server(url, token_file, config, assignments) as port:
        _change(port, "on", stream, as_json)


@app.command()
def restart(
    stream: StreamPath,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Leave the other server, and ask anew which has the stream."""
    with asked_server(url, token_file, config, assignments) as port:
        _change(port, "restart", stream, as_json)


def _change(port: AdminPort, change: str, stream: str, as_json: bool) -> None:
    from rtmpd.daemon import admin_request

    show(port.call("POST", f"{admin_request.stream_path(stream)}/pull/{change}"), as_json=as_json)
