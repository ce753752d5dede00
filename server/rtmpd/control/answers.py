"""What all answers have in common: models of which documents are made, and which nobody changes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """One thing that is said or asked. Nothing of it is looked at before it is needed."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Answer(Model):
    """Something that is told. Times are RFC 3339 in UTC, ``*_seconds`` are seconds, sizes bytes."""

    model_config = ConfigDict(allow_inf_nan=False)


class Carrier(StrEnum):
    """Which process of this server has somebody: there are two for a while when one has taken over."""

    THIS = "this"
    """The one that answers, and lets people in."""
    PREDECESSOR = "predecessor"
    """The one before it, which serves who has stayed there until they leave."""


class Page(Answer):
    """A part of a list, in an order that stays."""

    next: str | None
    """What to send as `after` for the next part; null if this is the last."""
    total: int
    """How many there are that were asked for, in all parts."""


class PageQuery(Model):
    """Which part of a list is wanted."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many of the list at most."""
    after: Annotated[str, Field(max_length=1024)] | None = None
    """`next` of the part before."""
