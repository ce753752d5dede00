"""Playlists and media judged by programs that others have written."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ffmpeg import bundled
from media_clips import H264_AAC, HEVC_AAC, Recipe, make_clip
from npm import install
from packaging_kit import Studio, whole
from tools import find_tool, missing

from rtmpd.media.flv import FlvReader
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stream_package import StreamPackage
from rtmpd.rtmp.messages import Message

HLS_PARSER = "hls-parser@0.16.1"
JUDGE = """
const HLS = require("hls-parser");
HLS.setOptions({ strictMode: true, silent: false });
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
for (const text of texts) {
  const parsed = HLS.parse(text);
  if (!parsed.isMasterPlaylist && parsed.segments.length === 0) throw new Error("nothing in it");
}
console.log(texts.length);
"""


def play(studio: Studio, path: Path, loops: int, texts: list[str] | None = None) -> StreamPackage:
    """A file, again and again, as an encoder sends it; whoever watches asks for playlists all the time."""
    publication, tags = studio.house.publish(), FlvReader().receive_data(path.read_bytes())
    begin, length = studio.house.loop.now, tags[-1].timestamp + 40
    package: StreamPackage | None = None
    for number in range(loops):
        for tag in tags:
            time = number * length + tag.timestamp
            studio.house.loop.now = max(studio.house.loop.now, begin + time / 1000)
            message = Message(tag.type, time, 1, tag.payload)
            publication.receive(message, studio.house.loop.now)
            studio.house.loop.run(studio.house.loop.now)
            package = studio.package()
            multivariant = package.multivariant()
            if texts is not None and multivariant is not None and tag.type == 9:
                texts.append(multivariant.plain.decode())
                for rendition in package.renditions:
                    texts += [rendition.playlist(skip).plain.decode() for skip in (False, True)]
    assert package is not None
    return package


@pytest.mark.interop
def test_a_strict_parser_has_no_complaint(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    npm, node = find_tool("npm"), find_tool("node")
    try:
        modules = install(npm, pytestconfig.cache.mkdir("npm"), HLS_PARSER)
    except (OSError, subprocess.SubprocessError) as error:
        missing(f"npm cannot install {HLS_PARSER}: {error}")
    texts: list[str] = []
    play(Studio(HlsRules(segment=1.0)), make_clip(H264_AAC, tmp_path), 5, texts)
    ladder = Studio(HlsRules(segment=1.0)).replay("obs32/obs32-multitrack-pub")
    for rendition in ladder.renditions:
        texts += [rendition.playlist(skip).plain.decode() for skip in (False, True)]
    assert len(set(texts)) > 100
    judged = subprocess.run(
        [node, "-e", JUDGE],
        input=json.dumps(list(dict.fromkeys(texts))),
        cwd=modules.parent,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (judged.returncode, judged.stderr) == (0, "")


@pytest.mark.parametrize("recipe", [H264_AAC, HEVC_AAC], ids=lambda recipe: recipe.name)
def test_segments_put_together_are_what_the_encoder_sent(tmp_path: Path, recipe: Recipe) -> None:
    clip, made = make_clip(recipe, tmp_path), tmp_path / "made.mp4"
    studio = Studio(HlsRules(segment=1.0))
    play(studio, clip, 1)
    made.write_bytes(whole(studio.main()))
    sent, got = bundled().packets(clip), bundled().packets(made)
    for media in ("video", "audio"):
        payloads = got.payloads(media)
        assert len(payloads) > 50
        assert payloads == sent.payloads(media)[: len(payloads)]
    assert bundled().count_frames(made)["video"] == len(got.of("video"))
