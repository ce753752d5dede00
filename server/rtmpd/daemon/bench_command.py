"""``rtmpd bench``: load on a server, and what it made of it."""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rtmpd.daemon import client_command
from rtmpd.daemon.client_command import ExitStatus, bytes_text, rate_text
from rtmpd.rtmp.url import RtmpUrl

if TYPE_CHECKING:
    from rtmpd.tools.load.players import PlayReport
    from rtmpd.tools.load.publishers import PublishReport

app = typer.Typer(
    name="bench",
    help="Put load on a server. Mind whose server it is.",
    no_args_is_help=True,
)

Url = Annotated[str, typer.Argument(metavar="URL", help="rtmp://host[:port]/app/name")]
PlayUrl = Annotated[
    str,
    typer.Argument(metavar="URL", help="rtmp://host[:port]/app/name, or http://host:8935/app/name.flv"),
]
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
_PERCENTILES: Final = ("p50", "p90", "p99", "max")
_LABELS: Final = {
    "parsed": "  that parse all",
    "stalled": "  that stopped reading",
    "closed": "closed by the server",
    "without_picture": "without a picture",
    "joining_seconds": "all joined within",
    "connect_ms": "time to connect",
    "first_frame_ms": "time to a key frame",
    "seconds": "measured for",
    "bits_per_second": "rate of each",
    "longest_silence_ms": "longest silence of each",
    "latency_ms": "latency of a packet",
    "packets": "packets",
    "missing": "  missing",
    "dropped": "  dropped",
    "stalls": "writes that had to wait",
    "cpu_seconds": "CPU time of this bench",
    "late_ms": "lateness of this bench",
}
"""How people read the fields of a report, where not by their names."""


@app.command(epilog=client_command.TRIAL_EXIT_CODES)
def play(
    url: PlayUrl,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Players.")] = 100,
    duration: Duration = 10.0,
    warmup: Warmup = 1.0,
    rate: Rate = 0.0,
    streams: Annotated[
        int, typer.Option("--streams", min=1, help="Spread the players over name0, name1, ... ({i} in URL).")
    ] = 1,
    parsed: Annotated[
        int,
        typer.Option(
            "--parsed", min=0, help="Of those that read, who take their stream apart: latency, gaps."
        ),
    ] = 32,
    stalled: Annotated[
        int,
        typer.Option(
            "--stalled",
            min=0,
            help="Players that stop reading at their first key frame, and so notice no end.",
        ),
    ] = 0,
    drain_interval: Annotated[
        float,
        typer.Option("--drain-interval", min=0.0, help="Seconds between reads of the others; 0 at once."),
    ] = 0.0,
    patience: Annotated[
        float,
        typer.Option(
            "--patience", min=0.0, help="Seconds to wait for pictures; 3 while no media comes at all."
        ),
    ] = 15.0,
    as_json: Json = False,
) -> None:
    """Play a stream many times over. This loads the server and the network for real.

    A few players parse what they get; of the others, after the first key frame, bytes are counted and thrown
    away. Latency needs a publisher that stamps its packets, on the same machine: rtmpd bench publish. The
    lateness of the bench itself, how long it took to get to what was due, is in every latency.
    """
    from rtmpd.tools.load.http_players import HttpUrl
    from rtmpd.tools.load.players import PlayerCrowd, PlayLoad

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
        place = (HttpUrl if url.startswith("http") else RtmpUrl).parse(url)
        return await PlayerCrowd(place, load, _phase_printer(as_json)).run()

    _report(run, as_json)


@app.command(epilog=client_command.TRIAL_EXIT_CODES)
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
    from rtmpd.tools.load.media import MediaSpec
    from rtmpd.tools.load.publishers import PublisherCrowd, PublishLoad

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
    report = client_command.run("bench", run, client_command.status_of_trial)
    fields = dataclasses.asdict(report)
    if as_json:
        typer.echo(json.dumps({"phase": "report", **fields}))
    elif report.seconds:
        for name, value in fields.items():
            typer.echo(f"{_LABELS.get(name, name):24}  {_text(name, value)}")
    if report.empty:
        typer.echo(f"rtmpd bench: {_what_was_wrong(report)}", err=True)
        raise typer.Exit(ExitStatus.FAILED)


def _what_was_wrong(report: PlayReport | PublishReport) -> str:
    if report.failures:
        return f"nothing came through: {_counted(report.failures)}"
    if report.closed:
        return "nothing came through: the server closed the connections"
    return "nothing came through: does anybody publish this stream?"


def _phase_printer(as_json: bool) -> Callable[[str], None]:
    def show(phase: str) -> None:
        text = json.dumps({"phase": phase}) if as_json else f"{phase} ..."
        print(text, flush=True, file=sys.stdout if as_json else sys.stderr)

    return show


def _text(name: str, value: Any) -> str:
    match name:
        case "failures":
            return _counted(value) or "none"
        case "bytes":
            return bytes_text(value)
        case "latency_ms" if not value["count"]:
            return "not known: rtmpd bench publish stamps its packets, this publisher does not"
        case "bits_per_second":
            return _distribution(value, rate_text)
        case _ if name.endswith("_ms"):
            return _distribution(value, lambda milliseconds: f"{milliseconds:,.1f} ms")
        case _ if name.endswith("seconds"):
            return f"{value:,.2f} s"
        case _:
            return f"{value:,}"


def _distribution(value: dict[str, float], shown: Callable[[float], str]) -> str:
    if not value["count"]:
        return "none"
    return "  ".join(f"{name} {shown(value[name])}" for name in _PERCENTILES)


def _counted(failures: dict[str, int]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in failures.items())
