"""``rtmpd token``: makes links that are good for one stream and a while, of nothing or of a JWT."""

from __future__ import annotations

import ipaddress
import logging
import os
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told
from rtmpd.daemon.key_command import parse_stream, quoted

if TYPE_CHECKING:
    from rtmpd.daemon.config import Config
    from rtmpd.daemon.proofs_config import SignedUrlsConfig


_LONGEST: Final = 876_000 * 3600.0
"""Seconds that a link may be good for: its expiry has so many digits, and is shown as a date."""


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
    jwt: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Give a link for the JWT in this file (- is standard input), if that allows the same; it is "
            "good no longer than the JWT.",
        ),
    ] = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Make a link to publish or play a stream for a while, signed with a secret of the configuration.

    The link goes to standard output, what to do with it to standard error.
    """
    from rtmpd.access.signed_urls import make_query
    from rtmpd.daemon import settings

    with mistakes_told(os.EX_CONFIG):
        loaded = settings.load(config or (), os.environ, assignments or ()).config
    held = loaded.at(stream)
    access = held.publish if use is Use.PUBLISH else held.play
    seconds = _lifetime(lifetime, access.signed_urls)
    secret = _secret(access.signed_urls, use, stream)
    until = int(time.time() + seconds)
    if jwt is not None:
        until = min(until, int(_proven_until(jwt, loaded, use, stream)))
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
    if seconds > _LONGEST:
        raise typer.BadParameter("--for: a link is good for 100 years at most (876000h)")
    if links.max_lifetime and seconds > links.max_lifetime:
        most = format_duration(links.max_lifetime)
        raise typer.BadParameter(f"--for: the server takes links for {most} at most (max_lifetime)")
    return seconds


def _secret(links: SignedUrlsConfig, use: Use, stream: str) -> str:
    if not links.secrets:
        app = quoted(stream.partition("/")[0])
        key = f"secrets of [apps.{app}.{use}.signed_urls]"
        typer.echo(
            f"rtmpd: there is no secret to sign with: write one that `rtmpd key new` prints to {key}",
            err=True,
        )
        raise typer.Exit(os.EX_CONFIG)
    return links.secrets[0]


def _proven_until(file: Path, config: Config, use: Use, stream: str) -> float:
    """When the JWT expires that ``file`` holds, in seconds since 1970."""
    import asyncio

    from rtmpd.exceptions import ProofFailed

    try:
        data = sys.stdin.buffer.readline() if file == Path("-") else file.read_bytes()
        text = data.decode()
        with mistakes_told(os.EX_CONFIG):
            return asyncio.run(_verify(text.strip(), config, use, stream))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        typer.echo(f"rtmpd: {file} cannot be read: {reason}", err=True)
    except ProofFailed as failure:
        typer.echo(f"rtmpd: {failure}", err=True)
    raise typer.Exit(1)


async def _verify(token: str, config: Config, use: Use, stream: str) -> float:
    from rtmpd.daemon.access_rules import ConfiguredRules
    from rtmpd.exceptions import ConfigError, ProofFailed

    # Why keys cannot be had is told with the rest, and not as a line of a log that nobody has opened.
    logging.getLogger("rtmpd").addHandler(logging.NullHandler())
    found = ConfiguredRules(config)
    rules = found.at(stream).publish if use is Use.PUBLISH else found.at(stream).play
    try:
        if rules.tokens is None:
            text = f"no JWT is taken to {use} {stream}: docs/jwt.md says what has to be configured"
            raise ConfigError([text])
        return (await rules.tokens.verify(token, use, stream, time.time())).until
    except ProofFailed as failure:
        problems = [f"{each.place}: {each.problem}" for each in found.issuers if each.problem]
        raise ProofFailed(failure.reason, "; ".join(problems) or failure.description) from None
    finally:
        await found.issuers.close()


def _tell(use: Use, stream: str, server: str, query: str) -> None:
    app, _, name = stream.partition("/")
    typer.echo(f"{server}/{stream}?{query}")
    if use is Use.PUBLISH:
        typer.echo(f"OBS            Settings > Stream: Service Custom..., Server {server}/{app},", err=True)
        typer.echo(f"               Stream Key {name}?{query}", err=True)
    else:
        typer.echo("watch          ffplay and the link, in quotation marks", err=True)
