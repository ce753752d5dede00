"""Slates in the settings: mistakes, what does not suit, files that change, and ``rtmpd slate make``."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_kit import run_here
from engine_kit import AAC_HEADER, AVC_HEADER, House, keyframe, sound
from ffmpeg import bundled
from net_kit import eventually
from slate_kit import slate_bytes

from rtmpd.daemon.admin_request import AdminPort
from rtmpd.daemon.settings import load
from rtmpd.daemon.slate_side import SlateSide, read_all
from rtmpd.engine.slate import SlateRules
from rtmpd.exceptions import ConfigError
from rtmpd.media import flv
from rtmpd.outputs.slate_file import SlateFile

OPUS = b"\x90Opus" + b"OpusHead\x01\x02" + bytes.fromhex("380180bb0000000000")


@pytest.fixture
def slate(tmp_path: Path) -> Path:
    path = tmp_path / "slate.flv"
    path.write_bytes(slate_bytes())
    return path


def test_the_table_with_the_longest_path_says_what_is_shown(slate: Path) -> None:
    config = load(
        (),
        {},
        [
            f"apps.live.slate={slate}",
            "apps.live.slate_for=90",
            'apps."live/still".slate=',
            'apps."live/still".still=true',
            'apps."live/none".slate=',
        ],
    ).config
    shown = {name: config.at(name).shown for name in ("live/a", "live/still", "live/none", "other/a")}
    assert shown == {
        "live/a": SlateRules(str(slate), seconds=90.0),
        "live/still": SlateRules("", still=True, seconds=90.0),
        "live/none": None,
        "other/a": None,
    }
    limits = config.to_engine_limits(2**30)
    assert config.limits_of("live/a", limits).slate == shown["live/a"]
    assert config.handover_rules("live/a").slate_for == 90.0
    assert config.handover_rules("other/a").slate_for == 0.0
    assert (config.shows_slates, load((), {}).config.shows_slates) == (True, False)


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_file_that_cannot_be_shown_is_a_mistake_of_its_key(tmp_path: Path, command: str) -> None:
    bad = tmp_path / "bad.flv"
    bad.write_bytes(b"FLV?")
    settings = (f"apps.live.slate={bad}", f'apps."live/b".slate={tmp_path}/none.flv')
    status, _, said = run_here(command, "--set", settings[0], "--set", settings[1])
    assert status == os.EX_CONFIG
    assert f"apps.live.slate: {bad}: " in said
    assert (
        f"apps.live/b.slate: {tmp_path}/none.flv: cannot be read: No such file or directory; `rtmpd" in said
    )


def test_check_says_what_a_slate_holds_and_whom_it_does_not_suit(slate: Path, tmp_path: Path) -> None:
    status, _, said = run_here("check", "--set", f"apps.live.slate={slate}")
    assert (status, said) == (0, "rtmpd: apps.live.slate holds H.264, AAC 44.1 kHz, 2.0 s, 0.0 MiB\n")
    odd = tmp_path / "odd.flv"
    tags = [(8, 0, OPUS), (9, 0, AVC_HEADER), (9, 0, keyframe()), (8, 0, b"\x91Opusa"), (9, 5000, keyframe())]
    head = flv.encode_header(audio=True, video=True)
    odd.write_bytes(head + b"".join(flv.encode_tag(*tag) for tag in tags))
    settings = [
        f"apps.live.slate={odd}",
        'apps.live.push=["rtmp://h/a/b"]',
        "apps.live.publish.allow=local",
        "apps.live.publish.reject.audio_codecs=aac",
    ]
    path = tmp_path / "c.toml"
    path.write_text(
        "\n".join(each.replace(f"={odd}", f'="{odd}"').replace("=local", '="local"') for each in settings[:3])
    )
    status, out, said = run_here("check", "-q", "-c", str(path))
    assert (status, out) == (0, "")
    assert "apps.live.slate: " in said
    assert "not every platform takes Opus, and config-1 is sent it" in said
    assert "its key frames are 5.0 s apart: make it with one every 2 s" in said
    status, _, said = run_here("check", *[word for each in settings for word in ("--set", each)])
    assert "it holds Opus, and encoders may send AAC alone" in said


async def test_a_file_is_read_again_once_it_has_changed(
    slate: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house = House()
    side = SlateSide(house.registry, house.loop.clock, house.loop.call_later)
    config = load((), {}, [f"apps.live.slate={slate}"]).config
    await side.prepare(config)
    side.apply()
    assert house.registry.prompter.asked == side.slates.cue
    first = side.slates.files[str(slate)]
    side.look()
    await asyncio.sleep(0)
    assert side.slates.files[str(slate)] is first

    async def changed(data: bytes, word: str) -> SlateFile:
        other = tmp_path / "other"
        other.write_bytes(data)
        other.replace(slate)
        side.look()
        await eventually(lambda: word in caplog.text)
        return side.slates.files[str(slate)]

    longer = await changed(slate_bytes(100), "slate read again")
    assert longer.duration == 4005
    assert await changed(b"no slate", "slate not read, the last one stays") is longer
    await side.close()
    assert house.registry.prompter.asked is None


async def test_a_reload_that_names_a_file_that_is_not_there_changes_nothing(slate: Path) -> None:
    house = House()
    side = SlateSide(house.registry, house.loop.clock, house.loop.call_later)
    await side.prepare(load((), {}, [f"apps.live.slate={slate}"]).config)
    side.apply()
    with pytest.raises(ConfigError, match=r"apps\.live\.slate: .*none"):
        await side.prepare(load((), {}, ["apps.live.slate=none"]).config)
    assert list(side.slates.files) == [str(slate)]
    await side.close()


def test_a_slate_is_made_of_a_picture(tmp_path: Path) -> None:
    picture, out = tmp_path / "a picture.ppm", tmp_path / "out.flv"
    picture.write_bytes(b"P6 32 18 255\n" + bytes(32 * 18 * 3))
    ffmpeg = ("--ffmpeg", bundled().executable)
    options = ("--seconds", "4", "--size", "160x90", "--fps", "10", "--channels", "1")
    status, said, wrong = run_here("slate", "make", str(picture), str(out), *options, *ffmpeg)
    assert (status, wrong) == (0, "")
    assert said.startswith(f"{out}: H.264 160x90, AAC 48 kHz, 4.")
    file = SlateFile(out)
    assert file.interval <= 2100
    keyframe = next(each for each in file.packets if each.kind == 9)
    # Players that keep the decoder settings that they began with find those of the slate in it.
    assert {7, 8, 5} <= {unit[0] & 31 for unit in units(keyframe.payload[5:])}
    assert file.sound is not None
    assert (file.sound.channels, list(tmp_path.glob(".*"))) == (1, [])
    before = out.read_bytes()
    picture.write_bytes(b"P6 nonsense")
    again = run_here("slate", "make", str(picture), str(out), *options, *ffmpeg)
    assert again == (1, "", f"rtmpd: {out} is there already: name another file\n")
    other = tmp_path / "other.flv"
    status, _, wrong = run_here("slate", "make", str(picture), str(other), *options, *ffmpeg)
    assert (status, out.read_bytes() == before, other.exists()) == (1, True, False)
    assert "has failed:\n" in wrong
    assert list(tmp_path.glob(".*")) == []


def units(data: bytes) -> list[bytes]:
    """The NAL units of a frame of H.264."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def test_without_ffmpeg_or_a_picture_it_says_so(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(b"")
    status, _, said = run_here(
        "slate", "make", str(picture), str(tmp_path / "o"), "--ffmpeg", "no-such-ffmpeg"
    )
    assert (status, said) == (
        1,
        "rtmpd: there is no no-such-ffmpeg: install it, or say with --ffmpeg where it is\n",
    )
    assert run_here("slate", "make", str(tmp_path / "none"), str(tmp_path / "o"))[0] == 2
    assert run_here("slate", "make", str(picture), str(tmp_path / "o"), "--size", "wide")[0] == 2


