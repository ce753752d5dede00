"""What a request for a playlist says besides its name: delivery directives (RFC 8216bis, 6.2.5), a token."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_SKIP: Final = ("YES", "v2")
SHOWN_AS: Final = "token"
"""The field of a query that carries one."""
_AHEAD: Final = 1
"""Segments behind the one in progress that may be asked for: two behind the last that is whole."""


class Directives(NamedTuple):
    """Which playlist is wanted."""

    token: str = ""
    msn: int | None = None
    """The playlist is to have this segment, by its media sequence number; None is as it is."""
    part: int | None = None
    """Or this part of it."""
    skip: bool = False
    """Only what is new, if that can be."""


class BadDirective(ValueError):
    """A request that no player makes; the text says why."""


def read_directives(query: str) -> Directives:
    """What ``query`` says, without its ``?``. Raises ``BadDirective``; what is not known means nothing."""
    token, skip = "", False
    numbers: dict[str, int] = {}
    for field in query.split("&"):
        name, _, value = field.partition("=")
        if name == SHOWN_AS:
            token = value
        elif name in ("_HLS_msn", "_HLS_part"):
            if name in numbers or not _NUMBER.fullmatch(value):
                raise BadDirective(f"{name} is one whole number.")
            numbers[name] = int(value)
        elif name == "_HLS_skip":
            if value not in _SKIP:
                raise BadDirective("_HLS_skip is YES or v2.")
            skip = True
    msn, part = numbers.get("_HLS_msn"), numbers.get("_HLS_part")
    if part is not None and msn is None:
        raise BadDirective("_HLS_part wants _HLS_msn.")
    return Directives(token, msn, part, skip)


def check_ahead(wanted: Directives, position: tuple[int, int], part_target: float) -> None:
    """Raise ``BadDirective`` for what is too far behind ``position``, the segment and part that come next."""
    if wanted.msn is None:
        return
    msn, part = position
    if wanted.msn > msn + _AHEAD:
        raise BadDirective(f"_HLS_msn is too far ahead: the segment that comes next is {msn}.")
    if wanted.part is not None:
        # The specification calls it the Advance Part Limit.
        limit = 3 if part_target < 1.0 else math.ceil(3 / part_target)
        last = part - 1 if wanted.msn == msn else -1
        if wanted.msn >= msn and wanted.part > last + limit:
            raise BadDirective(f"_HLS_part is too far ahead: the part that comes next is {part} of {msn}.")


def is_there(wanted: Directives, position: tuple[int, int], parts: int) -> bool:
    """Whether the playlist whose next part is at ``position`` has what is wanted.

    ``parts``: of the segment that is wanted, where it is whole and they are known; else 0.
    """
    if wanted.msn is None:
        return True
    msn, part = position
    if wanted.part is None or wanted.msn > msn:
        return wanted.msn < msn
    if wanted.msn == msn:
        return wanted.part < part
    # Behind the last part of a whole segment comes the first of the next one.
    beyond = parts and wanted.part >= parts and wanted.msn == msn - 1
    return not (beyond and part == 0)
