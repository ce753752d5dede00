"""``rtmpd admin-token``: makes tokens of the admin port, and lists those of the configuration."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from typing import Annotated

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told
from rtmpd.daemon.key_command import make_key, parse_end, shown_digits, shown_end, spelt

app = typer.Typer(
    name="admin-token",
    help="Make tokens for those who ask the admin port from elsewhere, and list them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Role(StrEnum):
    """What one may with it."""

    READ = "read"
    OPERATE = "operate"


def _parse_name(text: str) -> str:
    from rtmpd.daemon.admin_config import NAME

    if not NAME.fullmatch(text):
        raise typer.BadParameter("the name of a token is of letters, digits, - and _")
    return text


def _parse_stream(text: str) -> str:
    from rtmpd.daemon.notify_config import check_stream

    try:
        return check_stream(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def new(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", parser=_parse_name, show_default=False, help="Whom the log and the audit name."
        ),
    ],
    role: Annotated[
        Role, typer.Option(help="read sees everything that is no secret, operate changes what goes on, too.")
    ] = Role.READ,
    streams: Annotated[
        list[str] | None,
        typer.Option(
            "--stream",
            metavar="PATH",
            parser=_parse_stream,
            show_default=False,
            help="An app (live) or a stream (live/show) that it is for; can be repeated. Without: all.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            parser=parse_end,
            metavar="TIME",
            show_default=False,
            help="The last day that it is good, 2027-01-31 (UTC), or a time, 2027-01-31T20:00:00Z.",
        ),
    ] = None,
) -> None:
    """Make a token, and say where it goes. Nothing is written anywhere."""
    token, digest = make_key()
    lines = [f"[admin.tokens.{name}]", f"sha256 = {spelt(digest)}", f"role = {spelt(role)}"]
    if streams:
        lines.append(f"streams = [{', '.join(map(spelt, streams))}]")
    if until:
        lines.append(f"until = {spelt(until)}")
    configuration = "\n               ".join(lines)
    typer.echo(
        f"""\
token          {token}
               shown this once: it goes to whoever asks, and nowhere else

configuration  {configuration}
               then `rtmpd reload`

curl           curl -H "Authorization: Bearer $TOKEN" https://HOST/api/v1/streams
Prometheus     authorization: {{credentials_file: /etc/prometheus/rtmpd-token}}
other programs https://any:TOKEN@HOST/..., where they know nothing but URLs"""
    )


@app.command(name="list", short_help="List the tokens that there are.")
def list_(config: ConfigPaths = None, assignments: Assignments = None) -> None:
    """List the tokens of the configuration, with the first digits of what is kept of each."""
    from rtmpd.access.keys import parse_digest
    from rtmpd.daemon import settings

    with mistakes_told(os.EX_CONFIG):
        tokens = settings.load(config or (), os.environ, assignments or ()).config.admin.tokens
    rows = [("name", "role", "streams", "sha256", "until")]
    for name, token in tokens.items():
        digits = shown_digits(parse_digest(token.sha256))
        end = shown_end(token.to_token(name).key.until, time.time())
        rows.append((name, token.role, ", ".join(token.streams), digits, end))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for *columns, end in rows:
        padded = (f"{text:{width}}" for text, width in zip(columns, widths, strict=True))
        typer.echo("  ".join([*padded, end]).rstrip())
