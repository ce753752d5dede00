"""A file of a server as a file here, or on standard output, where nothing here may be written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rtmpd.exceptions import AdminRequestFailed

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

STDOUT: Final = Path("-")
FileHere = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        show_default=False,
        help="Where to write it, and not here; - is standard output.",
    ),
]


def fetch(port: AdminPort, path: str, target: Path, size: int = 0) -> int:
    """Write what a server has at ``path`` to ``target``, which is not there yet; how many bytes came.

    Until it is whole it is called ``.part``. Where its ``size`` in bytes is known, what of it is there
    from before is gone on with, and what breaks off is kept for that. Raises AdminRequestFailed.
    """
    if target == STDOUT:
        try:
            return port.download(path, sys.stdout.buffer, 0)
        except OSError as error:
            raise _unwritten("standard output", error) from None
    if target.exists():
        raise AdminRequestFailed(f"{target} is there already: name another file by --to")
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("ab" if size else "wb") as file:
            try:
                at = file.tell()
                if at > size:
                    at = file.truncate(0)
                came = 0 if size and at == size else port.download(path, file, at)
            except BaseException:
                if not size:
                    part.unlink()
                raise
        part.rename(target)
    except OSError as error:
        raise _unwritten(part, error) from None
    return came


def _unwritten(what: object, error: OSError) -> AdminRequestFailed:
    return AdminRequestFailed(f"{what} cannot be written: {error.strerror or error}")
