"""``rtmpd obs``: what OBS needs to send a ladder, for people to paste or import."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told, parse_path

if TYPE_CHECKING:
    from rtmpd.daemon.config import Config

app = typer.Typer(
    name="obs",
    help="Write what OBS needs to send several qualities at once: docs/obs.md.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Encoders(StrEnum):
    """Whose make the video: as ``multitrack.encoders.Family``, which not every command needs."""

    X264 = "x264"
    NVENC = "nvenc"
    AMF = "amf"
    QSV = "qsv"
    VAAPI = "vaapi"


App = Annotated[
    str, typer.Option("--app", metavar="APP", parser=parse_path, help="The app, or stream, of the ladder.")
]
Encoder = Annotated[
    Encoders,
    typer.Option(help="Whose encoders: the processor's, NVIDIA's, AMD's, Intel's, or those of Linux."),
]
CanvasSize = Annotated[str, typer.Option("--canvas", metavar="WIDTHxHEIGHT", help="Of that OBS.")]
Fps = Annotated[str, typer.Option("--fps", metavar="RATE", help="The same: 60, or 60000/1001.")]
Channels = Annotated[int, typer.Option("--channels", min=1, max=8, help="The same, of audio.")]
Vod = Annotated[bool, typer.Option("--vod", help="It sends a VOD track besides.")]


@app.command()
def override(
    path: App = "live",
    encoder: Encoder = Encoders.X264,
    canvas: CanvasSize = "1920x1080",
    fps: Fps = "60",
    channels: Channels = 2,
    vod: Vod = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Print the JSON that is pasted into OBS, Settings > Stream, "Config Override"; as /obs/override.json."""
    fields = _fields(encoder, canvas, fps, channels, vod=vod)
    typer.echo(_override(_loaded(config, assignments), path, fields), nl=False)


@app.command()
def profile(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where it is written; its name is the profile's.")
    ],
    config_url: Annotated[
        str,
        typer.Option(
            "--config-url",
            metavar="URL",
            show_default=False,
            help="Where OBS asks before it goes live, such as https://live.example.com/obs/config?app=live. "
            "Without it the ladder stands in the profile, as an override.",
        ),
    ] = "",
    server: Annotated[
        str,
        typer.Option(
            "--server",
            metavar="URL",
            show_default=False,
            help="Where OBS publishes, such as rtmp://live.example.com/live. With --config-url it need not "
            "be said: the answer names it.",
        ),
    ] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            show_default=False,
            help="Have the stream key in the profile, from this file; - asks for it. Whoever has the profile "
            "can publish then.",
        ),
    ] = None,
    path: App = "live",
    encoder: Encoder = Encoders.X264,
    canvas: CanvasSize = "1920x1080",
    fps: Fps = "60",
    channels: Channels = 2,
    vod: Vod = False,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Write a profile for OBS, Profile > Import, that sends the ladder.

    The folder must not exist. It has no stream key but with --key-file.
    """
    from rtmpd.multitrack.imagined import imagine
    from rtmpd.multitrack.profile import AUTO, Profile, profile_files

    if not (server or config_url):
        raise typer.BadParameter(
            "say where OBS publishes, or with --config-url where it asks", param_hint="--server"
        )
    _check_urls(server, config_url)
    fields = _fields(encoder, canvas, fps, channels, vod=vod)
    told = "" if config_url else _override(_loaded(config, assignments), path, fields)
    try:
        size = imagine(fields).canvas
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    name, key = _profile_name(folder), "" if key_file is None else _key(key_file)
    files = profile_files(Profile(name, server or AUTO, size, config_url, told, key))
    _write(folder, files, is_secret=bool(key))
    _tell(folder, name, asks=bool(config_url), has_key=bool(key))


def _profile_name(folder: Path) -> str:
    """As OBS lists it, which stands in a line of basic.ini."""
    name = folder.absolute().name
    if not name.isprintable():
        raise typer.BadParameter("has signs that cannot be seen", param_hint="FOLDER")
    return name


def _loaded(config: ConfigPaths, assignments: Assignments) -> Config:
    from rtmpd.daemon import settings

    with mistakes_told(os.EX_CONFIG):
        return settings.load(config or (), os.environ, assignments or ()).config


def _fields(encoder: Encoders, canvas: str, fps: str, channels: int, *, vod: bool) -> dict[str, str]:
    fields = {"encoder": encoder.value, "canvas": canvas, "fps": fps, "channels": str(channels)}
    return fields | ({"vod": "1"} if vod else {})


def _override(config: Config, path: str, fields: dict[str, str]) -> str:
    from rtmpd.daemon.ladders import written_override

    try:
        return written_override(config, path, fields)
    except ValueError as error:
        typer.echo(f"rtmpd: {error}", err=True)
        raise typer.Exit(1) from None


def _check_urls(server: str, config_url: str) -> None:
    from rtmpd.daemon.http_config import is_web_url
    from rtmpd.daemon.ladder_config import check_app_url

    try:
        check_app_url(server)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from None
    if config_url and not is_web_url(config_url):
        text = "is no URL: write it as https://live.example.com/obs/config?app=live"
        raise typer.BadParameter(text, param_hint="--config-url")


def _key(file: Path) -> str:
    if file == Path("-"):
        if sys.stdin.isatty():
            told: str = typer.prompt("Stream key", hide_input=True, err=True)
            return told.strip()
        return sys.stdin.readline().strip()
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise typer.BadParameter(f"cannot be read: {reason}", param_hint="--key-file") from None


def _write(folder: Path, files: dict[str, str], *, is_secret: bool) -> None:
    try:
        folder.mkdir(mode=0o700 if is_secret else 0o777)
        for name, text in files.items():
            with os.fdopen(
                os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_secret else 0o666),
                "w",
            ) as file:
                file.write(text)
    except OSError as error:
        typer.echo(f"rtmpd: {folder} cannot be written: {error.strerror}", err=True)
        raise typer.Exit(1) from None


def _tell(folder: Path, name: str, *, asks: bool, has_key: bool) -> None:
    typer.echo(f"written to     {folder}")
    if asks and not has_key:
        typer.echo(
            'first          write the stream key to service.json, between the quotation marks behind "key"'
        )
    typer.echo(f"OBS            Profile > Import: choose that folder, then Profile > {name}")
    if not (has_key or asks):
        typer.echo("               Settings > Stream: paste the stream key.")
    if asks:
        # quirk(obs): it writes anew what it knows of a service, and knows none of ours.
        typer.echo(
            "               Leave Settings > Stream alone: who presses OK there has to import it again."
        )
    if has_key:
        typer.echo("               It has the stream key in it: give it to nobody else.", err=True)
