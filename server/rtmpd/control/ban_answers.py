"""What is told of bans, and how they are made."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Model, Page
from rtmpd.control.fields import BanSeconds, Reason


class Ban(Answer):
    """A network from which nobody is let in."""

    id: str
    """By which it is lifted: the network, or where privacy.addresses hides that a name that it has until the
    server ends."""
    network: str
    """An IPv4 address, or a network, as far as privacy.addresses shows it."""
    automatic: bool
    """It has failed to prove who it is too often; else somebody in charge has banned it."""
    since: datetime
    """When it began."""
    until: datetime
    """When it will be over."""
    remaining_seconds: float
    """Until then."""
    reason: str
    """In the words of who banned it; empty if there were none."""
    refused: int
    """How often somebody was turned away meanwhile."""


class NewBan(Ban):
    """One that has just been made."""

    kept: bool
    """It is stored, and outlives a restart. If not, there is no place for it, or it cannot be written."""


class BanPage(Page):
    """Bans, sorted by id."""

    items: tuple[Ban, ...]
    """One part of them."""


class BanRequest(Model):
    """Whom to ban. Who is connected stays: kick them."""

    network: Annotated[str, Field(max_length=64)]
    """An address, or a network such as 192.0.2.0/24. An IPv6 address stands for its /64."""
    seconds: BanSeconds
    """For how long."""
    reason: Reason = ""
    """Why, for others in charge; nobody who is banned is told."""
