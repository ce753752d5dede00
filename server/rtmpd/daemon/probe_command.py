"""``rtmpd probe``: does a server work?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rtmpd.daemon import client_command
from rtmpd.daemon.client_command import CaFile, Trace
from rtmpd.rtmp.url import RtmpUrl

if TYPE_CHECKING:
    from rtmpd.tools.probe import ProbeReport


def probe(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="rtmp:// or rtmps://host:port/app, or /app/name; without a name, a random one.",
        ),
    ],
    play_only: Annotated[
        bool, typer.Option("--play-only", help="Publish nothing: wait for a picture of the stream at URL.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            parser=client_command.duration,
            metavar="TIME",
            help="For all of it; 5s if not given.",
            show_default=False,
        ),
    ] = 5.0,
    ca_file: CaFile = None,
    trace: Trace = False,
) -> None:
    """Publish a second of media, play it back, compare.

    The media are synthetic, and every byte is compared.
    One line tells the round trip in ms, or why it failed.
    """

    async def run() -> ProbeReport:
        from rtmpd.tools.probe import Probe

        prober = Probe(RtmpUrl.parse(url), client_command.dialer(timeout, ca_file, trace), timeout)
        return await (prober.play_only() if play_only else prober.round_trip())

    report = client_command.run("probe", run, client_command.status_of_trial)
    what = (
        f"{report.packets} packets came back unchanged" if report.packets else "there is a picture or sound"
    )
    typer.echo(
        f"ok: {what}, round trip {report.round_trip * 1000:.1f} ms, {report.total * 1000:.0f} ms in all"
    )
