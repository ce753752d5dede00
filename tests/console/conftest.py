from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from browser_kit import AXE, PLAYWRIGHT, Browser
from live_fixtures import ClipMaker, clip
from media_clips import H264_AAC
from npm import install
from page_kit import Begin, ffmpeg_of
from tools import find_tool, missing

__all__ = ["clip"]


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Debian's, by packages that are downloaded once into pytest's cache."""
    npm, chromium = find_tool("npm"), find_tool("chromium")
    try:
        modules = install(npm, pytestconfig.cache.mkdir("npm"), PLAYWRIGHT, AXE)
    except (OSError, subprocess.SubprocessError) as error:
        missing(f"npm cannot install {PLAYWRIGHT} and {AXE}: {error}")
    pictures = Path(os.environ.get("CONSOLE_PICTURES") or tmp_path_factory.mktemp("pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "NODE_MODULES": str(modules), "CHROMIUM": chromium}
    return Browser(environment, pictures, Path(__file__).with_name("console.mjs"))


@pytest.fixture
def viewer(browser: Browser) -> Browser:
    """The same, for scenarios of the page of a stream."""
    return replace(browser, script=Path(__file__).with_name("page.mjs"))


@pytest.fixture
def plain(clip: ClipMaker) -> Begin:
    """An ffmpeg with H.264 and AAC, which every browser plays."""
    return ffmpeg_of(clip(H264_AAC))
