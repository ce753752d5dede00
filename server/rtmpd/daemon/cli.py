"""The ``rtmpd`` command: serve, check, --version, and all others by their names.

A command is made when it is asked for, and imports what it needs beyond its options when it runs: nobody who
serves waits for the commands that talk to servers, and ``--version`` waits for nothing.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from rtmpd import __version__
from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told, parse_path
from rtmpd.daemon.single_commands import single_command
from rtmpd.rtmp.form import described

if TYPE_CHECKING:
    import socket

    from rtmpd.daemon.config import Config
    from rtmpd.daemon.reference import Row
    from rtmpd.daemon.settings import Settings

_GC_THRESHOLDS: Final = (20_000, 20, 50)


class _Commands(TyperGroup):
    """Makes a command when it is asked for: of a dozen one is run."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """None if there is none of that name; then all are there, so that one like it can be suggested."""
        if cmd_name in _COMMANDS:
            self._make(cmd_name)
        else:
            self.list_commands(ctx)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """All of them; each is made."""
        return [name for name in _COMMANDS if self.get_command(ctx, name)]

    def _make(self, name: str) -> None:
        if name not in self.commands:
            made = typer.Typer(rich_markup_mode=None)
            _add(name, made)
            self.commands.update(typer.main.get_group(made).commands)


app = typer.Typer(
    cls=_Commands,
    name="rtmpd",
    help="An RTMP live ingest server: encoders push, players pull, Prometheus scrapes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Entry point of the ``rtmpd`` script."""
    # At its usual pace the collector would walk all that is imported again and again, and later every cached
    # packet, and packets make no cycles.
    gc.set_threshold(*_GC_THRESHOLDS)
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"rtmpd {__version__} ({described()}, uvloop {metadata.version('uvloop')})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions and exit."),
    ] = False,
) -> None:
    pass


def serve(
    config: ConfigPaths = None,
    assignments: Assignments = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Take over from the server that runs here with these settings, if one does."
        ),
    ] = False,
    replace_from: Annotated[
        int | None, typer.Option("--replace-from", hidden=True, help="The same, by a descriptor.")
    ] = None,
) -> None:
    """Run the server until SIGTERM or SIGINT."""
    from rtmpd.daemon import logs

    with mistakes_told(os.EX_CONFIG):
        loaded = _load_for_successor(config, assignments, replace_from)
    # Only now: settings with a mistake in them need no server.
    from rtmpd.daemon import reload, worker

    # An address that cannot be had now may be free a second later: not a mistake that lasts.
    journal = logs.is_journal(os.environ)
    log = loaded.config.log
    with (
        mistakes_told(1),
        logs.configured(log.level, log.format, journal=journal, max_repeats=log.max_repeats) as output,
    ):
        reload.tell_old_names(loaded.old_names)
        before = _find_before(loaded, replace_from) if replace or replace_from is not None else None
        code = worker.run(loaded, lambda: _load(config, assignments), output, before)
    raise typer.Exit(code)


