"""What is told of stream keys, never the keys themselves, and how they are made."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from rtmpd.access.keys import MAX_LABEL_LENGTH
from rtmpd.control.answers import Answer, Model, Page, PageQuery

StreamName = Annotated[str, Field(min_length=1, max_length=256)]
Jwt = Annotated[str, Field(min_length=1, max_length=8192)]


class KeyOrigin(StrEnum):
    """Where a stream key comes from."""

    SETTINGS = "settings"
    """The settings themselves."""
    FILE = "file"
    """A file of keys that the settings name."""
    ADDED = "added"
    """Somebody in charge has added it."""
    JWT = "jwt"
    """Somebody has shown a JWT for it."""


class StreamKeyInfo(Answer):
    """A stream key. Nothing of it is a secret."""

    id: str
    """Names it as long as the process runs; nothing can be found out from it."""
    action: Literal["publish", "play"]
    """What it opens."""
    app: str
    """Of the stream, or as the table of the settings is called that names the key."""
    name: str
    """Of the stream."""
    label: str
    """Whose it is, for the log."""
    origin: KeyOrigin
    setting: str | None
    """The setting that names it, or its file; null of one that came at run time."""
    since: datetime | None
    """When it was made; null of those of the settings."""
    until: datetime | None
    """When it expires; null if it does not."""
    expired: bool
    """It does not open anything any more."""
    revoked: bool
    """Somebody in charge has said that it is not to open anything."""
    backup: bool
    """Of the stream's second encoder, which stands by for the first."""


class StreamKeyPage(Page):
    """Stream keys, sorted by stream and action."""

    items: tuple[StreamKeyInfo, ...]
    """One part of them."""


class StreamKeyQuery(PageQuery):
    """Which stream keys are wanted."""

    app: Annotated[str, Field(max_length=256)] | None = None
    """Of this app alone."""
    stream: Annotated[str, Field(max_length=1024)] | None = None
    """Of this stream alone, such as live/show."""
    origin: KeyOrigin | None = None
    """That come from there alone."""


class StreamKeyRequest(Model):
    """A stream key that is to be good from now on."""

    action: Literal["publish", "play"] = "publish"
    """What it opens."""
    app: StreamName
    """Of the stream."""
    name: StreamName
    """Of the stream."""
    label: Annotated[str, Field(max_length=MAX_LABEL_LENGTH)] = ""
    """Whose it is, for the log."""
    seconds: Annotated[float, Field(ge=1, le=366 * 86_400, allow_inf_nan=False)] | None = None
    """How long it is good; null is until it is revoked."""
    backup: bool = False
    """Make it the key of the stream's second encoder."""
    sha256: Annotated[str, Field(max_length=71, examples=["sha256:" + 64 * "0"])] | None = None
    """Of a key that you have, as `rtmpd key hash` says it; null has one made."""


class NewStreamKey(Answer):
    """A stream key that has just been made."""

    key: str | None
    """The key, shown this once; null if its SHA-256 was given."""
    info: StreamKeyInfo
    kept: bool
    """Whether it outlives a restart: it is stored by now."""


class PublishTokenRequest(Model):
    """A JWT for a stream key."""

    jwt: Jwt
    """Of the issuer that publish.jwt of the app names; it has to allow to publish the stream."""
    app: StreamName
    """Of the stream."""
    name: StreamName
    """Of the stream."""
    seconds: Annotated[float, Field(ge=1, le=366 * 86_400, allow_inf_nan=False)] | None = None
    """How long the key is to be good; null, and whatever is longer, is as long as the JWT."""


class PublishToken(Answer):
    """A stream key for an encoder."""

    key: str
    """What goes into its field for the stream key, beside the server and the app: shown this once."""
    app: str
    """Of the stream."""
    name: str
    """Of the stream, by which players know it."""
    until: datetime
    """When it expires. A publish that it has begun goes on, unless publish.end_with_proof is set."""
