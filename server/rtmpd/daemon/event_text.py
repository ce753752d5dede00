"""Events of the API in lines for people."""

from __future__ import annotations

import shutil
import textwrap
from datetime import datetime
from typing import Any, Final

from rtmpd.daemon.asked_server import printable

_INDENT: Final = " " * 10
_NARROWEST: Final = 40
_WIDEST: Final = 120


def spell(said: dict[str, Any], width: int | None = None) -> str:
    """One event: the local time, and what happened; ``width`` is the terminal's if it is not given."""
    at = datetime.fromisoformat(said["time"]).astimezone()
    text = f"{at:%H:%M:%S}  {_sentence(said)}"
    width = max(_NARROWEST, min(width or shutil.get_terminal_size().columns, _WIDEST))
    return textwrap.fill(text, width, subsequent_indent=_INDENT, break_on_hyphens=False)


def spell_missed(said: dict[str, Any]) -> str:
    """What cannot be told any more."""
    since = f"{datetime.fromisoformat(said['since']).astimezone():%H:%M:%S}"
    if said["reason"] == "gone":
        return f"{said['number']} events were missed, up to {since}"
    return f"the server has been started anew: what happened before {since} is missed"


def _sentence(said: dict[str, Any]) -> str:
    title, text = said["title"], said["text"]
    return printable(f"{title}: {text}" if text else title)
