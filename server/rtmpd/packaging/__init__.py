"""Live media for browsers: HLS of streams, in segments and parts."""
