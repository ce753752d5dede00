"""Attacks of those who are in charge, or look at it: many of them, all the time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

import aiohttp

from hostile.scene import Scene, attack

_POLLERS: Final = 200
_POLLS_EVERY: Final = 2.0
"""Seconds."""
_FOLLOWERS: Final = 20
_LISTS: Final = ("/streams", "/sessions", "/server", "/relays")
_LEAST_ANSWERED: Final = 0.99


@attack(seconds=12, canaries=300, settings=("admin.max_connections=400",), most_growth_mb=40)
async def api_watchers(scene: Scene) -> None:
    """200 clients ask the API every 2 seconds and 20 follow its events, beside 300 players."""
    base = f"http://127.0.0.1:{scene.target.admin_port}/api/v1"
    asked = answered = 0

    async def poll(http: aiohttp.ClientSession, path: str, after: float) -> None:
        nonlocal asked, answered
        await asyncio.sleep(after)
        async for _ in scene.paced(1 / _POLLS_EVERY):
            asked += 1
            async with http.get(base + path) as answer:
                good = answer.status == 200 and bool(await answer.read())
            # Not in one line with await: what others count meanwhile would be lost.
            answered += good

    async def follow(http: aiohttp.ClientSession) -> int:
        async with http.get(f"{base}/events") as answer:
            async with asyncio.timeout(scene.left):
                while await answer.content.readany():
                    pass
        return answer.status

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        followers = [asyncio.ensure_future(follow(http)) for _ in range(_FOLLOWERS)]
        paths = itertools.islice(itertools.cycle(_LISTS), _POLLERS)
        await asyncio.gather(*(poll(http, path, n * _POLLS_EVERY / _POLLERS) for n, path in enumerate(paths)))
        ended = await asyncio.gather(*followers, return_exceptions=True)
    scene.expect("share of questions answered", answered / max(asked, 1), least=_LEAST_ANSWERED)
    stayed = sum(isinstance(each, TimeoutError) for each in ended)
    scene.expect("followers that stayed", stayed, least=_FOLLOWERS)
