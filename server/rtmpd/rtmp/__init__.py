"""Sans-I/O RTMP: bytes and a clock reading in, events and bytes out (Adobe RTMP 1.0, Enhanced RTMP v2)."""
