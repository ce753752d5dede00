"""Run ffmpeg as an encoder, a player and a judge, bounded in time and ended by pid.

``bundled()`` is the binary of the imageio-ffmpeg wheel, so ``make test`` needs nothing but pip;
``installed()`` is the system's, for the interop tests. There is no ffprobe in the wheel: packets are listed
with the framemd5 muxer and pictures are counted by decoding them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

MICROSECONDS = 1_000_000
_MEDIA = ("-map", "0:v?", "-map", "0:a?")


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a file as ffmpeg demuxes it."""

    media: str
    """``video`` or ``audio``."""
    dts: float
    """Seconds, as are ``pts``."""
    pts: float
    size: int
    md5: str

    @property
    def payload(self) -> tuple[str, int, str]:
        """What identifies the bytes, whatever their timestamps."""
        return self.media, self.size, self.md5


@dataclass(frozen=True, slots=True)
class Packets:
    """The packets of a file in decoding order, and the extradata (sequence header) of each medium."""

    packets: tuple[Packet, ...]
    extradata: dict[str, str]

    def of(self, media: str) -> list[Packet]:
        return [packet for packet in self.packets if packet.media == media]

    def payloads(self, media: str) -> list[tuple[str, int, str]]:
        return [packet.payload for packet in self.of(media)]


class Running:
    """A child process with its output in a file, so that a full pipe never blocks it."""

    def __init__(self, arguments: list[str]) -> None:
        # The file outlives this method by design: it is read until the process has ended.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        self.arguments = arguments

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        # Not by seeking: the child writes where the offset that it shares with us is.
        file = self._log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def wait(self, timeout: float) -> int:
        """Exit status within ``timeout`` seconds; an AssertionError with the output when it does not end."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"still running after {timeout} s: {self}") from None

    def succeed(self, timeout: float) -> str:
        """Output of a process that must end well within ``timeout`` seconds."""
        status = self.wait(timeout)
        assert status == 0, f"exit status {status}: {self}"
        return self.log()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for one that does not listen."""
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)

    def kill(self) -> None:
        """End it as a crash or a power cut would."""
        self._process.kill()
        self._process.wait(5)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.stop()
        self._log.close()

    def __str__(self) -> str:
        return f"{' '.join(self.arguments)}\n{self.log()}"


@contextlib.contextmanager
def start(*arguments: str) -> Iterator[Running]:
    """A child process that is surely gone at the end of the block."""
    process = Running(list(arguments))
    try:
        yield process
    finally:
        process.close()


@dataclass(frozen=True, slots=True)
class FFmpeg:
    """One ffmpeg binary."""

    executable: str

    def command(self, *arguments: str) -> list[str]:
        return [self.executable, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments]

    def run(self, *arguments: str, timeout: float = 60.0) -> str:
        """Standard output of a run that must succeed."""
        command = self.command(*arguments)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        return done.stdout

    def publish(
        self,
        clip: Path,
        url: str,
        *,
        rate: float | None = 1.0,
        loop: bool = False,
    ) -> contextlib.AbstractContextManager[Running]:
        """Publish a clip unchanged. ``rate`` is a multiple of real time, None for as fast as it goes."""
        pace = [] if rate is None else ["-readrate", str(rate)]
        repeat = ["-stream_loop", "-1"] if loop else []
        return start(
            *self.command(
                *repeat, *pace, "-i", str(clip), *_MEDIA, "-c", "copy",
                "-copyts", "-f", "flv", url,
            )
        )  # fmt: skip

    def pull(self, url: str, output: Path) -> contextlib.AbstractContextManager[Running]:
        """Play a stream to its end into an FLV file, without touching a byte."""
        return start(
            *self.command(
                "-rw_timeout", str(20 * MICROSECONDS), "-i", url, *_MEDIA, "-c", "copy",
                "-copyts", "-f", "flv", "-y", str(output),
            )
        )  # fmt: skip

    def packets(self, path: Path) -> Packets:
        """Every packet of a file, without decoding."""
        listing = self.run(
            "-copyts",
            "-i",
            str(path),
            "-map",
            "0",
            "-c",
            "copy",
            "-f",
            "framemd5",
            "-format_version",
            "2",
            "-",
        )
        return parse_framemd5(listing)

    def count_frames(self, path: Path) -> dict[str, int]:
        """Frames decoded per medium; any decoding error fails."""
        listing = self.run(
            "-xerror", "-err_detect", "explode", "-i", str(path), *_MEDIA, "-fps_mode", "passthrough",
            "-f", "framemd5", "-",
        )  # fmt: skip
        frames = parse_framemd5(listing)
        return {media: len(frames.of(media)) for media in sorted({frame.media for frame in frames.packets})}


def parse_framemd5(listing: str) -> Packets:
    """The packets of a framemd5 listing (``#`` header lines, then one comma-separated line per packet)."""
    media: dict[str, str] = {}
    scale: dict[str, float] = {}
    extradata: dict[str, str] = {}
    packets = []
    for line in listing.splitlines():
        if line.startswith("#"):
            match line[1:].replace(":", " ").replace(",", " ").split():
                case ["tb", stream, ratio]:
                    numerator, denominator = ratio.split("/")
                    scale[stream] = int(numerator) / int(denominator)
                case ["media_type", stream, kind]:
                    media[stream] = kind
                case ["extradata", stream, _size, digest]:
                    extradata[stream] = digest
            continue
        stream, dts, pts, _duration, size, md5 = (field.strip() for field in line.split(",")[:6])
        if size == "0":
            # The demuxer makes a packet of nothing out of an Enhanced RTMP audio sequence header.
            continue
        unit = scale[stream]
        packets.append(Packet(media[stream], int(dts) * unit, int(pts) * unit, int(size), md5))
    return Packets(tuple(packets), {media[stream]: value for stream, value in extradata.items()})


@functools.cache
def bundled() -> FFmpeg:
    return FFmpeg(imageio_ffmpeg.get_ffmpeg_exe())


def installed() -> FFmpeg | None:
    """The system's ffmpeg, if there is one."""
    path = shutil.which("ffmpeg")
    return FFmpeg(path) if path else None
