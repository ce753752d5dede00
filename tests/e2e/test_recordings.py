"""What becomes of a recording at a real server: an MP4 file, a bucket, commands, and the next process."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from backend_kit import backend
from command_kit import run_here
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd
from s3_kit import Service, bucket_service

SECRET = "s3cr3t-of-the-bucket-7hq2"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with bucket_service(tmp_path_factory.mktemp("moto") / "log") as service:
        yield service


@pytest.fixture
def config(tmp_path: Path, service: Service) -> Path:
    """Of a server that records all, and runs a command for each file."""
    for name in ("recordings", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    note = (
        '["sh", "-c", \'printf "%s|%s|%s|%s" "$0" "$RTMPD_DIRNAME" "$RTMPD_BASENAME" "$RTMPD_SIZE" >"$1"\', '
    )
    path = tmp_path / "rtmpd.toml"
    path.write_text(
        f"""
        state.dir = "{tmp_path / "state"}"
        [apps.live.record]
        start = "always"
        root = "{tmp_path / "recordings"}"
        name = "{{app}}/{{name}}"
        [apps.live.record.mp4]
        enabled = true
        keep_flv = true
        [apps.live.record.upload]
        bucket = "rec"
        endpoint = "{service.endpoint}"
        region = "us-east-1"
        path_style = true
        access_key_id = "id"
        secret_access_key_file = "{tmp_path / "secret"}"
        delete = true
        [apps.live.exec.note]
        on = ["recording_finished"]
        command = {note}"{{file}}", "{tmp_path / "noted"}"]
        """
    )
    return path


def start(config: Path) -> Any:
    return rtmpd("log.level=debug", environment={"RTMPD_CONFIG": str(config)})


def record(server: RtmpdProcess, clip: ClipMaker) -> None:
    with bundled().publish(clip(H264_AAC), server.url("show"), rate=None) as encoder:
        encoder.succeed(30)


def items(server: RtmpdProcess) -> dict[str, Any]:
    return {each["file"]: each for each in json.loads(server.get("/api/v1/recordings"))["items"]}


def told(server: RtmpdProcess, *arguments: str) -> str:
    code, out, err = run_here("recordings", *arguments, "--url", f"http://127.0.0.1:{server.port('admin')}")
    assert code == 0, err
    return out


def wait_for(path: Path) -> str:
    until = time.monotonic() + 10
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return path.read_text()


def test_a_recording_becomes_an_mp4_file_in_a_bucket_and_is_known_after_a_restart(
    config: Path, clip: ClipMaker, service: Service, tmp_path: Path
) -> None:
    with start(config) as server:
        record(server, clip)
        done = {"event": "recording job done", "step": "upload", "to": "s3://rec/live/show/show.mp4"}
        server.log.wait_for(done)
        server.log.wait_for({"event": "recording removed", "reason": "uploaded"})
        recorded = tmp_path / "recordings" / "live" / "show.flv"
        size = recorded.stat().st_size
        assert wait_for(tmp_path / "noted") == f"{recorded}|{recorded.parent}|show|{size}"
        (found,) = items(server).values()
        assert (found["file"], found["bytes"], found["waits_for"]) == ("live/show.flv", size, "none")
        metrics = server.get("/metrics")
        assert server.metric("rtmpd_recording_jobs_done_total", step="upload") == 1.0
        copy = tmp_path / "copy.flv"
        assert told(server, "download", "live/show.flv", "--to", str(copy)).startswith(str(copy))
        assert copy.read_bytes() == recorded.read_bytes()
        settings = server.get("/api/v1/config?limit=1000")
        assert_clean_exit(server)
    stored = tmp_path / "stored.mp4"
    stored.write_bytes(service.client.get_object(Bucket="rec", Key="live/show/show.mp4")["Body"].read())
    with av.open(str(stored)) as video:
        assert video.duration is not None
        assert found["seconds"] == pytest.approx(video.duration / av.time_base, abs=0.2)
    with start(config) as server:
        again = items(server)["live/show.flv"]
        assert again == found | {"changed": again["changed"]}  # As the file system has it now.
        assert "live/show" in told(server, "list", "live/show")
        told(server, "delete", found["id"])
        assert not recorded.exists()
        assert told(server, "list") == "There are no recordings.\n"
        assert_clean_exit(server)
    log = str(server.log)
    state = (tmp_path / "state" / "state.sqlite3").read_bytes().decode(errors="replace")
    assert SECRET not in f"{settings}{metrics}{log}{state}"


async def test_at_the_end_a_backend_is_told_of_the_last_files(clip: ClipMaker, tmp_path: Path) -> None:
    async with backend() as asked:
        record = f"apps.live.record.root={tmp_path}", "apps.live.record.start=always"
        hooks = "apps.live.hooks.dialect=srs", f"apps.live.hooks.on_record_done={asked.url}"
        with rtmpd(*record, *hooks) as server:
            with bundled().publish(clip(H264_AAC), server.url("show")):
                await asyncio.to_thread(server.log.wait_for, {"event": "recording started"})
                assert await asyncio.to_thread(server.terminate) == 0
            (line,) = server.log.find({"event": "recording finished", "reason": "shutdown"})
        (told,) = asked.asked
        assert told.json["action"] == "on_dvr"
        assert told.json["file"] == line["path"]


def test_what_could_not_be_uploaded_is_by_the_next_process(
    config: Path, clip: ClipMaker, service: Service
) -> None:
    text = config.read_text()
    config.write_text(text.replace(service.endpoint, "http://127.0.0.1:9"))
    with start(config) as server:
        record(server, clip)
        server.log.wait_for({"event": "recording job not done", "step": "upload", "reason": "unreachable"})
        assert "\n                  waits for upload: " in told(server, "list", "--waiting")
        server.send_signal(signal.SIGKILL)
    config.write_text(text.replace("delete = true", 'key = "later/{filename}"'))
    with start(config) as server:
        server.log.wait_for({"event": "recording job done", "to": "s3://rec/later/show.mp4"})
        assert items(server)["live/show.mp4"]["uploaded"] == "s3://rec/later/show.mp4"
        assert told(server, "list", "--waiting") == "There are no recordings.\n"
        assert_clean_exit(server)
