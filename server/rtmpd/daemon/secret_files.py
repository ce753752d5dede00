"""Values that hold secrets, in files of their own: ``push_file`` names a file with what ``push`` would say.

The file with the settings can then be read by everybody, and the secrets come as the system hands them out:
systemd's ``LoadCredential=``, Docker's and Kubernetes' secrets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rtmpd.daemon.values import check_file_name

SUFFIX: Final = "_file"
"""Makes the key of a secret the key of its file."""
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Variable that names the folder where systemd puts them."""

_MAX_BYTES: Final = 1024 * 1024
_PLACEHOLDER: Final = re.compile(r"\{\w+\}")
"""Begins a text, such as an argument of a command, and no table."""


def read_lines(name: object, environ: Mapping[str, str]) -> list[object]:
    """What the lines of a file say; see ``_read``.

    A line in braces is an inline table of TOML, any other is a text as it stands. Raises ValueError with a
    sentence, without a secret.
    """
    return [_value(line, place) for place, line in _read(name, environ)]


def read_line(name: object, environ: Mapping[str, str]) -> str:
    """The only line of a file; see ``_read``. Raises ValueError with a sentence, without a secret."""
    lines = _read(name, environ)
    if len(lines) != 1:
        raise ValueError(f"{name} has {len(lines)} lines and not one")
    return lines[0][1]


def locate(name: str, environ: Mapping[str, str]) -> Path:
    """Where a file is: a relative name is looked for where systemd puts credentials (systemd.exec(5)), or
    else in the working directory.
    """
    # Whole, as whoever reads that it is missing looks beside the file with the settings.
    return (Path(environ.get(CREDENTIALS, "")) / name).absolute()


def _read(name: object, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The lines of a file, each with its place, without blank ones and those that begin with ``#``."""
    if not isinstance(name, str) or not name:
        raise ValueError("is the name of a file: put it in quotation marks")
    check_file_name(name)
    path = locate(name, environ)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"{path} is larger than {_MAX_BYTES // 2**20} MiB")
        text = data.decode()
    except OSError as error:
        # As whoever tries the settings, or changes keys, at a shell beside the service that has the folder.
        lost = (
            isinstance(error, FileNotFoundError)
            and CREDENTIALS not in environ
            and not Path(name).is_absolute()
        )
        hint = f"; a relative name is of the working directory, or of {CREDENTIALS}=FOLDER" if lost else ""
        raise ValueError(f"{path} cannot be read: {error.strerror}{hint}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(f"{path}:{number}", line) for number, line in lines if line and line[0] != "#"]


def _value(line: str, place: str) -> object:
    if not line.startswith("{") or _PLACEHOLDER.match(line):
        return line
    try:
        return tomllib.loads(f"value = {line}")["value"]
    except tomllib.TOMLDecodeError:
        raise ValueError(f'{place}: is no table: write it as {{url = "...", track = "all"}}') from None
