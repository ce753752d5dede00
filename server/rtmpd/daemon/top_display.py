"""What ``rtmpd top`` shows of its figures: lines for a terminal of any size, and plain ones for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.cells import set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from rtmpd.daemon.client_command import rate_text
from rtmpd.daemon.status_text import spell_also, spell_lasted, spell_predecessor, spell_state, spell_time
from rtmpd.daemon.top_figures import Course, Figures, Order, Stream, bitrate, name_of, sparkline

_NAME: Final = (12, 48)
"""Cells of a name: at least, at most."""
_BARS: Final = (8, 120)
_MOST_LINES: Final = 2
"""That a sentence about a stream may take."""
_KEYS: Final = "q quit  b bitrate  n name  p players  d drops  h health"
_SCROLL: Final = "  ↑↓ scroll"
_STATE_STYLES: Final = {"live": "green", "holding": "yellow", "slate": "yellow", "idle": "dim"}


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of every stream."""

    title: str
    width: int
    right: bool
    wanted_from: int
    """Cells that a terminal has to have for it."""


_FIGURES: Final = (
    Column("STATE", 8, False, 34),
    Column("FOR", 6, True, 66),
    Column("KBIT/S", 7, True, 0),
    Column("FPS", 5, True, 50),
    Column("PLAYERS", 7, True, 0),
    Column("DROPS", 7, True, 58),
    Column("HEALTH", 6, False, 42),
    Column("ALSO", 9, False, 90),
)
"""In this order, the sparkline behind the bitrate."""


