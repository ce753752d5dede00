"""Signed URLs in the real server: made by ``rtmpd token``, used by ffmpeg, and that no secret appears."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_kit import run_here
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC, VIDEO_FRAMES
from rtmpd_process import RtmpdProcess
from rtmpd_process import rtmpd as start

import rtmpd
from rtmpd.exceptions import PublishRejected, StreamFailed

SECRET = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
NAMES = (
    "RTMPD_APPS__LIVE__PUBLISH__SIGNED_URLS__SECRETS_FILE",
    "RTMPD_APPS__LIVE__PLAY__SIGNED_URLS__SECRETS_FILE",
)
ENDS = {"RTMPD_APPS__LIVE__PUBLISH__END_WITH_PROOF": "true"}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """For the server, and for ``rtmpd token`` here."""
    (tmp_path / "secrets").write_text(f"{SECRET}\n")
    variables = ENDS | dict.fromkeys(NAMES, "secrets") | {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    for name, value in variables.items():
        monkeypatch.setitem(os.environ, name, value)
    return variables


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[RtmpdProcess]:
    with start("log.trace=127.0.0.0/8", environment=environment) as process:
        yield process
        assert process.terminate() == 0


def link(server: RtmpdProcess, *arguments: str) -> str:
    url = f"rtmp://127.0.0.1:{server.port('rtmp')}"
    status, text, _ = run_here("token", *arguments, "--server", url)
    assert status == 0
    return text.strip()


def test_who_has_links_publishes_and_plays(server: RtmpdProcess, clip: ClipMaker, tmp_path: Path) -> None:
    copy = tmp_path / "copy.flv"
    watch, publish = link(server, "play", "show"), link(server, "publish", "show")
    with bundled().pull(watch, copy) as player:
        server.wait_for_plays(watch.partition("?")[0])
        with bundled().publish(clip(H264_AAC), publish, rate=4) as encoder:
            encoder.succeed(timeout=20)
        player.succeed(timeout=10)
    assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES


def test_ffmpeg_with_a_link_to_watch_does_not_publish(server: RtmpdProcess, clip: ClipMaker) -> None:
    with bundled().publish(clip(H264_AAC), link(server, "play", "show")) as encoder:
        assert encoder.wait(timeout=10) != 0
        assert "The link is not for this: it must have been made to publish" in encoder.log()


async def test_a_publish_ends_with_its_link_and_no_secret_appears(server: RtmpdProcess) -> None:
    async with await rtmpd.connect(link(server, "publish", "show", "--for", "2s")) as encoder:
        stream = await encoder.publish()
        await encoder.wait_closed()
        with pytest.raises(StreamFailed, match="expired"):
            stream.check()
    ended = server.log.wait_for({"event": "publish ended"})
    assert ended["reason"] == "expired"
    with pytest.raises(PublishRejected, match="The link is not whole"):
        async with await rtmpd.connect(link(server, "publish", "show")[:-1]) as encoder:
            await encoder.publish()
    for written in ("show&{}", "{}", "show%3F{}"):
        query = link(server, "publish", "show").partition("?")[2]
        async with await rtmpd.connect(f"{server.url('')}".rstrip("/")) as encoder:
            with pytest.raises(PublishRejected):
                await encoder.publish(written.format(query))
    status, shown, _ = run_here("check")
    assert status == 0
    assert '["***"]' in shown
    assert server.log.find({"event": "trace"})
    told = str(server.log) + shown + server.get("/metrics")
    assert SECRET not in told
    # What is good for a while is a secret for a while.
    assert "&sig=" not in told
