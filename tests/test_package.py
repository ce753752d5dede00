"""What would be uploaded to PyPI: a source distribution with everything, a page without dead links."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
PLAYER = ROOT / "server" / "rtmpd" / "player"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_source_distribution_has_all_that_is_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    if listed.returncode != 0:
        pytest.skip("no checkout")
    tracked = {name.split("/")[0] for name in listed.stdout.splitlines()}
    # hatchling adds these two by itself.
    included = {
        name.removeprefix("/") for name in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    }
    assert included | {"pyproject.toml", ".gitignore"} == tracked


def test_a_wheel_has_the_player_and_what_is_of_others_with_its_licence() -> None:
    packed = {each.distribution_path for each in WheelBuilder(str(ROOT)).recurse_included_files()}
    player = {f"rtmpd/player/{path.relative_to(PLAYER)}" for path in PLAYER.rglob("*") if path.is_file()}
    assert player
    assert player <= packed
    (_, pattern) = PROJECT["project"]["license-files"]
    assert [path.name for path in ROOT.glob(pattern)] == ["hls.LICENSE"]


def test_the_page_on_pypi_has_no_links_to_files() -> None:
    readme = (ROOT / "README.md").read_text()
    page = readme
    for each in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        page = re.sub(each["pattern"], each["replacement"], page)
    assert "![" in readme
    assert "![" not in page, "there are no pictures either"
    before, after = (re.findall(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", text) for text in (readme, page))
    assert after == [(text, target) for text, target in before if target.startswith(("https:", "#"))]
    assert len(before) - len(after) > 10
    for text, target in before:
        # What is left of the link is the name of the file.
        assert text in page
        assert (text, target) in after or (text == target.partition("#")[0] and (ROOT / text).exists())


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rtmpd", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith("rtmpd ")
