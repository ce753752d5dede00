"""Packages of npm that tests need, downloaded once."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

_INSTALL_TIMEOUT = 300.0


def install(npm: str, cache: Path, *packages: str) -> Path:
    """The folder ``node_modules`` with ``packages``, such as ``axe-core@4.14.1``, below ``cache``.

    Raises OSError or SubprocessError.
    """
    home = cache / "+".join(package.replace("@", "-") for package in packages)
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Tests that run side by side share the cache.
        if not (home / "installed").exists():
            (home / "package.json").write_text('{"private": true}\n')
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
            subprocess.run(
                [npm, "install", *quiet, *packages],
                cwd=home,
                stdin=subprocess.DEVNULL,
                timeout=_INSTALL_TIMEOUT,
                check=True,
            )
            (home / "installed").touch()
    return home / "node_modules"
