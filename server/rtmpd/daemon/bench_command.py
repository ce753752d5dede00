"""``rtmpd bench``: load on a server, and what it made of it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import resource
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtmpd.exceptions import RtmpdError
from rtmpd.rtmp.url import RtmpUrl

if TYPE_CHECKING:
    from rtmpd.net.load_players import PlayReport
    from rtmpd.net.load_publishers import PublishReport

app = typer.Typer(
    name="bench",
    help="Put load on a server: thousands of players, hundreds of publishers. Mind whose server it is.",
    no_args_is_help=True,
)

Url = Annotated[str, typer.Argument(metavar="URL", help="rtmp://host[:port]/app/name")]
Duration = Annotated[
    float, typer.Option("--duration", "-d", min=0.1, help="Seconds to measure, once everybody is there.")
]
Warmup = Annotated[float, typer.Option("--warmup", min=0.0, help="Seconds to wait before that.")]
Rate = Annotated[
    float, typer.Option("--rate", min=0.0, help="Connections a second; 0 is as fast as the server answers.")
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object per line: each phase as it comes, then the report.")
]
_PERCENTILES = ("p50", "p90", "p99", "max")


@app.command()
def play(
    url: Url,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Players.")] = 100,
    duration: Duration = 10.0,
    warmup: Warmup = 1.0,
    rate: Rate = 0.0,
    streams: Annotated[
        int, typer.Option("--streams", min=1, help="Spread the players over name0, name1, ... ({i} in URL).")
    ] = 1,
    parsed: Annotated[
        int, typer.Option("--parsed", min=0, help="Players that take their stream apart: latency and gaps.")
    ] = 32,
    stalled: Annotated[
        int, typer.Option("--stalled", min=0, help="Players that stop reading at their first key frame.")
    ] = 0,
    drain_interval: Annotated[
        float,
        typer.Option("--drain-interval", min=0.0, help="Seconds between reads of the others; 0 at once."),
    ] = 0.0,
    patience: Annotated[
        float, typer.Option("--patience", min=0.0, help="Seconds to wait for pictures.")
    ] = 15.0,
    as_json: Json = False,
) -> None:
    """Play a stream many times over. This loads the server and the network for real.

    A few players parse what they get; of the others, after the first key frame, bytes are counted and thrown
    away. Latency needs a publisher that stamps its packets, on the same machine: rtmpd bench publish.
    """
    from rtmpd.net.load_players import PlayerCrowd, PlayLoad

    async def run() -> PlayReport:
        load = PlayLoad(
            players=number,
            duration=duration,
            warmup=warmup,
            patience=patience,
            rate=rate,
            streams=streams,
            parsed=parsed,
            stalled=stalled,
            drain_interval=drain_interval,
        )
        return await PlayerCrowd(RtmpUrl.parse(url), load, _phase_printer(as_json)).run()

    _report(run, as_json)


@app.command()
def publish(
    url: Url,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Publishers: name0, name1, ...")] = 1,
    duration: Duration = 10.0,
    warmup: Warmup = 1.0,
    rate: Rate = 0.0,
    bitrate: Annotated[
        int, typer.Option("--bitrate", min=1, help="Bit/s of each, sound included.")
    ] = 1_100_000,
    fps: Annotated[float, typer.Option("--fps", min=0.1, max=1000, help="Frames a second of each.")] = 30.0,
    keyframe_interval: Annotated[
        float, typer.Option("--keyframe-interval", min=0.1, help="Seconds from key frame to key frame.")
    ] = 2.0,
    chunk_size: Annotated[
        int,
        typer.Option("--chunk-size", min=1, max=0xFFFFFF, help="Bytes that publishers cut messages into."),
    ] = 4096,
    as_json: Json = False,
) -> None:
    """Publish synthetic streams of stamped packets. This loads the server and the network for real.

    Headers are valid H.264 and AAC; the frames are filler of the right size that no decoder should see.
    """
    from rtmpd.net.load_media import MediaSpec
    from rtmpd.net.load_publishers import PublisherCrowd, PublishLoad

    async def run() -> PublishReport:
        load = PublishLoad(
            publishers=number,
            duration=duration,
            warmup=warmup,
            rate=rate,
            chunk_size=chunk_size,
            media=MediaSpec(bitrate, fps, keyframe_interval),
        )
        return await PublisherCrowd(RtmpUrl.parse(url), load, _phase_printer(as_json)).run()

    _report(run, as_json)


def _report(run: Callable[[], Coroutine[Any, Any, PlayReport | PublishReport]], as_json: bool) -> None:
    """Run a crowd and print what it reports; exit 1 when nothing came through."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        report = asyncio.run(run())
    except (RtmpdError, OSError) as error:
        typer.echo(f"rtmpd bench: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error
    fields = dataclasses.asdict(report)
    if as_json:
        typer.echo(json.dumps({"phase": "report", **fields}))
    else:
        for name, value in fields.items():
            typer.echo(f"{name.replace('_', ' '):20}  {_text(value)}")
    raise typer.Exit(0 if report.bytes else 1)


def _phase_printer(as_json: bool) -> Callable[[str], None]:
    def show(phase: str) -> None:
        text = json.dumps({"phase": phase}) if as_json else f"{phase} ..."
        print(text, flush=True, file=sys.stdout if as_json else sys.stderr)

    return show


def _text(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "p50" not in value:
        return ", ".join(f"{count} x {reason}" for reason, count in value.items()) or "none"
    if not value["count"]:
        return "none"
    return "  ".join(f"{name} {value[name]:,.2f}" for name in _PERCENTILES) + f"  (of {value['count']})"
