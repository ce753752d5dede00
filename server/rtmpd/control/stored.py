"""What those in charge see of what outlives the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, Protocol

from rtmpd.reasons import Word

NO_PLACE: Final = "the server has no place for what outlives a restart: name one in state.dir"


class StateStats(Protocol):
    """How it gets on; ``rtmpd.state.store.StoreStats`` is one."""

    @property
    def failure(self) -> Word | None: ...

    @property
    def problem(self) -> str: ...

    @property
    def bytes(self) -> int: ...


class Usage(Protocol):
    """What was used of a server."""

    @property
    def peak(self) -> int: ...

    @property
    def player_seconds(self) -> float: ...

    @property
    def live_seconds(self) -> float: ...

    @property
    def file_seconds(self) -> float: ...

    @property
    def bytes_in(self) -> int: ...

    @property
    def bytes_out(self) -> int: ...


class DayOfStream(Usage, Protocol):
    """What a stream had on a day; ``rtmpd.state.report.DayUsage`` is one."""

    @property
    def place(self) -> str:
        """Where it stands among others."""

    @property
    def day(self) -> date: ...

    @property
    def app(self) -> str:
        """Empty, as the name is: all streams together."""

    @property
    def name(self) -> str: ...


class SumsOfUsage(Usage, Protocol):
    """Of several of them; ``rtmpd.state.report.UsageSums`` is one."""

    @property
    def number(self) -> int: ...


class PartOfUsage(Protocol):
    """Some of those that are wanted, and sums; ``rtmpd.state.report.UsagePart`` is one."""

    @property
    def rows(self) -> Sequence[DayOfStream]: ...

    @property
    def more(self) -> bool:
        """There are more behind them."""

    @property
    def sums(self) -> SumsOfUsage:
        """Of all that are wanted."""

    @property
    def together(self) -> SumsOfUsage:
        """Of all streams together, whichever are wanted."""


class StoredChange(Protocol):
    """Something that somebody changed; ``rtmpd.state.report.Change`` is one."""

    @property
    def id(self) -> int: ...

    @property
    def at(self) -> float: ...

    @property
    def instance(self) -> str: ...

    @property
    def actor(self) -> str: ...

    @property
    def client(self) -> str: ...

    @property
    def protocol(self) -> str: ...

    @property
    def change(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def result(self) -> str: ...

    @property
    def problem(self) -> str | None: ...

    @property
    def detail(self) -> str | None: ...

    @property
    def before(self) -> str | None: ...

    @property
    def after(self) -> str | None: ...


class StoredUsage(Protocol):
    """Who has watched how much."""

    async def usage(
        self, first: date, last: date, wanted: Callable[[str, str], bool], after: str | None, most: int
    ) -> PartOfUsage | None:
        """By day and path, from ``first`` to ``last``: the first ``most`` behind ``after``, the ``place`` of
        one, of streams whose app and name are ``wanted``, which is called in a thread. None where nothing is
        stored.

        Raises StateUnusable.
        """


class Stored(StoredUsage, Protocol):
    """What has been stored, and what is to be; ``rtmpd.daemon.state_side.StateSide`` is one."""

    @property
    def stats(self) -> StateStats | None:
        """None where nothing is."""

    async def settled(self) -> bool | None:
        """Whether all that has changed is stored by now; None where nothing is."""

    async def changes(
        self, before: int | None, most: int, actor: str | None, change: str | None
    ) -> tuple[Sequence[StoredChange], int] | None:
        """The newest whose id is less than ``before``, one more than ``most`` if there are more, and how many
        there are in all; None where nothing is stored.

        Raises StateUnusable.
        """
