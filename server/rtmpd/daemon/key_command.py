"""``rtmpd key``: makes stream keys, hashes them, and lists those of the configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told
from rtmpd.rtmp.url import clean_path, validate_name

if TYPE_CHECKING:
    from rtmpd.access.keys import Key
    from rtmpd.daemon.access_config import AccessConfig
    from rtmpd.daemon.access_rules import ConfiguredRules

_DEFAULT_APP: Final = "live"
_SHOWN_DIGITS: Final = 6
"""Of a digest: enough to tell keys apart, which the configuration does too."""

app = typer.Typer(
    name="key",
    help="Make stream keys, hash them, and list those of the configuration.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def parse_stream(text: str) -> str:
    """The path of a stream as a person names it. Raises ``BadParameter``."""
    path = clean_path(text)
    path = path if "/" in path else f"{_DEFAULT_APP}/{path}"
    problem = validate_name(path, len(path.encode()))
    if problem or path.endswith("/"):
        raise typer.BadParameter("this cannot be the name of a stream: write it as live/show, or show")
    return path


@app.command()
def new(
    stream: Annotated[
        str,
        typer.Argument(
            metavar="[[APP/]NAME]", parser=parse_stream, help="Public name of the stream that it is for."
        ),
    ] = f"{_DEFAULT_APP}/test",
) -> None:
    """Make a key to publish with, and say where it goes. Nothing is written anywhere."""
    key, digest = make_key()
    name_of_app, _, name = stream.partition("/")
    typer.echo(
        f"""\
key            {key}
               shown this once: it goes into the encoder, and nowhere else

configuration  [apps.{quoted(name_of_app)}.publish.keys]
               {quoted(name)} = ["{digest}"]
"""
    )
    for line in directions("rtmp://SERVER", "rtmp://SERVER", name_of_app, name, key):
        typer.echo(line)


def quoted(name: str) -> str:
    """The name as a key of TOML."""
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else f'"{name}"'


def make_key() -> tuple[str, str]:
    """A new key, and what of it goes into the configuration."""
    from rtmpd.access.keys import digest_of, new_key, spell_digest

    key = new_key(os.urandom)
    return key, spell_digest(digest_of(key))


def directions(server: str, player_server: str, app: str, name: str, key: str) -> Iterator[str]:
    """What goes into an encoder and a player, line by line; the servers are URLs without an app."""
    yield f"OBS            Settings > Stream: Service Custom..., Server {server}/{app},"
    yield f"               Stream Key {key}"
    yield f"ffmpeg         {server}/{app}/{key}"
    yield f"watch          {player_server}/{app}/{name}"


@app.command(name="hash")
def hash_() -> None:
    """Read a key from standard input, and print what of it goes into the configuration."""
    from rtmpd.access.keys import check_strength, digest_of, spell_digest

    asks = sys.stdin.isatty()
    text = typer.prompt("Key", hide_input=True) if asks else sys.stdin.readline().rstrip("\r\n")
    try:
        check_strength(text)
    except ValueError as error:
        typer.echo(f"rtmpd: this key {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(spell_digest(digest_of(text)))


@app.command(name="list")
def list_(config: ConfigPaths = None, assignments: Assignments = None) -> None:
    """List the keys of the configuration and its files, with the first digits of what is kept of each."""
    from rtmpd.daemon import settings
    from rtmpd.daemon.access_rules import ConfiguredRules

    with mistakes_told(os.EX_CONFIG):
        rules = ConfiguredRules(settings.load(config or (), os.environ, assignments or ()).config, now=0.0)
    rows = [("action", "table", "stream", "label", "sha256", "until"), *_rows(rules)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for *columns, until in rows:
        padded = (f"{text:{width}}" for text, width in zip(columns, widths, strict=True))
        typer.echo("  ".join([*padded, until]).rstrip())


def _rows(rules: ConfiguredRules) -> Iterator[tuple[str, str, str, str, str, str]]:
    for table, said in rules.config.apps.items():
        sections: tuple[tuple[str, AccessConfig], ...] = (("publish", said.publish), ("play", said.play))
        for action, access in sections:
            keys: list[Key] = list(access.all_keys())
            if access.keys_file:
                keys += rules.files[access.keys_file].ring(0.0)
            for key in keys:
                until = "" if key.until is None else _day(key.until)
                yield action, table, key.name, key.label, key.digest.hex()[:_SHOWN_DIGITS], until


def _day(until: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC"
