"""What is logged of a connection, and which of it at which level.

The lines of its publishes and plays are their own; what they have in common is here.
"""

from __future__ import annotations

import logging

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import RTMP, Origin
from rtmpd.engine.sink import Ending
from rtmpd.exceptions import ProtocolError, Refused
from rtmpd.reasons import Refusal, SessionFailure, Word
from rtmpd.rtmp.url import REDACTED, clean_path, redact, split_query
from rtmpd.serving.access import Action
from rtmpd.serving.peer import Peer

_logger = logging.getLogger(__name__)


def turned_away(origin: Origin, reason: Word) -> None:
    fields = {"client": origin.shown, "reason": reason}
    _logger.debug("connection refused", extra={"fields": fields})


def connected(peer: Peer) -> None:
    if not _logger.isEnabledFor(logging.DEBUG):
        return  # To find out what is told costs more than to tell it.
    params = peer.connect_params
    app = _app(peer)
    # Some encoders put the whole path there, and less of it into the app.
    repeats = app == params.app and split_query(params.tc_url)[0].rstrip("/").endswith(f"/{app}")
    tc_url = redact(params.tc_url) if repeats else REDACTED
    fields = _fields(peer) | {"app": app, "agent": params.flash_ver, "tc_url": tc_url}
    _logger.debug("connected", extra={"fields": fields})


def connect_refused(peer: Peer, key: StreamKey, refusal: Refused) -> None:
    _refused("connect refused", peer, Action.CONNECT, key, refusal)


def publish_refused(peer: Peer, key: StreamKey, refusal: Refused) -> None:
    _refused("publish refused", peer, Action.PUBLISH, key, refusal)


def play_refused(peer: Peer, key: StreamKey, refusal: Refused) -> None:
    _refused("play refused", peer, Action.PLAY, key, refusal)


def media_rejected(origin: Origin, key: StreamKey, refusal: Refused) -> None:
    """A publish was granted, and what it sends is not what it may."""
    fields = of_stream(origin, key) | {"reason": refusal.reason, "told": refusal.description}
    _logger.warning("publish rejected", extra={"fields": fields})


def failed(peer: Peer, error: ProtocolError) -> None:
    fields = _fields(peer) | {"reason": error.reason, "detail": str(error)}
    # Every port on the Internet is scanned all day; a peer that has asked to connect is no scanner.
    level = logging.WARNING if peer.introduced else logging.INFO
    _logger.log(level, "protocol error", extra={"fields": fields})


def reading_failed(peer: Peer, error: Exception) -> None:
    """A bug of ours."""
    _logger.error("reading failed", exc_info=error, extra={"fields": _fields(peer)})


def closed(peer: Peer, media_bytes: int, reason: Word, by: Origin | None) -> None:
    """``media_bytes`` were sent to players, beside what the session has said."""
    # Who has published or played has a line of that, and so has what was refused, or not in order.
    told = isinstance(reason, Refusal | SessionFailure) and reason is not Refusal.MAX_PENDING
    is_news = peer.introduced and peer.state == "pending" and not told
    level = logging.INFO if is_news else logging.DEBUG
    if not _logger.isEnabledFor(level):
        return
    session = peer.session
    fields = _fields(peer) | {
        "duration": round(peer.context.clock() - session.since, 3),
        "app": _app(peer) if peer.introduced else None,
        "bytes_in": session.bytes_received,
        "bytes_out": session.bytes_sent + media_bytes,
        "reason": reason,
        "by": by.who if by is not None else None,
    }
    _logger.log(level, "closed", extra={"fields": fields})


def of_stream(origin: Origin, key: StreamKey) -> dict[str, object]:
    """What every line of a publish or a play begins with."""
    return {
        "client": origin.shown,
        "connection": origin.connection,
        "session": origin.session_id,
        "app": key.app,
        "stream": key.name,
    } | _protocol(origin)


def who(ending: Ending | None) -> str | None:
    """Who wanted it so, if it was somebody else."""
    return ending.by.who if ending is not None and ending.by is not None else None


def _refused(message: str, peer: Peer, action: Action, key: StreamKey, refusal: Refused) -> None:
    shown = peer.context.as_public(action, key)
    fields = _fields(peer) | {
        "app": shown.app,
        "stream": shown.name,
        "reason": refusal.reason,
        "told": refusal.description,
    }
    level = logging.DEBUG if refusal.reason is Refusal.USER_ASKED else logging.WARNING
    _logger.log(level, message, extra={"fields": fields})


def _app(peer: Peer) -> str:
    """What the client called its app, as far as it counts and may be shown."""
    app = peer.connect_params.app.partition("\0")[0]
    key = StreamKey.of_path(clean_path(app), peer.context.apps)
    shown = peer.context.as_public(Action.CONNECT, key)
    return app if shown == key else shown.rstrip("/")


def _fields(peer: Peer) -> dict[str, object]:
    origin = peer.origin
    return {"client": origin.shown, "connection": origin.connection} | _protocol(origin)


def _protocol(origin: Origin) -> dict[str, object]:
    """Where it is not the usual one."""
    return {} if origin.protocol == RTMP else {"protocol": origin.protocol}
