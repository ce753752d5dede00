"""The log of this process, of which more is wanted for a while."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Protocol

from rtmpd.access.rules import Network
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.log_answers import Level, LogLevel, LogRequest
from rtmpd.control.times import Times
from rtmpd.exceptions import NotPossible
from rtmpd.reasons import Problem


class LogSwitch(Protocol):
    """Decides what is written; ``rtmpd.daemon.log_side.LogSide`` is one."""

    @property
    def level(self) -> Level:
        """From which on messages are written."""

    @property
    def trace(self) -> str:
        """Whose connections are told; empty is nobody's."""

    @property
    def until(self) -> float | None:
        """The clock reading at which the settings decide again; None while they do."""

    def switch(self, level: Level, trace: Network | None, seconds: float) -> None:
        """Instead of what the settings say; of ``trace`` None leaves it to them."""

    def switch_back(self) -> None:
        """Have the settings decide."""


class LocalLog:
    """``control.Log`` of this process."""

    def __init__(self, switch: LogSwitch, audit: Audit, times: Callable[[], Times]) -> None:
        self._switch = switch
        self._audit = audit
        self._times = times

    async def level(self, by: Actor) -> LogLevel:
        del by
        return self._told()

    async def set_level(self, request: LogRequest, by: Actor) -> LogLevel:
        with self._audit.attempt(by, Change.LOG_LEVEL) as attempt:
            by.check_unscoped()
            try:
                trace = ip_network(request.trace) if request.trace else None
            except ValueError as error:
                raise NotPossible(Problem.BAD_REQUEST, f"trace: {error}") from None
            attempt.before = self._spell()
            self._switch.switch(request.level, trace, request.seconds)
            attempt.after = self._spell()
            return self._told()

    async def end_level(self, by: Actor) -> LogLevel:
        with self._audit.attempt(by, Change.LOG_LEVEL) as attempt:
            by.check_unscoped()
            attempt.before = self._spell()
            self._switch.switch_back()
            attempt.after = self._spell()
            return self._told()

    def _spell(self) -> str:
        return " ".join(filter(None, (self._switch.level, self._switch.trace)))

    def _told(self) -> LogLevel:
        switch, times = self._switch, self._times()
        until = None if switch.until is None else times.at(switch.until)
        return LogLevel(level=switch.level, trace=switch.trace, until=until)
