"""Compiles the hot modules with mypyc while a wheel is built, if the build asks for it.

    HATCH_BUILD_HOOKS_ENABLE=1 pip wheel --no-deps --wheel-dir dist .

Why, and why not with hatch-mypyc: docs/adr/0007-mypyc.md. Which modules: pyproject.toml.
"""

from __future__ import annotations

import re
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

_MISSING = re.compile(
    r"^(\S+\.py:\d+).*(?:module named|stubs not installed for) \"([^\"]+)\"",
    re.MULTILINE,
)
_MISTAKE = re.compile(r"^(\S+\.py:\d+)(?::\d+)?: error: (.*)$", re.MULTILINE)
_UNINSTALLED = re.compile(r"^ModuleNotFoundError: No module named '([^']+)'$", re.MULTILINE)
_COMMAND = re.compile(r"^error: command '([^']+)' failed: No such file or directory$", re.MULTILINE)


class CompileHook(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel, beside their sources, which tracebacks name by file and line."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs the wheel."""
        if version == "editable":
            return  # The sources are what is edited; nothing compiled may shadow them.
        # In a directory of its own: what is compiled beside the sources would shadow them too.
        self._work = tempfile.TemporaryDirectory(prefix="rtmpd-build-")
        try:
            compiled = self._compile(Path(self._work.name))
        except BaseException:
            self._work.cleanup()
            raise
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
            raise RuntimeError(f"rtmpd was not compiled: {_explain(done.stdout)}:\n{done.stdout}")
        return compiled


def _explain(output: str) -> str:
    """What is to be done about a compilation that failed, in one line."""
    if missing := _MISSING.search(output):
        return (
            f"mypy does not find {missing[2]}, which {missing[1]} imports; name it in pyproject.toml, "
            "dependencies of [tool.hatch.build.targets.wheel.hooks.custom]"
        )
    if uninstalled := _UNINSTALLED.search(output):
        return f"{uninstalled[1]} is not installed where it is built; leave out --no-build-isolation"
    if mistake := _MISTAKE.search(output):
        return f"mypyc does not take the types of {mistake[1]}: {mistake[2].rstrip()}"
    pure = "or leave out HATCH_BUILD_HOOKS_ENABLE for pure Python"
    if command := _COMMAND.search(output):
        return f"there is no C compiler {command[1]}; install one (on Debian gcc and libc6-dev), {pure}"
    if "Python.h: No such file" in output:
        return f"Python's headers are missing; install them (on Debian python3-dev), {pure}"
    return f"the C compiler has failed on what mypyc made, or mypyc itself, as below; mend it, {pure}"
