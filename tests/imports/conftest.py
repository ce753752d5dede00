"""Configurations of other servers, imported by the command."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from rtmpd.daemon import cli


class Imported(NamedTuple):
    """What came of one."""

    code: int
    text: str
    """The TOML."""
    told: list[str]
    """Lines of standard error."""

    @property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads(self.text)

    def app(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.settings["apps"][name]
        return found

    @property
    def left(self) -> list[str]:
        """What was not mapped: line and directive."""
        begin = self.told.index("rtmpd: not mapped:") if "rtmpd: not mapped:" in self.told else len(self.told)
        lines = [line for line in self.told[begin:] if line.startswith("  ")]
        return [":".join(line.split(": ")[:2]).rpartition("/")[2].partition(":")[2] for line in lines]


Import = Callable[[str, str], Imported]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Imports a text as the configuration of a server; what comes out passes ``rtmpd check``."""

    def run(server: str, text: str) -> Imported:
        file = tmp_path / "other.conf"
        file.write_text(text)
        done = CliRunner().invoke(cli.app, ["import", server, str(file)])
        if done.exit_code in (0, 3):
            made = tmp_path / "rtmpd.toml"
            made.write_text(done.stdout)
            checked = CliRunner().invoke(cli.app, ["check", "-q", "-c", str(made)])
            assert checked.exit_code == 0, f"{checked.stderr}\n{done.stdout}"
        return Imported(done.exit_code, done.stdout, done.stderr.splitlines())

    return run
