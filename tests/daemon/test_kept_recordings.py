"""What is known of recordings by the next process."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shelf_kit import SHOW, known

from rtmpd.daemon.kept_recordings import KeptRecordings
from rtmpd.outputs.afterwork_words import Step
from rtmpd.outputs.catalog import Catalog
from rtmpd.state.rows import RecordingRow
from rtmpd.state.tables import Contents

ROOT = Path("/recordings")
ABOUT = replace(known(ROOT / "a.flv", ROOT, Step.UPLOAD), upload_id="u-1", problem="nobody answers")


class Store:
    """What is in the file."""

    def __init__(self) -> None:
        self.rows: dict[str, RecordingRow] = {}

    def keep(self, row: Any, *, at_once: bool) -> None:
        assert at_once is (row.step != "none")
        self.rows[row.path] = row

    def forget(self, place: Any) -> None:
        table, (path,) = place
        assert table == "recordings"
        self.rows.pop(path, None)

    @property
    def contents(self) -> Contents:
        return Contents(recordings=tuple(self.rows.values()))


def kept(store: Any) -> tuple[KeptRecordings, Catalog]:
    kept, catalog = KeptRecordings(), Catalog()
    kept.follow(store)
    return kept, catalog


@pytest.mark.parametrize("first", ["state", "catalog"])
def test_all_is_known_again_whichever_is_there_first(first: str) -> None:
    store = Store()
    before, catalog = kept(store)
    before.serve(catalog)
    catalog.add(ABOUT)
    catalog.add(known(ROOT / "gone.flv", ROOT))
    catalog.remove(str(ROOT / "gone.flv"))
    assert store.rows.keys() == {"/recordings/a.flv"}
    after, catalog = kept(store)
    if first == "catalog":
        after.serve(catalog)
        assert after.merge(store.contents) == {"recordings": 1}
    else:
        after.merge(store.contents)
        after.serve(catalog)
    (entry,) = catalog.entries()
    assert entry.known == ABOUT
    assert entry.key == SHOW
    assert catalog.waiting() == [entry]


def test_a_store_that_comes_later_gets_what_is_known() -> None:
    store: Any = Store()
    books, catalog = KeptRecordings(), Catalog()
    books.serve(catalog)
    catalog.add(ABOUT)
    books.follow(store)
    books.merge(store.contents)
    assert store.rows.keys() == {"/recordings/a.flv"}


@pytest.mark.parametrize(
    "change",
    [{"reason": "boredom"}, {"step": "dance"}, {"path": "/etc/passwd"}, {"path": "a.flv", "root": "."}],
)
def test_rows_that_make_no_sense_are_forgotten(
    change: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store = Store()
    before, catalog = kept(store)
    before.serve(catalog)
    catalog.add(ABOUT)
    (row,) = store.rows.values()
    wrong = replace(row, **change)
    store.rows = {wrong.path: wrong}
    after, catalog = kept(store)
    after.serve(catalog)
    after.merge(store.contents)
    assert (len(catalog), store.rows) == (0, {})
    assert [each.message for each in caplog.records] == ["recording not restored"]
