"""Old addresses of streams, and where they are now."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

ARROW: Final = " -> "
"""Between the two of an alias."""
_WORD: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_LEVEL: Final = "[^/]+"


class Aliases:
    """Finds one for a path; ``{word}`` in them is any text of one level, the same in both."""

    def __init__(self, aliases: Iterable[str] = ()) -> None:
        """Each is ``/hls/{name}.m3u8 -> /live/{name}/index.m3u8``. Raises ValueError for what is none, or
        leads back to itself, with a sentence.
        """
        texts = list(aliases)
        self._aliases = [_read(alias) for alias in texts]
        for text, (_, new) in zip(texts, self._aliases, strict=True):
            if self._leads_on(new):
                raise ValueError(f'"{text}" leads back to itself: players would be sent there for ever')

    def find(self, path: str) -> str | None:
        """Where ``path`` leads, fit for a header; None if it is none of them."""
        new = self._find(path)
        return None if new is None else quote(new, safe="/")

    def _find(self, path: str) -> str | None:
        for pattern, new in self._aliases:
            found = pattern.fullmatch(path)
            if found is not None:
                return new.format_map(found.groupdict())
        return None

    def _leads_on(self, path: str | None) -> bool:
        """Whether ``path`` leads to another, and that to one more, for ever; its words stand as they are."""
        for _ in self._aliases:
            path = None if path is None else self._find(path)
        return path is not None


def _read(alias: str) -> tuple[re.Pattern[str], str]:
    old, arrow, new = alias.partition(ARROW)
    if not (arrow and old.startswith("/") and new.startswith("/")) or new.startswith("//"):
        raise ValueError(
            f'"{alias}" is no alias: write it as /hls/{{name}}.m3u8 -> /live/{{name}}/index.m3u8'
        )
    words = _WORD.findall(old)
    if set("{}") & set(_WORD.sub("", old + new)):
        raise ValueError(f'"{alias}": braces are around words, such as {{name}}')
    if len(set(words)) < len(words) or not set(_WORD.findall(new)) <= set(words):
        raise ValueError(f'"{alias}": each word in braces stands in the first path, once')
    texts = enumerate(_WORD.split(old))
    return re.compile(
        "".join([f"(?P<{text}>{_LEVEL})" if n % 2 else re.escape(text) for n, text in texts])
    ), new
