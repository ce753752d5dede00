"""What ``rtmpd play`` shows: a stream's figures as they change, and at the end what has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rtmpd.daemon.client_command import bytes_text, clock_text, rate_text
from rtmpd.media.meter import Figures
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools.playback import Playback

_TERMINAL_INTERVAL: Final = 0.25
"""Seconds between two looks."""
_LINE_INTERVAL: Final = 1.0


class PlayDisplay:
    """A few lines that change on a terminal, anywhere else a line a second as long as something comes."""

    def __init__(self, url: RtmpUrl, playback: Playback, *, to_stderr: bool) -> None:
        self._url = url
        self._playback = playback
        self._console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)
        self.interval = _TERMINAL_INTERVAL if self._console.is_terminal else _LINE_INTERVAL
        self._told = ""
        """The state that was printed last."""

    @contextmanager
    def shown(self) -> Iterator[Callable[[], None]]:
        """Show the figures, at each call of what is given, and at the end what has come."""
        try:
            if not self._console.is_terminal:
                yield self._print_line
                self._print_line()
            else:
                with Live(self._table(), console=self._console, auto_refresh=False) as live:

                    def show() -> None:
                        live.update(self._table(), refresh=True)

                    yield show
                    show()
        finally:
            self._sum_up()

    def tell_move(self, url: RtmpUrl) -> None:
        self._print(f"the server sends us to {url}")

    @property
    def _state(self) -> str:
        return "waiting for the stream" if self._playback.connected else "connecting"

    def _print_line(self) -> None:
        figures = self._look()
        if not figures.frames:
            if self._told != self._state:
                self._told = self._state
                self._print(self._told)
            return
        parts = [
            clock_text(figures.media_ms / 1000),
            rate_text(figures.bits_per_second),
            f"{figures.frames_per_second:.1f} fps",
            f"key frames {_interval_text(figures)}",
            _video_text(figures),
            _audio_text(figures),
            f"gaps {figures.gaps}",
            f"backwards {figures.regressions}",
        ]
        self._print("  ".join(part for part in parts if part))

    def _table(self) -> Table:
        figures = self._look()
        table = Table.grid(padding=(0, 2))
        rows = [
            ("stream", str(self._url)),
            ("state", "playing" if figures.frames else self._state),
            ("time", f"{clock_text(figures.media_ms / 1000)}   {bytes_text(figures.bytes)}"),
            ("bitrate", rate_text(figures.bits_per_second)),
            ("video", _video_text(figures) or "none"),
            ("frames", f"{figures.frames_per_second:.1f} a second, key frames {_interval_text(figures)}"),
            ("audio", _audio_text(figures) or "none"),
            ("timestamps", f"gaps {figures.gaps}, backwards {figures.regressions}"),
        ]
        for name, value in rows:
            table.add_row(Text(name, style="dim"), Text(value))
        return table

    def _look(self) -> Figures:
        return self._playback.meter.look(asyncio.get_running_loop().time())

    def _sum_up(self) -> None:
        sink = self._playback.sink
        figures = self._look()
        if not figures.frames:
            return
        seconds = figures.media_ms / 1000
        of_video = figures.video_frames
        frames = f"{of_video} video frames" if of_video else f"{figures.frames} audio frames"
        text = f"played {clock_text(seconds)} of {self._url}: {frames}, {bytes_text(figures.bytes)}, "
        if seconds:
            text += f"{rate_text(figures.bytes * 8 / seconds)} on average, "
        text += f"gaps {figures.gaps}, backwards {figures.regressions}"
        if sink is not None:
            text += f"; nobody reads {sink.name} any more" if sink.left else f"; written to {sink.name}"
        self._print(text)

    def _print(self, text: str) -> None:
        # As Text: a codec's name or a URL may hold what looks like markup.
        self._console.print(Text(text))


def _interval_text(figures: Figures) -> str:
    interval = figures.keyframe_interval_ms
    return "not known yet" if interval is None else f"every {interval / 1000:.2f} s"


def _video_text(figures: Figures) -> str:
    video = figures.video
    if video is None:
        return ""
    size = f"{video.width}x{video.height}" if video.width else ""
    return " ".join(part for part in (video.codec, video.profile, video.level, size) if part)


def _audio_text(figures: Figures) -> str:
    audio = figures.audio
    if audio is None:
        return ""
    rate = f"{audio.sample_rate} Hz" if audio.sample_rate else ""
    channels = f"{audio.channels} ch" if audio.channels else ""
    return " ".join(part for part in (audio.codec, audio.profile, rate, channels) if part)
