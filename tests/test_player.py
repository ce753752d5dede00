"""The files of the player: they belong together, load nothing from elsewhere, and some are of others."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from rtmpd.http import page_html

FOLDER = Path(page_html.__file__).parent.with_name("player")
MODULES = sorted(FOLDER.glob("*.js"))
VENDORED = {
    "hls.min.mjs": "5501f1d9091b6f749e0ef61aff4b9ea3ba13fd5fa5e2aefb6fc0ff871847a531",
    "hls.LICENSE": "ca8773cf798c7ed997d4dd7c8e23c348699f8d5b7462636694cc14de6cda12db",
}
"""By ``make vendor``."""


def test_the_files_name_each_other_and_nobody_else() -> None:
    named = {"page.js", "page.css", "player.css", "icon.svg"}  # By the page.
    for module in MODULES:
        named |= set(re.findall(r'(?:from |import\()"\./([^"]+)"', module.read_text()))
    licences = {f"vendor/{path.name}" for path in FOLDER.glob("vendor/*.LICENSE")}
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert named | licences == there
    for path in FOLDER.iterdir():
        if path.is_file():
            text = re.sub(r"(?m)(^|\s)//.*$|http://www.w3.org/2000/svg", "", path.read_text())
            assert "//" not in text, f"{path.name} loads something from elsewhere"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_nothing_is_read_as_markup(module: Path) -> None:
    text = module.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text
    )
    assert not re.search(r"\.style\b|style:", text), "the policy refuses styles within the page"


def test_what_is_of_others_is_as_they_made_it() -> None:
    for name, digest in VENDORED.items():
        assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == digest, name
    assert VENDORED.keys() == {path.name for path in (FOLDER / "vendor").iterdir()}
