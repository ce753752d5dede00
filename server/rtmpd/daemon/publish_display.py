"""What ``rtmpd publish`` shows: how a file gets on, and at the end what has been done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from rtmpd.daemon.client_command import bytes_text, clock_text, one_line, rate_text
from rtmpd.exceptions import ClientError
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools.file_publisher import FilePublisher
from rtmpd.tools.flv_files import FlvSource

_TERMINAL_INTERVAL: Final = 0.25
"""Seconds between two looks."""
_LINE_INTERVAL: Final = 5.0
_RATE_WINDOW: Final = 5.0
"""Seconds that the bitrate is averaged over."""


class _Bar(Progress):
    """Leaves room for the ^C that a terminal echoes: a full line would break there."""

    def get_renderable(self) -> RenderableType:
        return _Narrower(super().get_renderable())


class _Narrower:
    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._renderable, options.update_width(max(1, options.max_width - 4)))


class PublishDisplay:
    """A progress bar on a terminal, lines anywhere else."""

    def __init__(self, url: RtmpUrl) -> None:
        self._url = url
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        if self._console.is_terminal:
            self._bar = _Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}"),
                console=self._console,
                expand=True,
                auto_refresh=False,
            )
        self.interval = _TERMINAL_INTERVAL if self._bar else _LINE_INTERVAL
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    @contextmanager
    def of(self, publisher: FilePublisher, source: FlvSource) -> Iterator[Callable[[], None]]:
        """Show how it gets on, at each call of what is given, and at the end what has been done."""
        bar = self._bar
        if bar is None:
            try:
                yield lambda: self._print(self._line(publisher))
            finally:
                self._sum_up(publisher, source)
            return
        row = bar.add_task("", total=source.size, figures="")

        def show() -> None:
            bar.update(
                row,
                total=source.size,
                completed=source.position,
                description=str(publisher.progress.state),
                figures=self._figures(publisher),
            )
            bar.refresh()

        try:
            with bar:
                yield show
                show()
        finally:
            self._sum_up(publisher, source)

    def tell_failure(self, error: ClientError, delay: float) -> None:
        said = one_line(error).rstrip(".")  # Servers end their sentences, and ours goes on.
        self._print(f"{said}; next attempt in {delay:.1f} s")

    def tell_move(self, url: RtmpUrl) -> None:
        self._print(f"the server sends us to {url}")

    def _line(self, publisher: FilePublisher) -> str:
        return f"{publisher.progress.state}  {self._figures(publisher)}"

    def _figures(self, publisher: FilePublisher) -> str:
        progress = publisher.progress
        position = clock_text(progress.position)
        if progress.duration and progress.round == 1:
            position += f" / {clock_text(progress.duration)}"
        if progress.round > 1:
            position += f"  round {progress.round}"
        rate = rate_text(self._bitrate(progress.bytes))
        return f"{position}  {rate}  behind {bytes_text(publisher.unsent_bytes)}, {progress.late:.1f} s"

    def _bitrate(self, total: int) -> float:
        """Bit/s over the last seconds."""
        samples = self._samples
        now = time.monotonic()
        samples.append((now, total))
        while len(samples) > 2 and now - samples[1][0] >= _RATE_WINDOW:
            samples.popleft()
        elapsed = now - samples[0][0]
        return (total - samples[0][1]) * 8 / elapsed if elapsed > 0 else 0.0

    def _sum_up(self, publisher: FilePublisher, source: FlvSource) -> None:
        progress = publisher.progress
        if not progress.packets:
            return
        text = f"published {clock_text(progress.position)} to {self._url}: {progress.packets} packets, "
        text += bytes_text(progress.bytes)
        if progress.reconnects:
            text += f", reconnects: {progress.reconnects}"
        if progress.moves:
            text += f", moves to other servers: {progress.moves}"
        if progress.jumps:
            text += f", jumps of timestamps joined: {progress.jumps}"
        if source.truncated:
            text += f"; {source.name} ends inside a tag, which was left out"
        self._print(text)

    def _print(self, text: str) -> None:
        # As Text: a server's words and a file's name may hold what looks like markup.
        self._console.print(Text(text))
