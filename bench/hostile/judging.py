"""How attacks are judged: beside a canary, and by what is left over ten equal rounds."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from common import Load

from hostile.looked_into import Inside
from hostile.scene import CANARIES, Attack, Finding, Scene
from hostile.stranger import Crowd, greeting, request
from hostile.target import Place, Target, running

_SAMPLES: Final = 2000
_MORE_P99_MS: Final = 25.0
_MORE_MAX_MS: Final = 150.0
_ROUNDS: Final = 10
_SETTLED: Final = 3
"""The round after which memory may not grow any more."""
_FILLED: Final = 5
"""The round by which caches of a fixed number of entries, of parsed commands for instance, are full."""
_COME_AND_GO: Final = frozenset({"Command", "ScannedCommand", "_Event"})
"""Classes of entries in bounded caches and tables, which fill slowly or are emptied by the next log line."""
_RSS_SHARE, _RSS_BYTES = 0.05, 5_000_000
_TRACED_SHARE, _TRACED_BYTES = 0.02, 200_000
_PATIENCE: Final = 90.0
"""Seconds beyond its own that an attack may take."""
_TROUBLES: Final = (RuntimeError, OSError, TimeoutError, subprocess.SubprocessError)
"""What ends an attack's performance, and is told as what became of it."""
_RSS_INTERVAL: Final = 0.2
_NAMED: Final = 5
"""Classes that a finding names, of those with more objects."""


@dataclass(frozen=True, slots=True)
class Calm:
    """The canaries without an attack."""

    p99_ms: float
    max_ms: float
    cpu_share: float


@dataclass(slots=True)
class Verdict:
    """What became of one attack. ``figures`` is everything measured, for the record."""

    attack: str
    kind: str
    """``beside`` or ``rounds``."""
    findings: list[Finding]
    figures: dict[str, Any]
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.error and all(finding.kept for finding in self.findings)

    def as_row(self) -> dict[str, Any]:
        findings = [asdict(finding) | {"kept": finding.kept} for finding in self.findings]
        return {"attack": self.attack, "kind": self.kind, "passed": self.passed, "error": self.error} | {
            "findings": findings,
            "figures": self.figures,
        }


class Judge:
    """Performs attacks on fresh servers and says what it thinks of them."""

    def __init__(self, place: Place, load_core: int, *, latency: bool = True) -> None:
        """Without ``latency``, which wants a quiet machine, one calm run does for all attacks."""
        self._place = place
        self._load_core = load_core
        self._latency = latency
        self._calm: dict[tuple[int, tuple[str, ...], int, float, int], Calm] = {}

    async def beside_canary(self, attack: Attack) -> Verdict:
        """Attack a server with a canary stream, compared with the same without the attack."""
        verdict = Verdict(attack.name, "beside", [], {})
        try:
            calm = await self._calm_run(attack if self._latency else _NO_ATTACK)
            await self._attacked_run(attack, calm, verdict)
        except _TROUBLES as error:
            verdict.error = str(error) or type(error).__name__
        return verdict

    async def in_rounds(self, attack: Attack) -> Verdict:
        """Attack one server ten times: the last time may leave no more than the third, or the first."""
        verdict = Verdict(attack.name, "rounds", [], {})
        looks: list[Inside] = []
        held: list[float] = []
        series: list[int] = []
        try:
            with running(self._place, attack.settings, files=attack.files, traced=True) as target:
                for _ in range(_ROUNDS):
                    await _perform(attack, target, attack.rounds)
                    await asyncio.to_thread(target.wait_until_quiet)
                    page = target.metrics()
                    series.append(len(page))
                    held.append(page["rtmpd_memory_held_bytes{}"])
                    looks.append(target.look_inside())
        except _TROUBLES as error:
            verdict.error = str(error) or type(error).__name__
        else:
            verdict.findings = compare(looks, held, series)
        verdict.figures = {
            "rss_mb": [look["rss_bytes"] / 1e6 for look in looks],
            "traced_mb": [look["traced_bytes"] / 1e6 for look in looks],
            "held_bytes": held,
            "series": series,
            "files": [look["files"] for look in looks],
        }
        return verdict

    async def _calm_run(self, attack: Attack) -> Calm:
        key = (attack.connections, attack.settings, attack.files, attack.seconds, attack.canaries)
        if key not in self._calm:
            with (
                running(self._place, attack.settings, files=attack.files) as target,
                Crowd(target.port) as crowd,
            ):
                for _ in range(attack.connections):
                    player = await crowd.join(crowd.address())
                    player.say(greeting() + request("play", "calm", -2))
                async with self._canary(target, attack.seconds, attack.canaries) as load:
                    before = target.cpu_seconds()
                    await asyncio.to_thread(load.wait_for, "measured")
                    cpu = target.cpu_seconds() - before
                    latency = (await asyncio.to_thread(load.wait_for, "report"))["latency_ms"]
            self._calm[key] = Calm(latency["p99"], latency["max"], cpu / attack.seconds)
        return self._calm[key]

    async def _attacked_run(self, attack: Attack, calm: Calm, verdict: Verdict) -> None:
        with running(self._place, attack.settings, files=attack.files) as target:
            async with self._canary(target, attack.seconds, attack.canaries) as load:
                before, rss_before = target.cpu_seconds(), target.rss_bytes()
                waited = target.waited_seconds()
                watch = asyncio.get_running_loop().create_task(_watch_memory(target))
                measured = asyncio.get_running_loop().create_task(
                    asyncio.to_thread(load.wait_for, "measured")
                )
                try:
                    verdict.findings = await _perform(attack, target, attack.seconds)
                    await measured
                    share = (target.cpu_seconds() - before) / attack.seconds - calm.cpu_share
                    waited = (target.waited_seconds() - waited) / attack.seconds
                finally:
                    watch.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await watch
                report = await asyncio.to_thread(load.wait_for, "report")
        peak = max(_peaks.pop(target.pid), rss_before)
        verdict.figures = {"calm": asdict(calm), "report": report, "rss_before_mb": rss_before / 1e6}
        verdict.figures |= {"rss_peak_mb": peak / 1e6, "cpu_share": share, "waited_share": waited}
        verdict.findings = [
            *(self._compare_latency(report, calm) if self._latency else ()),
            Finding("canaries lost", report["closed"] + sum(report["failures"].values()), most=0),
            Finding("packets missed", report["missing"], most=0),
            *(
                [Finding("share of a core", share, most=attack.most_cpu)]
                if attack.most_cpu is not None
                else []
            ),
            Finding("memory grew, MB", (peak - rss_before) / 1e6, most=attack.most_growth_mb),
            *verdict.findings,
        ]

    def _compare_latency(self, report: dict[str, Any], calm: Calm) -> list[Finding]:
        latency = report["latency_ms"]
        return [
            Finding("p99 ms above calm", latency["p99"] - calm.p99_ms, most=_MORE_P99_MS),
            Finding("max ms above calm", latency["max"] - calm.max_ms, most=_MORE_MAX_MS),
            Finding("samples", report["packets"], least=_SAMPLES),
        ]

    @contextlib.asynccontextmanager
    async def _canary(self, target: Target, seconds: float, players: int) -> AsyncIterator[Load]:
        """A publisher and its players, in processes of their own, from the beginning of their measurement."""
        url = target.url("canary")
        publisher = Load.of_rtmpd(self._load_core, "publish", "-d", "3600", url)
        try:
            await asyncio.to_thread(publisher.wait_for, "joined")
            options = ("-n", players, "--parsed", CANARIES, "-d", seconds)
            crowd = Load.of_rtmpd(self._load_core, "play", *options, url)
            try:
                await asyncio.to_thread(crowd.wait_for, "measuring")
                yield crowd
            finally:
                crowd.stop()
        finally:
            publisher.stop()


