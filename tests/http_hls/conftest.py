"""The event loops that the tests of this room run on: the daemon's is uvloop, a user may have another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]

_ASYNCIO: Factories = {"asyncio": asyncio.new_event_loop}
_BOTH: Factories = {**_ASYNCIO, "uvloop": uvloop.new_event_loop}
_ON_BOTH = ("test_watching",)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Factories:
    return _BOTH if item.path.stem in _ON_BOTH else _ASYNCIO
