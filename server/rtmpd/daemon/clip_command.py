"""``rtmpd clip``: the last seconds of a stream of the server that runs here, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server, say
from rtmpd.daemon.config_options import Assignments, ConfigPaths
from rtmpd.daemon.fetched_file import STDOUT, FileHere, fetch
from rtmpd.daemon.relay_lines import StreamPath


def clip(
    stream: StreamPath,
    seconds: Annotated[
        float, typer.Option("--seconds", "-n", min=0.1, max=86_400, help="How much of it, at least.")
    ] = 20.0,
    picture: Annotated[
        bool, typer.Option("--picture", help="The newest key frame as a JPEG, and no clip.")
    ] = False,
    to: FileHere = None,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Keep the last seconds of a stream that has a ring (apps.NAME.ring.seconds), as an FLV file."""
    from rtmpd.daemon import admin_request

    ending = "jpg" if picture else "flv"
    target = to or Path(f"{stream.rpartition('/')[2]}.{ending}")
    path = "snapshot.jpg" if picture else f"last.flv?seconds={seconds:g}"
    with asked_server(url, token_file, config, assignments) as port:
        size = fetch(port, f"{admin_request.stream_path(stream)}/{path}", target)
    if target != STDOUT:
        say(f"{target}  {size} bytes")
