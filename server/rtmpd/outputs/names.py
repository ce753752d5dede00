"""What files of recordings are called, and how they are opened: nothing leads out of their folder."""

from __future__ import annotations

import hashlib
import os
import re
import string
import sys
from contextlib import suppress
from datetime import datetime
from typing import Final, Self

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.outputs.descriptors import check_descriptor

SUFFIX: Final = ".flv"
MADE_SUFFIX: Final = ".mp4"
"""Of what is made of one under its name."""
PART: Final = ".part"
"""What the name of a file ends in besides while it is written."""
FILE_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750
_START: Final = "%Y-%m-%d_%H-%M-%S"
_MAX_LEVEL_BYTES: Final = 180
"""Of what a stream is called, between two slashes: with what is put behind it a name of a file holds it."""
_MAX_NAME_BYTES: Final = 230
MAX_LEVELS: Final = 16
"""Folders below the root, and the file: who tidies up looks no deeper."""
_RESERVED: Final = frozenset('\\:*?"<>|%')
"""Characters that other systems have no files with, and the one that stands for those that are not there."""
_FIELDS: Final = ("app", "name", "start", "part")
_NUMBER: Final = re.compile(r"0?[1-9]d?")
_EXAMPLE: Final = StreamKey("app", "name")


class NameTemplate:
    """A name with ``{app}``, ``{name}``, ``{start}`` (with a format of strftime) and ``{part}`` in it."""

    __slots__ = ("_pieces", "text")

    def __init__(self, text: str, pieces: tuple[tuple[str, str, str], ...]) -> None:
        self.text = text
        self._pieces = pieces
        """Each a text, then the name of a field and its format."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError with a sentence for what can be no name."""
        pieces: list[tuple[str, str, str]] = []
        try:
            for before, field, form, conversion in string.Formatter().parse(text):
                if field is not None and (field not in _FIELDS or conversion):
                    known = ", ".join(f"{{{each}}}" for each in _FIELDS)
                    raise UsageError(f"{{{field}}} is not known: there are {known}")
                if form and (field in ("app", "name") or (field == "part" and not _NUMBER.fullmatch(form))):
                    raise UsageError(f"{{{field}:{form}}} is no form: {{start:%Y}} has one, and {{part:03}}")
                pieces.append((before, field or "", form or ""))
            template = cls(text, tuple(pieces))
            template.levels(_EXAMPLE, 0.0, 1)
        except ValueError as error:
            raise UsageError(f"it cannot be read: {error}") from None
        return template

    def levels(self, key: StreamKey, started_at: float, part: int) -> list[str]:
        """Folders and the name of a file below the root, with ``SUFFIX``. ``started_at`` is Unix time (s).

        What a stream is called cannot lead out of the root or into a hidden file. Raises UsageError where the
        template itself does.
        """
        text = "".join(
            before + (self._value(field, form, key, started_at, part) if field else "")
            for before, field, form in self._pieces
        )
        text = text.removesuffix(SUFFIX)
        if text.startswith("/"):
            raise UsageError("it begins with a slash: name a file below record.root")
        levels = [level for level in text.split("/") if level]
        if len(levels) > MAX_LEVELS:
            levels[MAX_LEVELS - 1 :] = [_escaped("/").join(levels[MAX_LEVELS - 1 :])]
        if not levels or text.endswith("/"):
            raise UsageError("it has to end with the name of a file")
        if "." in levels or ".." in levels or any(ord(sign) < 32 for sign in text):
            raise UsageError('no level of it may be "." or "..", and no character a control character')
        return [*(_shortened(level) for level in levels[:-1]), _shortened(levels[-1]) + SUFFIX]

    def _value(self, field: str, form: str, key: StreamKey, started_at: float, part: int) -> str:
        match field:
            case "app":
                return _safe(key.app)
            case "name":
                return _safe(key.name)
            case "start":
                return datetime.fromtimestamp(started_at).astimezone().strftime(form or _START)
            case _:
                return format(part, form)


def stream_levels(key: StreamKey) -> list[str]:
    """Folders, one in the other, that a stream's files may have for themselves."""
    levels = [*_safe(key.app).split("/"), *_safe(key.name).split("/")]
    if len(levels) > MAX_LEVELS:
        levels[MAX_LEVELS - 1 :] = [
            _shortened(_escaped("/").join(levels[MAX_LEVELS - 1 :]), _MAX_LEVEL_BYTES)
        ]
    return levels


def _safe(path: str) -> str:
    """What a stream is called as folders and files of that name, odd characters as %XX."""
    return "/".join(_safe_level(level) for level in path.split("/") if level) or "%"


def _safe_level(level: str) -> str:
    # One that begins with a dot is hidden, or leads elsewhere.
    odd = "".join(
        _escaped(sign) if sign in _RESERVED or not sign.isprintable() or (sign == "." and not at) else sign
        for at, sign in enumerate(level)
    )
    return _shortened(odd, _MAX_LEVEL_BYTES)


def _escaped(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode(errors="surrogatepass"))


def _shortened(level: str, most: int = _MAX_NAME_BYTES) -> str:
    """A level that is not too long for a file system; of two that are, each is another."""
    data = level.encode(errors="surrogatepass")
    if len(data) <= most:
        return level
    digest = hashlib.sha256(data).hexdigest()[:12]
    return data[: most - 13].decode(errors="ignore") + "~" + digest


def numbered(name: str, number: int) -> str:
    """The name of a file, where ``number`` - 1 others have the same."""
    return name if number == 1 else f"{name.removesuffix(SUFFIX)}-{number}{SUFFIX}"


def open_folder(root: str, levels: list[str], max_descriptor: int = sys.maxsize) -> int:
    """A descriptor of a folder below ``root``; what of it is not there is made, but for ``root``.

    Follows no symbolic link below ``root``. Raises OSError: EMFILE if the descriptor is ``max_descriptor`` or
    above, and others need the files that the process may still open.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for level in levels:
            with suppress(FileExistsError):
                os.mkdir(level, _FOLDER_MODE, dir_fd=folder)
            inner = os.open(level, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        check_descriptor(folder, max_descriptor)
    except BaseException:
        os.close(folder)
        raise
    return folder