async def _nothing(_scene: Scene) -> None:
    """Nobody attacks."""


_NO_ATTACK: Final = Attack("calm", _nothing, 8.0, 0, (), 0, 0.0, None, 0.0, quick=False, canaries=CANARIES)
_peaks: dict[int, int] = {}


async def _watch_memory(target: Target) -> None:
    while True:
        _peaks[target.pid] = max(_peaks.get(target.pid, 0), target.rss_bytes())
        await asyncio.sleep(_RSS_INTERVAL)


async def _perform(attack: Attack, target: Target, seconds: float) -> list[Finding]:
    with Crowd(target.port) as crowd:
        scene = Scene(target, crowd, seconds)
        try:
            async with asyncio.timeout(seconds + _PATIENCE):
                await attack.perform(scene)
        finally:
            await scene.close()
    return scene.findings


def compare(looks: list[Inside], held: Sequence[float], series: Sequence[int]) -> list[Finding]:
    """What ten rounds have left, by what is inside the server, in its budget and on its page after each."""
    first, settled, last = looks[0], looks[_SETTLED - 1], looks[-1]
    rss_most = max(settled["rss_bytes"] * (1 + _RSS_SHARE), settled["rss_bytes"] + _RSS_BYTES)
    traced_most = max(first["traced_bytes"] * (1 + _TRACED_SHARE), first["traced_bytes"] + _TRACED_BYTES)
    filled = looks[_FILLED - 1]
    kinds = (filled["objects"].keys() | last["objects"].keys()) - _COME_AND_GO
    more = {kind: last["objects"].get(kind, 0) - filled["objects"].get(kind, 0) for kind in sorted(kinds)}
    grown = {kind: number for kind, number in more.items() if number > 0}
    worst = ", ".join(f"{grown[kind]} {kind}" for kind in sorted(grown, key=grown.__getitem__)[-_NAMED:])
    return [
        Finding("RSS MB after round 10", last["rss_bytes"] / 1e6, most=rss_most / 1e6),
        Finding("Python's MB after round 10", last["traced_bytes"] / 1e6, most=traced_most / 1e6),
        Finding("budget after round 10", held[-1], most=held[0]),
        Finding("files", last["files"], most=first["files"]),
        Finding("series", series[-1], most=series[0]),
        Finding(f"objects more ({worst or 'none'})", sum(grown.values()), most=0),
    ]
