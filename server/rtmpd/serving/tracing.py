"""The dialogue with one address as lines of the log: to look for what goes wrong with an encoder."""

from __future__ import annotations

import ipaddress
import logging
import textwrap
from collections.abc import Callable
from functools import partial
from typing import Final
from weakref import WeakSet

from rtmpd.engine.origin import Origin
from rtmpd.media.summary import summary
from rtmpd.net.wire_tap import WireTap
from rtmpd.rtmp.rates import TokenBucket
from rtmpd.rtmp.transcript import Transcript

logger = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_CONNECTIONS: Final = 16
"""Traced at a time: a transcript holds the beginning of what has not come whole yet."""
_NEW_CONNECTIONS: Final = 2
"""A second; sixteen times as many without a pause before them."""
_MAX_LINES: Final = 200
"""A second of all of them; twice as many without a pause before them."""
_WIDTH: Final = 190
"""Characters of a line; the log cuts its fields a little later."""


class Tracer:
    """Writes transcripts of the connections of ``network``, some of them and so many lines a second.

    None is nobody's.
    """

    def __init__(self, network: Network | None, clock: Callable[[], float]) -> None:
        self._network = network
        self._clock = clock
        self._transcripts: WeakSet[Transcript] = WeakSet()
        self._newcomers = TokenBucket(_NEW_CONNECTIONS, 16 * _NEW_CONNECTIONS, clock())
        self._allowance = TokenBucket(_MAX_LINES, 2 * _MAX_LINES, clock())
        self._left_out = 0

    def apply(self, network: Network | None) -> None:
        """Trace those of ``network`` who come from now on; of others not a line more is written."""
        self._network = network

    def tap(self, origin: Origin) -> WireTap | None:
        """For a connection that has just come; None if it is not to be traced."""
        address, number = origin.address, origin.connection
        if not self._covers(address):
            return None
        full = len(self._transcripts) >= _MAX_CONNECTIONS
        if full or not self._newcomers.allow(self._clock()):
            fields = {"client": origin.shown, "connection": number, "traced": len(self._transcripts)}
            logger.info("not traced", extra={"fields": fields})
            return None
        transcript = Transcript(partial(self._write, address, number), self._clock, summary)
        self._transcripts.add(transcript)
        return WireTap(received=transcript.client_says, sent=transcript.server_says)

    def _covers(self, address: str) -> bool:
        if self._network is None:
            return False
        try:
            return ipaddress.ip_address(address) in self._network
        except ValueError:  # A peer that has no address.
            return False

    def _write(self, address: str, number: int, line: str) -> None:
        if not self._covers(address):
            return
        for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False):
            if not self._allowance.allow(self._clock()):
                self._left_out += 1
                continue
            if self._left_out:
                fields = {"lines": self._left_out}
                logger.info("trace lines left out", extra={"fields": fields})
                self._left_out = 0
            # Without the address, by which lines of the log are folded.
            logger.info("trace", extra={"fields": {"connection": number, "line": part}})
