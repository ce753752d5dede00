"""``rtmpd repair``: FLV files that were cut off, of this server or of others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def repair(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", show_default=False, help="What was cut off.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="Where the copy goes, of one FILE. Without it beside FILE, with -repaired in its name.",
        ),
    ] = None,
) -> None:
    """Finish FLV files that were cut off: with a duration, a size and an index of key frames.

    A recording of this server that still ends in .part gets its name, as at the next start. Of any other file
    (OBS's, nginx-rtmp's) a copy is written. No file is overwritten.
    """
    from rtmpd.exceptions import FlvError

    if output is not None and len(files) > 1:
        raise typer.BadParameter("--output is for one FILE: leave it out, or name one")
    failed = False
    for file in files:
        try:
            typer.echo(_repair(file, output))
        except FlvError as error:
            failed = True
            typer.echo(error, err=True)
        except OSError as error:
            failed = True
            typer.echo(f"{error.filename or file}: {error.strerror or error}", err=True)
    if failed:
        raise typer.Exit(1)


def _repair(file: Path, output: Path | None) -> str:
    from rtmpd.outputs.names import PART, SUFFIX
    from rtmpd.outputs.repair import repair_copy, repair_recording

    if output is None and file.name.endswith(SUFFIX + PART):
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            done = repair_recording(folder, file.name, str(file), str(file.parent))
        finally:
            os.close(folder)
        if done is not None:
            return _told(done.path, done.duration, done.size, done.codecs, 0)
        if not file.exists():
            return f"{file}: there was nothing in it, and it is gone"
    target = output or _beside(file)
    found = repair_copy(str(file), str(target))
    return _told(str(target), found.told.duration / 1000, found.told.size, found.spoken, found.lost)


def _beside(file: Path) -> Path:
    stem = file.name.removesuffix(".part").removesuffix(".flv")
    return file.with_name(f"{stem}-repaired.flv")


def _told(path: str, duration: float, size: int, codecs: tuple[str, ...], lost: int) -> str:
    minutes, seconds = divmod(duration, 60)
    left = f", without {lost} bytes at its end" if lost else ""
    return f"{path}: {minutes:.0f}:{seconds:04.1f}, {size / 1e6:.1f} MB, {' and '.join(codecs)}{left}"
