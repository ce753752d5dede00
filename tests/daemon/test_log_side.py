"""What is written into the log for a while."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

from rtmpd.daemon.config import LogConfig
from rtmpd.daemon.log_side import LogSide
from rtmpd.daemon.logs import configured
from rtmpd.engine.origin import Origin
from rtmpd.serving.tracing import Tracer


@contextmanager
def nowhere() -> Iterator[int]:
    fd = os.open(os.devnull, os.O_WRONLY)
    try:
        yield fd
    finally:
        os.close(fd)


async def test_a_level_holds_for_a_while_over_a_reload_and_then_the_settings_do_again() -> None:
    with nowhere() as fd, configured("info", "text", fd=fd) as output:
        tracer = Tracer(None, time.monotonic)

        def state() -> tuple[str, bool, bool]:
            """The level, and whether those of one address and of another are traced."""
            taps = [tracer.tap(Origin(address=address)) is not None for address in ("192.0.2.7", "192.0.2.8")]
            return (logging.getLevelName(logging.getLogger().level), *taps)

        side = LogSide(LogConfig(), output, tracer, time.monotonic)
        side.apply(LogConfig(trace="192.0.2.7"))
        assert (state(), side.until, side.trace) == (("INFO", True, False), None, "192.0.2.7/32")
        side.switch("debug", ip_network("192.0.2.8"), 3600.0)
        assert side.until is not None
        assert (state(), side.level, side.trace) == (("DEBUG", False, True), "debug", "192.0.2.8/32")
        side.apply(LogConfig(level="warning"))
        assert state() == ("DEBUG", False, True)
        side.switch("error", None, 0.01)
        assert (state(), side.trace) == (("ERROR", False, False), "")
        await asyncio.sleep(0.05)
        assert (state(), side.until, side.level) == (("WARNING", False, False), None, "warning")
        side.switch("debug", None, 0.01)
        side.switch_back()
        await asyncio.sleep(0.05)
        assert (state()[0], side.until) == ("WARNING", None)
