"""Live media for browsers: HLS of streams, in segments and parts, and fragments of MP4 for MediaSource."""
