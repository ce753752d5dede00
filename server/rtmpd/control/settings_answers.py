"""What is told of settings that are read again."""

from __future__ import annotations

from rtmpd.control.answers import Answer, Model


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
