"""What the README shows works as it is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from client_kit import AAC_HEADER, AVC_HEADER, keyframe, real_server
from command_kit import run_here

from rtmpd.media import flv

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


async def test_the_ten_lines_of_python() -> None:
    (source,) = blocks("python")
    assert len([line for line in source.splitlines() if line]) <= 10
    names: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec", dont_inherit=True), names)
    tags = [(9, 0, AVC_HEADER), (8, 0, AAC_HEADER), *((9, 40 * n, keyframe(bytes(1000))) for n in range(50))]
    clip = flv.encode_header(True, True) + b"".join(flv.encode_tag(*tag) for tag in tags)
    async with real_server() as port:
        packets = await names["publish_and_play"](f"rtmp://127.0.0.1:{port}/live/demo", clip)
    media = [(packet.type, packet.timestamp, packet.payload) for packet in packets if packet.type in (8, 9)]
    assert media == tags


def test_every_command_exists_with_its_options() -> None:
    lines = [line for block in blocks("") for line in block.splitlines() if "rtmpd " in line]
    shown = {
        (line.split()[1], *re.findall(r"(?<= )-{1,2}[a-z]+", line))
        for line in lines
        if line.startswith("rtmpd")
    }
    assert {"publish", "play", "probe", "bench", "serve", "check"} <= {command for command, *_ in shown}
    for command, *options in shown:
        arguments = [command, "play"] if command == "bench" else [command]
        status, text, _ = run_here(*arguments, "--help")
        assert status == 0
        for option in options:
            assert option in shlex.split(text.replace("'", "").replace('"', "").replace(",", " ")), option
