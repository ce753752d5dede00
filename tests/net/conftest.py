"""The event loops that the tests of this room run on: the daemon's is uvloop, a user may have another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]

_ASYNCIO: Factories = {"asyncio": asyncio.new_event_loop}
_UVLOOP: Factories = {"uvloop": uvloop.new_event_loop}
_LOOPS: Mapping[str, Factories] = {
    "test_connection": {**_ASYNCIO, **_UVLOOP},
    "test_server": _UVLOOP,
    "test_publishing": _UVLOOP,
    "test_playing": _UVLOOP,
}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Factories:
    return _LOOPS.get(item.path.stem, _ASYNCIO)
