"""A compiled wheel that cannot be made: what the first line of the error says, by real tools."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hatch_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.interop
@pytest.mark.parametrize(
    ("source", "environment", "told"),
    [
        (
            "import nobody_has_this\n\n\ndef one() -> int:\n    return 1\n",
            {},
            r"mypy does not find nobody_has_this, which rtmpd/hot\.py:1 imports; name it in pyproject.*",
        ),
        (
            'def one() -> int:\n    return "1"\n',
            {},
            r"mypyc does not take the types of rtmpd/hot\.py:2: Incompatible return value type .*",
        ),
        (
            "def one() -> int:\n    return 1\n",
            {"CC": "no-such-compiler"},
            r"there is no C compiler no-such-compiler; install one \(on Debian gcc and libc6-dev\), .*",
        ),
        (
            "def one() -> int:\n    return 1\n",
            {"CC": "false"},
            r"the C compiler has failed on what mypyc made, .*",
        ),
    ],
    ids=["module", "types", "compiler", "other"],
)
def test_the_first_line_says_what_is_missing(
    hatch_build: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    environment: dict[str, str],
    told: str,
) -> None:
    package = tmp_path / "server" / "rtmpd"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "hot.py").write_text(source)
    (tmp_path / "pyproject.toml").write_text("[tool.mypy]\nstrict = true\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    metadata = ProjectMetadata(str(tmp_path), PluginManager(), {"project": {"name": "rtmpd", "version": "1"}})
    hook = hatch_build.CompileHook(
        str(tmp_path), {"modules": ["rtmpd.hot"]}, None, metadata, str(tmp_path / "dist"), "wheel"
    )
    with pytest.raises(RuntimeError) as raised:
        hook.initialize("standard", {"force_include": {}})
    first, rest, *_ = str(raised.value).splitlines()
    assert first.startswith("rtmpd was not compiled: ")
    assert re.fullmatch(f"rtmpd was not compiled: {told}:", first), str(raised.value)
    assert rest
