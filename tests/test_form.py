"""The hot modules run in the form that is wanted, compiled or not, and rtmpd says which."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from command_kit import RTMPD, TIMEOUT
from rtmpd_process import rtmpd

import rtmpd as package
from rtmpd.rtmp.form import form

ROOT = Path(__file__).parent.parent
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
HOT = WHEEL["hooks"]["custom"]["modules"]
COMPILED = os.environ.get("EXPECT_COMPILED") == "1"
"""Set by ``make test-compiled``, which runs the tests against the wheel."""
EXPECTED = "compiled" if COMPILED else "pure Python"


@pytest.mark.parametrize("name", HOT)
def test_every_hot_module_is_loaded_in_the_form_that_is_tested(name: str) -> None:
    spec = import_module(name).__spec__
    assert spec is not None
    assert spec.origin is not None
    assert spec.origin.endswith(tuple(EXTENSION_SUFFIXES) if COMPILED else ".py")
    assert form() == EXPECTED


@pytest.mark.parametrize("name", HOT)
def test_no_class_of_a_hot_module_is_generic(name: str) -> None:
    """Compiled, its instances would have weak references that nobody clears."""
    found = classes(ROOT / "server" / f"{name.replace('.', '/')}.py")
    of_a_type = [node.name for node in found if any(isinstance(base, ast.Subscript) for base in node.bases)]
    assert of_a_type == []


def test_no_other_class_inherits_from_a_hot_one() -> None:
    """Compiled, it would refuse to have instances of what is not."""
    hot = {ROOT / "server" / f"{name.replace('.', '/')}.py" for name in HOT}
    bases = {
        path: {node.name: {ast.unparse(base) for base in node.bases} for node in classes(path)}
        for path in (ROOT / "server").rglob("*.py")
    }
    of_hot = {name for path in hot for name in bases[path]}
    heirs = [
        name
        for path, those in bases.items()
        if path not in hot
        for name, its in those.items()
        if its & of_hot
    ]
    assert heirs == []


def classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]


@pytest.mark.types
def test_mypyc_takes_the_hot_modules(tmp_path: Path) -> None:
    """As far as C, which takes seconds; a C compiler then takes it or mypyc has a bug."""
    paths = [f"rtmpd/{name.partition('.')[2].replace('.', '/')}.py" for name in HOT]
    options = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={os.devnull}"]
    program = "import sys; from mypyc.build import mypycify; mypycify(sys.argv[2:], target_dir=sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), *options, *paths],
        cwd=ROOT / "server",
        capture_output=True,
        text=True,
        timeout=10 * TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list(tmp_path.rglob("*.c"))


def test_the_command_and_the_server_run_in_the_form_that_is_tested() -> None:
    said = subprocess.run([RTMPD, "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=True)
    assert said.stdout.startswith(f"rtmpd {package.__version__} ({EXPECTED}, ")
    with rtmpd() as server:
        assert f'form="{EXPECTED}"' in server.get("/metrics")


def test_the_wheel_is_pure_python_unless_it_is_asked_for_otherwise() -> None:
    assert WHEEL["hooks"]["custom"]["enable-by-default"] is False
    assert list((ROOT / "server").rglob("*.so")) == [], "it would shadow the source that is edited"


def test_the_sources_are_installed_in_either_form() -> None:
    """Tracebacks name them by file and line."""
    for name in HOT:
        origin = Path(str(import_module(name).__file__))
        assert origin.with_name(f"{name.rpartition('.')[2]}.py").is_file(), name
