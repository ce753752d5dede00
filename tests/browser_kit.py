"""Debian's Chromium, in which scenarios run that say what they want done by their tests."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import find_tool

PLAYWRIGHT, AXE = "playwright-core@1.65.1", "axe-core@4.14.1"
TIMEOUT = 180.0


@dataclass
class Browser:
    """Runs scenarios of a script in it."""

    environment: Mapping[str, str]
    pictures: Path
    script: Path

    def run(self, scenario: str, url: str, **wishes: Callable[[], str | None]) -> None:
        """``wishes``: what a scenario may want done, by the first word of it."""
        arguments = [find_tool("node"), str(self.script), scenario, url, str(self.pictures)]
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(self.environment)
        ) as process:
            killer = threading.Timer(TIMEOUT, process.kill)
            killer.start()
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                for line in process.stdout:
                    if line.startswith("#"):
                        print(line, end="")
                        continue
                    process.stdin.write(f"{wishes[line.split()[0]]() or 'done'}\n")
                    process.stdin.flush()
            finally:
                killer.cancel()
        assert process.returncode == 0
