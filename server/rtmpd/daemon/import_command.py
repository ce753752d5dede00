"""``rtmpd import``: the configuration of another server as ours."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from rtmpd.daemon.config_options import mistakes_told
from rtmpd.exceptions import ConfigError
from rtmpd.imports.blocks import Directive
from rtmpd.imports.draft import Draft, Finding
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import validate_name

NOT_ALL: Final = 3
"""Exit code where something was not mapped."""
_HIDDEN: Final = 0o600
_MOST_WITHDRAWN: Final = 100
_MOST_TOLD: Final = 1000

app = typer.Typer(
    name="import",
    help=(
        "Write the configuration of another server as ours, and list what of it could not be. Needs "
        "rtmpd[import]. Exit codes: 0 all was mapped; 3 not all; 78 the file cannot be read, or is no such "
        "configuration."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Its configuration.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="The file to write, instead of standard output."),
]


@app.command("nginx-rtmp", short_help="nginx.conf with a block rtmp.")
def nginx_rtmp(file: File, output: Output = None) -> None:
    """Read nginx.conf, with what it includes, of nginx-rtmp or nginx-http-flv-module."""
    from rtmpd.imports.nginx_rtmp import BLOCKS, PAGE, import_nginx

    _import("nginx-rtmp", output, PAGE, lambda draft: import_nginx(_blocks(file, draft, BLOCKS), draft))


@app.command("srs", short_help="srs.conf.")
def srs(file: File, output: Output = None) -> None:
    """Read srs.conf, with what it includes."""
    from rtmpd.imports.srs import BLOCKS, PAGE, import_srs

    _import("srs", output, PAGE, lambda draft: import_srs(_blocks(file, draft, BLOCKS), draft))


@app.command("mediamtx", short_help="mediamtx.yml.")
def mediamtx(file: File, output: Output = None) -> None:
    """Read mediamtx.yml."""
    _import("mediamtx", output, "docs/migrate-from-mediamtx.md", lambda draft: _yaml(file, draft))


def _import(server: str, output: Path | None, page: str, convert: Callable[[Draft], None]) -> None:
    draft = Draft([f"Written by rtmpd import {server}. What comes out: rtmpd check -c FILE"], _is_path)
    with mistakes_told(os.EX_CONFIG):
        try:
            convert(draft)
        except ModuleNotFoundError as error:
            text = f'{error.name} is not installed: pip install "rtmpd[import]"'
            raise ConfigError([text]) from None
        text = _checked(draft)
        if output is None:
            typer.echo(text, nl=False)
        else:
            _write(text, output)
    _tell(draft, page)


def _is_path(name: str) -> bool:
    return validate_name(name, Limits().max_app_bytes) is None


def _blocks(file: Path, draft: Draft, wanted: Sequence[str]) -> Sequence[Directive]:
    """The directives of a file; of ``wanted`` every such configuration has one. Raises ``ConfigError``."""
    from rtmpd.daemon import import_files

    found = import_files.read_blocks(file, lambda place: draft.leave(place, "include", "cannot be read"))
    if not any(each.name in wanted for each in found):
        text = f"there is no {' or '.join(wanted)} in it, nor in what it includes: is it the right file?"
        raise ConfigError([*map(str, draft.left), f"{file}: {text}"])
    return found


def _yaml(file: Path, draft: Draft) -> None:
    from rtmpd.daemon import import_files
    from rtmpd.imports import marked_yaml
    from rtmpd.imports.mediamtx import import_mediamtx

    text = import_files.read_text(file, marked_yaml.MAX_BYTES)
    import_mediamtx(marked_yaml.read(text, str(file)), draft)


def _checked(draft: Draft) -> str:
    """The settings as a server takes them: what it would not is withdrawn, and told."""
    from rtmpd.daemon import settings

    with tempfile.TemporaryDirectory(prefix="rtmpd-import-") as folder:
        path = Path(folder, "rtmpd.toml")
        place = rf"{re.escape(str(path))}:\d+"
        said = re.compile(rf"({place}(?:, {place})*): (?:\S+?: )?(.*)")
        for _ in range(_MOST_WITHDRAWN):
            text = draft.text()
            path.write_text(text)
            try:
                settings.load([path], {})
            except ConfigError as error:
                found = {
                    int(each.rpartition(":")[2]): match[2]
                    for problem in error.problems
                    if (match := said.fullmatch(problem))
                    for each in match[1].split(", ")
                }
                # From the last line on: those before stay where they are.
                if not [line for line in sorted(found, reverse=True) if draft.withdraw(line, found[line])]:
                    raise
            else:
                return text
    raise ConfigError(["more of it is not taken than anybody would want to read"])


def _write(text: str, output: Path) -> None:
    """Into a file that is not there, for nobody else: there may be stream keys in it."""
    try:
        output.touch(_HIDDEN, exist_ok=False)
        output.write_text(text)
    except OSError as error:
        advice = "; name another file" if isinstance(error, FileExistsError) else ""
        raise ConfigError([f"{output}: {error.strerror}{advice}"]) from None


def _as_read(finding: Finding) -> int:
    return finding.place.number


def _tell(draft: Draft, page: str) -> None:
    """What to look at, and what was not mapped; the end of the command, with an exit code of its own."""
    for title, findings in (("worth a look", draft.remarks), ("not mapped", draft.left)):
        if findings:
            typer.echo(f"rtmpd: {title}:", err=True)
        for finding in sorted(findings, key=_as_read)[:_MOST_TOLD]:
            typer.echo(f"  {finding}", err=True)
    if draft.left:
        count = len(draft.left)
        what = "1 directive was" if count == 1 else f"{count} directives were"
        typer.echo(f"rtmpd: {what} not mapped; {page} says more", err=True)
        raise typer.Exit(NOT_ALL)
