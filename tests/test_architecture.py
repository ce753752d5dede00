"""The rooms of the package, who may import whom (docs/design.md), and sizes, read from the source."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Container, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "rtmpd"

FLOORS = (
    ("reasons",),
    ("exceptions",),
    ("rtmp",),
    ("media", "net", "state"),
    ("engine", "client"),
    ("serving", "relay", "processes", "tools", "hooks", "outputs", "packaging", "imports", "multitrack"),
    ("access", "events", "metrics", "http"),
    ("control",),
    ("compat",),
    ("web",),
    ("daemon",),
)
RANKS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
"""A room imports rooms of lower rank. Those on one floor are strangers."""
STRANGERS = {
    "imports": frozenset({"reasons", "rtmp", "media", "net", "state", "engine", "client"}),
    "engine": frozenset({"net"}),
    "client": frozenset({"media"}),
    "hooks": frozenset({"client", "media"}),
    "multitrack": frozenset({"media", "net", "engine", "client"}),
    "tools": frozenset({"engine"}),
    "control": frozenset({"serving", "client", "tools", "hooks", "http", "packaging"}),
    "metrics": frozenset({"net", "serving", "client", "tools", "media"}),
    "web": frozenset(
        {
            *("serving", "relay", "processes", "client", "tools", "hooks", "outputs", "packaging"),
            *("media", "access", "events", "http"),
        }
    ),
    "http": frozenset({"relay", "processes", "client", "tools", "hooks", "multitrack"}),
    "outputs": frozenset({"client"}),
    "packaging": frozenset({"client"}),
    "access": frozenset({"relay", "client", "tools"}),
    "compat": frozenset(
        {
            *("net", "media", "client", "serving", "relay", "processes"),
            *("tools", "outputs", "packaging", "access", "events", "metrics", "http"),
        }
    ),
    "events": frozenset({"serving", "client", "tools", "media"}),
}
"""Rooms on lower floors that a room has no business with."""
KNOWN_TO: dict[str, frozenset[str]] = {"state": frozenset({"daemon"})}
"""Rooms that only those to their right have business with that are named."""
APART = frozenset({"push", "pull"})
"""Packages of ``relay`` that never import each other."""

TOP_LEVEL = {"": RANKS["daemon"], "__main__": RANKS["daemon"] + 1}
"""The package itself, which may offer what lies below the daemon, and ``python -m``."""

NET_OF_RTMP = "rtmpd.rtmp.url"
"""All that ``net`` knows of the protocol: no sessions."""

SANS_IO = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "signal", "subprocess", "threading"),
        *("aiohappyeyeballs", "select", "selectors", "socket", "socketserver", "ssl", "uvloop"),
        *("datetime", "os", "pathlib", "random", "secrets", "tempfile", "time", "uuid"),
    }
)
FRAMEWORKS = frozenset({"aiohttp", "prometheus_client", "pydantic", "rich", "typer"})
FORBIDDEN = {
    "reasons": SANS_IO | FRAMEWORKS,
    "exceptions": SANS_IO | FRAMEWORKS,
    "rtmp": SANS_IO | FRAMEWORKS,
    "media": SANS_IO | FRAMEWORKS,
    "engine": SANS_IO | FRAMEWORKS,
    "net": FRAMEWORKS - {"aiohttp"},
    "state": FRAMEWORKS | {"asyncio", "socket", "subprocess"},
    "client": FRAMEWORKS,
    "hooks": SANS_IO | FRAMEWORKS,
    "imports": SANS_IO | FRAMEWORKS,
    "multitrack": SANS_IO | (FRAMEWORKS - {"pydantic"}),
    "serving": FRAMEWORKS,
    "relay": FRAMEWORKS,
    "processes": FRAMEWORKS,
    "tools": FRAMEWORKS,
    "outputs": FRAMEWORKS,
    "packaging": FRAMEWORKS,
    "http": FRAMEWORKS,
    "metrics": FRAMEWORKS | {"asyncio"},
    "control": FRAMEWORKS - {"pydantic"},
    "compat": (SANS_IO | FRAMEWORKS) - {"datetime"},
}
ONLY_IMPORTER = {
    "aiobotocore": "rtmpd.outputs.s3_job",
    "aiohttp": "rtmpd.net.http",
    "crossplane": "rtmpd.daemon.import_files",
    "jwt": "rtmpd.access.jwt_tokens",
    "pyamf": "rtmpd.rtmp.amf",
    "prometheus_client": "rtmpd.web.metrics",
    "uvloop": "rtmpd.daemon.worker",
    "yaml": "rtmpd.imports.marked_yaml",
}
HEAVY = frozenset(
    {"aiohttp", "cryptography", "jwt", "prometheus_client", "pyamf", "pydantic", "rich", "typer", "uvloop"}
)
"""Packages that cost a start most, in time and in memory, or that not everybody has a use for."""
ROOMS = frozenset(f"{PACKAGE}.{room}" for room in RANKS) - {f"{PACKAGE}.exceptions", f"{PACKAGE}.reasons"}
COMMANDS = frozenset(
    f"{PACKAGE}.daemon.{path.stem}" for path in (ROOT / "server" / PACKAGE / "daemon").glob("*_command.py")
)
"""The command line of each, but for those in ``daemon/cli``."""
UNUSED_BY_SERVERS = COMMANDS | frozenset(
    {
        "crossplane",
        "encodings.idna",
        "jwt",
        "pkg_resources",
        "rich",
        "rtmpd.access.backend",
        "rtmpd.access.hooked",
        "rtmpd.access.jwks",
        "rtmpd.access.jwt_tokens",
        "rtmpd.access.visits",
        "rtmpd.client",
        "rtmpd.compat",
        "rtmpd.daemon.descriptions",
        "rtmpd.daemon.handover",
        "rtmpd.daemon.neighbour",
        "rtmpd.daemon.slate_side",
        "rtmpd.daemon.usage_meter",
        "rtmpd.events.feed",
        "rtmpd.events.formats",
        "rtmpd.events.hooks",
        "rtmpd.events.target",
        "rtmpd.hooks.breaker",
        "rtmpd.hooks.dialects",
        "rtmpd.hooks.model",
        "rtmpd.imports",
        "rtmpd.net.http_caller",
        "rtmpd.net.messages",
        "rtmpd.packaging.fragments",
        "rtmpd.outputs.afterwork",
        "rtmpd.outputs.catalog",
        "rtmpd.outputs.appending",
        "rtmpd.outputs.clips",
        "rtmpd.outputs.delays",
        "rtmpd.outputs.disk",
        "rtmpd.outputs.file_series",
        "rtmpd.outputs.flv_file",
        "rtmpd.outputs.housekeeping",
        "rtmpd.outputs.kept",
        "rtmpd.outputs.library",
        "rtmpd.outputs.names",
        "rtmpd.outputs.pictures",
        "rtmpd.outputs.record_words",
        "rtmpd.outputs.recorder",
        "rtmpd.outputs.recordings",
        "rtmpd.outputs.repair",
        "rtmpd.outputs.rings",
        "rtmpd.outputs.slates",
        "rtmpd.outputs.spool",
        "rtmpd.packaging.packages",
        "rtmpd.packaging.segmenter",
        "rtmpd.relay.push.branch",
        "rtmpd.processes.child",
        "rtmpd.processes.command_secrets",
        "rtmpd.processes.run",
        "rtmpd.processes.streams",
        "rtmpd.rtmp.client",
        "rtmpd.state",
        "rtmpd.tools",
        "sqlite3",
        "yaml",
    }
)
"""What a server has no use for whose settings name no relay, backend, program, notification, issuer or place
for what outlives it."""
SPARED = {
    "the package": HEAVY | ROOMS | {"asyncio", "dataclasses", "ssl"},
    "the client": (HEAVY - {"pyamf"}) | (ROOMS - {"rtmpd.client", "rtmpd.net", "rtmpd.rtmp"}),
    "--version": COMMANDS
    | (HEAVY - {"typer"})
    | (ROOMS - {"rtmpd.daemon", "rtmpd.rtmp"})
    | {"asyncio", "ssl", "rtmpd.daemon.config", "rtmpd.rtmp.amf", "rtmpd.rtmp.session"},
    "serve without http": UNUSED_BY_SERVERS | {"rtmpd.engine.flv_wire", "rtmpd.http"},
    "serve without admin": UNUSED_BY_SERVERS
    | {
        "aiohttp",
        "prometheus_client",
        "rtmpd.control",
        "rtmpd.engine.flv_wire",
        "rtmpd.http",
        "rtmpd.metrics",
        "rtmpd.net.http",
        "rtmpd.processes.words",
    },
    "serve": UNUSED_BY_SERVERS,
}
"""What is not loaded where nothing needs it."""
MOST_LINES = {"file": 450, "class": 350, "function": 40}
"""Lines. Of a function only the body counts, without signature and docstring: long ones of these help."""
LONG = frozenset({"rtmpd.rtmp.chunks.ChunkReader.receive_data"})
"""Functions that may be longer: a loop in which a call for each chunk would cost as much as its work."""
NAMES_THE_ROOT = re.compile(r"\b(?:from|import)\b.*\bserver\b")
"""Stands in every file that imports it, and in few others: to read them all would take a minute's tenth."""
DYNAMIC = frozenset({"import_module", "__import__"})
"""Hide what is imported. Only the package itself may: it names its imports for type checkers all the same."""


