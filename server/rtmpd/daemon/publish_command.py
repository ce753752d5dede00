"""``rtmpd publish``: an FLV file or pipe to a server, and how it gets on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rtmpd.daemon import client_command
from rtmpd.daemon.client_command import CaFile, Timeout, Trace, Url
from rtmpd.exceptions import UsageError

if TYPE_CHECKING:
    from rtmpd.tools.file_publisher import PublishPlan
    from rtmpd.tools.route import Connect


def publish(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An FLV file, or - for standard input.")],
    url: Url,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end; timestamps go on.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="As fast as the server takes it, not as the timestamps say.")
    ] = False,
    retries: Annotated[
        int, typer.Option("--retries", min=0, help="Further attempts after a failure; anew after 10 s live.")
    ] = 5,
    timeout: Timeout = client_command.PATIENCE,
    ca_file: CaFile = None,
    trace: Trace = False,
) -> None:
    """Publish an FLV file or pipe in real time.

    When the connection breaks it is made again, and publishing goes on at the
    next key frame. "behind" is what the network has not taken yet, and how
    late the last frame was.
    """
    from rtmpd.tools.file_publisher import PublishPlan

    plan = PublishPlan(loop=loop, fast=fast, retries=retries)
    dial = client_command.dialer(timeout, ca_file, trace)
    client_command.run("publish", lambda: _publish(file, url, plan, dial))


async def _publish(file: str, url: str, plan: PublishPlan, dial: Connect) -> None:
    import random

    from rtmpd.daemon.publish_display import PublishDisplay
    from rtmpd.net.backoff import Backoff
    from rtmpd.tools.file_publisher import FilePublisher
    from rtmpd.tools.flv_files import STANDARD_STREAM, FlvSource
    from rtmpd.tools.route import Route

    if "://" in file and "://" not in url:
        raise UsageError("FILE and URL are swapped: rtmpd publish FILE URL")
    target = client_command.stream_url(url)
    if plan.loop and file == STANDARD_STREAM:
        raise UsageError("standard input cannot be read twice: --loop needs a file")
    source = FlvSource(file)
    display = PublishDisplay(target)
    route = Route(target, dial, display.tell_move)
    publisher = FilePublisher(source, route, plan, Backoff(random.random), display.tell_failure)
    try:
        with display.of(publisher, source) as show:
            async with client_command.repeated(show, display.interval):
                await publisher.run()
    finally:
        source.close()
