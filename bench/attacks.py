"""Attacks on a server of one's own: what its players notice, and what is left of it.

Each attack runs on a fresh server on 127.0.0.1, in one or both of two ways:

``beside``  beside ten players of a canary stream, in a process of their own: their p99 latency stays within
            25 ms and its maximum within 150 ms above the same without the attack, at 2,000 samples or more;
            none is lost; the attack costs at most a fifth of a core; memory grows by no more than its bound
``rounds``  ten times, each from connect to the last close: after round 10, resident memory is at most 5 % or
            5 MB above round 3; what Python has allocated, the budget, descriptors and series are what they
            were after round 1, the objects of ours what they were after round 5

Exit status 1 if any attack is not withstood. Latency wants a quiet machine with two cores; ``--quick`` leaves
the canary's latency out of the judgement, and takes the attacks that say most in the least time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import time
from typing import Annotated

import common
import hostile.backends
import hostile.cpu
import hostile.doors
import hostile.memory
import hostile.watchers
import hostile.web  # noqa: F401 - each enters its attacks into the list
import servers
import typer
from hostile.judging import Judge, Verdict
from hostile.scene import ATTACKS, Attack
from hostile.target import Place

_BUSY = 0.05
"""Share of the time without a core, beyond which latency says more of the machine than of the server."""


def main(
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Names of attacks; may be given more than once.")
    ] = None,
    way: Annotated[str, typer.Option("--way", help="Only beside, or only rounds; empty for both.")] = "",
    show: Annotated[bool, typer.Option("--list", help="Show the attacks and what each does.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A selection that takes three minutes, latency not judged.")
    ] = False,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Attack rtmpd and judge how it withstands."""
    if show:
        for attack in ATTACKS.values():
            print(f"{attack.name:30} {attack.about}")
        return
    unknown = set(only or ()) - ATTACKS.keys()
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: --list shows what there is")
    chosen = [
        each for each in ATTACKS.values() if each.name in (only or ATTACKS) and (each.quick or not quick)
    ]
    _prepare(load_core)
    judge = Judge(Place(rtmpd.absolute(), server_core), load_core, latency=not quick)
    verdicts: list[Verdict] = []
    try:
        for attack, kind in _ways(chosen, quick=quick):
            if way in ("", kind):
                print(f"{attack.name}, {kind} ...", file=sys.stderr, flush=True)
                judged = judge.in_rounds(attack) if kind == "rounds" else judge.beside_canary(attack)
                verdicts.append(asyncio.run(judged))
                _print(verdicts[-1])
    finally:
        versions = servers.versions([common.RTMPD], rtmpd.absolute())
        _finish(verdicts, common.named("attacks", quick), versions)
    raise typer.Exit(0 if all(verdict.passed for verdict in verdicts) else 1)


def duration(attacks: list[Attack], *, quick: bool) -> float:
    """Seconds that they take at the least, without the start of servers and canaries."""
    beside = [attack.seconds for attack, kind in _ways(attacks, quick=quick) if kind == "beside"]
    rounds = [attack.rounds for attack, kind in _ways(attacks, quick=quick) if kind == "rounds"]
    return sum(beside) * (1 if quick else 2) + 10 * sum(rounds)


def _prepare(load_core: int) -> None:
    os.sched_setaffinity(0, {load_core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _ways(attacks: list[Attack], *, quick: bool) -> list[tuple[Attack, str]]:
    """What is to be done: each attack in every way that it has, but only the first if it is to be quick."""
    beside = [(attack, "beside") for attack in attacks if attack.seconds]
    return beside + [
        (attack, "rounds") for attack in attacks if attack.rounds and not (quick and attack.seconds)
    ]


def _print(verdict: Verdict) -> None:
    print(f"{'ok  ' if verdict.passed else 'FAIL'} {verdict.attack} ({verdict.kind})", flush=True)
    if (waited := verdict.figures.get("waited_share", 0.0)) > _BUSY:
        print(f"     busy machine: the server waited {waited:.0%} of the time for its core", flush=True)
    if verdict.error:
        print(f"     {verdict.error}", flush=True)
    for finding in verdict.findings:
        print(f"     {finding}", flush=True)


def _finish(verdicts: list[Verdict], name: str, versions: dict[str, str]) -> None:
    print("\n| attack | | verdict | what failed |\n| --- | --- | --- | --- |")
    for verdict in verdicts:
        failed = [verdict.error.splitlines()[0]] if verdict.error else []
        failed += [str(finding).removesuffix(" FAILED") for finding in verdict.findings if not finding.kept]
        word = "withstood" if verdict.passed else "**failed**"
        print(f"| {verdict.attack} | {verdict.kind} | {word} | {'; '.join(failed)} |")
    common.RESULTS.mkdir(exist_ok=True)
    path = common.RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    rows = [verdict.as_row() for verdict in verdicts]
    path.write_text(json.dumps({"where": common.machine() | versions, "verdicts": rows}, indent=1) + "\n")
    with contextlib.suppress(ValueError):
        print(f"\nwritten to {path.relative_to(servers.ROOT)}")


if __name__ == "__main__":
    typer.run(main)
