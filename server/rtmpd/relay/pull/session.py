"""A pull that is live, as one of the sessions of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sessions import SessionFigures, Use
from rtmpd.engine.sink import CloseReason
from rtmpd.net.tcp_info import read_tcp_info

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection


class PullSession:
    """The connection to an origin, and what is published of it."""

    def __init__(self, publication: Publication, connection: Connection) -> None:
        self._publication = publication
        self._link = connection.link

    @property
    def origin(self) -> Origin:
        """The server on the other side."""
        return self._publication.origin

    @property
    def uses(self) -> tuple[Use, ...]:
        """The stream that it publishes here."""
        return (Use(True, self._publication.key, self._publication.started_at),)

    def figures(self) -> SessionFigures:
        """How its connection gets on."""
        session, transport = self._link.session, self._link.transport
        return SessionFigures(
            bytes_in=session.bytes_received,
            bytes_out=session.bytes_sent,
            dropped=0,
            backlog_bytes=transport.get_write_buffer_size(),
            behind_since=None,
            tcp_info=read_tcp_info(transport.get_extra_info("socket")),
        )

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """End what it publishes, because ``by`` wants it so; the origin is asked again while it is wanted."""
        self._publication.dismiss(reason, by)
