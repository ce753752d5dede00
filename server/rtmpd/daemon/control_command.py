"""``rtmpd status``, ``reload``, ``drain``, ``kick``, ``ban`` and so on: what runs here, at one's hands."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told, parse_path

if TYPE_CHECKING:
    from rtmpd.daemon.config import Config

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for others in charge.")]

_START: Final = 40.0
"""Seconds that another process has to take over."""


def parse_seconds(text: str) -> float:
    """A duration as settings have them. Raises ``BadParameter``."""
    from rtmpd.daemon.values import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


BanTime = Annotated[
    float | None,
    typer.Option(
        "--ban", metavar="DURATION", parser=parse_seconds, help="Ban its address, too: 10m, 1h, 24h."
    ),
]


def status(as_json: AsJson = False, config: ConfigPaths = None, assignments: Assignments = None) -> None:
    """Show the server that runs here, and its streams: what is on air, to how many, and what is wrong."""
    from rtmpd.daemon import admin_request
    from rtmpd.daemon.status_text import lines

    with asked_server(config, assignments) as settings:
        server = admin_request.call(settings, "GET", "/server")
        streams = admin_request.call_all(settings, "/streams")
    if as_json:
        print_json({"server": server, "streams": streams})
        return
    for line in lines(server, streams):
        typer.echo(line)


def reload(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have the server that runs here read its settings again: all of them are put in place, or none."""
    from rtmpd.daemon import admin_request

    with asked_server(config, assignments) as settings:
        answer = admin_request.call(settings, "POST", "/reload", {"dry_run": dry_run})
    if as_json:
        print_json(answer)
        return
    for effect, names in answer["changed"].items():
        typer.echo(f"for {effect}: {', '.join(names)}")
    if not answer["changed"]:
        typer.echo("no setting says anything else")


def drain(
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="DURATION",
            parser=parse_seconds,
            help="How long publishers may go on, such as 2h, instead of shutdown.wait_for_publishers.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="SERVER",
            help="Where clients are asked to go that know how, such as rtmp://other.example.",
        ),
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have the server that runs here let nobody new in, wait for publishers, and end."""
    from rtmpd.daemon import admin_request

    with asked_server(config, assignments) as settings:
        body = {"wait_seconds": wait, "reconnect_to": to, "reason": reason}
        drained = admin_request.call(settings, "POST", "/drain", body)
    if as_json:
        print_json(drained)
    else:
        waits = f"waits for publishers {drained['publishers']}, players {drained['players']}"
        typer.echo(f"the server {waits}, until {drained['until']} at the latest")


def replace(as_json: AsJson = False, config: ConfigPaths = None, assignments: Assignments = None) -> None:
    """Have the server that runs here start another process, such as of a new version, that takes over."""
    from rtmpd.daemon import admin_request

    with asked_server(config, assignments) as settings:
        port = dataclasses.replace(admin_request.port_here(settings), within=_START)
        successor = port.call("POST", "/replace")
    if as_json:
        print_json(successor)
    else:
        typer.echo(f"process {successor['pid']}, rtmpd {successor['version']}, has taken over")


def kick(
    who: Annotated[
        str,
        typer.Argument(
            metavar="SESSION|APP/STREAM",
            show_default=False,
            help="A session by its number in the log, or whoever publishes a stream.",
        ),
    ],
    ban_for: BanTime = None,
    reason: Reason = "",
    as_json: AsJson = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """End a session, whether it publishes or plays, or all that publish a stream."""
    from rtmpd.daemon import admin_request

    with asked_server(config, assignments) as settings:
        sessions = _sessions(settings, who)
        for session in sessions:
            body = {"ban": ban_for, "reason": reason}
            admin_request.call(settings, "POST", f"/sessions/{session}/kick", body)
    if as_json:
        print_json({"kicked": sessions})
    else:
        for session in sessions:
            typer.echo(f"{session} is out")


def redirect(
    who: Annotated[
        str,
        typer.Argument(
            metavar="SESSION|APP/STREAM",
            show_default=False,
            help="A session by its number in the log, or all players of a stream.",
        ),
    ],
    to: Annotated[
        str,
        typer.Argument(
            metavar="APP/STREAM|URL",
            show_default=False,
            help="A stream that is published here, or another server, such as rtmp://other.example.",
        ),
    ],
    reason: Reason = "",
    as_json: AsJson = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have players go on with another stream over their connection, or ask them to go to another server."""
    from rtmpd.daemon import admin_request

    body: dict[str, Any] = {"server": to, "reason": reason}
    if "://" not in to:
        app, _, name = parse_path(to).partition("/")
        body = {"name": name or app, "reason": reason} | ({"app": app} if name else {})
    with asked_server(config, assignments) as settings:
        path = (
            admin_request.stream_path(parse_path(who)) if "/" in who else f"/sessions/{quote(who, safe='')}"
        )
        told = admin_request.call(settings, "POST", f"{path}/redirect", body)
    if as_json:
        print_json(told)
        return
    counts = [("went on", "redirected"), ("may not", "refused"), ("cannot", "unable")]
    said = [f"{told[name]} {text}" for text, name in counts if told[name]]
    typer.echo(", ".join(said) or "nobody plays it")


