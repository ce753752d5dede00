"""How relays connect, when they try again, and what a failure says."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rtmpd.engine.origin import HANDOVER, Origin
from rtmpd.exceptions import (
    AuthenticationFailed,
    ClientError,
    ConnectFailed,
    ConnectRejected,
    ProtocolError,
    PublishRejected,
    Refused,
    RequestRejected,
    StreamFailed,
)
from rtmpd.relay.template import RelayTarget
from rtmpd.rtmp.constants import CapsEx, StatusCode
from rtmpd.rtmp.via import NO_VIA, Via

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection

SEND_BUFFER_BYTES: Final = 256 * 1024
"""Unsent bytes of a relay from which it counts as slow, as for a player."""
EXPECTED: Final = (ClientError, ProtocolError, Refused, OSError)
"""What may happen to a relay. Anything else is a bug on our side."""
BUG: Final = "a bug of this server: its log has the traceback"
"""Why an attempt failed then, for people."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a relay that failed tries again. Seconds."""

    initial: float = 1.0
    maximum: float = 30.0
    """Delays double from ``initial`` to this, each between half and the whole of itself."""
    failed: float = 60.0
    """After a refusal for good: somebody may have mended it."""
    steady: float = 10.0
    """Once live for this long, delays begin at ``initial`` again."""


@dataclass(slots=True)
class RelayDialer:
    """Makes the connections of relays. Names are resolved with every attempt."""

    instance_id: str
    """Of this server: what others refuse when they meet it twice on one way."""
    new_session: Callable[[], int]
    """Numbers the sessions: ``engine.origin.SessionIds``."""
    timeout: float = 10.0
    """Seconds for everything up to the answer to connect, and then for each request."""
    ca_file: str | None = None
    """Authorities for rtmps instead of the system's, unless the target has its own."""

    def apply(self, ca_file: str | None) -> None:
        """Other authorities, for connections that are made from now on."""
        self.ca_file = ca_file

    async def dial(self, target: RelayTarget, via: Via) -> Connection:
        """Connect for a stream that comes here through ``via``. Raises ClientError or HandshakeError."""
        # Only now: most servers have no relays.
        from rtmpd.client.connect import connect
        from rtmpd.rtmp.client import CLIENT_CAPS_EX

        url = target.address
        return await connect(
            url,
            timeout=self.timeout,
            # It goes where its settings say, and nowhere else that a remote may name: see ``Mover``.
            params=replace(
                via.through(self.instance_id).to_params(), caps_ex=CLIENT_CAPS_EX | CapsEx.RECONNECT
            ),
            ca_file=(target.ca_file or self.ca_file) if url.scheme == "rtmps" else None,
            send_buffer_bytes=SEND_BUFFER_BYTES,
            sock=await target.borrow() if target.borrow is not None else None,
        )

    def origin(self, protocol: str, target: RelayTarget, connection: Connection, via: Via = NO_VIA) -> Origin:
        """The other side of a relay that is connected; ``protocol`` is ``pull`` or ``push``."""
        return Origin(
            session=self.new_session(),
            protocol=protocol if target.borrow is None else HANDOVER,
            address=target.url.host,
            tls=target.url.scheme == "rtmps",
            agent=connection.info.fms_ver,
            via=via,
        )


def last_words(error: Exception, target: RelayTarget) -> str:
    """Code and description that the remote gave for what it did, if it gave any, without a secret."""
    return target.scrub(f"{error.code} {error.description}") if isinstance(error, ClientError) else ""


def explain(error: Exception, target: RelayTarget) -> str:
    """Why an attempt failed, for logs and people, without a secret."""
    if isinstance(error, RequestRejected | StreamFailed) and not isinstance(error, AuthenticationFailed):
        what = "ended the stream" if isinstance(error, StreamFailed) else "refused"
        said = error.description or error.code
        return target.scrub(f"the server {what}: {said}" if said else f"the server {what}")
    if not isinstance(error, EXPECTED):
        return BUG
    return target.redact(str(error))


def is_final(error: Exception, via: Via = NO_VIA) -> bool:
    """Whether asking again soon is pointless: wrong credentials, an untrusted certificate, a plain no.

    ``via`` are others that were asked for: who was refused for their sake may be let in without them.
    """
    match error:
        case AuthenticationFailed():
            return True
        case PublishRejected():
            # Our own last connection may still hold the name.
            return error.code != StatusCode.PUBLISH_BAD_NAME
        case ConnectRejected():
            return not via.hops
        case ConnectFailed():
            return isinstance(error.__cause__, ssl.SSLCertVerificationError)
    return False