def module_name(path: Path, source_root: Path) -> str:
    parts = path.relative_to(source_root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path, module: str) -> Sequence[tuple[int, str]]:
    """(line, dotted name) of everything that a file imports, wherever in the file it does so.

    ``from a import b`` gives ``a.b``, which may be a module or a name in one.
    """
    return tuple(read_imports(path, module))


def read_imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """The same, read anew."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                prefix = ".".join([*base, *([source] if source else [])])
                yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in names)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in DYNAMIC:
                yield node.lineno, name


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def complain(module: str, imported: str) -> Iterator[str]:
    """What the rules say against one import."""
    room = module.split(".")[1] if "." in module else ""
    top = imported.split(".")[0]
    if imported.rpartition(".")[2] in DYNAMIC and module != PACKAGE:
        yield f"calls {imported}, which hides what it imports"
    if imported == PACKAGE:
        yield "imports the package as a whole, which hides what of it is needed"
    if top in FORBIDDEN.get(room, ()):
        yield f"{room} must not know {top}"
    if top in ONLY_IMPORTER and module != ONLY_IMPORTER[top]:
        yield f"only {ONLY_IMPORTER[top]} imports {top}"
    if top != PACKAGE or imported == PACKAGE:
        return
    target = imported.split(".")[1]
    if target not in RANKS:
        if f"{PACKAGE}.{target}" != f"{PACKAGE}.__version__":
            yield f"{imported} belongs to no room"
        return
    if room == target:
        packages = {name.split(".")[2] for name in (module, imported) if name.count(".") >= 2}
        if room == "relay" and packages == APART:
            yield f"push and pull never import each other ({imported})"
    elif (
        RANKS[target] >= (RANKS | TOP_LEVEL)[room]
        or target in STRANGERS.get(room, ())
        or room not in KNOWN_TO.get(target, (room,))
    ):
        yield f"{room} must not import {target}"
    elif (room, target) == ("net", "rtmp") and not within(imported, NET_OF_RTMP):
        yield f"of rtmp net knows {NET_OF_RTMP} alone, not {imported}"


def violations(source_root: Path) -> list[str]:
    """Every breach of the rules in the package below ``source_root``."""
    found = []
    for path in sorted((source_root / PACKAGE).rglob("*.py")):
        module = module_name(path, source_root)
        if module != PACKAGE and module.split(".")[1] not in {*RANKS, "__main__"}:
            found.append(f"{module}: belongs to no room")
            continue
        for line, imported in imports(path, module):
            found.extend(f"{module}:{line}: {problem}" for problem in complain(module, imported))
    return found


def cycles(source_root: Path) -> list[str]:
    """Modules that import each other, be it for type checkers alone, as ``a -> b -> a``."""
    modules = {module_name(path, source_root): path for path in sorted((source_root / PACKAGE).rglob("*.py"))}
    graph = {
        module: sorted({target for _, name in imports(path, module) if (target := owner(name, modules))})
        for module, path in modules.items()
    }
    found: list[str] = []
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> None:
        if module in way:
            found.append(" -> ".join([*way[way.index(module) :], module]))
        elif module not in done:
            for target in graph[module]:
                visit(target, [*way, module])
            done.add(module)

    for module in modules:
        visit(module, [])
    return found


def owner(name: str, modules: Container[str]) -> str | None:
    """The module that an imported dotted name is or lies in."""
    for candidate in (name, name.rpartition(".")[0]):
        if candidate in modules:
            return candidate
    return None


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(node: ast.AST, name: str) -> Iterator[tuple[str, Definition]]:
    """Every class and function inside, by its dotted name, wherever it stands."""
    for child in ast.iter_child_nodes(node):
        inner = name
        if isinstance(child, Definition):
            inner = f"{name}.{child.name}"
            yield inner, child
        yield from definitions(child, inner)


def lines_of(node: Definition) -> int:
    """Of a class, or of the body of a function without its docstring; blank ones and comments count."""
    first: ast.stmt = node
    if not isinstance(node, ast.ClassDef):
        body = node.body
        first = body[1] if len(body) > 1 and ast.get_docstring(node) is not None else body[0]
    return (node.end_lineno or 0) - first.lineno + 1


def too_long(source_root: Path) -> dict[str, int]:
    """Lines of every file, class and function that has more than ``MOST_LINES``, by its dotted name."""
    found = {}
    for path in sorted((source_root / PACKAGE).rglob("*.py")):
        module = module_name(path, source_root)
        source = path.read_text()
        if (lines := len(source.splitlines())) > MOST_LINES["file"]:
            found[module] = lines
        for name, node in definitions(ast.parse(source), module):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            if (lines := lines_of(node)) > MOST_LINES[kind]:
                found[name] = lines
    return found


def source_root_imports(root: Path) -> list[str]:
    """Files that import the package by the name of its source root, which would load it twice."""
    found = []
    for top in ("server", "tests", "bench"):
        for path in sorted((root / top).rglob("*.py")):
            if not NAMES_THE_ROOT.search(path.read_text()):
                continue
            names = imports(path, module_name(path, root))
            found.extend(f"{path.relative_to(root)}:{line}" for line, name in names if within(name, "server"))
    return found


def test_every_room_keeps_to_its_neighbours():
    assert violations(ROOT / "server") == []


def test_no_modules_import_each_other():
    assert cycles(ROOT / "server") == []


def test_nobody_imports_the_source_root():
    assert source_root_imports(ROOT) == []


def test_no_file_class_or_function_is_too_long():
    assert too_long(ROOT / "server").keys() == LONG


def test_the_package_is_looked_at():
    files = list((ROOT / "server" / PACKAGE).rglob("*.py"))
    assert len(files) > 20
    names = [name for path in files for _, name in imports(path, module_name(path, ROOT / "server"))]
    assert sum(within(name, PACKAGE) for name in names) > 20


# -- what is loaded, in processes of their own


def loaded_by(program: str, *arguments: str) -> frozenset[str]:
    """The modules that a Python program has loaded at its end. A server is ended once it listens."""
    tell = f"import json, sys\ntry:\n    {program}\nfinally:\n    print(json.dumps([*sys.modules]))"
    with subprocess.Popen(
        [sys.executable, "-c", tell, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            if '"event":"listening"' in line:
                process.terminate()
        (*_, names) = process.stdout
    assert process.returncode == 0
    return frozenset(json.loads(names))


COMMAND = "from rtmpd.daemon.cli import main; main()"
SERVE = ("serve", "--set", "rtmp.listen=127.0.0.1:0", "--set", "log.format=json")
WITHOUT_HTTP = ("--set", "http.listen=[]")


@pytest.mark.parametrize(
    ("who", "program", "arguments"),
    [
        ("the package", "import rtmpd", ()),
        ("the client", "import rtmpd; rtmpd.connect", ()),
        ("--version", COMMAND, ("--version",)),
        ("serve without admin", COMMAND, (*SERVE, *WITHOUT_HTTP, "--set", "admin.listen=[]")),
        ("serve without http", COMMAND, (*SERVE, *WITHOUT_HTTP, "--set", "admin.listen=127.0.0.1:0")),
        ("serve", COMMAND, (*SERVE, "--set", "http.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0")),
    ],
)
def test_nobody_loads_what_he_has_no_use_for(who: str, program: str, arguments: tuple[str, ...]):
    loaded = loaded_by(program, *arguments)
    assert PACKAGE in loaded
    assert loaded & SPARED[who] == set()


def test_a_load_is_seen():
    assert {"rtmpd.daemon.worker", "uvloop", "aiohttp"} <= loaded_by(
        COMMAND, *SERVE, *WITHOUT_HTTP, "--set", "admin.listen=127.0.0.1:0"
    )
    assert "rich" in loaded_by("import rich, rtmpd")


# -- the checker itself, on small trees


def plant(root: Path, file: str, source: str) -> list[str]:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return violations(root)


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("rtmp/x.py", "from rtmpd.media import tags", "rtmp must not import media"),
        ("rtmp/x.py", "from rtmpd import engine", "rtmp must not import engine"),
        ("rtmp/x.py", "from ..net import tasks", "rtmp must not import net"),
        ("rtmp/__init__.py", "from ..media import tags", "rtmp must not import media"),
        ("rtmp/x.py", "def f():\n    import asyncio.events", "rtmp must not know asyncio"),
        ("media/x.py", "from time import monotonic", "media must not know time"),
        ("media/x.py", "from rtmpd.net import tasks", "media must not import net"),
        (
            "engine/x.py",
            "if TYPE_CHECKING:\n    from rtmpd.serving import peer",
            "engine must not import serving",
        ),
        ("engine/x.py", "from rtmpd.net import tasks", "engine must not import net"),
        ("engine/x.py", "import random as dice", "engine must not know random"),
        ("exceptions.py", "import rtmpd.rtmp.limits", "exceptions must not import rtmp"),
        ("media/x.py", "from os import urandom", "media must not know os"),
        ("engine/x.py", "from datetime import datetime", "engine must not know datetime"),
        ("net/x.py", "import pydantic", "net must not know pydantic"),
        ("net/x.py", "from rtmpd.rtmp.session import Session", "of rtmp net knows rtmpd.rtmp.url alone"),
        ("serving/x.py", "import typer", "serving must not know typer"),
        ("net/x.py", "from rtmpd.engine import registry", "net must not import engine"),
        ("client/x.py", "from rtmpd.engine import registry", "client must not import engine"),
        ("client/x.py", "from rtmpd.media import tags", "client must not import media"),
        ("control/x.py", "from rtmpd.state import store", "control must not import state"),
        ("state/x.py", "import asyncio", "state must not know asyncio"),
        ("serving/x.py", "from rtmpd.relay import status", "serving must not import relay"),
        ("serving/x.py", "from rtmpd.web.server import a", "serving must not import web"),
        ("relay/x.py", "from rtmpd.serving import connection", "relay must not import serving"),
        ("relay/push/x.py", "from ..pull import a", "push and pull never import each other"),
        ("relay/pull/x.py", "from rtmpd.relay.push.relays import a", "push and pull never import each other"),
        ("tools/x.py", "from rtmpd.engine import headers", "tools must not import engine"),
        ("web/x.py", "from rtmpd.access import policy", "web must not import access"),
        ("web/x.py", "from rtmpd.serving import connection", "web must not import serving"),
        ("access/x.py", "from rtmpd.web import server", "access must not import web"),
        ("events/x.py", "from rtmpd.web import server", "events must not import web"),
        ("events/x.py", "from rtmpd.serving import peer", "events must not import serving"),
        ("access/x.py", "from rtmpd.daemon.config import Config", "access must not import daemon"),
        ("rtmp/commands.py", "import pyamf.amf0", "only rtmpd.rtmp.amf imports pyamf"),
        ("control/x.py", "from rtmpd.serving.server import RtmpServer", "control must not import serving"),
        ("control/x.py", "import typer", "control must not know typer"),
        ("access/x.py", "from rtmpd.control.actor import Actor", "access must not import control"),
        ("web/api.py", "import prometheus_client", "only rtmpd.web.metrics imports prometheus_client"),
        ("web/api.py", "from aiohttp import web", "only rtmpd.net.http imports aiohttp"),
        ("access/x.py", "import jwt", "only rtmpd.access.jwt_tokens imports jwt"),
        ("daemon/cli.py", "import uvloop", "only rtmpd.daemon.worker imports uvloop"),
        ("utils/x.py", "", "belongs to no room"),
        ("rtmp/x.py", "from rtmpd.helpers import a", "belongs to no room"),
        ("rtmp/x.py", "import importlib\nimportlib.import_module('rtmpd.net')", "hides what it imports"),
        ("rtmp/x.py", "from importlib import import_module as f", "hides what it imports"),
        ("engine/x.py", "import rtmpd", "imports the package as a whole"),
        ("__init__.py", "from rtmpd.daemon import worker", "must not import daemon"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, source, complaint):
    (found,) = plant(tmp_path, f"rtmpd/{file}", source)
    assert complaint in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "rtmp/x.py",
            "from rtmpd.exceptions import ChunkError\nfrom . import limits\nimport struct",
        ),
        ("rtmp/amf.py", "import pyamf"),
        ("engine/x.py", "from rtmpd.media import tags\nfrom rtmpd.rtmp.constants import MessageType"),
        ("net/x.py", "import asyncio, socket\nfrom rtmpd.rtmp import url"),
        ("serving/x.py", "from rtmpd.engine import registry\nfrom rtmpd.net import tasks"),
        (
            "relay/push/x.py",
            "from . import y\nfrom rtmpd.relay.push import z\nfrom rtmpd.client import connect",
        ),
        ("relay/pull/x.py", "from rtmpd.relay import status"),
        ("access/x.py", "import pydantic\nfrom rtmpd.serving.access import Grant"),
        ("web/metrics.py", "import prometheus_client"),
        ("net/http.py", "from aiohttp import web"),
        ("web/api.py", "import pydantic\nfrom rtmpd.control.control import Control"),
        ("control/x.py", "import pydantic\nfrom rtmpd.access import guard\nfrom rtmpd.relay import status"),
        ("events/x.py", "from rtmpd.relay import status\nfrom rtmpd.net import http"),
        (
            "daemon/worker.py",
            "import uvloop\nfrom rtmpd import __version__\nfrom rtmpd.access import policy",
        ),
        ("__init__.py", "from rtmpd.client import connect"),
        ("__main__.py", "from rtmpd.daemon.cli import main"),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path, file, source):
    assert plant(tmp_path, f"rtmpd/{file}", source) == []


def test_a_circle_is_found_even_if_only_type_checkers_walk_it(tmp_path):
    plant(tmp_path, "rtmpd/engine/a.py", "from rtmpd.engine.b import B")
    plant(tmp_path, "rtmpd/engine/b.py", "import rtmpd.engine.c")
    assert cycles(tmp_path) == []
    plant(tmp_path, "rtmpd/engine/c.py", "if TYPE_CHECKING:\n    from rtmpd.engine import a")
    assert cycles(tmp_path) == ["rtmpd.engine.a -> rtmpd.engine.b -> rtmpd.engine.c -> rtmpd.engine.a"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("pass\n" * 450, {}),
        ("pass\n" * 451, {"rtmpd.net.x": 451}),
        ("class A:\n" + "    a = 1\n" * 349, {}),
        ("class A:\n" + "    a = 1\n" * 350, {"rtmpd.net.x.A": 351}),
        ("def f():\n" + "    pass\n" * 40, {}),
        ("def f():\n" + "    pass\n" * 41, {"rtmpd.net.x.f": 41}),
        ("def f():\n" + "    pass\n" + "    # why\n\n" * 20 + "    pass\n", {"rtmpd.net.x.f": 42}),
        ("async def f():\n" + "    pass\n" * 41, {"rtmpd.net.x.f": 41}),
        ("if True:\n  class A:\n    def f():\n" + "      pass\n" * 41, {"rtmpd.net.x.A.f": 41}),
        ("def f(\n" + "".join(f"  a{n},\n" for n in range(50)) + "):\n    pass\n", {}),
        ('def f():\n    """' + "text\n" * 50 + '"""\n' + "    pass\n" * 40, {}),
        ('def f():\n    """' + "text\n" * 50 + '"""\n' + "    pass\n" * 41, {"rtmpd.net.x.f": 41}),
    ],
)
def test_what_is_too_long_is_found(tmp_path, source, found):
    plant(tmp_path, "rtmpd/net/x.py", source)
    assert too_long(tmp_path) == found


@pytest.mark.parametrize(
    "source", ["import server.rtmpd", "from server.rtmpd import x", "from server import rtmpd"]
)
@pytest.mark.parametrize("top", ["server/rtmpd", "tests/net", "bench"])
def test_an_import_of_the_source_root_is_found(tmp_path, top, source):
    path = tmp_path / top / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert source_root_imports(tmp_path) == [f"{top}/x.py:1"]
