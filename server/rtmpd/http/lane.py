"""The fast way: requests that come again and again on a connection are answered before aiohttp reads them.

aiohttp reads the first of each kind, and all rules are put to that: whom it comes from, what its page may
have. From then on the same lines of headers mean the same, and only the first line is read here.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.origin import Origin
from rtmpd.http.answers import takes_gzip
from rtmpd.http.heads import has_body, read_head
from rtmpd.http.pieces import Kind, Piece
from rtmpd.net.http import web

if TYPE_CHECKING:
    from rtmpd.http.hls_waits import Wait

COST: Final = 1
"""Of a request that is answered here, in the units of ``Limits.max_command_cost``."""
CDN_HEADER: Final = "X-CDN-Secret"
"""By which a CDN shows that it is one."""
_NOTHING: Final = Kind({"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"})
_MOST_BLOCKS: Final = 4
_BLOCK_BYTES: Final = 2048
"""Kinds of requests that are known on a connection, and how long their headers may be."""
_MOST_TURNS: Final = 4
"""Of the loop, for which aiohttp may still be busy with what it has answered."""
_OF_A_PART: Final = ("Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "Expect")
"""With one of these it is no plain request."""


class Known(NamedTuple):
    """What lines of headers mean that have come before."""

    origin: Origin
    """Who asks."""
    lines: bytes
    """Of headers that every answer has, and the end of them."""
    gzip: bool
    """It is taken."""
    secret: str
    """Of a CDN, if it is shown."""


class Answerer(Protocol):
    """Who answers what is asked again and again."""

    def answer(self, lane: Lane, target: str, known: Known, size: int, /) -> bool:
        """Answer a request of ``size`` bytes for ``target`` by the lane, now or later; False leaves it to
        aiohttp."""


class Road(Protocol):
    """aiohttp's side of the connection."""

    @property
    def over(self) -> bool: ...
    @property
    def is_idle(self) -> bool:
        """aiohttp has answered all that it has got, and has written all of that."""

    @property
    def is_stuck(self) -> bool:
        """More is unsent than may be."""

    def may_ask(self, origin: Origin, cost: int, /) -> bool:
        """Whether ``origin`` may ask now, at that cost, which is taken."""

    def hold(self, size: int, /) -> None:
        """So much more waits for its turn, or less. May end the connection."""

    def hear(self, data: bytes, /) -> None:
        """Have aiohttp read."""

    def come_back(self) -> None:
        """Have the lane go on in the next turn of the loop."""

    def begin_waiting(self) -> None:
        """What was asked is answered later."""

    def write_answer(self, head: bytes, body: bytes, /) -> None:
        """Here it is."""


class Lane:
    """Of one connection."""

    __slots__ = (
        "_answerer",
        "_blocks",
        "_budget",
        "_heard",
        "_open",
        "_queue",
        "_road",
        "_turns",
        "_wait",
    )

    def __init__(self, road: Road, answerer: Answerer | None, budget: MemoryBudget) -> None:
        self._road = road
        self._answerer = answerer
        self._budget = budget
        self._open = answerer is not None
        """Nothing has come yet whose end only aiohttp knows."""
        self._blocks: dict[bytes, Known] = {}
        self._heard = b""
        """The headers of what aiohttp was given last."""
        self._queue = b""
        """What has come behind a request that waits for its answer."""
        self._turns = 0
        """For which what is in the queue has waited for aiohttp."""
        self._wait: Wait | None = None

    # For the connection

    def receive(self, data: bytes) -> bool:
        """Whether it is seen to; if not, aiohttp is to have it."""
        if not self._open or self._road.over:
            return False
        if self._wait is not None or self._queue or self._road.is_stuck:
            self._queue += data
            self._road.hold(len(data))
            return True
        return self._take(data)

    def go_on(self) -> None:
        """What was asked has its answer, or there is room for more."""
        data = self._queue
        if data and self._wait is None and not self._road.is_stuck and not self._road.over:
            self._queue = b""
            self._road.hold(-len(data))
            if not self._take(data):
                self._road.hear(data)

    def close(self) -> None:
        """The connection ends, or is another's: nothing is answered here any more."""
        self._open = False
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.cancel()
        self._budget.charge_partials(-sum(map(len, self._blocks)))
        self._blocks.clear()
        self._queue = self._heard = b""

    # For who answers

    def learn(self, request: web.BaseRequest, origin: Origin, shared: dict[str, str]) -> None:
        """``request`` may come again like that; ``shared`` are headers of every answer."""
        block, self._heard = self._heard, b""
        if not block or not self._open or len(block) > _BLOCK_BYTES or len(self._blocks) >= _MOST_BLOCKS:
            return
        headers = request.headers
        if has_body(block) or not request.keep_alive or any(name in headers for name in _OF_A_PART):
            return
        lines = "".join([f"{name}: {value}\r\n" for name, value in shared.items()]).encode()
        self._blocks[block] = Known(origin, lines, takes_gzip(request), headers.get(CDN_HEADER, ""))
        self._budget.charge_partials(len(block))

    def wait(self, wait: Wait) -> None:
        """The answer comes when ``wait`` is over."""
        self._wait = wait
        self._road.begin_waiting()

    def write(self, piece: Piece, known: Known) -> None:
        """Answer."""
        kind, body, gzipped, tag = piece
        more = b"Content-Encoding: gzip\r\n" if gzipped else b""
        if tag:
            more = b'ETag: "%b"\r\n' % tag.encode()
        head = b"HTTP/1.1 200 OK\r\n%b%b%bContent-Length: %d\r\nDate: %b\r\n\r\n" % (
            kind.lines,
            more,
            known.lines,
            len(body),
            _date(),
        )
        self._say(head, body)

    def refuse(self, status: HTTPStatus, text: str, known: Known) -> None:
        """Answer that there is nothing."""
        body = f"{text}\n".encode()
        head = b"HTTP/1.1 %d %b\r\n%b%bContent-Length: %d\r\nDate: %b\r\n\r\n" % (
            status,
            status.phrase.encode(),
            _NOTHING.lines,
            known.lines,
            len(body),
            _date(),
        )
        self._say(head, body)

    # Inside

    def _take(self, data: bytes) -> bool:
        head = read_head(data)
        if head is None:
            self._open = False
            return False
        self._heard = b""
        is_idle = self._road.is_idle
        if not is_idle and self._turns < _MOST_TURNS:
            # Whoever is quick asks on before aiohttp knows that it has answered. Left to aiohttp, what is
            # asked would not be learned, and the next come as early: it would be so for ever.
            self._turns += 1
            self._queue = data
            self._road.hold(len(data))
            self._road.come_back()
            return True
        self._turns = 0
        known = self._blocks.get(head.block)
        if known is None or not is_idle:
            if is_idle and head.target:
                self._heard = head.block
            return self._leave(head.block)
        if self._answerer is None or not self._road.may_ask(known.origin, COST):
            return False
        return self._answerer.answer(self, head.target, known, len(data))

    def _leave(self, block: bytes) -> bool:
        """aiohttp is to have it; where it ends only aiohttp knows if it has a body."""
        self._open = not has_body(block)
        return False

    def _say(self, head: bytes, body: bytes) -> None:
        waited, self._wait = self._wait is not None, None
        self._road.write_answer(head, body)
        if waited and self._queue:
            self.go_on()


def _date() -> bytes:
    """The time of day, as HTTP has it."""
    return _spell(int(time.time()))


@lru_cache(maxsize=1)
def _spell(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
