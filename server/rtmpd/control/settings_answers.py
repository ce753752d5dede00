"""What is told of settings that are in force, and that are read again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Model, Page, PageQuery


class Setting(Answer):
    """One setting that is in force. What is a secret is hidden."""

    key: str
    """Its name; of a path the name of the key that says it, or would be the first to."""
    value: str
    """As it is written in a file (TOML)."""
    origin: str
    """Where somebody says so: file and line, a variable of the environment, the command line; or default."""
    effect: str
    """For whom another value holds that comes while the server runs."""


class SettingPage(Page):
    """Settings, sorted by key."""

    items: tuple[Setting, ...]
    """One part of them."""


class SettingQuery(PageQuery):
    """Which settings are wanted."""

    path: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """What holds for this app or stream instead of all settings, such as live/show."""
    q: Annotated[str, Field(max_length=256)] | None = None
    """Whose key holds this text, in whatever case."""
    said: bool = False
    """Only what somebody says, and no defaults."""


class ReloadRequest(Model):
    """How to read them."""

    dry_run: bool = False
    """Say what would change, and change nothing. Whether new addresses can be listened on is not tried."""


class Reload(Answer):
    """What has changed, or would."""

    dry_run: bool
    """Nothing has changed."""
    changed: dict[str, tuple[str, ...]]
    """Names of settings that say something else, by for whom that holds."""
