"""Compiles the hot modules with mypyc while a wheel is built, if the build asks for it.

    HATCH_BUILD_HOOKS_ENABLE=1 pip wheel --no-deps --wheel-dir dist .

Why, and why not with hatch-mypyc: docs/adr/0007-mypyc.md. Which modules: pyproject.toml.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SETUP = """\
from mypyc.build import mypycify
from setuptools import setup

setup(name="rtmpd", ext_modules=mypycify({paths!r}, opt_level="3", multi_file=True, group_name="rtmpd"))
"""


class CompileHook(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel, beside their sources, which tracebacks name by file and line."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs the wheel."""
        if version == "editable":
            return  # The sources are what is edited; nothing compiled may shadow them.
        # In a directory of its own: what is compiled beside the sources would shadow them too.
        self._work = tempfile.TemporaryDirectory(prefix="rtmpd-build-")
        compiled = self._compile(Path(self._work.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {
            str(path): str(path.relative_to(compiled)) for path in compiled.rglob("*.so")
        }

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Called by hatchling when the wheel is there."""
        if version != "editable":
            self._work.cleanup()

    def _compile(self, work: Path) -> Path:
        """The directory with what has been compiled, laid out like the wheel."""
        sources, compiled = work / "sources", work / "compiled"
        shutil.copytree(Path(self.root, "server"), sources, ignore=shutil.ignore_patterns("__pycache__"))
        # From the source root on: tracebacks name the files as they are named here.
        paths = [f"{module.replace('.', '/')}.py" for module in self.config["modules"]]
        options = ["--config-file", str(Path(self.root, "pyproject.toml"))]
        (work / "setup.py").write_text(_SETUP.format(paths=[*options, *paths]))
        done = subprocess.run(
            [sys.executable, str(work / "setup.py"), "build_ext", "--build-lib", str(compiled)],
            cwd=sources,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"mypyc failed; it needs a C compiler and Python's headers:\n{done.stdout}")
        return compiled
