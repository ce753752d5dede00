"""What ``rtmpd status`` says, of the answers of the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

_TITLES: Final = ("stream", "state", "for", "video", "audio", "kbit/s", "fps", "players", "also")


def lines(server: dict[str, Any], streams: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The server in a line, a table of its streams, and below each what is wrong with it."""
    totals = server["totals"]
    yield f"rtmpd {server['version']} ({server['form']}), up for {spell_time(server['uptime_seconds'])}" + (
        "" if server["ready"] else f"; takes nobody: {server['unready_reason']}"
    )
    yield (
        f"publishers {totals['publishers']}, players {totals['players']}, bans {totals['bans']}, "
        f"in {spell_bytes(totals['bytes_in'])}, out {spell_bytes(totals['bytes_out'])}"
    )
    yield from spell_predecessor(server.get("predecessor"))
    state = server["state"]
    if state is not None and not state["writable"]:
        yield f"! what should outlive a restart is not stored: {state['reason']}"
        yield f"  {state['problem']}"
    yield ""
    if not streams:
        yield "No streams."
        return
    now = datetime.now(UTC)
    rows = [_TITLES, *(_row(stream, now) for stream in streams)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    for row, stream in zip(rows, (None, *streams), strict=True):
        yield "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for warning in stream["warnings"] if stream is not None else ():
            yield f"  ! {warning['text']}"
            yield f"    {warning['remedy']}"


def spell_predecessor(before: dict[str, Any] | None) -> Iterator[str]:
    """What is left of the process that the server has taken over from; its streams are marked by a star.

    A server that is older than this command has no such answer.
    """
    if before is None:
        return
    name = f"process {before['pid']} before this one (rtmpd {before['version']})"
    if before["problem"]:
        yield f"! {name} serves who stayed there: {before['problem']}"
        return
    until = f", until {before['until'][11:16]} UTC at the latest" if before["until"] else ""
    yield f"* {name} has publishers {before['publishers'] or 0}, players {before['players'] or 0}{until}"


def spell_state(stream: dict[str, Any]) -> str:
    """What its players have, with a star where the process before has it.

    A server that is older than this command knows of no slates.
    """
    state = "slate" if stream.get("slate") else str(stream["state"])
    return f"{state}*" if stream.get("carried_by") == "predecessor" else state


def spell_also(stream: dict[str, Any]) -> str:
    """Such as ``rec -30s``: it is recorded, and shown so much later; empty if it is neither."""
    delay = float(stream["delay_seconds"])
    return " ".join([*["rec"] * bool(stream["recorded"]), *[f"-{delay:g}s"] * bool(delay)])


def spell_time(seconds: float, most: int = 2) -> str:
    """Such as ``42 s``, ``3 min 20 s`` or ``5 d 2 h``: its largest parts."""
    parts: list[str] = []
    rest = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:most])


def spell_lasted(stream: dict[str, Any], now: datetime, most: int = 2) -> str:
    """For how long a stream has been on air or held; empty if it is neither."""
    since = stream["since"] or stream["held_since"]
    if not since:
        return ""
    return spell_time(max((now - datetime.fromisoformat(since)).total_seconds(), 0.0), most)


def _row(stream: dict[str, Any], now: datetime) -> tuple[str, ...]:
    video, audio = stream["video"], stream["audio"]
    size = f" {video['width']}x{video['height']}" if video and video["width"] else ""
    bits = sum(medium["bits_per_second_10s"] for medium in (video, audio) if medium)
    return (
        f"{stream['app']}/{stream['name']}",
        spell_state(stream),
        spell_lasted(stream, now),
        f"{video['codec'] or '?'}{size}" if video else "-",
        (audio["codec"] or "?") if audio else "-",
        f"{bits / 1000:.0f}" if video or audio else "-",
        f"{video['frames_per_second']:.1f}" if video else "-",
        str(stream["players"]),
        spell_also(stream),
    )


def spell_bytes(size: float) -> str:
    """Such as ``999 bytes`` or ``1.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
