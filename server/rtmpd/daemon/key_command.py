"""``rtmpd key``: makes stream keys, hashes them, lists those of the configuration, and takes them out."""

from __future__ import annotations

import json
import os
import string
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told
from rtmpd.rtmp.url import clean_path, validate_name

if TYPE_CHECKING:
    from rtmpd.daemon.key_entries import KeyEntry

_DEFAULT_APP: Final = "live"
_SHOWN_DIGITS: Final = 6
"""Of a digest: enough to tell keys apart, which the configuration does too."""
_MORE_DIGITS: Final = 16
"""Where that was not enough."""

app = typer.Typer(
    name="key",
    help="Make stream keys, hash them, list those of the configuration, and take them out.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def parse_stream(text: str) -> str:
    """The path of a stream as a person names it. Raises ``BadParameter``."""
    path = clean_path(text)
    path = path if "/" in path else f"{_DEFAULT_APP}/{path}"
    problem = validate_name(path, len(path.encode()))
    if problem or text.endswith("/") or path.endswith("/"):
        raise typer.BadParameter("this cannot be the name of a stream: write it as live/show, or show")
    return path


def _parse_digits(text: str) -> str:
    digits = text.lower().removeprefix("sha256:")
    if len(digits) < _SHOWN_DIGITS or not set(digits) <= set(string.hexdigits):
        raise typer.BadParameter(f"write the first {_SHOWN_DIGITS} or more hex digits, not the key itself")
    return digits


def _parse_label(text: str) -> str:
    from rtmpd.access.keys import check_label

    try:
        check_label(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return _without_quotes(text)


def parse_end(text: str) -> str:
    """A time at which something is to be over that is not now. Raises ``BadParameter``."""
    from rtmpd.access.keys import parse_until

    try:
        is_over = parse_until(text) <= time.time()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if is_over:
        raise typer.BadParameter("is over already")
    return _without_quotes(text)


def _without_quotes(text: str) -> str:
    """A file of keys has no way to write one."""
    if '"' in text:
        raise typer.BadParameter("may have no quotation marks in it")
    return text


@dataclass(frozen=True)
class _Terms:
    """What else is said of a new key."""

    label: str | None
    until: str | None
    backup: bool

    def in_settings(self, digest: str) -> str:
        """The key as TOML."""
        texts = {"sha256": digest, "label": self.label, "until": self.until}
        said = [f"{name} = {spelt(text)}" for name, text in texts.items() if text]
        said += ["backup = true"] if self.backup else []
        return f"{{{', '.join(said)}}}" if len(said) > 1 else spelt(digest)

    def in_file(self) -> str:
        """What goes behind the key in its line, where nothing in a text is quoted."""
        texts = {"label": self.label, "until": self.until}
        said = [f' {name}="{text}"' for name, text in texts.items() if text]
        return "".join(said) + (" backup=true" if self.backup else "")


@app.command()
def new(
    stream: Annotated[
        str,
        typer.Argument(
            metavar="[[APP/]NAME]", parser=parse_stream, help="Public name of the stream that it is for."
        ),
    ] = f"{_DEFAULT_APP}/test",
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="FILE",
            show_default=False,
            help="Write its line into this file of keys (keys_file), which is made if it is not there.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(parser=_parse_label, metavar="TEXT", show_default=False, help="Whom the log names."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            parser=parse_end,
            metavar="TIME",
            show_default=False,
            help="The last day that it is good, 2027-01-31 (UTC), or a time, 2027-01-31T20:00:00Z.",
        ),
    ] = None,
    backup: Annotated[bool, typer.Option("--backup", help="Make it the key of a backup encoder.")] = False,
) -> None:
    """Make a key to publish with, and say where it goes. Without --into nothing is written anywhere."""
    from rtmpd.access.key_lines import add_line
    from rtmpd.rtmp.limits import Limits

    key, digest = make_key()
    name_of_app, _, name = stream.partition("/")
    terms = _Terms(label, until, backup)
    if into is None:
        configuration = f"""\
[apps.{quoted(name_of_app)}.publish.keys]
               {quoted(name)} = [{terms.in_settings(digest)}]"""
    else:
        with mistakes_told(1):
            add_line(into, f"{name} {digest}{terms.in_file()}", Limits().max_name_bytes)
        configuration = f"""\
[apps.{quoted(name_of_app)}.publish]
               keys_file = {spelt(str(into.absolute()))}   # its line is there now"""
    typer.echo(
        f"""\
key            {key}
               shown this once: it goes into the encoder, and nowhere else

configuration  {configuration}
"""
    )
    for line in directions("rtmp://SERVER", "rtmp://SERVER", name_of_app, name, key):
        typer.echo(line)


