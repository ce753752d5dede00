"""Publish an FLV file and play it back: publish_and_play.py rtmp://localhost/live/demo clip.flv"""

import asyncio
import sys
from pathlib import Path

import rtmpd
from rtmpd.media.flv import FlvReader


async def main(url: str, clip: bytes) -> int:
    async with await rtmpd.connect(url) as source, await rtmpd.connect(url) as sink:
        player = await sink.play()
        async with await source.publish() as stream:
            for tag in FlvReader().receive_data(clip):
                await stream.send(tag.type, tag.payload, tag.timestamp)
        packets = [packet async for packet in player]
        print(f"{len(packets)} packets came back, the last one at {packets[-1].timestamp} ms")
        return len(packets)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
