"""An encoder, a server that pushes, an origin, and an edge that pulls from it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import AV1_OPUS, H264_AAC, Recipe
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd
from typer.testing import CliRunner

from rtmpd.daemon import cli


def request(server: RtmpdProcess, method: str, path: str, body: object = None) -> object:
    """What the admin port answers."""
    address = f"http://127.0.0.1:{server.port('admin')}{path}"
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, timeout=5) as response:
        text = response.read()
    return json.loads(text) if text else None


@pytest.mark.parametrize("recipe", [H264_AAC, AV1_OPUS], ids=lambda recipe: recipe.name)
def test_every_packet_passes_a_push_and_a_pull(clip: ClipMaker, tmp_path: Path, recipe: Recipe) -> None:
    source, copy = clip(recipe), tmp_path / "copy.flv"
    with (
        rtmpd() as origin,
        rtmpd(f"apps.live.push={origin.url('{name}', 'relayed')}") as first,
        rtmpd(f"apps.*.pull.from={origin.url('{name}', 'relayed')}", "apps.*.pull.timeout=20s") as edge,
    ):
        with bundled().pull(edge.url("cam"), copy) as player:
            origin.wait_for_plays(origin.url("cam", "relayed"))
            with bundled().publish(source, first.url("cam")) as encoder:
                edge.log.wait_for({"event": "pull live"})
                encoder.succeed(timeout=20)
            player.succeed(timeout=15)
        for server in (edge, first, origin):
            assert_clean_exit(server)
    sent, received = bundled().packets(source), bundled().packets(copy)
    assert received.extradata == sent.extradata
    assert received.payloads("video") == sent.payloads("video")
    # A push that connects when the first key frame is there begins with it, as any joiner does.
    early = [packet.media for packet in sent.packets].index("video")
    audio = sent.payloads("audio")
    assert received.payloads("audio") in [audio[start:] for start in range(early + 1)]


@pytest.mark.parametrize(
    ("server", "text"),
    [
        (
            "nginx-rtmp",
            "rtmp {{ server {{ application relay {{ live on; pull {url} name=cam static; }} }} }}",
        ),
        ("mediamtx", "paths:\n  relay/cam:\n    source: {url}\n"),
    ],
)
def test_what_another_server_always_fetched_is_fetched_under_the_name_it_had(
    clip: ClipMaker, tmp_path: Path, server: str, text: str
) -> None:
    pytest.importorskip("crossplane")
    with rtmpd() as origin:
        theirs, ours = tmp_path / "theirs", tmp_path / "rtmpd.toml"
        theirs.write_text(text.format(url=origin.url("cam")))
        done = CliRunner().invoke(cli.app, ["import", server, str(theirs), "-o", str(ours)])
        assert done.exit_code == 0, done.stderr
        with (
            bundled().publish(clip(H264_AAC), origin.url("cam"), loop=True),
            rtmpd(environment={"RTMPD_CONFIG": str(ours)}) as edge,
        ):
            edge.log.wait_for({"event": "pull live"})
            listed = request(edge, "GET", "/api/v1/relays")
            assert isinstance(listed, dict)
            assert [(relay["app"], relay["name"]) for relay in listed["items"]] == [("relay", "cam")]
            assert_clean_exit(edge)
        assert_clean_exit(origin)


def test_a_target_is_added_watched_and_removed_over_http(clip: ClipMaker) -> None:
    with rtmpd() as origin, rtmpd() as server:
        path = "/api/v1/streams/live/cam/push"
        with bundled().publish(clip(H264_AAC), server.url("cam"), loop=True):
            server.wait_for_live(server.url("cam"))
            added = request(server, "POST", path, {"url": origin.url("s3cret")})
            assert isinstance(added, dict)
            origin.wait_for_live(origin.url("s3cret"))
            server.wait_for_metric("rtmpd_relays", lambda value: value == 1, kind="push", state="live")
            listed = request(server, "GET", "/api/v1/relays")
            assert isinstance(listed, dict)
            (relay,) = listed["items"]
            assert (relay["id"], relay["state"], relay["app"]) == (added["id"], "live", "live")
            assert "s3cret" not in json.dumps(relay) + server.get("/metrics")
            request(server, "DELETE", f"{path}/{relay['id']}")
            origin.log.wait_for({"event": "publish ended", "reason": "finished"})
        assert "s3cret" not in str(server.log)
        assert_clean_exit(server)


def test_targets_go_by_their_names_and_take_the_streams_they_are_for(clip: ClipMaker, tmp_path: Path) -> None:
    with rtmpd() as origin:
        settings = tmp_path / "push.toml"
        settings.write_text(
            f"""
            [apps."*".push.copy]
            url = "{origin.url("{name}", "copy")}"
            [apps.live.push.platform]
            url = "rtmp://127.0.0.1:{origin.port("rtmp")}/platform"
            key_file = "{tmp_path / "key"}"
            streams = ["cam"]
            [apps.live.push.off]
            url = "rtmp://127.0.0.1:{origin.port("rtmp")}/off/{{name}}"
            enabled = false
            [apps."live/other".push]
            copy.enabled = false
            """
        )
        (tmp_path / "key").write_text("s3cret\n")
        with rtmpd(environment={"RTMPD_CONFIG": str(settings)}) as server:
            with (
                bundled().publish(clip(H264_AAC), server.url("cam"), loop=True),
                bundled().publish(clip(H264_AAC), server.url("other"), loop=True),
            ):
                server.wait_for_live(server.url("other"))
                server.wait_for_metric("rtmpd_relays", lambda value: value == 2, kind="push", state="live")
                origin.wait_for_live(origin.url("s3cret", "platform"))
                origin.wait_for_live(origin.url("cam", "copy"))
                listed = request(server, "GET", "/api/v1/relays")
                assert isinstance(listed, dict)
                relays = {(relay["name"], relay["id"], relay["state"]) for relay in listed["items"]}
                assert relays == {("cam", "copy", "live"), ("cam", "platform", "live")}
                labels = {
                    "kind": "push",
                    "app": "live",
                    "stream": "cam",
                    "relay": "platform",
                    "state": "live",
                }
                remote = f"rtmp://127.0.0.1:{origin.port('rtmp')}/platform"
                assert server.metric("rtmpd_relay_state", remote=remote, **labels) == 1
            server.log.wait_for({"event": "push ended", "relay": "platform"})
            assert "s3cret" not in str(server.log) + server.get("/metrics")
            assert_clean_exit(server)


def test_a_server_that_ends_says_goodbye_to_its_targets(clip: ClipMaker) -> None:
    with rtmpd() as origin, rtmpd(f"apps.live.push={origin.url('{name}')}") as server:
        with bundled().publish(clip(H264_AAC), server.url("cam"), loop=True):
            origin.wait_for_live(origin.url("cam"))
            assert_clean_exit(server)
        origin.log.wait_for({"event": "publish ended", "reason": "finished"})
