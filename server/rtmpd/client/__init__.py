"""The client library: what ``rtmpd.connect`` returns, on asyncio."""
