"""A process that reads an FLV file with a key frame from its input and writes it as a JPEG.

Apart from the server, so that what a broken stream does to a decoder is done to this.
"""

from __future__ import annotations

import io
import resource
import sys
from fractions import Fraction
from typing import Final

_SECONDS: Final = 8
_MEMORY: Final = 2 * 1024 * 1024 * 1024
_QUALITY: Final = "4"
"""Of mjpeg: 2 is best, 31 worst."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    import av

    data = sys.stdin.buffer.read()
    with av.open(io.BytesIO(data), "r", format="flv") as source:
        stream = source.streams.video[0]
        stream.codec_context.thread_count = 1
        frame = next(frame for packet in source.demux(stream) for frame in packet.decode())
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qscale": _QUALITY}
    still = frame.reformat(format="yuvj420p")
    still.pts = 0
    still.pict_type = 0
    for packet in [*encoder.encode(still), *encoder.encode(None)]:
        sys.stdout.buffer.write(bytes(packet))


if __name__ == "__main__":
    main()
