"""What a stream is called."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple


class StreamKey(NamedTuple):
    """Names a stream in its process: a path, of which the settings of ``app`` apply.

    Equal paths are equal keys, so that a stream is found by its path when settings that have come or gone
    meanwhile split it elsewhere.
    """

    app: str
    name: str

    @classmethod
    def of_path(cls, path: str, tables: Container[str] = ()) -> StreamKey:
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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StreamKey) and str(self) == str(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return f"{self.app}/{self.name}"
