"""What is told to whoever asks who they are."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from rtmpd.control.actor import Role
from rtmpd.control.answers import Answer, Model

_MAX_TOKEN: int = 8192


class LoginRequest(Model):
    """A token that a browser is to be logged in with."""

    token: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]
    """The token itself, or a JWT of the issuer that is trusted."""


class Asking(Answer):
    """Who asks, and what they may."""

    name: str
    """Of the token; empty for programs of this machine, which show none."""
    role: Role
    streams: tuple[str, ...]
    """Apps and streams that they have to do with; empty is all, and the server as a whole."""
    until: datetime | None
    """When the token or the login is over that they asked by; null if that is never."""
