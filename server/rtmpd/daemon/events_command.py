"""``rtmpd events``: what happens on the server that runs here, as it happens."""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server, say
from rtmpd.daemon.config_options import Assignments, ConfigPaths
from rtmpd.daemon.control_command import AsJson

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort, Told

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
"""Seconds until a server that has gone is asked again."""


def events(
    kinds: Annotated[
        str, typer.Option(metavar="KIND,...", help="Only these, such as published,unpublished,audit.")
    ] = "",
    app: Annotated[str, typer.Option(metavar="APP", help="Only of streams of this app.")] = "",
    stream: Annotated[str, typer.Option(metavar="APP/STREAM", help="Only of this stream.")] = "",
    kept: Annotated[bool, typer.Option("--kept", help="Begin with what the server has kept.")] = False,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Show what happens on the server that runs here, as it happens; it may be restarted meanwhile."""
    query = {name: text for name, text in (("kinds", kinds), ("app", app), ("stream", stream)) if text}
    path = f"/events?{urlencode(query)}" if query else "/events"
    try:
        with asked_server(url, token_file, config, assignments) as port:
            for told in _follow(port, path, "0" if kept else ""):
                _show(told, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Whoever read has enough.
    except KeyboardInterrupt:
        pass


def _follow(port: AdminPort, path: str, after: str) -> Iterator[Told]:
    """Events for ever, also of a server that is gone for a while, once it has answered.

    Raises AdminRequestFailed if it refuses, or does not answer the first time.
    """
    from rtmpd.daemon import admin_request
    from rtmpd.exceptions import AdminRequestFailed

    pause, known, told_gone = _FIRST_PAUSE, False, False
    while True:
        problem = "it has ended the connection"
        try:
            for told in port.follow(path, after):
                if told_gone:
                    typer.echo("rtmpd: it answers again", err=True)
                pause, known, told_gone = _FIRST_PAUSE, True, False
                after = told.id or after
                if told.data:
                    yield told
        except (OSError, http.client.HTTPException) as error:
            problem = admin_request.words(error)
        if not known:
            raise AdminRequestFailed(f"the server does not answer: {problem}")
        if not told_gone:
            say(f"rtmpd: the server is gone ({problem}); it is asked again", err=True)
            told_gone = True
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _show(told: Told, *, as_json: bool) -> None:
    from rtmpd.daemon import event_text

    match told.name:
        case "":
            typer.echo(told.data if as_json else event_text.spell(_parsed(told.data)))
        case "missed":
            say(f"rtmpd: {event_text.spell_missed(_parsed(told.data))}", err=True)
    # Whoever reads a pipe is to see it when it happens.
    sys.stdout.flush()


def _parsed(data: str) -> dict[str, Any]:
    import json

    parsed: dict[str, Any] = json.loads(data)
    return parsed
