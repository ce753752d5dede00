"""``rtmpd recordings``: what the server that runs here has recorded, and what it records."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server, say
from rtmpd.daemon.client_command import bytes_text
from rtmpd.daemon.config_options import Assignments, ConfigPaths
from rtmpd.daemon.control_command import AsJson, print_json
from rtmpd.daemon.fetched_file import STDOUT, FileHere, fetch
from rtmpd.daemon.relay_lines import OneStream, StreamPath

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

app = typer.Typer(
    name="recordings",
    help="List recorded files of the server that runs here, download and delete them, record streams.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_INDENT: Final = " " * 18
_NARROWEST: Final = 60
_WIDEST: Final = 120
_ID: Final = re.compile("[0-9a-f]{16}")
Wanted = Annotated[
    str,
    typer.Argument(metavar="FILE|ID", show_default=False, help="Its name, as the list has it, or its id."),
]


@app.command("list")
def list_(
    stream: OneStream = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Those alone with which something is still to be done.")
    ] = False,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Show recorded files, the newest first.

    Those that are being written come before. Each is called as the last column has it.
    """
    query = ({} if stream is None else {"stream": stream}) | ({"waiting": "true"} if waiting else {})
    with asked_server(url, token_file, config, assignments) as port:
        found = port.call_all("/recordings", query)
    if as_json:
        print_json({"items": found})
        return
    if not found:
        say("There are no recordings.")
    width = max(_NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST))
    for each in found:
        for line in _lines(each, width):
            say(line)


@app.command()
def start(
    stream: StreamPath,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Record a stream for as long as it is published.

    From its last key frame on, where record.start allows it.
    """
    with asked_server(url, token_file, config, assignments) as port:
        _change(port, "start", stream, f"{stream} is being recorded", as_json)


@app.command()
def stop(
    stream: StreamPath,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Finish the file of a stream, and record it no more.

    Until it is published anew.
    """
    with asked_server(url, token_file, config, assignments) as port:
        _change(port, "stop", stream, f"{stream} is not recorded any more", as_json)


@app.command()
def split(
    stream: StreamPath,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Go on in another file from the next key frame."""
    with asked_server(url, token_file, config, assignments) as port:
        _change(
            port, "split", stream, f"{stream} goes on in another file from its next key frame on", as_json
        )


@app.command()
def download(
    recording: Wanted,
    to: FileHere = None,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Fetch a finished file.

    What broke off goes on where it was when it is said again.
    """
    with asked_server(url, token_file, config, assignments) as port:
        found = _find(port, recording)
        target = to or Path(PurePosixPath(found["file"]).name)
        changed = datetime.fromisoformat(found["changed"]).timestamp()
        fetch(port, f"/recordings/{found['id']}/file", target, found["bytes"], changed)
    if target == STDOUT:
        return
    if as_json:
        print_json({"id": found["id"], "file": str(target), "bytes": found["bytes"]})
    else:
        say(f"{target}  {bytes_text(found['bytes'])}")


@app.command()
def delete(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|ID...", show_default=False, help="Their names, as the list has them, or ids."
        ),
    ],
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Remove finished files from the server.

    What was uploaded stays where it is.
    """
    gone = []
    with asked_server(url, token_file, config, assignments) as port:
        for wanted in recordings:
            found = _find(port, wanted)
            port.call("DELETE", f"/recordings/{found['id']}")
            gone.append(found["file"])
            if not as_json:
                say(f"{found['file']} is removed")
    if as_json:
        print_json({"removed": gone})


@app.command()
def retry(
    recording: Wanted,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Try now what is still to be done with a file.

    Its MP4 file, its upload.
    """
    with asked_server(url, token_file, config, assignments) as port:
        told = port.call("POST", f"/recordings/{_find(port, recording)['id']}/retry")
    if as_json:
        print_json(told)
    else:
        say(f"{told['file']} is tried again: {told['waits_for']}")


def _change(port: AdminPort, change: str, stream: str, done: str, as_json: bool) -> None:
    from rtmpd.daemon import admin_request

    told = port.call("POST", f"{admin_request.stream_path(stream)}/recording/{change}")
    if as_json:
        print_json(told)
    else:
        say(done)


def _find(port: AdminPort, wanted: str) -> dict[str, Any]:
    """Raises AdminRequestFailed."""
    from rtmpd.exceptions import AdminRequestFailed

    if _ID.fullmatch(wanted):
        found: dict[str, Any] = port.call("GET", f"/recordings/{wanted}")
        return found
    named = [each for each in port.call_all("/recordings") if wanted in (each["file"], each["path"])]
    if not named:
        raise AdminRequestFailed(f"there is no recording {wanted}: rtmpd recordings list shows them")
    return named[0]


def _lines(found: dict[str, Any], width: int) -> Iterator[str]:
    """When it began, how long it lasts, its size and its name; below that what else there is to say."""
    since = datetime.fromisoformat(found["started"] or found["changed"]).astimezone()
    lasts = "" if found["seconds"] is None else _duration(found["seconds"])
    parts = f"{since:%Y-%m-%d %H:%M}", lasts.rjust(8), bytes_text(found["bytes"]).rjust(9), found["file"]
    yield "  ".join(parts)
    stream = f"{found['app']}/{found['name']}" if found["app"] else ""
    named = "" if not stream or found["file"].startswith(f"{stream}/") else f"of {stream}"
    for note in filter(None, (named, _note(found))):
        yield from textwrap.wrap(
            note, width, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
        )


def _note(found: dict[str, Any]) -> str:
    if found["state"] == "recording":
        return "being written"
    if found["waits_for"] != "none":
        return f"waits for {found['waits_for']}" + (f": {found['problem']}" if found["problem"] else "")
    return found["uploaded"] or ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
