"""Values that hold secrets, in files of their own: ``push_file`` names a file with what ``push`` would say.

The file with the settings can then be read by everybody, and the secrets come as the system hands them out:
systemd's ``LoadCredential=``, Docker's and Kubernetes' secrets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SUFFIX: Final = "_file"
"""Makes the key of a secret the key of its file."""
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


def read_lines(name: object, environ: Mapping[str, str]) -> list[object]:
    """The lines of a file, without blank ones and those that begin with ``#``.

    A line in braces is an inline table of TOML, any other is a text as it stands.

    A relative name is looked for where systemd puts credentials (systemd.exec(5)), or else in the working
    directory. Raises ValueError with a sentence, without a secret, when the file cannot be read.
    """
    if not isinstance(name, str) or not name:
        raise ValueError("is the name of a file: put it in quotation marks")
    path = Path(environ.get(_CREDENTIALS, "")) / name
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [_value(line, f"{path}: line {number}") for number, line in lines if line and line[0] != "#"]


def _value(line: str, place: str) -> object:
    if not line.startswith("{"):
        return line
    try:
        return tomllib.loads(f"value = {line}")["value"]
    except tomllib.TOMLDecodeError:
        raise ValueError(f'{place}: is no table: write it as {{url = "...", track = "all"}}') from None
