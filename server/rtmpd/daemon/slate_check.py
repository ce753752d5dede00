"""What ``rtmpd check`` says of slates: what they hold, and whom that would not suit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rtmpd.daemon.app_config import APPS, PUSH, AppConfig
from rtmpd.daemon.config import Config
from rtmpd.daemon.slate_config import SLATE
from rtmpd.daemon.slate_side import read_all
from rtmpd.daemon.values import spell
from rtmpd.media.codec_names import spoken
from rtmpd.media.tags import ENHANCED_CODECS
from rtmpd.outputs.slate_file import SlateFile

_FAR_APART: Final = 4000
"""Milliseconds from key frame to key frame: platforms want one every 2 to 4 seconds."""

_NOTEWORTHY: Final = 100
"""Milliseconds: sound often begins a frame before the picture."""


def contents(config: Config) -> Iterator[str]:
    """A line for each slate. Raises ConfigError where one cannot be read."""
    for key, _, _, file in _slates(config):
        yield f"{key} holds {file}"


def remarks(config: Config) -> Iterator[str]:
    """What somebody who is shown them may not like. Raises ConfigError where one cannot be read."""
    for key, app, pushes, file in _slates(config):
        for text in _misfits(app, pushes, file):
            yield f"{key}: {file.path}: {text}"


def faults(file: SlateFile) -> Iterator[str]:
    """What nobody likes who is shown it."""
    if file.video is None or file.audio is None:
        yield f"it has no {'video' if file.video is None else 'sound'}: players and platforms may wait for it"
    if file.is_cut_off:
        yield f"it breaks off behind {file.duration / 1000:.1f} s: what follows is no whole message of FLV"
    if file.left_out >= _NOTEWORTHY:
        yield f"its first {file.left_out / 1000:.1f} s come before a key frame, and are left out"
    if file.interval > _FAR_APART:
        yield f"its key frames are {file.interval / 1000:.1f} s apart: make it with one every 2 s"


def rare(file: SlateFile) -> Iterator[str]:
    """What platforms may not take that streams are pushed to."""
    new = [spoken(codec) for codec in (file.video, file.audio) if codec in ENHANCED_CODECS]
    if new:
        yield f"not every platform takes {' and '.join(new)}"


def _slates(config: Config) -> Iterator[tuple[str, AppConfig, list[str], SlateFile]]:
    """Each with its key, what holds for the streams that show it, and the targets that are sent it."""
    files = read_all(config)
    for table, said in config.apps.items():
        app = config.at(table)
        if said.slate:
            targets = app.push_targets.items()
            pushes = [name for name, each in targets if each.enabled and each.url and each.shown is None]
            yield spell((APPS, table, SLATE)), app, sorted(pushes), files[said.slate]
        for name, target in said.targets.items():
            if target.slate:
                yield spell((APPS, table, PUSH, name, SLATE)), app, [name], files[target.slate]


def _misfits(app: AppConfig, pushes: list[str], file: SlateFile) -> Iterator[str]:
    taken = app.publish.to_media_rules().reject
    for codec, codecs in ((file.video, taken.video_codecs), (file.audio, taken.audio_codecs)):
        if codec is not None and codecs and codec not in codecs:
            wanted = " or ".join(sorted(map(spoken, codecs)))
            yield f"it holds {spoken(codec)}, and encoders may send {wanted} alone: players expect that"
    yield from faults(file)
    if pushes:
        yield from (f"{text}, and {', '.join(pushes)} is sent it" for text in rare(file))
