"""The documentation says what is there: tests, links, metrics, log lines and settings by name."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from metrics_sources import busy_server, collected

from rtmpd.daemon import reference
from rtmpd.daemon.config import Config
from rtmpd.daemon.fields import Effect
from rtmpd.daemon.keys import SOME_APP, SOME_NAMES, walk, walk_app
from rtmpd.http.page_html import OEMBED, Place
from rtmpd.metrics.families import HistogramFamily

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "server" / "rtmpd"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPERATIONS = ROOT / "docs" / "operations.md"
DESIGN = ROOT / "docs" / "design.md"
PROTOCOL = ROOT / "docs" / "protocol.md"


LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})


def section(document: Path, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    _, found, rest = document.read_text().partition(f"\n{heading}\n")
    assert found, f"{document.name} has no {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Cells of every table row, headings and rulers left out."""
    lines = re.findall(r"^\|(.+)\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    return [row for row in cells if row[0].startswith("`")]


def words(text: str) -> list[str]:
    """Everything in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def first_words(text: str) -> list[str]:
    return [word for row in rows(text) for word in words(row[0])]


# -- what the code has


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, name: str | None = None) -> Iterator[FunctionDef]:
    """All functions of a module or of a function, or those of one name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name in (None, node.name):
            yield node


def parameter_values(tree: ast.Module, function: FunctionDef, name: str) -> Iterator[str]:
    """Constants that a module's own calls pass to a function for its parameter ``name``."""
    position = [argument.arg for argument in function.args.args if argument.arg != "self"].index(name)
    for call in ast.walk(tree):
        match call:
            case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called)) if called == function.name:
                argument = call.args[position]
                assert isinstance(argument, ast.Constant), f"{function.name}: {ast.unparse(call)}"
                yield str(argument.value)


def imports_of(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """What a module calls things of ours that it imports: the module they are from, and their name."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rtmpd")
        for alias in node.names
    }


def called_function(tree: ast.Module, called: ast.expr) -> tuple[ast.Module, FunctionDef]:
    """The one function or method that a module calls like this, and the module that it stands in."""
    imported = imports_of(tree)
    match called:
        case ast.Attribute(value=ast.Name(id=alias), attr=name) if alias in imported:
            package, module = imported[alias]
            tree = module_named(f"{package}.{module}")
        case ast.Name(id=alias) if alias in imported:
            module, name = imported[alias]
            tree = module_named(module)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            pass
        case _:
            raise AssertionError(f"a call that only a run can tell: {ast.unparse(called)}")
    (function,) = functions(tree, name)
    return tree, function


def module_named(name: str) -> ast.Module:
    """A module of ours by its dotted name."""
    return modules()[PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")]


def keys(tree: ast.Module, function: FunctionDef, node: ast.expr) -> set[str]:
    """Keys of a dict made of literals, ``|``, ``if``, local names, and what functions and methods return."""
    match node:
        case ast.Dict():
            return {ast.literal_eval(key) for key in node.keys if key is not None}
        case ast.BinOp(op=ast.BitOr()):
            return keys(tree, function, node.left) | keys(tree, function, node.right)
        case ast.IfExp():
            return keys(tree, function, node.body) | keys(tree, function, node.orelse)
        case ast.Name(id=name):
            for assignment in ast.walk(function):
                match assignment:
                    case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                        return keys(tree, function, value)
        case ast.Call(func=called):
            home, method = called_function(tree, called)
            (value,) = [n.value for n in ast.walk(method) if isinstance(n, ast.Return) and n.value]
            return keys(home, method, value)
    raise AssertionError(f"fields that only a run can tell: {ast.unparse(node)}")


def fields_of(tree: ast.Module, function: FunctionDef, call: ast.Call) -> set[str]:
    """Fields of a log call."""
    for keyword in call.keywords:
        match keyword:
            case ast.keyword(
                arg="extra", value=ast.Dict(keys=[ast.Constant(value="fields")], values=[value])
            ):
                return keys(tree, function, value)
    return set()


def logged(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """Messages of a module, with ``...`` for what is filled in, and their fields."""
    for function in functions(tree):
        for node in ast.walk(function):
            match node:
                case ast.Dict(keys=[*_, ast.Constant(value="msg"), ast.Constant(value="fields")]):
                    # A record made by hand, as logging.makeLogRecord wants it.
                    *_, message, fields = node.values
                    yield ast.literal_eval(message), keys(tree, function, fields)
                case ast.Call(func=ast.Attribute(value=ast.Name(id="logger" | "_logger"), attr=method)):
                    if method not in LOG_METHODS:
                        continue
                    fields = fields_of(tree, function, node)
                    match node.args[1 if method == "log" else 0]:
                        case ast.Constant(value=str(message)):
                            yield re.sub(r"%\w", "...", message), fields
                        case ast.Name(id=name):
                            for message in parameter_values(tree, function, name):
                                yield message, fields
                        case other:
                            raise AssertionError(f"a message that is no constant: {ast.unparse(other)}")


@functools.cache
def modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def functions_of(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


# -- links and tests


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_is_named_exists(document: Path) -> None:
    for name in words(document.read_text()):
        if match := re.fullmatch(r"(\w+/)?(test_\w+\.py)(?:::(\w+))?", name):
            path = ROOT / "tests" / (match[1] or "") / match[2]
            assert path.exists(), name
            assert match[3] is None or match[3] in functions_of(path), name


def test_what_the_protocol_table_claims_is_shown_by_a_test() -> None:
    table = [
        row
        for row in re.findall(r"^\|(.+)\|$", PROTOCOL.read_text(), re.MULTILINE)
        if re.search(r"\| (yes|partly) \|", row)
    ]
    assert len(table) > 50
    for row in table:
        assert "test_" in row, row


# -- operations.md


def test_every_metric_is_documented_with_its_labels() -> None:
    documented = {
        words(row[0])[0]: tuple(sorted(words(row[1]))) for row in rows(section(OPERATIONS, "## Metrics"))
    }
    exported = {}
    for family in collected(busy_server().metrics()):
        if isinstance(family, HistogramFamily):
            exported[family.name] = ()
        else:
            name = f"{family.name}_total" if family.kind == "counter" else family.name
            exported[name] = tuple(sorted(family.labels))
    assert documented == exported


def test_nobody_is_sent_where_there_is_nothing() -> None:
    """There is neither a repository on the network nor a package in an index."""
    places = [
        *(ROOT / "deploy").rglob("*"),
        *(ROOT / "systemd").iterdir(),
        *DOCUMENTS,
        ROOT / "pyproject.toml",
    ]
    for place in places:
        if place.is_file():
            found = re.findall(r"github\.com/rtmpd|pip install[^`\n#&]* rtmpd\b", place.read_text())
            assert found == [], place


def test_every_alert_is_documented() -> None:
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    names = re.findall(r"- alert: (\w+)", alerts)
    assert re.findall(r"^#### (\w+)$", section(OPERATIONS, "### Alerts"), re.MULTILINE) == names
    # Whoever is woken by one is told where to read on.
    runbooks = [f"docs/operations.md#{slug(name)}" for name in names]
    assert re.findall(r'runbook_url: "(.+)"', alerts) == runbooks


def test_every_log_message_is_documented_with_its_fields() -> None:
    written: dict[str, set[str]] = {}
    for tree in modules().values():
        for message, fields in logged(tree):
            assert written.setdefault(message, fields) == fields, message
    assert len(written) > 15
    table = [row for row in rows(section(OPERATIONS, "## Log")) if len(row) == 4]
    # What stands in parentheses explains a field.
    documented = {words(row[0])[0]: set(words(re.sub(r"\([^)]*\)", "", row[2]))) for row in table}
    assert documented == written


def test_every_setting_is_documented_with_its_default() -> None:
    defaults = Config()
    documented = {words(row[0])[0]: words(row[1])[0] for row in rows(section(OPERATIONS, "## Limits"))}
    settings = {key.name: reference.format_value(key, key.read(defaults)) for key in walk()}
    assert documented == settings


@pytest.mark.parametrize("document", sorted(ROOT.glob("docs/migrate-from-*.md")), ids=lambda path: path.stem)
def test_what_other_servers_settings_become_is_a_setting(document: Path) -> None:
    known = {key.name for key in walk()}
    of_apps = {key.name.removeprefix(f"apps.{SOME_APP}.") for key in walk_app(SOME_APP, SOME_NAMES)}
    levels = {level for name in known | of_apps for level in name.split(".")} | {"key_file", "chain_file"}
    table = [row for row in rows(document.read_text()) if len(row) == 2]
    assert len(table) > 15
    for _, becomes in table[1:]:
        for word in words(becomes):
            setting = word.partition(" = ")[0]
            if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", setting):
                assert setting in known, word
            elif re.fullmatch(r"[a-z]+(_[a-z]+)+|ips|from|url|key|restart|linger", setting):
                assert setting in levels, word
            elif section := re.fullmatch(r"\[apps\.live\.([a-z]+)[\w.]*\]", setting):
                assert section[1] in levels, word


def test_every_module_stands_in_the_row_of_its_room() -> None:
    table = rows(section(DESIGN, "## Rooms"))
    told = {words(room)[0].strip("/"): set(words(what)) for room, what, *_ in table}
    there: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        room, *parts = path.relative_to(PACKAGE).with_suffix("").parts
        there.setdefault(room, set()).update(parts[:1])
    for room, modules in there.items():
        if not room.startswith("__"):
            assert modules - {"__init__"} - told[room] == set(), room


def test_for_whom_another_value_of_a_setting_holds_is_documented() -> None:
    table = rows(section(DESIGN, "## Rooms"))[-len(Effect) :]
    patterns = {pattern: row[0].strip("`") for row in table for pattern in words(row[1])}
    for key in (*walk(), *walk_app(SOME_APP, SOME_NAMES)):
        fitting = [pattern for pattern in patterns if fnmatchcase(key.name, pattern)]
        assert patterns[max(fitting, key=len)] == key.effect, key.name


@pytest.mark.parametrize("name", ["http.md", "hls.md"])
def test_proxies_of_the_examples_pass_on_all_that_a_page_takes(name: str) -> None:
    (place,) = re.findall(r"^location ~ (\S+) \{$", (ROOT / "docs" / name).read_text(), re.MULTILINE)
    page = Place("http://localhost", "", "0")
    for path in ("/live/show", "/live/show/index.m3u8", page.asset("player.css"), f"/{OEMBED}"):
        assert re.match(place, path), path
    assert not re.match(place, "/elsewhere")
