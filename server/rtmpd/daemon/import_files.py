"""Files of nginx and SRS, with all that they include, within bounds. The only importer of crossplane."""

from __future__ import annotations

import glob
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rtmpd.exceptions import ConfigError
from rtmpd.imports.blocks import Directive
from rtmpd.imports.draft import Place

MAX_BYTES: Final = 1024 * 1024
"""Of a file."""
MAX_FILES: Final = 100
_MAX_DEPTH: Final = 20
"""Of blocks, those of included files counted on."""
_MAX_DIRECTIVES: Final = 20_000
_WEB: Final = frozenset({"http", "events", "mail", "stream", "types"})
"""Blocks in which what cannot be included is no business of ours."""


def read_text(path: Path, most: int = MAX_BYTES) -> str:
    """A file that is one, and not larger than that. Raises ``ConfigError``."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError([f"{path}: is no file"])
        if found.st_size > most:
            raise ConfigError([f"{path}: is larger than {most // 1024} KiB, which no such file is"])
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(most)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None


def read_blocks(path: Path, unread: Callable[[Place], None]) -> tuple[Directive, ...]:
    """The directives of a file and of what it includes; ``unread`` is told where that could not be read.

    Raises ``ConfigError`` where that is none, or goes beyond all bounds.
    """
    return tuple(_Reader(path, unread).file(path, 0, ()))


class _Reader:
    """Through one configuration, so far and no further."""

    def __init__(self, path: Path, unread: Callable[[Place], None]) -> None:
        self._folder = path.parent
        self._unread = unread
        self._files = 0
        self._directives = 0

    def file(self, path: Path, depth: int, within: tuple[str, ...]) -> Iterator[Directive]:
        """All of it."""
        self._files += 1
        if self._files > MAX_FILES:
            raise ConfigError([f"{path}: over {MAX_FILES} files are included"])
        import crossplane  # Of an extra: mediamtx.yml is read without it.

        read_text(path)  # That it is a file, and how large, before somebody reads all of it.
        parsed = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
        for error in parsed["errors"]:
            text = _said(error["error"], path)
            raise ConfigError([f"{path}:{error['line'] or 0}: this cannot be read: {text}"])
        yield from self._block(parsed["config"][0]["parsed"], path, depth, within)

    def _block(
        self, statements: Sequence[dict[str, Any]], path: Path, depth: int, within: tuple[str, ...]
    ) -> Iterator[Directive]:
        if depth > _MAX_DEPTH:
            raise ConfigError([f"{path}: blocks, or files that include each other, lie too deep"])
        for statement in statements:
            self._directives += 1
            if self._directives > _MAX_DIRECTIVES:
                raise ConfigError([f"{path}: there are over {_MAX_DIRECTIVES} directives"])
            name, args = statement["directive"], tuple(statement["args"])
            each = Directive(name, args, Place(str(path), statement["line"], self._directives))
            if name == "include" and len(args) == 1:
                yield from self._included(each, depth, within)
            elif "block" in statement:
                inner = self._block(statement["block"], path, depth + 1, (*within, name))
                yield Directive(name, args, each.place, tuple(inner))
            else:
                yield each

    def _included(self, include: Directive, depth: int, within: tuple[str, ...]) -> Iterator[Directive]:
        """nginx looks for it from the folder of the main file on."""
        pattern = self._folder / include.first
        if not glob.has_magic(str(pattern)):
            found = [pattern] if pattern.is_file() else []
        elif glob.has_magic(str(pattern.parent)):
            found = []
        else:
            found = sorted(islice(pattern.parent.glob(pattern.name), MAX_FILES + 1))
        if not found and not glob.has_magic(include.first) and not _WEB.intersection(within):
            self._unread(include.place)
        for path in found:
            yield from self.file(path, depth + 1, within)


def _said(error: str, path: Path) -> str:
    """What crossplane says is wrong, without the place, which is told besides."""
    text = error.partition(f" in {path}")[0]
    if "recursion" in text:
        return "blocks lie too deep"
    return text or "it ends in the middle of a directive"
