"""Call a server's method, then print what it says unasked: events.py rtmp://localhost/live"""

import asyncio
import sys

import rtmpd


async def main(url: str) -> None:
    async with await rtmpd.connect(url) as connection:
        print("server:", connection.info.fms_ver, connection.info.four_cc_list)
        try:
            print("length:", await connection.call("getStreamLength", "demo"))
        except rtmpd.CallFailed as error:
            print("refused:", error.code, error.description)
        async for event in connection.events():
            if isinstance(event, rtmpd.ReconnectRequested):
                print("the server wants us to go to", event.tc_url)
                break
            print(event)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1]))
