"""What is told of who has changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Page, PageQuery


class AuditEntry(Answer):
    """Something that somebody in charge has changed, or was refused to."""

    id: str
    """Names it; newer ones are greater."""
    time: datetime
    """When."""
    instance: str
    """Names the run of the server."""
    by: str
    """Who, as they have proven to be; empty where nobody is asked."""
    address: str
    """They came from; empty where they have none."""
    protocol: str
    """How they asked: http, signal, or watch where a file had changed."""
    change: str
    """What, in a word."""
    target: str
    """Of what: a session, a network, or app and name of a stream; empty where it is the server."""
    reason: str
    """In their words; empty if there were none."""
    result: str
    """done, refused or failed."""
    problem: str | None
    """Why it was not done, in a word; null if it was."""
    detail: str | None
    """The same as a sentence."""
    before: str | None
    """How it was; null if that says nothing."""
    after: str | None
    """How it is since; null if that says nothing."""


class AuditPage(Page):
    """Who has changed what, the newest first."""

    items: tuple[AuditEntry, ...]
    """One part of it."""


class AuditQuery(PageQuery):
    """Which changes."""

    by: Annotated[str, Field(max_length=256)] | None = None
    """Only what this one has changed."""
    change: Annotated[str, Field(max_length=64)] | None = None
    """Only changes of this kind."""
