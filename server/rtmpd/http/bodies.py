"""Small bodies of requests, read whole: so much of them, for so long, and no more."""

from __future__ import annotations

import asyncio
from typing import Final

from rtmpd.net.http import HttpProcessingError, web

PATIENCE: Final = 3.0
"""Seconds for all of one."""
_EXPECTED: Final = "100-continue"


async def read_body(request: web.BaseRequest, most: int) -> bytes:
    """That of a request, of ``most`` bytes at most. Raises ValueError with a sentence."""
    try:
        async with asyncio.timeout(PATIENCE):
            if request.headers.get("Expect", "").lower() == _EXPECTED:
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            pieces: list[bytes] = []
            left = most
            while piece := await request.content.read(left + 1):
                left -= len(piece)
                if left < 0:
                    raise ValueError(f"the request is longer than {most} bytes")
                pieces.append(piece)
            return b"".join(pieces)
    except TimeoutError:
        raise ValueError(f"the request has not come within {PATIENCE:g} seconds") from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise ValueError("the request is not what its headers say") from None
    except ConnectionError:
        raise ValueError("whoever asks has left") from None
