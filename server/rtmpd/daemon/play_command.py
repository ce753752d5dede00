"""``rtmpd play``: what a stream is like, live, and a file of it if wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from rtmpd.daemon import client_command
from rtmpd.daemon.client_command import CaFile, Timeout, Trace, Url
from rtmpd.rtmp.constants import CapsEx

if TYPE_CHECKING:
    from rtmpd.tools.playback import Playback
    from rtmpd.tools.route import Connect

_CAPS_EX: Final = int(CapsEx.MODEX | CapsEx.TIMESTAMP_NANO_OFFSET)
"""No multitrack: a server that can choose sends one track of each medium then, which every player knows."""


def play(
    url: Url,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write FLV there; - is standard output."),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            "--duration",
            "-d",
            parser=client_command.duration,
            metavar="TIME",
            help="End after this much of it.",
        ),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            parser=client_command.duration,
            metavar="TIME",
            help="For a stream to begin; else for ever.",
        ),
    ] = None,
    timeout: Timeout = client_command.PATIENCE,
    ca_file: CaFile = None,
    trace: Trace = False,
) -> None:
    """Play a stream to its end, and tell what it is like.

    That is bitrate, frame rate, key frame interval, codecs and resolution.
    "gaps" are frames stamped more than a second after the one before,
    "backwards" those stamped earlier. With -o - the figures go to standard
    error: rtmpd play URL -o - | ffplay -
    """
    from rtmpd.tools.flv_files import FlvSink
    from rtmpd.tools.playback import Playback

    playback = Playback(FlvSink(output) if output else None, duration, wait)
    dial = client_command.dialer(timeout, ca_file, trace)
    client_command.run("play", lambda: _play(url, playback, dial))


async def _play(url: str, playback: Playback, dial: Connect) -> None:
    from rtmpd.daemon.play_display import PlayDisplay
    from rtmpd.rtmp.commands import ConnectParams
    from rtmpd.tools.flv_files import STANDARD_STREAM
    from rtmpd.tools.route import Route

    target = client_command.stream_url(url)
    sink = playback.sink
    if sink is not None:
        sink.check()
    display = PlayDisplay(target, playback, to_stderr=sink is not None and sink.path == STANDARD_STREAM)
    route = Route(target, dial, display.tell_move, ConnectParams(caps_ex=_CAPS_EX))
    with display.shown() as show:
        async with client_command.repeated(show, display.interval):
            await playback.run(route.plays())
