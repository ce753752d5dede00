"""Who vouches for the servers that this process calls over TLS: authorities, read beside the event loop."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from rtmpd.exceptions import ConnectFailed
from rtmpd.net.file_stamps import Stamp, stamp_of
from rtmpd.net.inquiries import Inquiries


class Trust:
    """A context for each file of authorities, shared by all who call.

    To read the system's authorities takes 25 ms, and a file may lie where nobody answers: so a thread does
    it. May be used by several event loops.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp | None, ssl.SSLContext]] = {}
        self._inquiries = Inquiries(self.load, (ConnectFailed, ValueError), "authorities")

    async def context(self, ca_file: str) -> ssl.SSLContext:
        """As ``load``, while the event loop goes on."""
        if not ca_file and ca_file in self._known:
            return self._known[ca_file][1]
        found = await self._inquiries.ask(ca_file)
        if isinstance(found, ConnectFailed):
            raise found.again()
        if isinstance(found, Exception):
            raise ConnectFailed(f"cannot read authorities: {found}") from found
        return found

    def load(self, ca_file: str) -> ssl.SSLContext:
        """What a server must prove, by the authorities in a file as it is now; the system's if it is empty.

        Raises ConnectFailed for a file that cannot be used.
        """
        try:
            stamp = stamp_of(Path(ca_file).stat()) if ca_file else None
            known = self._known.get(ca_file)
            if known is None or known[0] != stamp:
                known = self._known[ca_file] = (stamp, ssl.create_default_context(cafile=ca_file or None))
        except OSError as error:
            text = f"cannot use the authorities in {ca_file or 'the system'}: {error.strerror or error}"
            raise ConnectFailed(text) from error
        return known[1]


TRUST: Final = Trust()
"""The process has one."""
