from __future__ import annotations

import asyncio
import logging
import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from net_kit import eventually

from rtmpd.outputs.afterwork_words import AfterworkFailure
from rtmpd.outputs.job import JobFailed
from rtmpd.outputs.job_runner import run_job

Say = Callable[..., Any]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A module whose ``work(job, report)`` has this body."""

    def write(body: str) -> str:
        text = "import os, sys, time\nfrom rtmpd.outputs.job import JobFailed, main\n"
        text += "from rtmpd.outputs.afterwork_words import AfterworkFailure\n"
        text += f"def work(job, report):\n{textwrap.indent(textwrap.dedent(body), '    ')}\nmain(work)\n"
        (tmp_path / "a_job.py").write_text(text)
        return "a_job"

    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    return write


async def run(
    name: str, job: Mapping[str, Any] | None = None, silence: float = 20.0
) -> tuple[Any, list[Any]]:
    heard: list[Any] = []
    return await run_job(name, job or {}, os.environ, heard.append, silence), heard


async def test_is_told_its_job_and_tells_what_comes_of_it(
    module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTMPD_APPS__LIVE__RECORD__UPLOAD__SECRET_ACCESS_KEY", "planted")
    monkeypatch.setenv("AWS_PROFILE", "kept")
    name = module(
        """
        report({"at": 1})
        secrets = [each for each in os.environ if each.startswith("RTMPD_")]
        said = " ".join(sys.argv)
        found = {"job": job, "nice": os.nice(0), "secrets": secrets, "args": said}
        return found | {"aws": os.environ["AWS_PROFILE"]}
        """
    )
    outcome, heard = await run(name, {"secret": "hidden"})
    assert heard == [{"at": 1}]
    assert outcome["job"] == {"secret": "hidden"}
    assert outcome["nice"] >= 10
    assert (outcome["secrets"], outcome["aws"]) == ([], "kept")
    assert "hidden" not in outcome["args"]


@pytest.mark.parametrize(
    ("body", "reason", "text", "message"),
    [
        ('raise JobFailed(AfterworkFailure.DENIED, "no entry")', AfterworkFailure.DENIED, "no entry", None),
        ("raise KeyError('x')", AfterworkFailure.BUG, "a bug of rtmpd", "recording job failed"),
        (
            "print('dying', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)",
            AfterworkFailure.CRASHED,
            "without a word",
            "recording job crashed",
        ),
        ("time.sleep(60)", AfterworkFailure.SILENT, "came no further for 1 s", None),
    ],
)
async def test_tells_why_nothing_comes_of_it(
    module: Callable[[str], str],
    caplog: pytest.LogCaptureFixture,
    body: str,
    reason: AfterworkFailure,
    text: str,
    message: str | None,
) -> None:
    with pytest.raises(JobFailed) as error:
        await run(module(body), silence=1.0 if reason is AfterworkFailure.SILENT else 20.0)
    assert error.value.reason is reason
    assert text in error.value.detail
    # Asyncio's own loop warns of a process that has ended at the very moment at which it is ended.
    ours = [each for each in caplog.records if each.name.startswith("rtmpd.")]
    told = [each for each in ours if each.levelno >= logging.WARNING]
    assert [each.message for each in told] == ([message] if message else [])


async def test_ends_with_whoever_waits_for_it(module: Callable[[str], str], tmp_path: Path) -> None:
    name = module("open(job['mark'], 'w').write(str(os.getpid())); time.sleep(60)")
    mark = tmp_path / "pid"
    task = asyncio.create_task(run(name, {"mark": str(mark)}))
    await eventually(lambda: mark.exists() and mark.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_there(mark)


def is_there(mark: Path) -> bool:
    return Path(f"/proc/{mark.read_text()}").exists()
