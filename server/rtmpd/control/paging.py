"""Parts of lists: which of many are wanted, without holding up the event loop."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
A = TypeVar("A")

_LOOKS: Final = 500
"""Items that are looked at before others have their turn."""
_BUILDS: Final = 25
"""The same of answers that are built."""


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Of a list."""

    items: Sequence[T]
    last: T | None
    """Behind which there are more; None if there are none."""
    total: int


async def cut(
    found: Iterable[T], wanted: Callable[[T], bool], key: Callable[[T], Any], after: Any, limit: int
) -> Part[T]:
    """The first ``limit`` of those that are ``wanted``, sorted by ``key``, behind ``after`` if that is given.

    ``found`` is not to change meanwhile.
    """
    chosen = []
    for number, each in enumerate(found, 1):
        if wanted(each):
            chosen.append(each)
        if number % _LOOKS == 0:
            await asyncio.sleep(0)
    chosen.sort(key=key)
    first = 0 if after is None else bisect_right(chosen, after, key=key)
    items = chosen[first : first + limit]
    more = len(chosen) > first + limit
    return Part(items, items[-1] if more else None, len(chosen))


async def build(items: Iterable[T], answer: Callable[[T], A]) -> tuple[A, ...]:
    """The answer about each of them, as it is when its turn comes."""
    built = []
    for number, each in enumerate(items, 1):
        built.append(answer(each))
        if number % _BUILDS == 0:
            await asyncio.sleep(0)
    return tuple(built)
