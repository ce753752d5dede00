"""Bitrate and key frames of a real encoder, which take seconds to be seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ffmpeg import bundled, start
from rtmpd_process import RtmpdProcess, rtmpd

pytestmark = pytest.mark.interop

LIMITS = """
[apps.reject.publish.reject]
max_kbps = 4000
max_keyframe_interval = "4s"
[apps.warn.publish.warn]
max_kbps = 4000
max_keyframe_interval = "4s"
"""
FAT = ("-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "8M")
FITS = ("-b:v", "3900k", "-minrate", "3900k", "-maxrate", "3900k", "-bufsize", "3900k")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtmpdProcess]:
    path = tmp_path_factory.mktemp("limits") / "rtmpd.toml"
    path.write_text(LIMITS)
    with rtmpd(environment={"RTMPD_CONFIG": str(path)}) as process:
        yield process
        assert process.terminate() == 0


def encode(url: str, gop: int, rate: tuple[str, ...]) -> list[str]:
    """Fourteen seconds in real time, at a constant bitrate."""
    return bundled().command(
        "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine",
        "-t", "14", "-c:v", "libx264", "-preset", "ultrafast", "-g", str(gop), "-keyint_min", str(gop),
        "-sc_threshold", "0", "-x264-params", "nal-hrd=cbr:filler=1", *rate, "-c:a", "aac", "-f", "flv", url,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "gop", "rate", "reason", "sentence"),
    [
        ("fat", 50, FAT, "bitrate", "This stream takes 4000 kbit/s, sound included, and you send "),
        ("rare", 250, FITS, "keyframe_interval", "This stream wants a key frame every 4 s"),
        ("fits", 100, FITS, None, ""),
    ],
)
def test_what_is_seen_in_time(
    limited: RtmpdProcess,
    name: str,
    gop: int,
    rate: tuple[str, ...],
    reason: str | None,
    sentence: str,
) -> None:
    base = f"rtmp://127.0.0.1:{limited.port('rtmp')}"
    with (
        start(*encode(f"{base}/reject/{name}", gop, rate)) as rejected,
        start(*encode(f"{base}/warn/{name}", gop, rate)) as warned,
    ):
        assert (rejected.wait(timeout=30) == 0) is (reason is None)
        assert sentence in rejected.log()
        warned.succeed(timeout=30)
    limited.log.wait_for({"event": "publish ended", "stream": name}, 2)
    warnings = limited.log.find({"event": "stream warning", "stream": name})
    assert [(line["app"], line["kind"]) for line in warnings] == ([("warn", reason)] if reason else [])
    ends = {
        line["app"]: line["reason"] for line in limited.log.find({"event": "publish ended", "stream": name})
    }
    assert ends == {"reject": reason or "finished", "warn": "finished"}