def ban(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", show_default=False, help="An address, or a network such as 192.0.2.0/24."
        ),
    ],
    seconds: Annotated[
        float,
        typer.Option("--for", metavar="DURATION", parser=parse_seconds, help="How long, such as 10m or 24h."),
    ] = 3600.0,
    reason: Reason = "",
    as_json: AsJson = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Let nobody in from an address or a network for a while; who is connected stays."""
    from rtmpd.daemon import admin_request

    with asked_server(config, assignments) as settings:
        body = {"network": network, "seconds": seconds, "reason": reason}
        banned = admin_request.call(settings, "POST", "/bans", body)
    if as_json:
        print_json(banned)
    else:
        kept = "" if banned["kept"] else ", or until the server ends: it is not stored"
        hidden = banned["id"] != banned["network"]
        name = f"{network}, {banned['id']}," if hidden else banned["network"]
        typer.echo(f"{name} is banned until {banned['until']}{kept}")


def unban(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="As it was banned, or the id of the ban.", show_default=False),
    ],
    as_json: AsJson = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Lift a ban, also one for failed attempts."""
    from rtmpd.daemon import admin_request

    with asked_server(config, assignments) as settings:
        admin_request.call(settings, "DELETE", f"/bans/{quote(network, safe='')}")
    if as_json:
        print_json({"unbanned": network})
    else:
        typer.echo(f"{network} may come again")


def end(
    path: Annotated[
        str,
        typer.Argument(
            metavar="APP/STREAM",
            parser=parse_path,
            show_default=False,
            help="A stream whose encoder was lost.",
        ),
    ],
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Tell the players of a stream whose encoder was lost that it is over, without waiting for the grace."""
    from rtmpd.daemon import admin_request

    with asked_server(config, assignments) as settings:
        admin_request.call(settings, "POST", f"{admin_request.stream_path(path)}/end")


def log_level(
    level: Annotated[
        str | None,
        typer.Argument(
            metavar="[debug|info|warning|error]",
            show_default=False,
            help="From which on messages are written; without it, what holds is shown.",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option("--for", metavar="DURATION", parser=parse_seconds, help="How long, such as 10m or 1h."),
    ] = 600.0,
    trace: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            show_default=False,
            help="Tell the dialogue with this address, too.",
        ),
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Have the settings decide again, at once.")] = False,
    as_json: AsJson = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Write more into the log of the server that runs here, or less, for a while."""
    from rtmpd.daemon import admin_request

    if back and (level or trace):
        raise typer.BadParameter("means nothing beside a level", param_hint="--back")
    if trace and not level:
        raise typer.BadParameter("needs a level: write info to leave it at that", param_hint="--trace")
    with asked_server(config, assignments) as settings:
        method = "DELETE" if back else "POST" if level else "GET"
        body = {"level": level, "seconds": seconds, "trace": trace} if level else None
        told = admin_request.call(settings, method, "/log-level", body)
    if as_json:
        print_json(told)
        return
    traced = f", with the dialogue with {told['trace']}" if told["trace"] else ""
    until = f" until {told['until']}" if told["until"] else ""
    typer.echo(f"{told['level']}{traced}{until}")


@contextmanager
def asked_server(config: ConfigPaths, assignments: Assignments) -> Iterator[Config]:
    """The settings of the server that is asked; the end of the command with 1 where it does not do it."""
    from rtmpd.daemon import settings
    from rtmpd.exceptions import AdminRequestFailed

    with mistakes_told(os.EX_CONFIG):
        loaded = settings.load(config or (), os.environ, assignments or ()).config
    try:
        yield loaded
    except AdminRequestFailed as error:
        typer.echo(f"rtmpd: {error}", err=True)
        raise typer.Exit(1) from error


def _sessions(config: Config, who: str) -> list[str]:
    """Numbers of those who are meant. Raises AdminRequestFailed."""
    from rtmpd.daemon import admin_request
    from rtmpd.engine.origin import parse_session, spell_session
    from rtmpd.exceptions import AdminRequestFailed

    if "/" not in who:
        try:
            return [spell_session(parse_session(who))]
        except ValueError:
            text = f"{who} is neither the number of a session nor app and stream, such as live/test"
            raise AdminRequestFailed(text) from None
    stream = admin_request.call(config, "GET", admin_request.stream_path(parse_path(who)))
    found = [publication["session"] for publication in stream["publications"]]
    if not found:
        raise AdminRequestFailed(f"nobody publishes {who}")
    return found


def print_json(answer: Any) -> None:
    """What programs read."""
    typer.echo(json.dumps(answer, indent=2))
