from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from net_kit import eventually
from shelf_kit import known, put

from rtmpd.outputs.afterwork import FIRST_RETRY, Afterwork, Surroundings
from rtmpd.outputs.afterwork_rules import AfterworkRules, Credentials, Mp4Rules, UploadRules
from rtmpd.outputs.afterwork_words import AfterworkFailure, RemovalReason, Step
from rtmpd.outputs.catalog import Catalog, Entry
from rtmpd.outputs.job import JobFailed
from rtmpd.outputs.recording import Recording

BUCKET = UploadRules("rec", credentials=Credentials("id", "hidden-secret"))
MP4 = AfterworkRules(mp4=Mp4Rules())
UPLOAD = AfterworkRules(upload=BUCKET)
BOTH = AfterworkRules(Mp4Rules(), BUCKET)


@dataclass
class House:
    """What does the work is a list of outcomes, in order; the last one holds for all further ones."""

    root: Path
    rules: AfterworkRules
    now: float = 0.0
    outcomes: list[Mapping[str, Any] | Exception] = field(default_factory=list)
    jobs: list[Mapping[str, Any]] = field(default_factory=list)
    removed: list[tuple[str, RemovalReason]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.catalog = Catalog()
        self.hold.set()
        around = Surroundings(lambda: self.now, {}, self.rules_of, self.remove, self.run)
        self.work = Afterwork(self.catalog, around)

    def rules_of(self, _recording: Recording) -> AfterworkRules:
        return self.rules

    def remove(self, entry: Entry, reason: RemovalReason) -> None:
        self.removed.append((entry.relative, reason))
        self.catalog.remove(entry.path)

    async def run(
        self,
        module: str,
        job: Mapping[str, Any],
        _environ: Mapping[str, str],
        hear: Callable[[Mapping[str, Any]], None],
        silence: float,
    ) -> Mapping[str, Any]:
        self.jobs.append({"module": module.rpartition(".")[2], "silence": silence, **job})
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if "upload_id" in job:
            hear({"upload_id": "u-1"})
        await self.hold.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def finish(self, name: str = "a.flv") -> Path:
        """A file is finished."""
        file = put(self.root / name)
        about = known(file, self.root)
        step = self.work.first_step(about.recording)
        self.catalog.add(known(file, self.root, step))
        self.work.look()
        return file

    async def done(self) -> None:
        await eventually(lambda: not len(self.work._tasks))

    def about(self, name: str) -> tuple[Step, str, str]:
        entry = self.catalog.at(str(self.root / name))
        assert entry is not None
        assert entry.known is not None
        return entry.known.step, entry.known.uploaded, entry.known.problem


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path, BOTH)
    yield house
    house.hold.set()
    await house.work.close()


