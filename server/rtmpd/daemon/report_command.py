"""``rtmpd report``: who watched how much, asked of the server that runs here, or read from its file."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

import typer

from rtmpd.daemon.asked_server import ServerUrl, TokenFile, reach, refusals_told, say
from rtmpd.daemon.config_options import Assignments, ConfigPaths, mistakes_told, parse_path
from rtmpd.daemon.control_command import AsJson

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort
    from rtmpd.state.report import UsagePart, Wanted

_PART: Final = "1000"
_COLUMNS: Final = (
    "day",
    "app",
    "name",
    "peak_players",
    "average_players",
    "player_minutes",
    "publish_minutes",
    "file_minutes",
    "bytes_in",
    "bytes_out",
)
"""Of the list for spreadsheets, as the API calls them."""
_TITLES: Final = ("day", "peak", "average", "watched", "on air", "files", "in", "out", "stream")


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no day: write it as 2026-11-26") from None


def report(
    first: Annotated[
        date | None,
        typer.Option("--from", metavar="DAY", parser=_parse_day, help="First day, such as 2026-11-01."),
    ] = None,
    last: Annotated[
        date | None,
        typer.Option("--to", metavar="DAY", parser=_parse_day, help="Last day; without it today."),
    ] = None,
    stream: Annotated[
        str | None, typer.Option(metavar="APP/STREAM", parser=parse_path, help="Only this stream.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print lines for spreadsheets.")] = False,
    as_json: AsJson = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Show who watched how much, by day and stream: of the last seven days, if nothing else is said."""
    if as_csv and as_json:
        raise typer.BadParameter("--json means nothing beside --csv: leave out one of them")
    wanted = {"first_day": first, "last_day": last, "stream": stream}
    query = {name: str(value) for name, value in wanted.items() if value is not None}
    folder = None if url else _state_folder(config, assignments)
    with refusals_told():
        answer = _fetch(lambda: reach(url, token_file, config, assignments), folder, query)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    elif as_csv:
        typer.echo(_csv(answer))
    else:
        for line in lines(answer):
            say(line)


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """A table, its sums, and what they are."""
    if not answer["items"]:
        yield f"Nothing is known of {answer['first_day']} to {answer['last_day']}."
        return
    rows: list[tuple[str, ...]] = [_TITLES]
    day = ""
    for each in answer["items"]:
        rows.append(
            (each["day"] if each["day"] != day else "", *_figures(each), f"{each['app']}/{each['name']}")
        )
        day = each["day"]
    rows.append(("all", *_figures(answer["totals"]), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES) - 1)]
    for row in rows:
        first, *figures, name = row
        cells = [f"{text:>{width}}" for text, width in zip(figures, widths[1:], strict=True)]
        yield "  ".join((f"{first:{widths[0]}}", *cells, name)).rstrip()
    yield ""
    yield f"Watched, on air and files: minutes. Peak and average: players. Days: {answer['time_zone']}."


def _figures(each: dict[str, Any]) -> tuple[str, ...]:
    from rtmpd.daemon.status_text import spell_bytes

    return (
        str(each["peak_players"]),
        f"{each['average_players']:.1f}",
        f"{each['player_minutes']:.1f}",
        f"{each['publish_minutes']:.1f}",
        f"{each['file_minutes']:.1f}",
        spell_bytes(each["bytes_in"]),
        spell_bytes(each["bytes_out"]),
    )


def _csv(answer: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_inert(each[column]) for column in _COLUMNS] for each in answer["items"])
    return text.getvalue().removesuffix("\n")


def _inert(value: Any) -> Any:
    """For a cell of a spreadsheet: encoders choose names, and what begins so is a formula there."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _state_folder(config: ConfigPaths, assignments: Assignments) -> Path | None:
    """Where the server that runs here keeps what outlives a restart, if it has yet kept anything."""
    from rtmpd.daemon import settings
    from rtmpd.state.database import FILE

    with mistakes_told(os.EX_CONFIG):
        loaded = settings.load(config or (), os.environ, assignments or ()).config
    folder = loaded.state.folder(os.environ)
    return folder if folder is not None and (folder / FILE).exists() else None


def _fetch(reached: Callable[[], AdminPort], folder: Path | None, query: dict[str, str]) -> dict[str, Any]:
    """All parts of it in one, out of ``folder`` if no server has them. Raises AdminRequestFailed."""
    from rtmpd.exceptions import AdminRequestFailed
    from rtmpd.state.database import FILE

    def ask(query: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = port.call("GET", f"/report?{urlencode(query)}")
        return answer

    try:
        port = reached()
        return _all(ask, query)
    except AdminRequestFailed as error:
        if error.status == HTTPStatus.BAD_REQUEST or folder is None:
            raise
        say(f"rtmpd: {error}; this is read from {folder / FILE}", err=True)
        return _all(lambda query: _read(folder, query), query)


def _all(ask: Callable[[dict[str, str]], dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """What ``ask`` answers, with all parts of the list."""
    query = {**query, "limit": _PART}
    whole = part = ask(query)
    items = [*part["items"]]
    while part["next"] is not None:
        part = ask({**query, "after": part["next"]})
        items += part["items"]
    return {**whole, "items": items, "next": None}


def _read(folder: Path, query: dict[str, str]) -> dict[str, Any]:
    """What a server would answer that keeps its state in ``folder``. Raises AdminRequestFailed."""
    import time

    from rtmpd.control.actor import Actor
    from rtmpd.control.local_reports import LocalReports
    from rtmpd.control.report_answers import UsageQuery
    from rtmpd.exceptions import AdminRequestFailed, ControlError

    reports = LocalReports(_Resting(folder), time.time)
    try:
        page = asyncio.run(reports.usage(UsageQuery.model_validate(query), Actor()))
    except ControlError as error:
        raise AdminRequestFailed(str(error)) from error
    return page.model_dump(mode="json")


class _Resting:
    """What is stored where no server runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def usage(self, first: date, last: date, wanted: Wanted, after: str | None, most: int) -> UsagePart:
        from rtmpd.state.report import read_usage

        return read_usage(self._folder, first, last, wanted, after, most)
