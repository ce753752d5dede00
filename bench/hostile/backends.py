"""Attacks by way of a backend that is asked who may come, and gives no answer."""

from __future__ import annotations

import atexit
import socket
from typing import Final

from hostile.scene import Scene, attack
from hostile.stranger import greeting, request

_WAITING: Final = 500


def _listen_and_never_accept() -> socket.socket:
    """The kernel takes connections and what is asked, and nobody ever reads it."""
    return socket.create_server(("127.0.0.1", 0), backlog=_WAITING)


_SILENT: Final = _listen_and_never_accept()
"""There from the start, as the settings of an attack name it."""
atexit.register(_SILENT.close)
_URL: Final = f"http://127.0.0.1:{_SILENT.getsockname()[1]}/"


@attack(
    seconds=10,
    connections=_WAITING,
    settings=(
        f"apps.hung.hooks.on_publish={_URL}",
        f"apps.hung.hooks.on_play={_URL}",
        "apps.hung.hooks.timeout=60s",
    ),
    most_growth_mb=40,
    quick=True,
)
async def hung_backend(scene: Scene) -> None:
    """250 encoders and 250 players wait for a backend that hangs."""
    for number in range(_WAITING):
        stranger = await scene.crowd.join(scene.crowd.address())
        name = scene.name("hung")
        asked = request("play", name, -2) if number % 2 else request("publish", name, "live")
        stranger.say(greeting("hung") + asked)
    joined = tried = 0
    async for _ in scene.paced(3.0):
        player = await scene.crowd.join(scene.crowd.address())
        tried += 1
        joined += await player.play("canary")
        player.leave()
    scene.expect("strangers who play", joined / tried, least=1.0)
    scene.expect("who wait", await scene.metric("rtmpd_backend_waiting"), least=_WAITING, most=_WAITING)
