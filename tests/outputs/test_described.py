from __future__ import annotations

from pathlib import Path

import pytest
from shelf_kit import NOW, put

from rtmpd.outputs.described import described
from rtmpd.outputs.flv_head import (
    HEAD_BYTES,
    KeyframeIndex,
    Told,
    build_head,
    may_be_of,
    payload_of,
    read_head,
)
from rtmpd.outputs.folder_scan import scan


def test_a_recording_says_itself_what_it_is(tmp_path: Path) -> None:
    told = Told("live", "a/b", 3, NOW - 60.5, duration=42_500, size=HEAD_BYTES, video=True)
    mine = put(tmp_path / "mine.flv")
    mine.write_bytes(build_head(told, b"", KeyframeIndex()))
    for name in ("short.flv", "other.flv"):
        put(tmp_path / name, HEAD_BYTES if name == "other.flv" else 9)
    gone = put(tmp_path / "gone.flv")
    files = scan(str(tmp_path), NOW).files
    gone.unlink()
    found = described((str(tmp_path), file) for file in files)
    assert found.keys() == {str(mine)}
    known = found[str(mine)]
    recording = known.recording
    assert (str(recording.key), recording.part, recording.started_at) == ("live/a/b", 3, NOW - 60.5)
    assert (recording.duration, recording.size, known.by_head) == (42.5, HEAD_BYTES, True)


@pytest.mark.parametrize("name", ["x" * 255, "x" * 256, "x" + "\u00fc" * 127 + "y", "\U0001f3a5" * 200])
def test_streams_of_long_names_are_known_again(name: str) -> None:
    head = build_head(Told(name, name, 3, 1.0), b"", KeyframeIndex())
    assert len(head) == HEAD_BYTES
    found = read_head(payload_of(head))
    assert found is not None
    assert (found[0].app, found[0].name, found[0].part) == (name, name, 3)
    assert may_be_of(payload_of(head), name, name)
    assert not may_be_of(payload_of(head), name, f"{name[:-1]}z")
