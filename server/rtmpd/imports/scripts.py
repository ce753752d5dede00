"""Scripts of shells: variables of the environment stand where another server filled a text in."""

from __future__ import annotations

import re
from typing import Final

UNREAD: Final = "a shell reads no variable in single quotes: write it by hand, as docs/processes.md has it"
_SIGNS: Final = re.compile(r"\\.|[\"']|\{\{\w+\}\}|\{(?P<name>\w+)\}(?P<more>(?=\w))?", re.DOTALL)
_NESTED: Final = ("$(", "`", "<<", "$'")
"""In these quotation marks count anew, or not at all."""


def with_variables(script: str) -> tuple[str, bool]:
    """The script with variables in place of placeholders of ours.

    What stands for a name stays one word: it is in quotation marks, where that can be told. True with it
    where a variable stands, or may stand, in single quotes, in which it would not be read.
    """
    marks = None if any(sign in script for sign in _NESTED) else _marks(script)
    left = iter(marks or ())
    filled = 0

    def put(found: re.Match[str]) -> str:
        nonlocal filled
        if found["name"] is None:
            return found[0]
        filled += 1
        variable = f"RTMPD_{found['name'].upper()}"
        if not next(left, '"'):
            return f'"${variable}"'
        return f"${variable}" if found["more"] is None else f"${{{{{variable}}}}}"

    text = _SIGNS.sub(put, script)
    return text, filled > 0 and "'" in (script if marks is None else marks)


def _marks(script: str) -> list[str] | None:
    """In which quotation marks each placeholder stands; None where they do not come in pairs."""
    within, marks = "", []
    for found in _SIGNS.finditer(script):
        sign = found[0]
        if found["name"] is not None:
            marks.append(within)
        elif sign == within or (within == "'" and sign == r"\'"):  # There a backslash is one.
            within = ""
        elif not within and sign in ('"', "'"):
            within = sign
    return None if within else marks
