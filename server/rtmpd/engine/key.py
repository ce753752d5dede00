"""What a stream is called."""

from __future__ import annotations

from collections.abc import Container
from typing import Self


class StreamKey(str):
    """Names a stream in its process: its path, of which the settings of ``app`` apply.

    Equal paths are equal keys, so that a stream is found by its path when settings that have come or gone
    meanwhile split it elsewhere. A string, as these are hashed once and compared without a call.
    """

    __slots__ = ("app", "name")

    app: str
    name: str

    def __new__(cls, app: str, name: str) -> Self:
        """The stream ``name`` of ``app``."""
        key = super().__new__(cls, f"{app}/{name}")
        key.app = app
        key.name = name
        return key

    @classmethod
    def of_path(cls, path: str, tables: Container[str] = ()) -> Self:
        """The stream at ``path``, as ``rtmp.url.clean_path`` gives it.

        ``app`` is the longest leading part that is in ``tables`` (apps with settings of their own), else the
        first level; ``name`` is the rest, empty when there is none.
        """
        end = path.rfind("/")
        while end > 0:
            if path[:end] in tables:
                return cls(path[:end], path[end + 1 :])
            end = path.rfind("/", 0, end)
        app, _, name = path.partition("/")
        return cls(app, name)
