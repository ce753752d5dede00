"""The configuration files of the repository: complete, true to the models, accepted."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from rtmpd.daemon import reference
from rtmpd.daemon.app_config import AppConfig
from rtmpd.daemon.config import Config
from rtmpd.daemon.descriptions import describe
from rtmpd.daemon.keys import SOME_NAMES, Key, names_in, walk, walk_app
from rtmpd.daemon.push_config import PushConfig
from rtmpd.daemon.settings import load

CONFIG = Path(__file__).parent.parent / "config"
REFERENCE = CONFIG / "rtmpd.toml"
describe(Config)
KEYS = list(walk())


def block(key: Key) -> str:
    """The comment above a key, with the line of the key itself."""
    section = re.split(r"^\[(?=[a-z_.]+\]$)", REFERENCE.read_text(), flags=re.MULTILINE)
    body = next(part for part in section if part.startswith(".".join(key.path[:-1]) + "]"))
    return next(part for part in body.split("\n\n") if re.search(rf"^{key.path[-1]} = ", part, re.MULTILINE))


def test_reference_file_is_what_the_models_say():
    # After a change of the models: rtmpd check --template > config/rtmpd.toml
    assert REFERENCE.read_text() == reference.template()


def test_reference_file_sets_every_key_to_its_default():
    settings = load([REFERENCE], {})
    assert settings.config == Config()
    assert set(settings.origins) == {key.name for key in KEYS}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_has_a_comment_its_default_and_its_unit(key):
    comment, _, line = block(key).strip().rpartition("\n")
    assert key.field.description
    assert " ".join(key.field.description.split()) in " ".join(comment.replace("# ", "").split())
    value = reference.format_value(key, key.read(Config()))
    assert line == f"{key.path[-1]} = {value}"
    assert f"default {value}" in comment
    assert key.unit in comment


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_quantity_has_a_unit(key):
    name = key.path[-1]
    if isinstance(key.read(Config()), float):
        assert key.unit == "seconds"
    if name.endswith("_ms"):
        assert key.unit == "milliseconds"
    if name.endswith("_timeout"):
        assert key.unit == "seconds"


@pytest.mark.parametrize("path", sorted((CONFIG / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_examples_are_accepted_and_change_something(path):
    settings = load([path], {})
    apps = settings.config.apps
    named = {name: AppConfig(targets=dict.fromkeys(app.targets, PushConfig())) for name, app in apps.items()}
    defaults = Config(apps=named)
    keys = chain(KEYS, *(walk_app(name, names_in(app)) for name, app in apps.items()))
    changed = {key.name for key in keys if key.read(settings.config) != key.read(defaults)}
    assert changed == set(settings.origins), "an example that repeats a default misleads"


def test_what_an_app_can_have_is_accepted_once_it_is_no_comment(tmp_path):
    text = REFERENCE.read_text()
    lines = [line.removeprefix("# ") for line in text[text.index("# One app") :].splitlines()]
    path = tmp_path / "apps.toml"
    path.write_text("\n".join(line for line in lines if re.match(r"\[apps|\w+ = ", line)))
    settings = load([path], {})
    # The list of targets cannot stand beside their tables.
    assert {key.name for key in walk_app("NAME", SOME_NAMES)} - {"apps.NAME.push"} == set(settings.origins)
    app = settings.config.at("NAME")
    assert app.pushes("x")["TARGET"].url.name == "STREAM-KEY"
    assert app.pull.rule is not None


def test_schema_accepts_the_types_that_the_reference_file_uses():
    schema = Config.model_json_schema()
    kinds = {str: "string", int: "number", float: "number", list: "array", bool: "boolean"}
    document = tomllib.loads(REFERENCE.read_text())
    for key in KEYS:
        node, value = schema, document
        for part in key.path:
            node = node["properties"][part]
            if "$ref" in node:
                node = schema["$defs"][node["$ref"].rpartition("/")[2]]
            value = value[part]
        allowed = node["type"] if isinstance(node["type"], list) else [node["type"]]
        assert {kinds[type(value)], "integer" if type(value) is int else ""} & set(allowed), key.name
