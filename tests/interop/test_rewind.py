"""Players that begin in the past of a stream: real ones, beside one that has been there all the time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, Packets, bundled, start
from rtmpd_process import assert_clean_exit, rtmpd

pytestmark = pytest.mark.interop

AGO = 8.0
LENGTH = 26
GOP = 2.0
HTTP = "http.listen=127.0.0.1:0"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of which no two are the same."""
    path = tmp_path_factory.mktemp("source") / "source.flv"
    bundled().run(
        "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25", "-f", "lavfi", "-i", "sine=440:r=48000",
        "-t", str(LENGTH), "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "2M", "-g", "50",
        "-sc_threshold", "0", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path),
    )  # fmt: skip
    return path


def pictures(packets: Packets) -> list[tuple[float, str]]:
    return [(packet.pts, packet.md5) for packet in packets.of("video")]


def test_players_get_what_others_got_before_to_the_end(
    tmp_path: Path, source: Path, debian_ffmpeg: FFmpeg, rtmpdump: str
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    settings = ("seconds=60", "rewind=true", "memory_bytes=1MiB", "disk_bytes=100MiB")
    ring = [f"apps.live.ring.{each}" for each in settings]
    query = f"?start=-{AGO:g}"
    with rtmpd(*ring, f"spool.path={spool}", HTTP) as server:
        url = server.url("cam")
        copies = {name: tmp_path / f"{name}.flv" for name in ("live", "rtmp", "http", "rtmpdump")}
        with bundled().publish(source, url) as encoder, debian_ffmpeg.pull(url, copies["live"]) as live:
            server.wait_for_frames(url, 25 * 15)
            with (
                debian_ffmpeg.pull(f"{url}{query}", copies["rtmp"]) as rtmp,
                debian_ffmpeg.pull(server.http_url(f"{url}{query}"), copies["http"]) as http,
                start(rtmpdump, "-v", "-r", f"{url}{query}", "-o", str(copies["rtmpdump"])) as dump,
            ):
                behind = {"rtmp": rtmp, "http": http, "rtmpdump": dump}
                server.wait_for_metric("rtmpd_rewound_players", lambda players: players == 3)
                on_drive = {"kind": "ring", "place": "drive"}
                server.wait_for_metric("rtmpd_kept_bytes", lambda size: size > 0, **on_drive)
                encoder.succeed(timeout=LENGTH)
                live.succeed(timeout=5)
                ended = time.monotonic()
                for player in behind.values():
                    player.wait(timeout=AGO + 5)
                    assert abs(time.monotonic() - ended - AGO) < 2.0
        shown = pictures(bundled().packets(copies["live"]))
        # Where the player that was there all the time stood: 15 seconds of 25 pictures.
        for name in behind:
            again = pictures(bundled().packets(copies[name]))
            assert again == shown[-len(again) :], name
            first = again[0][0] - shown[0][0]
            assert 15 - AGO - GOP - 0.5 <= first <= 15 - AGO + 2.0, name
            assert len(bundled().packets(copies[name]).of("audio")) > 0
        assert server.metric("rtmpd_rewind_jumps_total") == 0
        assert server.metric("rtmpd_kept_lost_packets_total", kind="ring", reason="no_room") == 0
        assert server.log.find({"event": "play ended", "reason": "slow"}) == []
        assert_clean_exit(server)


def test_who_is_live_may_seek_back(tmp_path: Path, source: Path, debian_ffmpeg: FFmpeg) -> None:
    with rtmpd("apps.live.ring.seconds=60", "apps.live.ring.rewind=true") as server:
        url, copy = server.url("cam"), tmp_path / "copy.flv"
        with bundled().publish(source, url) as encoder:
            server.wait_for_frames(url, 25 * 12)
            # As players do once somebody drags the slider: it joins, looks at what comes, then seeks.
            seek = ("-seek_timestamp", "1", "-ss", "5", "-copyts", "-i", url)
            with start(*debian_ffmpeg.command(*seek, "-map", "0:v", "-c", "copy", str(copy))) as player:
                server.wait_for_metric("rtmpd_rewound_players", lambda players: players == 1)
                assert server.metric("rtmpd_plays_total") == 1
                encoder.succeed(timeout=LENGTH)
                player.wait(timeout=15)
        shown, again = pictures(bundled().packets(source)), pictures(bundled().packets(copy))
        assert again == shown[-len(again) :]
        assert 5 - GOP <= again[0][0] - shown[0][0] <= 5
        assert_clean_exit(server)


def test_what_is_no_time_is_refused(debian_ffmpeg: FFmpeg) -> None:
    with rtmpd("apps.live.ring.seconds=10", "apps.live.ring.rewind=true", HTTP) as server:
        with start(
            *debian_ffmpeg.command("-i", f"{server.url('cam')}?start=soon", "-f", "null", "-")
        ) as player:
            assert player.wait(timeout=10) != 0
            assert "Nothing can begin there" in player.log()
        http = server.http_url(server.url("cam"))
        with start(*debian_ffmpeg.command("-i", f"{http}?start=soon", "-f", "null", "-")) as player:
            assert player.wait(timeout=10) != 0
            assert "400" in player.log()