class TopScreen:
    """The whole of a terminal, of the size that it has when it is drawn."""

    def __init__(self, figures: Figures, place: str, *, keys: bool) -> None:
        self._figures = figures
        self._place = place
        self._keys = keys
        self.order = Order.BITRATE
        self.first = 0
        """Streams that are scrolled out above."""
        self._shown = 1
        self._now = 0.0

    def scroll(self, streams: int, pages: int = 0) -> None:
        """Down, or up if negative."""
        self.first = max(self.first + streams + pages * self._shown, 0)

    def sort(self, order: Order) -> None:
        """Sorted by this from now on, from its top."""
        self.order, self.first = order, 0

    def at(self, now: float) -> TopScreen:
        """As it is at this clock reading."""
        self._now = now
        return self

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = console.width, options.height or console.height
        lines = self._lines(width, height)
        for number, line in enumerate(lines[:height]):
            line.truncate(width, overflow="ellipsis")
            # A line break at the end of the last one would scroll the first one out.
            line.end = "" if number == height - 1 else "\n"
            yield line

    def _lines(self, width: int, height: int) -> list[Text]:
        figures = self._figures
        head = list(self._head(width))
        if figures.server is None:
            return head
        if not figures.streams:
            return [*head, Text("No streams: nobody publishes, and nobody waits for one.")]
        room = max(height - len(head) - 2, 1)
        found = figures.sorted(self.order)
        self.first = min(self.first, self._last_first(found, width, room))
        body: list[Text] = []
        shown = 0
        for stream in found[self.first :]:
            block = self._block(stream, width)
            if body and len(body) + len(block) > room:
                break
            body += block[:room]
            shown += 1
        self._shown = max(shown, 1)
        body += [Text("")] * (room - len(body))
        return [*head, _titles(width), *body, self._foot(shown, len(found), width)]

    def _last_first(self, found: list[Stream], width: int, room: int) -> int:
        """How far it can be scrolled: to where the end of the list is in sight."""
        lines = 0
        for number in range(len(found) - 1, -1, -1):
            lines += len(self._block(found[number], width))
            if lines > room:
                return min(number + 1, len(found) - 1)
        return 0

    def _head(self, width: int) -> Iterator[Text]:
        figures = self._figures
        if figures.server is not None:
            server, totals = figures.server, figures.server["totals"]
            title = f"rtmpd {server['version']} at {self._place}, up {spell_time(server['uptime_seconds'])}"
            yield Text(title, style="bold")
            parts = [
                f"publishers {totals['publishers']}",
                f"players {totals['players']}",
                f"in {rate_text(totals['bits_per_second_in_10s'])}",
                f"out {rate_text(totals['bits_per_second_out_10s'])}",
            ]
            yield Text("  ".join(parts))
            for text in spell_predecessor(server.get("predecessor")):
                yield Text(text, style="yellow")
            if not server["ready"] and figures.trouble is None:
                yield Text(f"! takes nobody: {server['unready_reason']}", style="yellow")
        else:
            yield Text(f"rtmpd at {self._place}", style="bold")
        if figures.trouble is not None:
            text = figures.trouble
            if figures.server is not None:
                text += f"; these figures are {spell_time(self._now - figures.told_at)} old"
            for line in _wrapped(text, width, "! "):
                line.stylize("bold red")
                yield line
        elif figures.server is None:
            yield Text("asking ...")
        yield Text("")

    def _block(self, stream: Stream, width: int) -> list[Text]:
        """A stream, and what is wrong with it."""
        lines = [self._row(stream, width)]
        for warning in stream["warnings"]:
            for text, mark in ((warning["text"], "  ! "), (warning["remedy"], "    ")):
                said = _wrapped(text, width, mark)[:_MOST_LINES]
                for line in said:
                    line.stylize("yellow")
                lines += said
        return lines

    def _row(self, stream: Stream, width: int) -> Text:
        course = self._figures.courses.get(name_of(stream)) or Course()
        bits = bitrate(stream, "10s")
        state = spell_state(stream)
        cells = {
            "STATE": (state, _STATE_STYLES.get(state.rstrip("*"), "")),
            "FOR": (spell_lasted(stream, datetime.now(UTC), most=1), "dim"),
            "KBIT/S": (f"{bits / 1000:.0f}" if stream["video"] or stream["audio"] else "-", ""),
            "FPS": (f"{stream['video']['frames_per_second']:.1f}" if stream["video"] else "-", ""),
            "PLAYERS": (str(stream["players"]), ""),
            "DROPS": (_count(stream["dropped"]), "bold red" if course.loses else ""),
            "HEALTH": _health(stream),
            "ALSO": (spell_also(stream), "dim"),
        }
        name, bars = _widths(width)
        row = Text(set_cell_size(_cut(name_of(stream), name), name), style=_faded(self._figures))
        for column in _columns(width):
            text, style = cells[column.title]
            row.append(" ").append(_placed(text, column), style=style)
            if column.title == "KBIT/S" and bars:
                row.append(" ").append(sparkline(course.rates, bars), style="cyan")
        return row

    def _foot(self, shown: int, total: int, width: int) -> Text:
        place = f"{self.first + 1}-{self.first + shown} of {total}, by {self.order}"
        if not self._keys:
            return Text(place, style="dim")
        room = width - len(place) - 2
        keys = _KEYS + (_SCROLL if room >= len(_KEYS + _SCROLL) else "")
        return Text(f"{_cut(keys, room)}  {place}" if room >= len(_KEYS) // 2 else place, style="dim")


def plain(figures: Figures, order: Order) -> Iterator[str]:
    """A line of titles, and one for each stream: what a program reads, or a person after the fact."""
    titles = ("stream", "state", "kbit/s", "fps", "players", "drops", "also", "health")
    rows = [titles, *map(_plain_row, figures.sorted(order))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    for row in rows:
        yield "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def _plain_row(stream: Stream) -> tuple[str, ...]:
    return (
        name_of(stream),
        spell_state(stream),
        f"{bitrate(stream, '10s') / 1000:.0f}",
        f"{stream['video']['frames_per_second']:.1f}" if stream["video"] else "-",
        str(stream["players"]),
        str(stream["dropped"]),
        spell_also(stream) or "-",
        ",".join(warning["kind"] for warning in stream["warnings"]) or _health(stream)[0] or "-",
    )


def _faded(figures: Figures) -> str:
    return "" if figures.trouble is None else "dim"


def _columns(width: int) -> list[Column]:
    return [column for column in _FIGURES if width >= column.wanted_from]


def _widths(width: int) -> tuple[int, int]:
    """Cells of the name, and of the sparkline, which is left out where it would say nothing."""
    rest = width - sum(column.width + 1 for column in _columns(width))
    bars = min(rest * 2 // 5 - 1, _BARS[1])
    bars = bars if bars >= _BARS[0] and rest - bars - 1 >= _NAME[0] else 0
    name = min(max(rest - (bars + 1 if bars else 0), 1), _NAME[1])
    return name, min(rest - name - 1, _BARS[1]) if bars else 0


def _titles(width: int) -> Text:
    name, bars = _widths(width)
    row = Text(set_cell_size("STREAM", name))
    for column in _columns(width):
        row.append(" ").append(_placed(column.title, column))
        if column.title == "KBIT/S" and bars:
            row.append(" " * (bars + 1))
    row.stylize("reverse")
    return row


def _placed(text: str, column: Column) -> str:
    text = _cut(text, column.width)
    return text.rjust(column.width) if column.right else text.ljust(column.width)


def _cut(text: str, width: int) -> str:
    """In so many cells, and said if it is not all."""
    line = Text(text)
    line.truncate(max(width, 1), overflow="ellipsis")
    return line.plain


def _wrapped(text: str, width: int, mark: str) -> list[Text]:
    """In lines of so many cells, the first behind ``mark`` and the others as far in."""
    console = Console(width=max(width, 1), color_system=None)
    lines = Text("".join(filter(str.isprintable, text))).wrap(console, max(width - len(mark), 8))
    return [
        Text(mark if number == 0 else " " * len(mark)).append_text(line) for number, line in enumerate(lines)
    ]


def _health(stream: Stream) -> tuple[str, str]:
    number = len(stream["warnings"])
    if number:
        return f"! {number}", "bold yellow"
    return ("ok", "green") if stream["state"] == "live" else ("", "")


def _count(number: int) -> str:
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)
