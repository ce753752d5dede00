"""TLS: what it costs the server to speak it, with players and with publishers.

CPU seconds of the server per gigabyte, plain and over TLS, against nginx's stream module that ends TLS in
front of nginx-rtmp. The load speaks plain RTMP to an nginx on its own core, which connects for it, over
TLS or not: so it is the same load for all, and its TLS costs the server nothing.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import common
import servers
import typer
from common import Bench, Row
from servers import Variant

STREAM_MODULE = servers.NGINX_MODULE.with_name("ngx_stream_module.so")


def main(
    players: Annotated[int, typer.Option(help="Number of players of one stream.")] = 500,
    publishers: Annotated[int, typer.Option(help="Number of publishers.")] = 200,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure both kinds of load at each server, plain and over TLS."""
    if quick:
        players, publishers, repeat, seconds = 20, 10, 1, 2.0
    with tempfile.TemporaryDirectory(prefix="rtmpd-bench-tls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        chain, key = certificate(folder)
        pair = f'[{{"chain_file": "{chain}", "key_file": "{key}"}}]'
        variants = [
            Variant("rtmpd", "rtmpd"),
            Variant("rtmpd, TLS", "rtmpd", (f"rtmps.certificates={pair}",), tls=True),
            Variant("nginx", "nginx"),
            Variant("nginx, TLS", "nginx", (str(chain), str(key)), tls=True),
        ]
        bench = Bench(common.named("tls", quick), variants, seconds, repeat, server_core, load_core, rtmpd)
        for number, (what, count), variant in bench.rounds([("play", players), ("publish", publishers)]):
            case = {"what": what, "clients": count}
            bench.attempt(number, case, variant, partial(_measure, bench, variant, what, count, folder))
        bench.finish(
            ["what", "clients"],
            {
                "cpu_per_gb": "CPU-s/GB",
                "user_per_gb": "user",
                "system_per_gb": "system",
                "cpu_share": "share of a core",
                "rss_mb": "RSS MB",
                "kb_per_client": "KB/client",
                "mbit_per_second": "Mbit/s",
                "failed": "failed",
                "load_cpu_share": "load core",
            },
            ratio="cpu_per_gb",
        )


def certificate(folder: Path) -> tuple[Path, Path]:
    """One of its own for 127.0.0.1, P-256 as certbot makes them; chain and key."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(chain)], check=True, capture_output=True)
    return chain, key


@contextlib.contextmanager
def connector(folder: Path, target: int, core: int, *, tls: bool) -> Iterator[int]:
    """The port of an nginx on the load's core that connects to ``target`` for the load."""
    (port,) = servers.free_ports(1)
    config = folder / "connector.conf"
    config.write_text(
        f"""
load_module {STREAM_MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/connector.pid;
error_log {folder}/connector.log;
events {{ worker_connections 20000; }}
stream {{
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_pass 127.0.0.1:{target};
    proxy_ssl {"on" if tls else "off"};
  }}
}}
"""
    )
    command = ["nginx", "-c", str(config), "-p", str(folder), "-e", str(folder / "connector.log")]
    with servers.process(command, core, folder / "connector.out", port):
        yield port


def _measure(bench: Bench, variant: Variant, what: str, count: int, folder: Path) -> Row:
    with (
        bench.server(variant) as server,
        connector(folder, server.port, bench.load_core, tls=variant.tls) as port,
    ):
        url = f"rtmp://127.0.0.1:{port}/{servers.APP}/cam"
        if what == "publish":
            empty = server.usage()
            with bench.load("publish", "-n", count, "-d", bench.seconds, "--warmup", 3.0, url) as load:
                report, before, after = common.measured(server, load)
        else:
            with bench.load("publish", "-d", 3600, url) as publisher:
                publisher.wait_for("joined")
                empty = server.usage()
                with bench.load("play", "-n", count, "-d", bench.seconds, url) as load:
                    report, before, after = common.measured(server, load)
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        "kb_per_client": (after.rss_bytes - empty.rss_bytes) / count / 1000,
        **common.load_columns(report),
    }


if __name__ == "__main__":
    typer.run(main)
