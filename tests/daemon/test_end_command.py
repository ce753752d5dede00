from __future__ import annotations

import pytest
from client_kit import AVC_HEADER, keyframe
from rtmpd_process import assert_clean_exit, rtmpd
from typer.testing import CliRunner

import rtmpd as library
from rtmpd.daemon import cli


def end(path: str, *settings: str):
    arguments = [part for setting in settings for part in ("--set", setting)]
    return CliRunner().invoke(cli.app, ["end", path, *arguments])


async def test_a_stream_whose_encoder_was_lost_ends_when_somebody_says_so():
    with rtmpd("apps.live.handover.grace=60s") as server:
        admin = f"admin.listen=127.0.0.1:{server.port('admin')}"
        async with await library.connect(server.url("x").rpartition("/")[0]) as viewer:
            player = await viewer.play("cam")
            encoder = await library.connect(server.url("x").rpartition("/")[0])
            stream = await encoder.publish("cam")
            await stream.send_video(AVC_HEADER, 0)
            await stream.send_video(keyframe(), 0)
            told = end("live/cam", admin)
            assert (told.exit_code, told.output) == (
                1,
                "rtmpd: live/cam is not held: it has an encoder, or nobody waits for one\n",
            )
            encoder.abort()
            await encoder.close()
            server.log.wait_for({"event": "stream held", "stream": "cam", "seconds": 60.0})
            told = end("live/cam", admin)
            assert (told.exit_code, told.output) == (0, "")
            assert [message.payload async for message in player if message.type == 9] == [
                AVC_HEADER,
                keyframe(),
            ]
            server.log.wait_for({"event": "stream held no more", "reason": "ended"})
        assert_clean_exit(server)


@pytest.mark.parametrize(
    ("path", "setting", "told"),
    [
        ("live", "admin.listen=127.0.0.1:1", "live names an app: write app and stream, such as live/test"),
        ("live/cam", "admin.listen=127.0.0.1:1", "127.0.0.1:1 does not answer: Connection refused"),
        (
            "live/cam",
            "admin.listen=:9935",
            "the server takes this on a loopback address or a Unix socket only: name one in admin.listen",
        ),
    ],
)
def test_what_cannot_be_asked_is_told(path: str, setting: str, told: str):
    result = end(path, setting)
    assert (result.exit_code, result.output) == (1, f"rtmpd: {told}\n")
