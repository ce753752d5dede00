"""Series of finished recordings, of the room that there is for them, and of what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from rtmpd.metrics.families import Family

if TYPE_CHECKING:
    from rtmpd.outputs.afterwork import Afterwork
    from rtmpd.outputs.catalog import Catalog
    from rtmpd.outputs.housekeeping import Housekeeping


class Shelf(Protocol):
    """What is read of them; ``rtmpd.daemon.shelf_side.ShelfSide`` is one."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def housekeeping(self) -> Housekeeping: ...

    @property
    def afterwork(self) -> Afterwork: ...


def collect_shelf(shelf: Shelf | None, wall_clock: Callable[[], float]) -> Iterator[Family]:
    """All of it; nothing where no setting names a folder of recordings."""
    if shelf is None:
        return
    yield from _folders(shelf.housekeeping)
    yield from _work(shelf, wall_clock())


def _folders(house: Housekeeping) -> Iterator[Family]:
    from rtmpd.outputs.afterwork_words import RemovalFailure, RemovalReason

    stats = house.stats
    folder = ("folder",)
    yield _by_folder(
        "rtmpd_recordings_folder_free_bytes",
        "What the file system of the folder has left.",
        {root: room.free for root, room in stats.rooms.items()},
    )
    yield _by_folder(
        "rtmpd_recordings_folder_total_bytes",
        "How large the file system of the folder is.",
        {root: room.total for root, room in stats.rooms.items()},
    )
    yield _by_folder("rtmpd_recordings_folder_files", "Finished files in the folder.", stats.files)
    yield _by_folder("rtmpd_recordings_folder_bytes", "Size of these files together.", stats.bytes)
    text = "1 if the folder of recordings could be looked at when that was tried last, else 0."
    readable = Family("gauge", "rtmpd_recordings_folder_readable", text, folder)
    for root in house.roots:
        readable.add((root,), float(root not in stats.unreadable))
    yield readable
    yield Family(
        "counter", "rtmpd_recordings_removed", "Recorded files that were removed, by why.", ("reason",)
    ).with_table(stats.removed, RemovalReason)
    yield Family(
        "counter",
        "rtmpd_recordings_remove_failures",
        "Times that a file could not be removed, by why.",
        ("reason",),
    ).with_table(stats.failures, RemovalFailure)


def _by_folder(name: str, text: str, values: Mapping[str, int]) -> Family:
    return Family("gauge", name, text, ("folder",)).with_table(values)


def _work(shelf: Shelf, now: float) -> Iterator[Family]:
    from rtmpd.outputs.afterwork_words import AfterworkFailure

    stats = shelf.afterwork.stats
    waiting = dict.fromkeys(stats.running, 0)
    oldest = dict.fromkeys(stats.running, 0.0)
    for entry in shelf.catalog.waiting():
        if entry.known is not None and entry.known.step in waiting:
            step = entry.known.step
            waiting[step] += 1
            oldest[step] = max(oldest[step], now - entry.changed_at)
    step_label = ("step",)
    yield Family(
        "gauge", "rtmpd_recording_jobs_waiting", "Files that wait for a step, or are in it.", step_label
    ).with_table(waiting)
    yield Family(
        "gauge",
        "rtmpd_recording_jobs_oldest_seconds",
        "How long ago the file was finished that waits longest for the step.",
        step_label,
    ).with_table({step: round(seconds) for step, seconds in oldest.items()})
    yield Family(
        "gauge", "rtmpd_recording_jobs_running", "Processes that do a step now.", step_label
    ).with_table(stats.running)
    yield Family(
        "counter", "rtmpd_recording_jobs_done", "Files with which a step was done.", step_label
    ).with_table(stats.done)
    yield Family(
        "counter", "rtmpd_recording_jobs_bytes", "Size of the files that were made, or stored.", step_label
    ).with_table(stats.bytes)
    failures = Family(
        "counter",
        "rtmpd_recording_jobs_failures",
        "Attempts at a step that failed, by why.",
        ("step", "reason"),
    )
    for step in stats.running:
        for reason in AfterworkFailure:
            failures.add((str(step), str(reason)), stats.failures.get((step, reason), 0))
    yield failures
