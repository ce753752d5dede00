"""What is written into the log: what the settings say or, for a while, somebody in charge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from rtmpd.daemon.config import LogConfig, LogLevel
from rtmpd.daemon.logs import LogOutput
from rtmpd.serving.tracing import Tracer

logger = logging.getLogger(__name__)

Network = IPv4Network | IPv6Network


class _Instead(NamedTuple):
    """Of what the settings say."""

    level: LogLevel
    trace: Network | None
    until: float
    timer: asyncio.TimerHandle


class LogSide:
    """``control.local_log.LogSwitch``. A reload changes what holds afterwards, and nothing else."""

    def __init__(
        self, config: LogConfig, output: LogOutput, tracer: Tracer, clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._output = output
        self._tracer = tracer
        self._clock = clock
        self._instead: _Instead | None = None

    @property
    def level(self) -> LogLevel:
        """From which on messages are written."""
        return self._config.level if self._instead is None else self._instead.level

    @property
    def trace(self) -> str:
        """Whose connections are told; empty is nobody's."""
        return "" if self._network is None else str(self._network)

    @property
    def until(self) -> float | None:
        """The clock reading at which the settings decide again; None while they do."""
        return None if self._instead is None else self._instead.until

    def apply(self, config: LogConfig) -> None:
        """Follow other settings."""
        self._config = config
        self._put_in_place()

    def switch(self, level: LogLevel, trace: Network | None, seconds: float) -> None:
        """Instead of what the settings say; of ``trace`` None leaves it to them."""
        self._forget()
        timer = asyncio.get_running_loop().call_later(seconds, self._time_is_up)
        self._instead = _Instead(level, trace, self._clock() + seconds, timer)
        self._put_in_place()

    def switch_back(self) -> None:
        """Have the settings decide."""
        self._forget()
        self._put_in_place()

    @property
    def _network(self) -> Network | None:
        if self._instead is not None and self._instead.trace is not None:
            return self._instead.trace
        return ip_network(self._config.trace) if self._config.trace else None

    def _time_is_up(self) -> None:
        self.switch_back()
        logger.info("log as the settings say", extra={"fields": {"level": self.level}})

    def _forget(self) -> None:
        if self._instead is not None:
            self._instead.timer.cancel()
            self._instead = None

    def _put_in_place(self) -> None:
        self._output.apply(self.level, self._config.format, self._config.max_repeats)
        self._tracer.apply(self._network)
