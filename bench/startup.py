"""Starting: how soon a server answers, and what it holds while nobody is there.

``admin``     with the admin listener and without streams by HTTP
``http``      with both, as it is by default
``no admin``  with neither
``version``   how long the program takes to say its version

A server answers when the first byte of an RTMP handshake comes back: a port may take connections long before
anybody looks at them. Every program is started once before it is measured, so that its bytecode is there.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

import common
import servers
import typer
from common import Bench, Row
from servers import Variant

_WITHOUT_ADMIN = ("admin.listen=[]",)
_WITH_HTTP = ("http.listen=127.0.0.1:0",)
_SETTLE_SECONDS = 2.0
"""From the first answer to the look at the memory."""
_HANDSHAKE = b"\x03" + bytes(1536)
_TIMEOUT = 10.0


def main(
    only: Annotated[str, typer.Option("--only", help="Cases, of admin, http, no admin and version.")] = "",
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = 9,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure starts and what is resident afterwards, against other servers."""
    # Installed programs have bytecode; a checkout gets it at its first start, unless that is forbidden.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    variants = [common.RTMPD, *common.others(against)]
    bench = Bench(
        common.named("startup", quick), variants, 0.0, 1 if quick else repeat, server_core, load_core, rtmpd
    )
    cases: dict[str, Callable[[Variant], Row]] = {
        "admin": partial(_start, bench),
        "http": lambda variant: _start(bench, replace(variant, settings=_WITH_HTTP)),
        "no admin": lambda variant: _start(bench, replace(variant, settings=_WITHOUT_ADMIN)),
        "version": partial(_say_version, bench),
    }
    if unknown := set(only.split(",")) - {"", *cases}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: --only takes {', '.join(cases)}")
    chosen = [case for case in cases if not only or case in only.split(",")]
    for variant in variants:
        with bench.server(variant):
            pass
    for number, case, variant in bench.rounds(chosen):
        bench.attempt(number, {"case": case}, variant, partial(cases[case], variant))
    bench.finish(["case"], {"start_ms": "ms", "rss_mb": "RSS MB"}, ratio="start_ms")


def _start(bench: Bench, variant: Variant) -> Row:
    with bench.server(variant) as server:
        _shake_hands(server.port)
        start_ms = (time.monotonic() - server.started_at) * 1000
        time.sleep(_SETTLE_SECONDS)
        return {"start_ms": start_ms, "rss_mb": server.usage().rss_bytes / 1e6}


def _shake_hands(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as connection:
        connection.sendall(_HANDSHAKE)
        if not connection.recv(1):
            raise RuntimeError("the server closed the connection instead of a handshake")


def _say_version(bench: Bench, variant: Variant) -> Row:
    command = servers.version_command(variant, bench.rtmpd.absolute())
    pinned = ["taskset", "--cpu-list", str(bench.server_core), *command]
    started_at = time.monotonic()
    subprocess.run(pinned, capture_output=True, check=True)
    return {"start_ms": (time.monotonic() - started_at) * 1000}


if __name__ == "__main__":
    typer.run(main)