async def test_an_mp4_file_is_made_and_uploaded_in_place_of_the_recording(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.outcomes = [{"duration": 59.5, "size": 12}, {"uploaded": "s3://rec/live/show/a.mp4"}]
    house.finish()
    await house.done()
    assert [(each["module"], each.get("key")) for each in house.jobs] == [
        ("mp4_job", None),
        ("s3_job", "live/show/a.mp4"),
    ]
    assert house.removed == [("a.flv", RemovalReason.REMUXED)]
    assert house.about("a.mp4") == (Step.NONE, "s3://rec/live/show/a.mp4", "")
    assert house.work.stats.done == {Step.REMUX: 1, Step.UPLOAD: 1}
    assert house.work.stats.bytes == {Step.REMUX: 12, Step.UPLOAD: 12}
    assert [each.message for each in caplog.records] == ["recording job done", "recording job done"]
    assert "hidden" not in caplog.text + repr(house.catalog.snapshot())


async def test_nothing_is_removed_before_it_is_to_be(house: House) -> None:
    house.rules = AfterworkRules(Mp4Rules(keep_flv=True), UploadRules("rec", delete=True))
    house.outcomes = [{"duration": 59.5, "size": 12}, {"uploaded": "s3://rec/x"}]
    house.finish()
    await house.done()
    assert house.removed == [("a.mp4", RemovalReason.UPLOADED)]
    assert house.about("a.flv") == (Step.NONE, "", "")


async def test_of_what_mp4_cannot_hold_the_recording_is_uploaded(house: House) -> None:
    detail = "MP4 cannot hold flv1, which its video is in"
    house.outcomes = [JobFailed(AfterworkFailure.CODEC, detail), {"uploaded": "s3://rec/live/show/a.flv"}]
    house.finish()
    await house.done()
    assert [each["module"] for each in house.jobs] == ["mp4_job", "s3_job"]
    assert house.about("a.flv") == (Step.NONE, "s3://rec/live/show/a.flv", "")
    assert house.removed == []
    assert house.work.stats.failures == {(Step.REMUX, AfterworkFailure.CODEC): 1}


async def test_an_upload_that_fails_is_tried_again_later_and_goes_on(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.rules = UPLOAD
    house.outcomes = [JobFailed(AfterworkFailure.UNREACHABLE, "nobody answers"), {"uploaded": "s3://rec/a"}]
    house.finish()
    await house.done()
    assert house.about("a.flv") == (Step.UPLOAD, "", "nobody answers")
    house.now = FIRST_RETRY - 0.1
    house.work.look()
    await house.done()
    assert len(house.jobs) == 1
    house.now = FIRST_RETRY
    house.work.look()
    await house.done()
    assert [each["upload_id"] for each in house.jobs] == ["", "u-1"]
    assert house.about("a.flv") == (Step.NONE, "s3://rec/a", "")
    assert [each.message for each in caplog.records] == ["recording job not done"]


async def test_nothing_is_removed_that_is_not_surely_there(house: House) -> None:
    house.rules = AfterworkRules(upload=UploadRules("rec", delete=True))
    house.outcomes = [JobFailed(AfterworkFailure.DIFFERS, "of another sum"), {"uploaded": "s3://rec/a"}]
    house.finish()
    await house.done()
    assert (house.removed, house.about("a.flv")[0]) == ([], Step.UPLOAD)
    house.now = FIRST_RETRY
    house.work.look()
    await house.done()
    assert house.removed == [("a.flv", RemovalReason.UPLOADED)]


async def test_waits_longer_each_time_unless_somebody_wants_it_now(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [JobFailed(AfterworkFailure.DENIED, "no")]
    file = house.finish()
    for wait in (10.0, 20.0, 40.0):
        await house.done()
        house.now += wait - 0.01
        house.work.look()
        await house.done()
        tried = len(house.jobs)
        house.now += 0.01
        house.work.look()
        await house.done()
        assert len(house.jobs) == tried + 1
    house.work.retry(str(file))
    await house.done()
    assert len(house.jobs) == 5


async def test_what_all_would_meet_with_is_met_with_by_one_now_and_then(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [JobFailed(AfterworkFailure.UNREACHABLE, "nobody answers")]
    for number in range(40):
        house.finish(f"{number}.flv")
    await house.done()
    assert len(house.jobs) == 2  # They were under way beside each other.
    tried = [len(house.jobs)]
    for _ in range(70):
        house.now += 1.0
        house.work.look()
        await house.done()
        tried.append(len(house.jobs))
    assert (tried[9], tried[10], tried[29], tried[30], tried[69], tried[70]) == (2, 4, 4, 6, 6, 8)
    assert len({each["path"] for each in house.jobs}) == 8
    house.outcomes = [{"uploaded": "s3://rec/x"}]
    house.work.retry(str(house.root / "0.flv"))
    await house.done()
    assert len(house.catalog.waiting()) == 2  # Which were tried in vain just now, and wait for themselves.


async def test_what_fails_again_and_again_holds_up_no_other(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [JobFailed(AfterworkFailure.SERVER_ERROR, "it breaks at this one")] * 2
    house.outcomes += [{"uploaded": "s3://rec/x"}]
    for name in "abcd":
        house.finish(f"{name}.flv")
    await house.done()
    house.now += FIRST_RETRY
    house.work.look()
    await house.done()
    assert [each["path"][-5:] for each in house.jobs] == [f"{name}.flv" for name in "abcdab"]


async def test_a_large_file_may_take_its_time_without_a_word(house: House) -> None:
    house.rules = MP4
    house.outcomes = [JobFailed(AfterworkFailure.DIFFERS, "x")]
    file = put(house.root / "a.flv")
    about = known(file, house.root)
    about = replace(about, recording=replace(about.recording, size=60_000_000_000), step=Step.REMUX)
    house.catalog.add(about)
    house.work.look()
    await house.done()
    assert house.jobs[0]["silence"] == 900.0 + 6000.0


async def test_a_bug_costs_one_file_an_attempt(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.rules = UPLOAD
    house.outcomes = [KeyError("x"), {"uploaded": "s3://rec/b"}]
    house.finish("a.flv")
    house.finish("b.flv")
    await house.done()
    assert house.about("a.flv")[0] is Step.UPLOAD
    assert house.about("b.flv")[0] is Step.NONE
    assert any(each.exc_info for each in caplog.records)


async def test_few_run_at_a_time_the_oldest_first(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [{"uploaded": "s3://rec/x"}]
    house.hold.clear()
    for name in "abcd":
        house.finish(f"{name}.flv")
    await eventually(lambda: len(house.jobs) == 2)
    assert house.work.stats.running == {Step.REMUX: 0, Step.UPLOAD: 2}
    house.hold.set()
    await house.done()
    assert [each["path"][-5:] for each in house.jobs] == ["a.flv", "b.flv", "c.flv", "d.flv"]
    assert house.work.stats.running[Step.UPLOAD] == 0


async def test_what_the_settings_want_no_more_is_left_as_it_is(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [JobFailed(AfterworkFailure.UNREACHABLE, "nobody answers")]
    file = house.finish()
    await house.done()
    house.rules = AfterworkRules()
    house.work.retry(str(file))
    await house.done()
    assert house.about("a.flv") == (Step.NONE, "", "")


@pytest.mark.parametrize("rules", [UPLOAD, MP4])
async def test_a_file_that_is_gone_is_forgotten(house: House, rules: AfterworkRules) -> None:
    house.rules = rules
    house.outcomes = [JobFailed(AfterworkFailure.GONE, "a.flv is not there any more")]
    house.finish()
    await house.done()
    assert (len(house.jobs), len(house.catalog)) == (1, 0)


async def test_a_file_that_is_removed_meanwhile_is_forgotten(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [JobFailed(AfterworkFailure.GONE, "not there")]
    house.hold.clear()
    file = house.finish()
    await eventually(lambda: house.jobs)
    house.catalog.remove(str(file))
    house.hold.set()
    await house.done()
    assert len(house.catalog) == 0
    assert house.work.stats.failures == {}


async def test_who_is_replaced_does_only_what_comes_later(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [{"uploaded": "s3://rec/x"}]
    house.hold.clear()
    house.finish("a.flv")
    await eventually(lambda: house.jobs)
    house.work.leave()
    await house.done()
    house.hold.set()
    assert house.about("a.flv") == (Step.NONE, "", "")
    house.finish("b.flv")
    await house.done()
    assert house.about("b.flv") == (Step.NONE, "s3://rec/x", "")
    assert len(house.jobs) == 2


async def test_at_the_end_what_runs_is_left_to_the_next_process(house: House) -> None:
    house.rules = UPLOAD
    house.outcomes = [{"uploaded": "s3://rec/x"}]
    house.hold.clear()
    house.finish()
    await eventually(lambda: house.jobs)
    await house.work.close()
    assert house.about("a.flv")[0] is Step.UPLOAD
    assert house.work.stats.done[Step.UPLOAD] == 0
