"""What all lists of reasons are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """One of a closed list of words: a metric label, a field of the log or of the API."""

    meaning: str
    """What is printed of it, in Markdown: no sentence, but a phrase."""

    def __new__(cls, word: str, *_texts: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        return member

    def __init__(self, _word: str, meaning: str) -> None:
        self.meaning = meaning
