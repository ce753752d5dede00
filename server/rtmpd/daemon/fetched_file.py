"""A file of a server as a file here, or on standard output, where nothing here may be written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rtmpd.exceptions import AdminRequestFailed

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort

STDOUT: Final = Path("-")
_SAME: Final = 0.001
"""Seconds: file systems round, and so does the API."""
FileHere = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        show_default=False,
        help="Where to write it, and not here; - is standard output.",
    ),
]


def fetch(port: AdminPort, path: str, target: Path, size: int = 0, changed: float = 0.0) -> int:
    """Write what a server has at ``path`` to ``target``, which is not there yet; how many bytes came.

    Until it is whole it is called ``.part``. Where its ``size`` in bytes is known, and when it ``changed``
    last (seconds since 1970), what of it is there from before is gone on with, and what breaks off is kept
    for that, as old as the whole is: of a file that is another one by then nothing is. Raises
    AdminRequestFailed.
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
                if at > size or abs(os.fstat(file.fileno()).st_mtime - changed) > _SAME:
                    at = file.truncate(0)
                came = 0 if size and at == size else port.download(path, file, at)
            except BaseException:
                if not size:
                    part.unlink()
                raise
            finally:
                if size:
                    file.flush()
                    os.utime(file.fileno(), (changed, changed))
        part.rename(target)
    except OSError as error:
        raise _unwritten(part, error) from None
    return came


def _unwritten(what: object, error: OSError) -> AdminRequestFailed:
    return AdminRequestFailed(f"{what} cannot be written: {error.strerror or error}")
