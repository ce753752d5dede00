"""``rtmpd notify``: tries who would be notified."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told

if TYPE_CHECKING:
    from rtmpd.events.delivery import NotTaken
    from rtmpd.events.settings import TargetSettings

app = typer.Typer(
    name="notify",
    help="Try who is notified of what happens: [notify.NAME].",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _options() -> None:
    """Has typer know it as a command with commands."""


@app.command(name="test")
def send(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of [notify.NAME].", show_default=False)],
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Send a test: exit 0 if it was taken, or 1 and why."""
    import asyncio

    from rtmpd.daemon import settings
    from rtmpd.events.model import EventKind

    with mistakes_told(os.EX_CONFIG):
        loaded = settings.load(config or (), os.environ, assignments or ()).config
    if name not in loaded.notify:
        known = f"but {', '.join(loaded.notify)}" if loaded.notify else "and nobody else: see [notify.NAME]"
        raise typer.BadParameter(f"nobody of this name is notified, {known}", param_hint="NAME")
    target = loaded.notify[name].to_settings()
    if EventKind.TEST not in target.address.format.kinds:
        text = f"{target.address.format} has no words for a test: rtmpd check --connect tries the connection"
        raise typer.BadParameter(text, param_hint="NAME")
    failure = asyncio.run(_attempt(target))
    if failure is not None:
        typer.echo(f"rtmpd: {name}: {failure.text}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name} has taken it")


async def _attempt(target: TargetSettings) -> NotTaken | None:
    import time

    from rtmpd.engine.origin import SessionIds
    from rtmpd.events.trial import send_test
    from rtmpd.net.http_caller import HttpCaller

    caller = HttpCaller(max_connections=1)
    try:
        return await send_test(target, caller, SessionIds(time.time, os.urandom), time.time())
    finally:
        await caller.close()
