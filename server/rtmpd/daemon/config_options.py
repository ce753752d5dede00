"""What commands have in common that read the settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from rtmpd.daemon.environment import CONFIG_VARIABLE
from rtmpd.exceptions import ConfigError
from rtmpd.rtmp.url import clean_path, validate_name

ConfigPaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        envvar=CONFIG_VARIABLE,
        metavar="FILE",
        # Reading it tells what is wrong in the same way as for every other mistake.
        readable=False,
        help="TOML file with settings, or a directory of them; can be repeated, the last one wins.",
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set one key, such as rtmp.listen=127.0.0.1:1935; can be repeated."
    ),
]


def parse_path(text: str) -> str:
    """The path of an app or a stream on the command line."""
    if "://" in text:
        raise typer.BadParameter("this is a URL: write app and stream alone, such as live/test")
    path = clean_path(text)
    if problem := validate_name(path, sys.maxsize):
        from rtmpd.serving.access import NAME_PROBLEMS

        raise typer.BadParameter(f"the path of an app or a stream {NAME_PROBLEMS[problem]}")
    return path


@contextmanager
def mistakes_told(code: int) -> Iterator[None]:
    """Every mistake on a line of standard error, and the end of the command with exit ``code``."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(f"rtmpd: {problem}", err=True)
        raise typer.Exit(code) from error
