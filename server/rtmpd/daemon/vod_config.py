"""Recorded files that are played: ``[apps.NAME.vod]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from rtmpd.daemon.fields import Effect, FileName, Section, Timeout
from rtmpd.daemon.values import quote


def _check_root(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError(f"{quote(text)} is not absolute: write it from the first slash on")
    return text


class VodConfig(Section):
    """Files that may be played as streams of the app are, by who may play those: FLV files, for instance what
    it has recorded. A stream that is live goes before a file of its name."""

    effect = Effect.PLAYS
    root: Annotated[FileName, AfterValidator(_check_root)] = ""
    """Folder of the files: the stream of the name talks/monday is root/talks/monday.flv. {app} stands for the
    app. Links that lie in it are not followed. Empty: nothing is played but what is live."""
    pause_timeout: Timeout = 900.0
    """How long a player may have paused a file, or be at its end, or read nothing, before it is closed."""
