"""Cutting secrets out of what is shown, in whatever spelling it quotes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from rtmpd.rtmp.url import REDACTED

_MIN_SECRET: Final = 4
"""Characters from which a secret is cut out of a text. Shorter values of a query are numbers and flags."""
_FIELDS: Final = re.compile("[&?]")
"""What separates the fields of a query: authenticating encoders append theirs with a further ``?``."""


class Scrubber:
    """Knows secrets, as they are written and decoded, and takes them out of texts."""

    __slots__ = ("_long", "_short")

    def __init__(self, secrets: Iterable[str], public: Iterable[str] = ()) -> None:
        """``public`` is what everybody may know, though it is a secret of somebody else's."""
        known = ("", *public)
        forms = {
            form
            for text in secrets
            if text not in known and unquote(text) not in known
            for form in (text, unquote(text))
        }
        ordered = sorted(forms, key=len, reverse=True)
        self._long = [_spelled(form) for form in ordered if len(form) >= _MIN_SECRET]
        self._short = [_spelled(form) for form in ordered if len(form) < _MIN_SECRET]

    def scrub(self, text: str) -> str:
        """What somebody else said, who may have quoted a secret.

        A short one may stand in any word, whose gap would tell it: then the whole text is hidden.
        """
        return REDACTED if any(pattern.search(text) for pattern in self._short) else self.redact(text)

    def redact(self, text: str) -> str:
        """A text that quotes no short secret."""
        for pattern in self._long:
            text = pattern.sub(REDACTED, text)
        return text


def secrets_of(query: str) -> list[str]:
    """The query and the values of its fields, but for those that are too short to be more than flags."""
    fields = (part.partition("=")[2] or part for part in _FIELDS.split(query))
    return [query, *(value for value in fields if len(unquote(value)) >= _MIN_SECRET)]


def _spelled(secret: str) -> re.Pattern[str]:
    """Matches ``secret`` with any of its characters quoted as in a URL, in any case."""
    characters = []
    for character in secret:
        quoted = "".join(f"%{byte:02X}" for byte in character.encode(errors="replace"))
        plus = r"|\+" if character == " " else ""
        characters.append(f"(?:{re.escape(character)}|{quoted}{plus})")
    return re.compile("".join(characters), re.IGNORECASE)
