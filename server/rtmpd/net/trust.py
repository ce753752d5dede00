"""Who vouches for the servers that this process calls over TLS: authorities, read beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path
from typing import Final, TypeAlias

from rtmpd.exceptions import ConnectFailed

_Answer: TypeAlias = ssl.SSLContext | Exception


class Trust:
    """A context for each file of authorities, shared by all who call.

    To read the system's authorities takes 25 ms, and a file may lie where nobody answers: so a thread does
    it, one for each file, which holds up no exit of the process. May be used by several event loops.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, ssl.SSLContext]] = {}
        self._lock = threading.Lock()
        self._waiting: dict[str, set[asyncio.Future[_Answer]]] = {}

    async def context(self, ca_file: str) -> ssl.SSLContext:
        """As ``load``, while the event loop goes on."""
        if not ca_file and ca_file in self._known:
            return self._known[ca_file][1]
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        with self._lock:
            is_under_way = ca_file in self._waiting
            self._waiting.setdefault(ca_file, set()).add(answer)
        if not is_under_way:
            try:
                threading.Thread(target=self._run, args=(ca_file,), name="authorities", daemon=True).start()
            except RuntimeError as error:  # The process may have no more threads.
                self._tell(ca_file, ConnectFailed(f"cannot read authorities: {error}"))
        try:
            found = await answer
        finally:
            with self._lock:
                self._waiting.get(ca_file, set()).discard(answer)
        if isinstance(found, Exception):
            raise found
        return found

    def load(self, ca_file: str) -> ssl.SSLContext:
        """What a server must prove, by the authorities in a file as it is now; the system's if it is empty.

        Raises ConnectFailed for a file that cannot be used.
        """
        try:
            stamp: object = Path(ca_file).stat().st_mtime_ns if ca_file else None
            known = self._known.get(ca_file)
            if known is None or known[0] != stamp:
                known = self._known[ca_file] = (stamp, ssl.create_default_context(cafile=ca_file or None))
        except OSError as error:
            text = f"cannot use the authorities in {ca_file or 'the system'}: {error.strerror or error}"
            raise ConnectFailed(text) from error
        return known[1]

    # Inside

    def _run(self, ca_file: str) -> None:
        answer: _Answer = ConnectFailed("cannot read authorities")
        try:
            answer = self.load(ca_file)
        except (ConnectFailed, ValueError) as error:
            answer = error
        finally:
            self._tell(ca_file, answer)

    def _tell(self, ca_file: str, answer: _Answer) -> None:
        with self._lock:
            waiting = self._waiting.pop(ca_file)
        for future in waiting:
            with contextlib.suppress(RuntimeError):  # Its event loop has ended meanwhile.
                future.get_loop().call_soon_threadsafe(_settle, future, answer)


def _settle(future: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not future.done():
        future.set_result(answer)


TRUST: Final = Trust()
"""The process has one."""
