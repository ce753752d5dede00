"""``rtmpd token``: makes links that are good for one stream and a while."""

from __future__ import annotations

import ipaddress
import os
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told
from rtmpd.daemon.key_command import parse_stream

if TYPE_CHECKING:
    from rtmpd.daemon.proofs_config import SignedUrlsConfig


class Use(StrEnum):
    """What a link is for."""

    PUBLISH = "publish"
    PLAY = "play"


def _parse_server(text: str) -> str:
    from rtmpd.exceptions import UsageError
    from rtmpd.rtmp.url import RtmpUrl

    text = (text if "://" in text else f"rtmp://{text}").rstrip("/")
    try:
        url = RtmpUrl.parse(f"{text}/app")
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    if url.name or url.user:
        raise typer.BadParameter("write the server alone, such as rtmps://stream.example.com:1936")
    return text


def _parse_network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise typer.BadParameter("write an address, or a network such as 192.0.2.0/24") from None
    return text


def token(
    use: Annotated[Use, typer.Argument(help="What the link is for.")],
    stream: Annotated[
        str, typer.Argument(metavar="[APP/]NAME", parser=parse_stream, help="Public name of the stream.")
    ],
    lifetime: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long it is good, such as 90s, 15m or 12h.")
    ] = "1h",
    network: Annotated[
        str | None,
        typer.Option("--ip", metavar="NETWORK", parser=_parse_network, help="Who may use it; else anybody."),
    ] = None,
    server: Annotated[
        str, typer.Option(metavar="URL", parser=_parse_server, help="How clients reach the server.")
    ] = "rtmp://SERVER",
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Make a link to publish or play a stream for a while, signed with a secret of the configuration.

    The link goes to standard output, what to do with it to standard error.
    """
    from rtmpd.access.signed_urls import make_query
    from rtmpd.daemon import settings

    with mistakes_told(os.EX_CONFIG):
        held = settings.load(config or (), os.environ, assignments or ()).config.at(stream)
    access = held.publish if use is Use.PUBLISH else held.play
    seconds = _lifetime(lifetime, access.signed_urls)
    secret = _secret(access.signed_urls, use, stream)
    until = int(time.time() + seconds)
    query = make_query(secret, use, stream, until, network or "")
    _tell(use, stream, server, query)
    typer.echo(f"good until     {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC", err=True)


def _lifetime(text: str, links: SignedUrlsConfig) -> float:
    from rtmpd.daemon.values import format_duration, parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"--for: {error}") from None
    if seconds < 1:
        raise typer.BadParameter("--for: a link is good for a second at least")
    if links.max_lifetime and seconds > links.max_lifetime:
        most = format_duration(links.max_lifetime)
        raise typer.BadParameter(f"--for: the server takes links for {most} at most (max_lifetime)")
    return seconds


def _secret(links: SignedUrlsConfig, use: Use, stream: str) -> str:
    if not links.secrets:
        app = stream.rpartition("/")[0]
        key = f'secrets of [apps."{app}".{use}.signed_urls]'
        typer.echo(
            f"rtmpd: there is no secret to sign with: write one that `rtmpd key new` prints to {key}",
            err=True,
        )
        raise typer.Exit(os.EX_CONFIG)
    return links.secrets[0]


def _tell(use: Use, stream: str, server: str, query: str) -> None:
    app, _, name = stream.rpartition("/")
    typer.echo(f"{server}/{stream}?{query}")
    if use is Use.PUBLISH:
        typer.echo(f"OBS            Settings > Stream: Service Custom..., Server {server}/{app},", err=True)
        typer.echo(f"               Stream Key {name}?{query}", err=True)
    else:
        typer.echo("watch          ffplay and the link, in quotation marks", err=True)
