"""``rtmpd status``, ``reload``, ``drain``, ``kick``, ``ban`` and so on: what runs here, at one's hands."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server, say, streams_of
from rtmpd.daemon.config_options import Assignments, ConfigPaths, parse_path

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

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


def status(
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Show the server that runs here, and its streams: what is on air, to how many, and what is wrong."""
    from rtmpd.daemon.status_text import lines

    with asked_server(url, token_file, config, assignments) as port:
        server = port.call("GET", "/server")
        streams = streams_of(port)
    if as_json:
        print_json({"server": server, "streams": streams})
        return
    for line in lines(server, streams):
        say(line)


def reload(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have the server that runs here read its settings again: all of them are put in place, or none."""

    with asked_server(url, token_file, config, assignments) as port:
        answer = port.call("POST", "/reload", {"dry_run": dry_run})
    if as_json:
        print_json(answer)
        return
    for effect, names in answer["changed"].items():
        say(f"for {effect}: {', '.join(names)}")
    if not answer["changed"]:
        say("no setting says anything else")


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
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have the server that runs here let nobody new in, wait for publishers, and end."""

    with asked_server(url, token_file, config, assignments) as port:
        body = {"wait_seconds": wait, "reconnect_to": to, "reason": reason}
        drained = port.call("POST", "/drain", body)
    if as_json:
        print_json(drained)
    else:
        waits = f"waits for publishers {drained['publishers']}, players {drained['players']}"
        say(f"the server {waits}, until {spell_moment(drained['until'])} at the latest")


def replace(
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have the server that runs here start another process, such as of a new version, that takes over."""

    with asked_server(url, token_file, config, assignments) as port:
        successor = dataclasses.replace(port, within=_START).call("POST", "/replace")
    if as_json:
        print_json(successor)
    else:
        say(f"process {successor['pid']}, rtmpd {successor['version']}, has taken over")


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
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """End a session, whether it publishes or plays, or all that publish a stream."""

    with asked_server(url, token_file, config, assignments) as port:
        sessions = _sessions(port, who)
        for session in sessions:
            body = {"ban": ban_for, "reason": reason}
            port.call("POST", f"/sessions/{session}/kick", body)
    if as_json:
        print_json({"kicked": sessions})
    else:
        for session in sessions:
            say(f"{session} is out")


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
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Have players go on with another stream over their connection, or ask them to go to another server."""
    from rtmpd.daemon import admin_request

    body: dict[str, Any] = {"server": to, "reason": reason}
    if "://" not in to:
        app, _, name = parse_path(to).partition("/")
        body = {"name": name or app, "reason": reason} | ({"app": app} if name else {})
    with asked_server(url, token_file, config, assignments) as port:
        path = (
            admin_request.stream_path(parse_path(who)) if "/" in who else f"/sessions/{quote(who, safe='')}"
        )
        told = port.call("POST", f"{path}/redirect", body)
    if as_json:
        print_json(told)
        return
    went = "went on" if "name" in body else "asked to go there"
    unable = "unable to" if "name" in body else "unable to, and going on here: few players know how"
    counts = [(went, "redirected"), ("not allowed to", "refused"), (unable, "unable")]
    said = [f"{told[name]} {text}" for text, name in counts if told[name]]
    say(", ".join(said) or "nobody plays it")


def ban(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", show_default=False, help="An address, or a network such as 192.0.2.0/24."
        ),
    ],
    seconds: Annotated[
        float,
        typer.Option(
            "--for",
            metavar="DURATION",
            parser=parse_seconds,
            show_default="1h",
            help="How long, such as 10m or 24h.",
        ),
    ] = 3600.0,
    reason: Reason = "",
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Let nobody in from an address or a network for a while; who is connected stays."""

    with asked_server(url, token_file, config, assignments) as port:
        body = {"network": network, "seconds": seconds, "reason": reason}
        banned = port.call("POST", "/bans", body)
    if as_json:
        print_json(banned)
    else:
        kept = "" if banned["kept"] else ", or until the server ends: it is not stored"
        hidden = banned["id"] != banned["network"]
        name = f"{network}, {banned['id']}," if hidden else banned["network"]
        say(f"{name} is banned until {spell_moment(banned['until'])}{kept}")


def unban(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="As it was banned, or the id of the ban.", show_default=False),
    ],
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Lift a ban, also one for failed attempts."""

    with asked_server(url, token_file, config, assignments) as port:
        port.call("DELETE", f"/bans/{quote(network, safe='')}")
    if as_json:
        print_json({"unbanned": network})
    else:
        say(f"{network} may come again")


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
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Tell the players of a stream whose encoder was lost that it is over, without waiting for the grace."""
    from rtmpd.daemon import admin_request

    with asked_server(url, token_file, config, assignments) as port:
        port.call("POST", f"{admin_request.stream_path(path)}/end")
    if as_json:
        print_json({"ended": path})
    else:
        say(f"the players of {path} are told that it is over")


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
        typer.Option(
            "--for",
            metavar="DURATION",
            parser=parse_seconds,
            show_default="10m",
            help="How long, such as 10m or 1h.",
        ),
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
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Write more into the log of the server that runs here, or less, for a while."""

    if back and (level or trace):
        raise typer.BadParameter("means nothing beside a level", param_hint="--back")
    if trace and not level:
        raise typer.BadParameter("needs a level: write info to leave it at that", param_hint="--trace")
    with asked_server(url, token_file, config, assignments) as port:
        method = "DELETE" if back else "POST" if level else "GET"
        body = {"level": level, "seconds": seconds, "trace": trace} if level else None
        told = port.call(method, "/log-level", body)
    if as_json:
        print_json(told)
        return
    traced = f", with the dialogue with {told['trace']}" if told["trace"] else ""
    until = f" until {spell_moment(told['until'])}" if told["until"] else ""
    say(f"{told['level']}{traced}{until}")


def _sessions(port: AdminPort, who: str) -> list[str]:
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
    stream = port.call("GET", admin_request.stream_path(parse_path(who)))
    found = [publication["session"] for publication in stream["publications"]]
    if not found:
        raise AdminRequestFailed(f"nobody publishes {who}")
    return found


def spell_moment(text: str) -> str:
    """A time of the API for people, who have no use for parts of a second."""
    return re.sub(r"\.\d+Z$", "Z", text)


def print_json(answer: Any) -> None:
    """What programs read."""
    typer.echo(json.dumps(answer, indent=2))
