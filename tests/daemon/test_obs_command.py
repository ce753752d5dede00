"""``rtmpd obs``: what OBS pastes and imports, and that nothing of it tells a key but where it is to."""

from __future__ import annotations

import json
import stat
from configparser import RawConfigParser
from pathlib import Path

import pytest
from command_kit import run, run_here

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
URL = "https://tv.example/obs/config?app=live"


class _Settings(RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "rtmpd.toml"
    path.write_text(
        """
        [[apps.live.ladder]]
        height = 1080
        kbps = 6000
        [[apps.live.ladder]]
        height = 360
        kbps = 800
        fps = 30
        """
    )
    return str(path)


def read(folder: Path) -> tuple[RawConfigParser, dict[str, object]]:
    """What OBS reads of a profile."""
    settings = _Settings()
    settings.read(folder / "basic.ini")
    service: dict[str, object] = json.loads((folder / "service.json").read_text())
    return settings, service


def test_an_override_is_printed_for_the_obs_that_is_named(config: str) -> None:
    how = ("--canvas", "1280x720", "--fps", "50000/1000", "--encoder", "nvenc", "--vod", "--channels", "6")
    status, out, err = run_here("obs", "override", *how, "-c", config)
    assert (status, err) == (0, "")
    told = json.loads(out)
    first, second = told["encoder_configurations"]
    assert (first["type"], first["height"], second["height"]) == ("obs_nvenc_h264_tex", 720, 360)
    assert second["framerate"] == {"numerator": 25, "denominator": 1}
    assert [each["channels"] for each in told["audio_configurations"]["vod"]] == [6]


def test_without_a_ladder_it_says_so(config: str) -> None:
    status, out, err = run_here("obs", "override", "--app", "other", "-c", config)
    assert (status, out) == (1, "")
    assert err == "rtmpd: there is no ladder for other: [[apps.other.ladder]] makes one\n"
    status, _, err = run_here("obs", "override", "--canvas", "big", "-c", config)
    assert (status, err) == (1, "rtmpd: a canvas has a width and a height: write canvas=1920x1080\n")


def test_a_profile_that_asks_has_no_server_and_no_key_unless_they_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "studio"
    status, out, _ = run_here("obs", "profile", str(folder), "--config-url", URL)
    assert (status, "write the stream key to service.json" in out, "import it again" in out) == (
        0,
        True,
        True,
    )
    settings, service = read(folder)
    assert settings["General"]["Name"] == "studio"
    assert settings["Stream1"] == {"EnableMultitrackVideo": "true"}
    assert (settings["Video"]["BaseCY"], settings["Video"]["FPSNum"]) == ("1080", "60")
    assert service == {
        "type": "rtmp_common",
        "settings": {
            "server": "auto",
            "key": "",
            "bwtest": False,
            "service": "rtmpd",
            "protocol": "RTMP",
            "multitrack_video_configuration_url": URL,
            "multitrack_video_name": "Multitrack Video",
        },
    }


def test_a_profile_with_an_override_is_what_would_be_pasted(config: str, tmp_path: Path) -> None:
    folder = tmp_path / "studio"
    server = "rtmp://tv.example/live"
    status, out, _ = run_here("obs", "profile", str(folder), "--server", server, "-c", config)
    assert (status, "Settings > Stream: paste the stream key" in out) == (0, True)
    settings, service = read(folder)
    assert service == {
        "type": "rtmp_custom",
        "settings": {"server": "rtmp://tv.example/live", "key": "", "bwtest": False, "use_auth": False},
    }
    stream = settings["Stream1"]
    assert stream["MultitrackVideoConfigOverrideEnabled"] == "true"
    # OBS's own reader takes one backslash of two away.
    kept = json.loads(stream["MultitrackVideoConfigOverride"].replace("\\\\", "\\"))
    _, out, _ = run_here("obs", "override", "-c", config)
    assert json.loads(kept["text"]) == json.loads(out)


def test_a_key_is_in_a_profile_that_nobody_else_reads(tmp_path: Path) -> None:
    file, folder = tmp_path / "key", tmp_path / "studio"
    file.write_text(f"{KEY}\n")
    done = run("obs", "profile", str(folder), "--config-url", URL, "--key-file", str(file))
    assert (done.returncode, KEY.encode() in done.stdout + done.stderr) == (0, False)
    _, service = read(folder)
    assert json.dumps(service).count(KEY) == 1
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())] == [
        0o700,
        0o600,
        0o600,
    ]
    piped = tmp_path / "piped"
    done = run(
        "obs", "profile", str(piped), "--config-url", URL, "--key-file", "-", stdin=f"{KEY}\n".encode()
    )
    assert done.returncode == 0
    assert KEY in (piped / "service.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--server"),
        (("--config-url", "tv.example/obs/config"), "is no URL"),
        (("--server", "http://tv.example/live"), "starts with rtmp://"),
        (("--server", "rtmp://u:p@tv.example/live"), "the server and the app alone"),
        (("--config-url", URL, "--canvas", "1920"), "write canvas=1920x1080"),
        (("--config-url", URL, "--key-file", "/there/is/none"), "cannot be read"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_written(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    folder = tmp_path / "studio"
    status, _, err = run_here("obs", "profile", str(folder), *arguments)
    assert (status, folder.exists()) == (2, False)
    assert told in err


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    status, _, err = run_here("obs", "profile", str(tmp_path), "--config-url", URL)
    assert (status, err) == (1, f"rtmpd: {tmp_path} cannot be written: File exists\n")


def test_a_profile_is_called_by_what_can_be_in_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "studio\n[Stream1]"
    status, _, err = run_here("obs", "profile", str(folder), "--config-url", URL)
    assert (status, folder.exists()) == (2, False)
    assert "cannot be seen" in err