def test_a_slate_is_made_as_a_stream_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "p.ppm"
    picture.write_bytes(b"P6 32 18 255\n" + bytes(32 * 18 * 3))
    stream: dict[str, Any] = {
        "video": {
            "codec": "avc1",
            "width": 160,
            "height": 120,
            "frames_per_second": 14.98,
            "profile": "Main",
        },
        "audio": {"codec": "mp4a", "samples_per_second": 44_100, "channels": 1},
    }
    asked: list[tuple[str, str]] = []

    def call(_port: AdminPort, method: str, path: str, _body: Mapping[str, object] | None = None) -> Any:
        asked.append((method, path))
        return stream

    monkeypatch.setattr(AdminPort, "call", call)
    out = tmp_path / "o.flv"
    command = ("slate", "make", str(picture), str(out), "--like", "live/show", "--url", "http://127.0.0.1:1")
    status, said, _ = run_here(*command, "--seconds", "2", "--ffmpeg", bundled().executable)
    assert (status, asked) == (0, [("GET", "/streams/live/show")])
    assert said.startswith(f"{out}: H.264 160x120, AAC 44.1 kHz")
    stream["video"] = stream["audio"] = None
    out.unlink()
    status, _, said = run_here(*command)
    assert status == 2
    assert "live/show has no encoder now" in said


PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=3")
SOUND = ("-f", "lavfi", "-i", "sine=d=3:r=48000")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p")
ALIKE = "players set up their decoders anew, which not all do well"


def filmed(folder: Path, *options: str) -> Path:
    """A file of ffmpeg's."""
    path = folder / "film.flv"
    command = [bundled().executable, "-v", "error", "-y", *options, "-f", "flv", str(path)]
    subprocess.run(command, check=True, timeout=60.0)
    return path


