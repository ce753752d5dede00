"""rtmpd: an RTMP live ingest server, and the RTMP library it is built on."""

__version__ = "0.1.0"
