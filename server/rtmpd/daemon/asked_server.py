"""Which server a command asks, and what it shows there: that of this machine, or one at a URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told
from rtmpd.daemon.environment import BEARER_FILE_VARIABLE, URL_VARIABLE

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar=URL_VARIABLE,
        show_default=False,
        help="Ask the admin port there, such as https://tv.example.com or unix:/run/rtmpd/admin.sock, "
        "and not the server that runs here.",
    ),
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        envvar=BEARER_FILE_VARIABLE,
        show_default=False,
        help="A file with the token that is shown there.",
    ),
]


@contextmanager
def asked_server(
    url: ServerUrl, token_file: TokenFile, config: ConfigPaths, assignments: Assignments
) -> Iterator[AdminPort]:
    """The one that is asked, as ``refusals_told`` has it."""
    with refusals_told():
        yield reach(url, token_file, config, assignments)


def streams_of(port: AdminPort) -> list[dict[str, Any]]:
    """All streams there, with ``recorded`` besides: whether a file is being written of each."""
    written = {(file["app"], file["name"]) for file in port.call_all("/recordings", {"state": "recording"})}
    return [
        stream | {"recorded": (stream["app"], stream["name"]) in written}
        for stream in port.call_all("/streams")
    ]


@contextmanager
def refusals_told() -> Iterator[None]:
    """The end of the command with 1 where a server does not do it."""
    from rtmpd.exceptions import AdminRequestFailed

    try:
        yield
    except AdminRequestFailed as error:
        say(f"rtmpd: {error}", err=True)
        raise typer.Exit(1) from error


def reach(url: ServerUrl, token_file: TokenFile, config: ConfigPaths, assignments: Assignments) -> AdminPort:
    """Where the server is asked. The settings are read for that of this machine: they say where it listens.

    Raises AdminRequestFailed where that is nowhere.
    """
    from rtmpd.daemon import admin_request, settings

    token = admin_request.token(token_file, os.environ)
    if url:
        port = admin_request.port_at(url, token)
    else:
        with mistakes_told(os.EX_CONFIG):
            loaded = settings.load(config or (), os.environ, assignments or ()).config
        port = admin_request.port_here(loaded, token)
    if port.exposes_token:
        text = f"whoever is between here and {port} can read the token: use https, or a tunnel"
        typer.echo(f"rtmpd: {text}", err=True)
    return port


def say(line: str, *, err: bool = False) -> None:
    """A line of what a server has told."""
    typer.echo(printable(line), err=err)


def printable(text: str) -> str:
    """``text`` so that whatever others have put into it moves no cursor."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