@pytest.mark.parametrize(
    ("options", "media", "faults"),
    [
        ((*PICTURE, *SOUND, *H264, "-bf", "2", "-c:a", "aac"), "H.264 160x90, AAC 48 kHz", []),
        (
            (*PICTURE, *SOUND, "-c:v", "libx265", "-x265-params", "log-level=error:keyint=50", "-c:a", "aac"),
            "HEVC 160x90, AAC 48 kHz",
            ["But not every platform takes HEVC."],
        ),
        (
            (*PICTURE, *SOUND, *H264, "-c:a", "libopus"),
            "H.264 160x90, Opus 48 kHz",
            ["But not every platform takes Opus."],
        ),
        (
            (*PICTURE, *H264),
            "H.264 160x90, no sound",
            ["But it has no sound: players and platforms may wait for it."],
        ),
        (
            (*SOUND, "-c:a", "aac"),
            "no picture, AAC 48 kHz",
            ["But it has no video: players and platforms may wait for it."],
        ),
    ],
)
def test_a_file_is_said_to_be_fit_and_for_whom(
    tmp_path: Path, options: tuple[str, ...], media: str, faults: list[str]
) -> None:
    path = filmed(tmp_path, *options)
    status, said, wrong = run_here("slate", "check", str(path))
    first, *others = said.splitlines()
    every = ", from a key frame on, with one every " if "no picture" not in media else ""
    assert (status, wrong, others) == (0, "", faults)
    assert first.startswith(f"{path} can be shown: {media}, 3.")
    assert f" MiB{every}" in first
    assert first.endswith(f"; it suits encoders that send {media}; of others {ALIKE}.")


def test_a_file_that_breaks_off_is_said_to(tmp_path: Path) -> None:
    path = filmed(tmp_path, *PICTURE, *SOUND, *H264, "-c:a", "aac")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    status, said, _ = run_here("slate", "check", str(path))
    assert (status, "\nBut it breaks off behind " in said) == (0, True)
    # What lies in the way is taken for a message that is longer than the file.
    path.write_bytes(data[:9000] + b"\xff" * 64 + data[9000:])
    status, _, wrong = run_here("slate", "check", str(path))
    assert (status, wrong.endswith("and breaks off there: a slate has at least a second\n")) == (1, True)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"FLV\x01\x05\x00", "is no FLV file"),
        (b"\x00\x00\x00\x20ftypisom", r"not an FLV file: it begins with b'\x00\x00\x00 '"),
        (flv.encode_header(audio=True, video=True), "it holds neither video nor audio that can be shown"),
    ],
)
def test_what_is_no_slate_is_said_to_be_none(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "no.flv"
    path.write_bytes(data)
    assert run_here("slate", "check", str(path)) == (1, "", f"rtmpd: {path}: {problem}\n")
    assert run_here("check", "--set", f"apps.live.slate={path}")[0] == os.EX_CONFIG


def test_what_comes_before_a_key_frame_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "late.flv"
    head = flv.encode_header(audio=True, video=True)
    sounds = b"".join(flv.encode_tag(8, number * 100, sound("a")) for number in range(30))
    tags = ((9, 500, keyframe()), (9, 2900, keyframe()))
    late = b"".join(flv.encode_tag(*tag) for tag in tags)
    path.write_bytes(
        head + flv.encode_tag(8, 0, AAC_HEADER) + flv.encode_tag(9, 0, AVC_HEADER) + sounds + late
    )
    _, said, _ = run_here("slate", "check", str(path))
    assert "But its first 0.5 s come before a key frame, and are left out.\n" in said


def test_a_slate_is_compared_with_a_stream(slate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream: dict[str, Any] = {
        "video": {"codec": "avc1", "width": None, "height": None},
        "audio": {"codec": "mp4a", "samples_per_second": 44_100},
    }
    monkeypatch.setattr(AdminPort, "call", lambda *_: stream)
    command = ("slate", "check", str(slate), "--like", "live/show", "--url", "http://127.0.0.1:1")
    assert run_here(*command)[1].endswith("; it suits live/show.\n")
    stream["video"] |= {"width": 1280, "height": 720}
    sent = "H.264 1280x720, AAC 44.1 kHz"
    assert run_here(*command)[1].endswith(f"; live/show sends {sent}, so that {ALIKE}.\n")
    stream["audio"] = None
    assert "live/show sends H.264 1280x720, no sound, so that" in run_here(*command)[1]
    stream["video"] = None
    status, _, said = run_here(*command)
    assert (status, "live/show has no encoder now" in said) == (2, True)


def test_every_file_is_read_once(slate: Path) -> None:
    config = load((), {}, [f"apps.live.slate={slate}", f'apps."live/b".slate={slate}']).config
    assert list(read_all(config)) == [str(slate)]
