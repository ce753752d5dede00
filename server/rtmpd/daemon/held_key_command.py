"""``rtmpd key held``, ``add``, ``end`` and ``lift``: the stream keys of the server that runs here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server, say
from rtmpd.daemon.config_options import Assignments, ConfigPaths
from rtmpd.daemon.control_command import AsJson, parse_seconds, print_json, spell_moment
from rtmpd.daemon.key_command import app, directions, parse_stream

__all__ = ["app"]

KeyId = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="As `rtmpd key held` shows it.")]


@app.command(short_help="List the keys that a running server has.")
def held(
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """List the stream keys of the server that runs here, those that came at run time and revoked ones too."""

    with asked_server(url, token_file, config, assignments) as port:
        found = port.call_all("/keys")
    if as_json:
        print_json({"items": found})
        return
    rows = [("id", "action", "stream", "from", "label", "until"), *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        say("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


@app.command(short_help="Make a key that a running server takes at once.")
def add(
    stream: Annotated[
        str,
        typer.Argument(
            metavar="[APP/]NAME",
            parser=parse_stream,
            show_default=False,
            help="Public name of the stream that it is for.",
        ),
    ],
    seconds: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="DURATION",
            parser=parse_seconds,
            show_default=False,
            help="How long it is good, such as 2h; without this until it is ended.",
        ),
    ] = None,
    label: Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="Whom the log names.")] = "",
    backup: Annotated[bool, typer.Option("--backup", help="Make it the key of a backup encoder.")] = False,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Make a key to publish with, which the server that runs here takes at once, until it ends."""

    name_of_app, _, name = stream.partition("/")
    body = {"app": name_of_app, "name": name, "label": label, "seconds": seconds, "backup": backup}
    with asked_server(url, token_file, config, assignments) as port:
        made = port.call("POST", "/keys", body)
    if as_json:
        print_json(made)
        return
    key, info = made["key"], made["info"]
    say(f"key            {key}")
    say(f"               shown this once; its end is `rtmpd key end {info['id']}`")
    if not made["kept"]:
        say("               good until the server ends, as it is not stored: see state.dir")
    typer.echo()
    for line in directions("rtmp://SERVER", "rtmp://SERVER", name_of_app, name, key):
        say(line)


@app.command(short_help="Revoke a key of a running server.")
def end(
    key_id: KeyId,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have a key open nothing any more, whoever has named it, and end who publishes or plays with it."""

    with asked_server(url, token_file, config, assignments) as port:
        port.call("DELETE", f"/keys/{key_id}")
    if as_json:
        print_json({"ended": key_id})
    else:
        say(f"{key_id} opens nothing any more")


@app.command(short_help="Have a key be good again that was ended.")
def lift(
    key_id: KeyId,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have a key of the settings be good again that was ended."""

    with asked_server(url, token_file, config, assignments) as port:
        told = port.call("POST", f"/keys/{key_id}/lift")
    if as_json:
        print_json(told)
    else:
        say(f"{key_id} is good again")


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    until = spell_moment(key["until"] or "") + (", expired" if key["expired"] else "")
    label = " ".join(filter(None, (key["label"], "(backup)" if key["backup"] else "")))
    origin = f"{key['origin']}, ended" if key["revoked"] else key["origin"]
    return key["id"], key["action"], f"{key['app']}/{key['name']}", origin, label, until
