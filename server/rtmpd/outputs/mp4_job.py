"""An FLV file as an MP4 file that plays while it loads: a process of its own, with PyAV (``rtmpd[mp4]``).

Nothing is encoded anew. The MP4 file gets its name when it is whole, and was looked at.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rtmpd.outputs.afterwork_words import AfterworkFailure
from rtmpd.outputs.folder_scan import lock_whole, open_to_read
from rtmpd.outputs.job import JobFailed, Report, main

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

_SAY_EVERY: Final = 5.0
_MEMORY: Final = 2 * 1024**3
"""Bytes that the process may use; a frame takes about 70, so days of them fit."""
_SPARE: Final = 64 * 1024 * 1024
"""Bytes that are to be free on the disk beside the file and what recordings want left."""
_TOLERANCE: Final = 2.0
"""Seconds, or a hundredth if that is more, that an MP4 file may be shorter: the last frame of each medium has
no end in FLV."""
_PROBE: Final = {"probesize": "50000000", "analyzeduration": "30000000"}
"""A medium may begin late."""


def remux(job: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Make ``job["target"]`` of ``job["source"]``. Raises JobFailed."""
    source, target = Path(job["source"]), Path(job["target"])
    try:
        import av
    except ImportError:
        text = "PyAV is not installed: pip install 'rtmpd[mp4]'"
        raise JobFailed(AfterworkFailure.NOT_INSTALLED, text) from None
    av.logging.set_level(None)
    unfinished = target.with_name(f"{target.name}.tmp")
    held = ours = -1
    try:
        held = open_to_read(str(source))
        _check_room(source, target, _SPARE + job["spare"])
        ours = _begin(unfinished)
        try:
            wanted = _copy(source, unfinished, report)
            _sync(unfinished)
            duration = _check(unfinished, wanted)
            unfinished.chmod(stat.S_IMODE(os.fstat(held).st_mode))
        except av.FFmpegError as error:
            raise _explained(error, source) from None
        size = unfinished.stat().st_size
        unfinished.rename(target)
        _sync(target.parent)
    except FileNotFoundError:
        raise JobFailed(AfterworkFailure.GONE, f"{source.name} is not there any more") from None
    except OSError as error:
        reason = AfterworkFailure.FULL if error.errno == errno.ENOSPC else AfterworkFailure.DISK
        raise JobFailed(reason, f"the disk says: {error.strerror or error}") from None
    finally:
        if ours >= 0:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            os.close(ours)
        if held >= 0:
            os.close(held)
    return {"duration": duration, "size": size}


def _begin(unfinished: Path) -> int:
    """A descriptor of it, by which it is ours alone. Raises JobFailed and OSError."""
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        lock_whole(descriptor)
        # Who had it may have given it its name meanwhile.
        if os.path.samestat(os.fstat(descriptor), unfinished.lstat()):
            return descriptor
    os.close(descriptor)
    raise JobFailed(AfterworkFailure.BUSY, "another server makes the same file just now")


def _check_room(source: Path, target: Path, spare: int) -> None:
    size, free = source.stat().st_size, shutil.disk_usage(target.parent).free
    if free < size + spare:
        text = f"an MP4 file takes about {size} bytes, and of the {free} that are free {spare} stay so"
        raise JobFailed(AfterworkFailure.FULL, text)


def _copy(source: Path, unfinished: Path, report: Report) -> float:
    """How long it is to be (s)."""
    import av

    with av.open(str(source), options=_PROBE) as read:
        media = [each for each in read.streams if each.type in ("video", "audio")]
        if not media:
            raise JobFailed(AfterworkFailure.UNREADABLE, f"{source.name} holds neither video nor audio")
        with av.open(str(unfinished), "w", format="mp4", options={"movflags": "+faststart"}) as written:
            _check_codecs(media, written)
            # The end of each medium, on the clock of the file.
            first, last = _mux(read, written, media, report)
    return max(last - first, 0.0)


def _check_codecs(media: list[Stream], written: OutputContainer) -> None:
    held = written.supported_codecs
    for each in media:
        name = each.codec_context.name if each.codec_context is not None else "a codec that nobody knows"
        codec = each.codec_context.codec.canonical_name if each.codec_context is not None else name
        if codec not in held and name not in held:
            text = f"MP4 cannot hold {codec}, which its {each.type} is in: the FLV file stays as it is"
            raise JobFailed(AfterworkFailure.CODEC, text)


def _mux(
    read: InputContainer, written: OutputContainer, media: list[Stream], report: Report
) -> tuple[float, float]:
    """When the first frame begins, and the last (s)."""
    outs = {each.index: _like(written, each) for each in media}
    earlier: dict[int, int] = {}
    first, last, said_at = float("inf"), 0.0, time.monotonic()
    for packet in read.demux(media):
        if packet.dts is None or packet.time_base is None:  # The last one, which is empty.
            continue
        index = packet.stream.index
        # FLV may have two frames of a medium at one time, and MP4 may not.
        packet.dts = earlier[index] = max(packet.dts, earlier.get(index, packet.dts - 1) + 1)
        packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
        begin = float(packet.dts * packet.time_base)
        first, last = min(first, begin), max(last, begin)
        packet.stream = outs[index]
        written.mux_one(packet)
        if time.monotonic() - said_at > _SAY_EVERY:
            said_at = time.monotonic()
            report({"at": last})
    return min(first, last), last


def _like(written: OutputContainer, stream: Stream) -> Stream:
    """A medium as it comes: nothing here could encode it."""
    made = written.add_stream_from_template(stream, opaque=True)
    if stream.codec_context.name == "hevc":
        # The name under which Apple's players take it; FLV has its parameter sets where that wants them.
        made.codec_context.codec_tag = "hvc1"
    return made


def _check(path: Path, wanted: float) -> float:
    """How long it is (s). Raises JobFailed if that is not as long as it is to be."""
    import av

    with av.open(str(path)) as found:
        duration = (found.duration or 0) / av.time_base
        if not any(each.type in ("video", "audio") for each in found.streams):
            raise JobFailed(AfterworkFailure.DIFFERS, "the MP4 file holds neither video nor audio")
    if duration < wanted - max(_TOLERANCE, wanted / 100):
        text = f"the MP4 file lasts {duration:.1f} s, where {wanted:.1f} s were to be"
        raise JobFailed(AfterworkFailure.DIFFERS, text)
    return duration


def _explained(error: Any, source: Path) -> JobFailed:
    if isinstance(error, FileNotFoundError):
        return JobFailed(AfterworkFailure.GONE, f"{source.name} is not there any more")
    if error.errno == errno.ENOMEM:
        return JobFailed(AfterworkFailure.UNREADABLE, f"{source.name} takes more memory than there is for it")
    if error.errno == errno.ENOSPC:
        return JobFailed(AfterworkFailure.FULL, "the disk is full")
    if isinstance(error, OSError) and 0 < (error.errno or 0) < 200 and type(error).__module__ == "builtins":
        return JobFailed(AfterworkFailure.DISK, f"the disk says: {error.strerror}")
    return JobFailed(AfterworkFailure.UNREADABLE, f"{source.name} cannot be read: {error.strerror}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    # It reads what encoders have sent, whoever they are.
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    main(lambda job, report: remux(job, report))
