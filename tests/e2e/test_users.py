"""Users with passwords in the real server: who comes in, what they are told, and that no password appears."""

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
from rtmpd.exceptions import ConnectRejected

PASSWORD, WRONG = "tr0ub4dor-and-3", "tr0ub4dor-and-4"
ENVIRONMENT = {"RTMPD_APPS__LIVE__PUBLISH__USERS_FILE": "rtmp-users"}


@pytest.fixture
def credentials(tmp_path: Path) -> dict[str, str]:
    """The users where systemd puts secrets."""
    (tmp_path / "rtmp-users").write_text(f"# for OBS\nmia:{PASSWORD}\n")
    return ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(tmp_path)}


@pytest.fixture
def server(credentials: dict[str, str]) -> Iterator[RtmpdProcess]:
    with start("log.trace=127.0.0.0/8", environment=credentials) as process:
        yield process
        assert process.terminate() == 0


def url(server: RtmpdProcess, user: str = "") -> str:
    return f"rtmp://{user}127.0.0.1:{server.port('rtmp')}/live"


def test_ffmpeg_publishes_as_a_user_and_is_played_without(
    server: RtmpdProcess, clip: ClipMaker, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.flv"
    with bundled().pull(f"{url(server)}/show", copy) as player:
        server.wait_for_plays(f"{url(server)}/show")
        with bundled().publish(clip(H264_AAC), f"{url(server, f'mia:{PASSWORD}@')}/show", rate=4) as encoder:
            encoder.succeed(timeout=20)
        player.succeed(timeout=10)
    assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES
    (line,) = server.log.find({"event": "publish started"})
    assert line["account"] == "mia"
    assert not server.log.find({"event": "connect refused", "level": "warning"})


@pytest.mark.parametrize(
    ("user", "told"), [(f"mia:{WRONG}@", "Incorrect username/password"), ("", "No credentials set")]
)
def test_ffmpeg_without_the_password_ends_and_says_why(
    server: RtmpdProcess, clip: ClipMaker, user: str, told: str
) -> None:
    with bundled().publish(clip(H264_AAC), f"{url(server, user)}/show") as encoder:
        assert encoder.wait(timeout=10) != 0
        assert told in encoder.log()


async def test_no_password_appears_anywhere(
    server: RtmpdProcess, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is right or wrong: log with debug and trace, metrics, ``rtmpd check``."""
    with pytest.raises(ConnectRejected, match="refused the user or the password"):
        await rtmpd.connect(f"{url(server, f'mia:{WRONG}@')}/show")
    async with await rtmpd.connect(f"{url(server, f'mia:{PASSWORD}@')}/show") as encoder:
        await encoder.publish()
        metrics = server.get("/metrics")
    server.log.wait_for({"event": "publish ended"})
    for name, value in credentials.items():
        monkeypatch.setitem(os.environ, name, value)
    status, shown, _ = run_here("check")
    assert status == 0
    assert '["mia:***"]' in shown
    assert 'rtmpd_refusals_total{reason="authentication_failed"} 1.0' in metrics
    told = str(server.log) + shown + metrics
    assert server.log.find({"event": "trace"})
    assert not [secret for secret in (PASSWORD, WRONG) if secret in told]
