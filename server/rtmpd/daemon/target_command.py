"""``rtmpd target``: where streams of the server that runs here are pushed to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server, say
from rtmpd.daemon.config_options import Assignments, ConfigPaths
from rtmpd.daemon.control_command import AsJson, print_json
from rtmpd.daemon.relay_lines import OneStream, StreamPath, show, show_all

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

app = typer.Typer(
    name="target",
    help="List push targets of the server that runs here, add and remove them, switch them off and on.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

TargetId = Annotated[
    str,
    typer.Argument(
        metavar="TARGET", show_default=False, help="As the list calls it: its name in the configuration."
    ),
]


@app.command("list")
def list_(
    stream: OneStream = None,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Show where streams are pushed to, and how each target gets on."""
    with asked_server(url, token_file, config, assignments) as port:
        show_all(port, "push", stream, "Nothing is pushed.", as_json=as_json)


@app.command()
def add(
    stream: StreamPath,
    remote: Annotated[
        str,
        typer.Argument(
            metavar="[URL]",
            show_default=False,
            help="The other server, app and stream key; - or nothing reads it from the input, "
            "where others on this machine do not see it.",
        ),
    ] = "-",
    url_file: Annotated[
        Path | None,
        typer.Option("--url-file", metavar="FILE", show_default=False, help="Read it from this file."),
    ] = None,
    track: Annotated[
        str,
        typer.Option(metavar="all|NAME|NUMBER", show_default=False, help="Which track of video to send."),
    ] = "",
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Push a stream to one more address, whenever it is published, until that is removed."""
    from rtmpd.daemon import admin_request

    body: dict[str, Any] = {"url": _url(remote, url_file)}
    if track:
        body["track"] = int(track) if track.isdecimal() else track
    with asked_server(url, token_file, config, assignments) as port:
        told = port.call("POST", f"{admin_request.stream_path(stream)}/push", body)
    show(told, as_json=as_json)
    if not as_json and not told["kept"]:
        say("until the server ends, as it is not stored: see state.dir", err=True)


@app.command()
def remove(
    stream: StreamPath,
    target: TargetId,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """End a target; one of the configuration comes back with the next publish."""
    from rtmpd.daemon import admin_request

    with asked_server(url, token_file, config, assignments) as port:
        path = f"{admin_request.stream_path(stream)}/push/{quote(target, safe='')}"
        port.call("DELETE", path)
    if as_json:
        print_json({"removed": target})
    else:
        say(f"{stream} is pushed to {target} no more")


@app.command()
def off(
    stream: StreamPath,
    target: TargetId,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Send nothing there, whoever publishes, until it is switched on."""
    with asked_server(url, token_file, config, assignments) as port:
        _switch(port, "off", stream, target, as_json)


@app.command()
def on(
    stream: StreamPath,
    target: TargetId,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Send there again."""
    with asked_server(url, token_file, config, assignments) as port:
        _switch(port, "on", stream, target, as_json)


@app.command()
def restart(
    stream: StreamPath,
    target: TargetId,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Leave the other server and come back, or try again now."""
    with asked_server(url, token_file, config, assignments) as port:
        _switch(port, "restart", stream, target, as_json)


def _switch(port: AdminPort, change: str, stream: str, target: str, as_json: bool) -> None:
    from rtmpd.daemon import admin_request

    path = f"{admin_request.stream_path(stream)}/push/{quote(target, safe='')}/{change}"
    show(port.call("POST", path), as_json=as_json)


def _url(url: str, file: Path | None) -> str:
    if file is not None:
        if url != "-":
            raise typer.BadParameter("give the URL, or a file with it", param_hint="--url-file")
        try:
            return file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"cannot be read: {error}", param_hint="--url-file") from None
    if url != "-":
        typer.echo("rtmpd: others on this machine can see arguments: leave the URL out to be asked", err=True)
        return url
    if sys.stdin.isatty():
        told: str = typer.prompt("URL with its stream key", hide_input=True, err=True)
        return told.strip()
    return sys.stdin.readline().strip()
