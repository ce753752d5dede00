"""The words of metrics, log, API and events: each is used, and says in a document what it means."""

from __future__ import annotations

import ast
import re
import runpy
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rtmpd.daemon.keys import walk
from rtmpd.reasons import FlvFailure, Word

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "server" / "rtmpd"
OPERATIONS = ROOT / "docs" / "operations.md"
NOTIFICATIONS = ROOT / "docs" / "notifications.md"
API = ROOT / "docs" / "api.md"
LEVELS = ROOT / "docs" / "service-levels.md"
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "generate.py"))
LISTS: list[type[Word]] = [*SCRIPT["TABLES"], FlvFailure]
"""All there are; what is wrong with a file is told to whoever gave it, in a sentence."""


@cache
def nodes() -> list[ast.AST]:
    """Those of all modules."""
    return [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]


@cache
def used() -> dict[str, set[str]]:
    """What is taken of each name."""
    attributes = defaultdict(set)
    for node in nodes():
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            attributes[node.value.id].add(node.attr)
    return attributes


each_list = pytest.mark.parametrize("words", LISTS, ids=lambda words: words.__name__)


@pytest.mark.parametrize("document", [OPERATIONS, NOTIFICATIONS, API, LEVELS], ids=lambda path: path.name)
def test_the_tables_are_made_from_the_code(document: Path) -> None:
    text = document.read_text()
    assert SCRIPT["regenerated"](document, text) == text, "make docs writes them anew"


def test_the_document_of_the_api_is_made_from_the_code() -> None:
    text = (ROOT / "docs" / "openapi.json").read_text()
    assert SCRIPT["openapi"]() == text, "make docs writes it anew"


def test_a_table_without_a_place_is_missed() -> None:
    text = OPERATIONS.read_text().replace("<!-- end of Refusal -->", "")
    with pytest.raises(LookupError, match="write where the table of Refusal belongs"):
        SCRIPT["regenerated"](OPERATIONS, text)


def test_every_list_has_a_table() -> None:
    defined = {
        node.name
        for node in nodes()
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Word" for base in node.bases)
    }
    assert defined == {words.__name__ for words in LISTS}


@each_list
def test_every_word_is_used(words: type[Word]) -> None:
    assert set(words.__members__) - used()[words.__name__] == set()


@each_list
def test_no_two_names_mean_the_same_word(words: type[Word]) -> None:
    assert [name for name, word in words.__members__.items() if word.name != name] == []
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", word) for word in words)


@each_list
def test_the_settings_that_a_meaning_names_exist(words: type[Word]) -> None:
    settings = {key.name for key in walk()}
    named = {name for word in words for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", word.meaning)}
    assert named - settings == set()