def quoted(name: str) -> str:
    """The name as a key of TOML."""
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else f'"{name}"'


def spelt(text: str) -> str:
    """As a string of TOML, which has no surrogates: what JSON makes of emoji."""
    return json.dumps(text, ensure_ascii=False)


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


@app.command(name="hash", short_help="Hash a key that you have.")
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


@app.command(name="list", short_help="List the keys that there are.")
def list_(config: ConfigPaths = None, assignments: Assignments = None) -> None:
    """List the keys of the configuration and its files, with the first digits of what is kept of each."""
    from rtmpd.daemon import settings
    from rtmpd.daemon.access_rules import ConfiguredRules
    from rtmpd.daemon.key_entries import entries

    with mistakes_told(os.EX_CONFIG):
        rules = ConfiguredRules(settings.load(config or (), os.environ, assignments or ()).config)
    rows = [("action", "table", "stream", "label", "sha256", "until"), *map(_row, entries(rules))]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for *columns, until in rows:
        padded = (f"{text:{width}}" for text, width in zip(columns, widths, strict=True))
        typer.echo("  ".join([*padded, until]).rstrip())


@app.command(short_help="Take a key out.")
def revoke(
    digits: Annotated[
        str,
        typer.Argument(
            metavar="SHA256",
            parser=_parse_digits,
            help="First digits of what is kept of the key, at least 6, as `rtmpd key list` shows them.",
        ),
    ],
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Take a key out: its line of a keys_file at once; of other places it is said where to take it out."""
    from rtmpd.access.key_lines import take_out
    from rtmpd.access.keys import spell_digest
    from rtmpd.daemon import settings
    from rtmpd.daemon.access_rules import ConfiguredRules
    from rtmpd.daemon.key_entries import entries

    with mistakes_told(os.EX_CONFIG):
        loaded = settings.load(config or (), os.environ, assignments or ())
        rules = ConfiguredRules(loaded.config)
    held = [each for each in entries(rules) if each.key.digest.hex().startswith(digits)]
    found = {each.key.digest for each in held}
    if len(found) != 1:
        which = ", ".join(sorted(digest.hex()[:_MORE_DIGITS] for digest in found))
        several = f"several keys begin with {digits}: write more of {which}"
        none = f"no key begins with {digits}: see `rtmpd key list` with the same options"
        typer.echo(f"rtmpd: {several if found else none}", err=True)
        raise typer.Exit(1)
    (unwanted,) = found
    for file in dict.fromkeys(each.file for each in held if each.file):
        with mistakes_told(1):
            take_out(Path(file), lambda key: key.digest == unwanted, loaded.config.rtmp.limits.max_name_bytes)
        typer.echo(f"taken out of {file}, which a server that runs reads again within two seconds")
    left = [each for each in held if not each.file]
    for each in left:
        origin = loaded.origins.get(each.setting, "the settings")
        text = f"{origin}: take {spell_digest(unwanted)} out of {each.setting}; then `rtmpd reload`"
        typer.echo(f"rtmpd: still good. {text}", err=True)
    if left:
        raise typer.Exit(1)
    typer.echo("whoever publishes or plays with it is ended then")


def _row(entry: KeyEntry) -> tuple[str, str, str, str, str, str]:
    key = entry.key
    label = " ".join(filter(None, (key.label, "(backup)" if key.backup else "")))
    return (
        entry.action,
        entry.table,
        key.name,
        label,
        shown_digits(key.digest),
        shown_end(key.until, time.time()),
    )


def shown_digits(digest: bytes) -> str:
    """Enough of it to tell keys apart."""
    return digest.hex()[:_SHOWN_DIGITS]


def shown_end(until: float | None, now: float) -> str:
    """When something expires (seconds since 1970), for a list; nothing where it does not."""
    if until is None:
        return ""
    return _day(until) + (", expired" if until <= now else "")


def _day(until: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC"