def check(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="[APP[/STREAM]]",
            parser=parse_path,
            show_default=False,
            help="Show what holds for this app or stream instead of all settings.",
        ),
    ] = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print a JSON schema for editors instead.")
    ] = False,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Print the file as this version would have it written instead.")
    ] = False,
    template: Annotated[
        bool, typer.Option("--template", help="Print a file with every key explained instead.")
    ] = False,
    connect: Annotated[
        bool,
        typer.Option(
            "--connect", help="Call everybody that the settings name instead; exit 1 if one does not answer."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print mistakes, and nothing else.")] = False,
) -> None:
    """Show the settings in effect and where each comes from; on mistakes name them all and exit 78."""
    import json

    from rtmpd.daemon import migration, reference

    instead = {
        "--schema": schema,
        "--migrate": migrate,
        "--template": template,
        "--connect": connect,
        "--quiet": quiet,
    }
    wanted = [option for option, given in instead.items() if given]
    others = {"a path": path, "--set": None if connect or quiet else assignments}
    ignored = wanted[1:] or [what for what, given in others.items() if given]
    if wanted and ignored:
        raise typer.BadParameter(f"{ignored[0]} means nothing beside {wanted[0]}: leave out one of them")
    if schema:
        typer.echo(json.dumps(reference.schema(), indent=2))
    elif template:
        typer.echo(reference.template(), nl=False)
    elif migrate:
        with mistakes_told(os.EX_CONFIG):
            typer.echo(migration.migrate_file(config or ()), nl=False)
    else:
        with mistakes_told(os.EX_CONFIG):
            loaded = _load(config, assignments)
        for remark in _remarks(loaded):
            typer.echo(f"rtmpd: {remark}", err=True)
        if connect:
            _check_connections(loaded)
        elif not quiet:
            _print_rows(list(reference.rows(loaded) if path is None else reference.rows_at(loaded, path)))
            _tell_slates(loaded.config)


def health(config: ConfigPaths = None, assignments: Assignments = None) -> None:
    """Ask the server that runs here with these settings whether it is alive: exit 0, or 1 and why."""
    from rtmpd.daemon import health_command, settings

    with mistakes_told(os.EX_CONFIG):
        loaded = settings.load(config or (), os.environ, assignments or ()).config
    problem = health_command.find_problem(loaded)
    if problem is not None:
        typer.echo(f"rtmpd: {problem}", err=True)
        raise typer.Exit(1)
    typer.echo("ok")


_HERE: Final[Mapping[str, Callable[..., None]]] = {
    "serve": serve,
    "check": check,
    "health": health,
}
_CONTROL: Final = frozenset(
    {"status", "kick", "redirect", "ban", "unban", "end", "reload", "drain", "replace", "events", "log-level"}
)
"""Those that speak to the server that runs here."""
_COMMANDS: Final = {
    "serve": None,
    "check": "Show the settings, or every mistake.",
    "health": "Is the server that runs here alive?",
    "init": "Ask, and write a configuration.",
    "import": "Write another server's settings as ours.",
    "status": "Show the server, and what is on air.",
    "events": "Show what happens, as it happens.",
    "top": "Watch the streams as they get on.",
    "reload": "Read the settings again.",
    "drain": "Let nobody new in, and end.",
    "replace": "Have a new process take over.",
    "kick": "End a session, or who publishes.",
    "redirect": "Lead players to another stream.",
    "ban": "Let nobody in from somewhere.",
    "unban": "Lift a ban.",
    "clip": "Keep the last seconds of a stream as a file.",
    "report": "Show who watched how much.",
    "repair": "Finish FLV files that were cut off.",
    "end": "End a stream whose encoder was lost.",
    "log-level": "Log more for a while.",
    "target": "Where streams are pushed to.",
    "recordings": "What is recorded, and what was.",
    "pull": "Which streams are fetched from elsewhere.",
    "publish": None,
    "play": None,
    "probe": None,
    "token": "Make a link to publish or play for a while.",
    "bench": None,
    "key": "Make, list and revoke stream keys.",
    "admin-token": "Make and list tokens of the admin port.",
    "obs": "Write what OBS needs to send several qualities.",
    "notify": "Try who is notified.",
    "slate": "Make what is shown while an encoder is away.",
}
"""All of them, in the order in which people need them, each in a few words where it has more to say."""


def _add(name: str, app: typer.Typer) -> None:
    """Have ``app`` know the command of that name, or the commands behind it."""
    short = _COMMANDS[name]
    match name:
        case _ if name in _HERE:
            app.command(short_help=short)(_HERE[name])
        case _ if name in _CONTROL:
            from rtmpd.daemon import control_command, events_command

            module = events_command if name == "events" else control_command
            app.command(short_help=short)(getattr(module, name.replace("-", "_")))
        case "publish" | "play":
            from rtmpd.daemon import client_command, play_command, publish_command

            command = publish_command.publish if name == "publish" else play_command.play
            app.command(epilog=client_command.EXIT_CODES)(command)
        case "probe":
            from rtmpd.daemon import client_command, probe_command

            app.command(epilog=client_command.TRIAL_EXIT_CODES)(probe_command.probe)
        case "init" | "top" | "token" | "repair" | "clip" | "report":
            app.command(short_help=short)(single_command(name))
        case _:
            app.add_typer(_group(name), short_help=short)


def _group(name: str) -> typer.Typer:
    """The commands behind that name."""
    match name:
        case "bench":
            from rtmpd.daemon import bench_command

            return bench_command.app
        case "key":
            from rtmpd.daemon import held_key_command

            return held_key_command.app
        case "admin-token":
            from rtmpd.daemon import admin_token_command

            return admin_token_command.app
        case "slate":
            from rtmpd.daemon import slate_command

            return slate_command.app
        case "import":
            from rtmpd.daemon import import_command

            return import_command.app
        case "target":
            from rtmpd.daemon import target_command

            return target_command.app
        case "recordings":
            from rtmpd.daemon import recordings_command

            return recordings_command.app
        case "pull":
            from rtmpd.daemon import pull_command

            return pull_command.app
        case "notify" | "obs":
            from rtmpd.daemon import notify_command, obs_command

            return notify_command.app if name == "notify" else obs_command.app
    raise ValueError(name)


def _load(config: ConfigPaths, assignments: Assignments) -> Settings:
    """The settings; keys, certificates and pictures that they name are in order. Raises ConfigError."""
    from rtmpd.daemon import access_rules, settings
    from rtmpd.exceptions import ConfigError

    loaded = settings.load(config or (), os.environ, assignments or ())
    problems: list[str] = []
    certificates = loaded.config.rtmps.load_certificates
    for read in (access_rules.ConfiguredRules, lambda _: certificates(os.environ), _read_slates, _read_logos):
        try:
            read(loaded.config)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return loaded


def _tell_slates(config: Config) -> None:
    """Say what they hold."""
    if config.shows_slates:
        from rtmpd.daemon import slate_check

        for line in slate_check.contents(config):
            typer.echo(f"rtmpd: {line}", err=True)


def _read_slates(config: Config) -> None:
    """Raises ConfigError."""
    if config.shows_slates:
        from rtmpd.daemon.slate_side import read_all

        read_all(config)


def _read_logos(config: Config) -> None:
    """Raises ConfigError."""
    if any(app.page.logo for app in config.apps.values()):
        from rtmpd.daemon.page_side import read_logos

        read_logos(config)


def _load_for_successor(config: ConfigPaths, assignments: Assignments, replace_from: int | None) -> Settings:
    """As ``_load``; the process before learns what is wrong."""
    from rtmpd.exceptions import ConfigError

    try:
        return _load(config, assignments)
    except ConfigError as error:
        if replace_from is not None:
            from rtmpd.daemon.handover import tell_failure

            tell_failure(replace_from, error.problems)
        raise


def _find_before(loaded: Settings, replace_from: int | None) -> socket.socket | None:
    """What leads to the process that is to be taken over from; None if none runs. Raises ConfigError."""
    from rtmpd.daemon import handover
    from rtmpd.daemon.handover_side import runtime_folder
    from rtmpd.exceptions import ConfigError, HandoverFailed

    try:
        if replace_from is not None:
            return handover.received(replace_from)
        return handover.find_predecessor(runtime_folder(loaded.config.shutdown.runtime_dir, os.environ))
    except HandoverFailed as error:
        raise ConfigError([str(error)]) from None


def _remarks(loaded: Settings) -> Iterator[str]:
    """What is to be mended, though a server would start."""
    yield from map(str, loaded.old_names)
    folder = loaded.config.state.folder(os.environ)
    if folder is not None:
        from rtmpd.state.database import find_problem

        problem = find_problem(folder)
        if problem is not None:
            yield f"state.dir: {problem}"
    if loaded.config.apps:
        from rtmpd.daemon import hls_check
        from rtmpd.daemon.missing_folders import missing_folders

        yield from missing_folders(loaded.config)
        yield from hls_check.remarks(loaded.config)
    if loaded.config.shows_slates:
        from rtmpd.daemon import slate_check

        yield from slate_check.remarks(loaded.config)


def _check_connections(loaded: Settings) -> None:
    import asyncio

    from rtmpd.daemon import connect_check

    trials = connect_check.trials(loaded.config, os.environ)
    findings = asyncio.run(connect_check.run(trials))
    for trial, finding in zip(trials, findings, strict=True):
        said = f"{trial.key}  {trial.label}: {finding.text}"
        typer.echo(f"{'ok    ' if finding.works else 'FAILED'}  {said}")
    if not trials:
        typer.echo("The settings name nobody to connect to.")
    if not all(finding.works for finding in findings):
        raise typer.Exit(1)


def _print_rows(rows: Sequence[Row]) -> None:
    if not _stdout_is_terminal():
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for name, value, origin, _ in rows:
            typer.echo(f"{name:{widths[0]}}  {value:{widths[1]}}  {origin}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for title in ("key", "value", "from"):
        table.add_column(title, overflow="fold")  # What is cut short cannot be copied.
    for name, value, origin, _ in rows:
        style = "dim" if origin == "default" else "bold"
        table.add_row(*(Text(text, style=style) for text in (name, value, origin)))
    Console().print(table)


def _stdout_is_terminal() -> bool:
    return sys.stdout.isatty()
