"""Play a stream from one server and publish it to another: relay.py SOURCE_URL TARGET_URL"""

import asyncio
import sys

import rtmpd


async def main(source_url: str, target_url: str) -> None:
    async with await rtmpd.connect(source_url) as source, await rtmpd.connect(target_url) as target:
        player = await source.play()
        stream = await target.publish()
        async for packet in player:
            await stream.send(packet.type, packet.payload, packet.timestamp)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except rtmpd.ClientError as error:
        sys.exit(f"{error} ({error.code or 'no status'})")
