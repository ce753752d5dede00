"""``rtmpd slate``: makes what is shown while an encoder is away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server
from rtmpd.daemon.config_options import Assignments, ConfigPaths

if TYPE_CHECKING:
    from rtmpd.outputs.slate_file import SlateFile

app = typer.Typer(
    name="slate",
    help="What is shown while an encoder is away.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_SIZE: Final = re.compile(r"(\d{2,5})x(\d{2,5})")
_PARAMETER_SETS: Final = 15
"""Encoders count theirs from 0."""
_LINES: Final = 5
"""Of what ffmpeg says of its failure."""
_MOVING: Final = (".avi", ".flv", ".gif", ".mkv", ".mov", ".mp4", ".ts", ".webm")
"""Ends of names of films; all else is a picture."""
_NOBODY: Final = "{} has no encoder now: nothing is known of it"
_ANEW: Final = "players set up their decoders anew, which not all do well"
_PROFILES: Final = {"Baseline": "baseline", "Constrained Baseline": "baseline", "Main": "main"}


@dataclass(frozen=True, slots=True)
class Likeness:
    """What an encoder sends, as far as a slate can be made so."""

    size: str = "1280x720"
    fps: float = 25.0
    profile: str = "high"
    rate: int = 48_000
    """Hz."""
    channels: int = 2
    """0 is no sound."""


@app.callback()
def _options() -> None:
    """Has typer know it as a command with commands."""


@app.command()
def make(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="A picture, or a film.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.flv", help="The slate.", show_default=False)],
    like: Annotated[
        str | None,
        typer.Option(
            metavar="APP/STREAM",
            show_default=False,
            help="As this stream is, which is published now: size, frames, profile, sound.",
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", show_default="1280x720", help="Of the picture.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=1, max=120, show_default="25", help="Frames a second.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=8000, max=96_000, show_default="48000", help="Samples a second.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=0, max=2, show_default="2", help="Of the sound; 0 is none.")
    ] = None,
    sound: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="What is heard, and not silence.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=2, max=3600, help="How long it is.")] = 10.0,
    kbps: Annotated[int, typer.Option(min=100, max=50_000, help="Most bits of video a second.")] = 2500,
    ffmpeg: Annotated[str, typer.Option(metavar="PROGRAM", help="The ffmpeg that makes it.")] = "ffmpeg",
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Make a slate of a picture, H.264 and AAC, with ffmpeg: exit 1 if that is not there, or fails."""
    if out.exists():
        _fail(f"{out} is there already: name another file")
    found = Likeness()
    if like is not None:
        from rtmpd.daemon.admin_request import stream_path

        with asked_server(url, token_file, config, assignments) as port:
            found = _likeness(like, port.call("GET", stream_path(like)))
    found = Likeness(
        size or found.size,
        fps or found.fps,
        found.profile,
        rate or found.rate,
        found.channels if channels is None else channels,
    )
    if _SIZE.fullmatch(found.size) is None:
        raise typer.BadParameter(f"{found.size} is no size: write 1280x720", param_hint="--size")
    for given in (picture, sound):
        if given is not None and not given.is_file():
            raise typer.BadParameter(
                f"{given} is no file", param_hint="PICTURE" if given is picture else "--sound"
            )
    file = _render(ffmpeg, picture, sound, out, found, seconds, kbps)
    typer.echo(f"{out}: {file}")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.flv", help="The slate.", show_default=False)],
    like: Annotated[
        str | None,
        typer.Option(
            metavar="APP/STREAM",
            show_default=False,
            help="The stream that it is to stand in for, which is published now.",
        ),
    ] = None,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Say whether a file can be shown, what it holds and which encoders it suits: exit 1 if it cannot be."""
    from rtmpd.daemon.slate_check import faults, rare
    from rtmpd.exceptions import ConfigError
    from rtmpd.outputs.slate_file import SlateFile

    try:
        slate = SlateFile(file)
    except ConfigError as error:
        _fail(str(error))
    sent = None
    if like is not None:
        from rtmpd.daemon.admin_request import stream_path

        with asked_server(url, token_file, config, assignments) as port:
            sent = _sent(like, port.call("GET", stream_path(like)))
    every = f", from a key frame on, with one every {slate.interval / 1000:.1f} s"
    typer.echo(
        f"{file} can be shown: {slate}{every if slate.video else ''}; {_suits(slate, like or '', sent)}."
    )
    for fault in (*faults(slate), *rare(slate)):
        typer.echo(f"But {fault}.")


def _sent(name: str, stream: dict[str, Any]) -> str:
    """What an encoder sends, as ``SlateFile.media`` has it."""
    from rtmpd.outputs.slate_file import in_words

    video, audio = stream["video"] or {}, stream["audio"] or {}
    if not video and not audio:
        raise typer.BadParameter(_NOBODY.format(name), param_hint="--like")
    size = video.get("width"), video.get("height")
    return in_words(video.get("codec"), *size, audio.get("codec"), audio.get("samples_per_second"))


def _suits(slate: SlateFile, like: str, sent: str | None) -> str:
    if sent is None:
        return f"it suits encoders that send {slate.media}; of others {_ANEW}"
    if sent == slate.media:
        return f"it suits {like}"
    return f"{like} sends {sent}, so that {_ANEW}"


def _likeness(name: str, stream: dict[str, Any]) -> Likeness:
    video, audio = stream["video"], stream["audio"]
    if video is None and audio is None:
        raise typer.BadParameter(_NOBODY.format(name), param_hint="--like")
    usual = Likeness()
    for medium, codec in ((video, "avc1"), (audio, "mp4a")):
        if medium is not None and medium["codec"] != codec:
            typer.echo(
                f"rtmpd: {name} sends {medium['codec']}, and a slate is made of H.264 and AAC", err=True
            )
    has_size = video is not None and video["width"] and video["height"]
    return Likeness(
        f"{video['width']}x{video['height']}" if has_size else usual.size,
        round(video["frames_per_second"]) or usual.fps if video is not None else usual.fps,
        _PROFILES.get(video["profile"], usual.profile) if video is not None else usual.profile,
        (audio["samples_per_second"] or usual.rate) if audio is not None else usual.rate,
        min(audio["channels"] or usual.channels, 2) if audio is not None else 0,
    )


def _render(
    ffmpeg: str,
    picture: Path,
    sound: Path | None,
    out: Path,
    likeness: Likeness,
    seconds: float,
    kbps: int,
) -> SlateFile:
    """Have it made beside ``out``, and put in its place once it can be shown."""
    import asyncio
    import shutil

    from rtmpd.exceptions import ConfigError
    from rtmpd.outputs.slate_file import SlateFile

    program = shutil.which(ffmpeg)
    if program is None:
        _fail(f"there is no {ffmpeg}: install it, or say with --ffmpeg where it is")
    part = out.with_name(f".{out.name}.part")
    try:
        arguments = [*_arguments(picture, sound, likeness, seconds, kbps), str(part)]
        status, said = asyncio.run(_run(program, arguments))
        if status:
            lines = said.decode(errors="replace").strip().splitlines()[-_LINES:]
            _fail("\n".join([f"{ffmpeg} has failed:", *lines]))
        file = SlateFile(part)
        part.replace(out)
    except ConfigError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{out}: {error.strerror}")
    finally:
        part.unlink(missing_ok=True)
    return file


async def _run(program: str, arguments: Sequence[str]) -> tuple[int, bytes]:
    """Its exit status, and what it says of what is wrong."""
    import asyncio

    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdin=nothing, stdout=nothing, stderr=pipe
    )
    _, said = await process.communicate()
    return process.returncode or 0, said


def _arguments(
    picture: Path, sound: Path | None, likeness: Likeness, seconds: float, kbps: int
) -> Sequence[str]:
    """All but the output."""
    width, height = likeness.size.split("x")
    moving = picture.suffix.lower() in _MOVING
    fps = f"{likeness.fps:g}"
    box = f"{width}:{height}"
    picture_input = ["-stream_loop", "-1"] if moving else ["-loop", "1", "-framerate", fps]
    layout = "mono" if likeness.channels == 1 else "stereo"
    silence = ["-f", "lavfi", "-i", f"anullsrc=r={likeness.rate}:cl={layout}"]
    heard = silence if sound is None else ["-stream_loop", "-1", "-i", f"file:{sound}"]
    encoded = ["-c:a", "aac", "-b:a", "128k", "-ar", str(likeness.rate), "-ac", str(likeness.channels)]
    scaled = f"scale={box}:force_original_aspect_ratio=decrease,pad={box}:(ow-iw)/2:(oh-ih)/2"
    gop = str(round(likeness.fps * 2))
    return [
        # A picture that cannot be decoded would be read for ever.
        *("-v", "warning", "-xerror", "-y", *picture_input, "-t", f"{seconds:g}", "-i", f"file:{picture}"),
        *(heard if likeness.channels else ()),
        *("-map", "0:v:0", *(("-map", "1:a:0", *encoded) if likeness.channels else ())),
        *("-t", f"{seconds:g}", "-vf", f"{scaled},setsar=1,fps={fps},format=yuv420p"),
        *("-c:v", "libx264", "-preset", "medium", "-profile:v", likeness.profile, "-bf", "0"),
        *("-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-crf", "20"),
        # With a number of their own, and in every key frame: VLC keeps those that it began with.
        *("-x264-params", f"sps-id={_PARAMETER_SETS}:repeat-headers=1"),
        *("-maxrate", f"{kbps}k", "-bufsize", f"{2 * kbps}k", "-f", "flv"),
    ]


def _fail(text: str) -> NoReturn:
    typer.echo(f"rtmpd: {text}", err=True)
    raise typer.Exit(1)
