"""What the page of a stream is tried with: encoders that come and go, and recordings that go on and on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from command_kit import RTMPD
from ffmpeg import Running, bundled, start
from replay import write_loop
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

Begin = Callable[[str], AbstractContextManager[Running]]
"""Has somebody publish to a URL."""


class Encoder:
    """Publishes ``live/show``, or another name, when it is asked to, by ``begin``."""

    def __init__(self, server: RtmpdProcess, begin: Begin, name: str = "show") -> None:
        self._server, self._begin, self._name = server, begin, name
        self._running: Running | None = None
        self._stack = ExitStack()

    def publish(self) -> None:
        self.end()
        url = self._server.url(self._name)
        self._running = self._stack.enter_context(self._begin(url))
        self._server.wait_for_live(url)
        self._server.wait_for_frames(url, 5)

    def stop(self) -> None:
        """It says that it is over."""
        assert self._running is not None
        self._running.stop()

    def lose(self) -> None:
        """Its connection breaks."""
        assert self._running is not None
        self._running.kill()

    def end(self) -> None:
        self._stack.close()


def ffmpeg_of(clip: Path) -> Begin:
    """An ffmpeg that sends a clip again and again."""
    return partial(bundled().publish, clip, loop=True)


def obs_of(name: str, folder: Path) -> Begin:
    """What an OBS has sent, such as ``multitrack``, again and again."""
    recording = folder / f"{name}.flv"
    write_loop(name, recording)
    return partial(start, RTMPD, "publish", "--loop", str(recording))


@contextmanager
def showing(begin: Begin, *settings: str) -> Iterator[tuple[RtmpdProcess, Encoder]]:
    """A server with pages, and who will publish there."""
    with rtmpd("http.listen=127.0.0.1:0", *settings) as server:
        encoder = Encoder(server, begin)
        try:
            yield server, encoder
        finally:
            encoder.end()
        assert_clean_exit(server)


def page_of(server: RtmpdProcess) -> str:
    return f"http://127.0.0.1:{server.port('http')}/live/show"
