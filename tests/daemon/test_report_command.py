"""``rtmpd report``, against real servers and the files that they leave."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rtmpd_process import rtmpd
from typer.testing import CliRunner, Result

from rtmpd.daemon import cli
from rtmpd.state.rows import MinuteRow
from rtmpd.state.store import Store, StoreRules


def report(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["report", *arguments])


TODAY = datetime.now(UTC).astimezone().date()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Today an hour of two streams, the day before one of another."""
    folder = tmp_path_factory.mktemp("state")
    store = Store(folder, StoreRules(), lambda _: None)
    store.start()
    noon = int(datetime.now(UTC).astimezone().replace(hour=12, minute=0, second=0).timestamp())
    for app, name, days, players in (
        ("", "", 0, 30),
        ("live", "show", 0, 20),
        ("live", 'odd,"name"', 0, 10),
        ("=evil()", "@SUM(A1)", 9, 1),
        ("", "", 1, 5),
        ("live", "show", 1, 5),
    ):
        hour = noon - days * 86_400
        of_files = 450.0 if name == "show" and not days else 0.0
        figures = players, players * 1800.0, 3600.0, 10**8, 10**9, of_files
        store.add(MinuteRow(hour, hour // 60, app, name, *figures))
    assert store.settled().result(10)
    store.close(10)
    return folder


def test_a_table_fits_a_terminal_and_is_the_same_with_a_server_and_without(folder: Path) -> None:
    place = ("--set", f"state.dir={folder}")
    with rtmpd(f"state.dir={folder}") as server:
        asked = report("--set", f"admin.listen=127.0.0.1:{server.port('admin')}", *place)
        assert (asked.exit_code, asked.stderr) == (0, "")
        refused = report(
            "--set", f"admin.listen=127.0.0.1:{server.port('admin')}", *place, "--to", "1999-01-01"
        )
        assert refused.stderr == "rtmpd: no days before 2000-01-01 or after 2999-12-31 are told of\n"
    read = report("--set", "admin.listen=127.0.0.1:1", *place)
    assert read.stderr == (
        f"rtmpd: 127.0.0.1:1 does not answer: Connection refused; this is read from {folder}/state.sqlite3\n"
    )
    assert read.stdout == asked.stdout
    before = TODAY - timedelta(days=1)
    zone = f"{datetime.now(UTC).astimezone():%Z}"
    assert asked.stdout.splitlines() == [
        "day         peak  average  watched  on air  files        in     out  stream",
        f"{before}     5      2.5    150.0    60.0    0.0  100.0 MB  1.0 GB  live/show",
        f'{TODAY}    10      5.0    300.0    60.0    0.0  100.0 MB  1.0 GB  live/odd,"name"',
        "              20     10.0    600.0    60.0    7.5  100.0 MB  1.0 GB  live/show",
        "all           30      8.8   1050.0   180.0    7.5  300.0 MB  3.0 GB",
        "",
        f"Watched, on air and files: minutes. Peak and average: players. Days: {zone}.",
    ]


def test_programs_and_spreadsheets_read_it_too(folder: Path) -> None:
    place = ("--set", f"state.dir={folder}", "--set", "admin.listen=127.0.0.1:1")
    rows = list(csv.DictReader(io.StringIO(report("--csv", "--from", str(TODAY), *place).stdout)))
    assert [(row["day"], row["name"], row["peak_players"]) for row in rows] == [
        (str(TODAY), 'odd,"name"', "10"),
        (str(TODAY), "show", "20"),
    ]
    # Nothing that an encoder calls itself is a formula.
    day = str(TODAY - timedelta(days=9))
    (row,) = csv.DictReader(io.StringIO(report("--csv", "--from", day, "--to", day, *place).stdout))
    assert (row["app"], row["name"]) == ("'=evil()", "'@SUM(A1)")
    told = json.loads(report("--json", "--stream", "live/show", *place).stdout)
    assert (told["total"], told["totals"]["player_minutes"], told["next"]) == (2, 750.0, None)
    assert report("--to", "2020-01-01", *place).stdout == ("Nothing is known of 2019-12-26 to 2020-01-01.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--from", "yesterday"], 2, "yesterday is no day: write it as 2026-11-26"),
        (["--csv", "--json"], 2, "--json means nothing beside --csv"),
        (["--set", "state.dir=/nowhere"], 1, "rtmpd: 127.0.0.1:1 does not answer: Connection refused\n"),
        (
            ["--from", "2026-02-01", "--to", "2026-01-01"],
            1,
            "2026-02-01 to 2026-01-01: give the first day first",
        ),
        (["--set", "state.keep_audit_days=0"], 78, "state.keep_audit_days"),
    ],
)
def test_what_cannot_be_told_is_said(folder: Path, arguments: list[str], code: int, said: str) -> None:
    result = report("--set", f"state.dir={folder}", "--set", "admin.listen=127.0.0.1:1", *arguments)
    assert result.exit_code == code
    assert said in result.stderr.replace("\n│ ", " ")


def test_a_list_of_several_parts_is_told_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.daemon.report_command._PART", "1")
    place = ("--set", f"state.dir={folder}", "--set", "admin.listen=127.0.0.1:1")
    assert len(json.loads(report("--json", *place).stdout)["items"]) == 3
