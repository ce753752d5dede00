from __future__ import annotations

import gc
import signal
import zlib
from collections.abc import Generator

import pytest
from hypothesis import settings

# How long a busy machine takes over an example says nothing about the code.
settings.register_profile("rtmpd", deadline=None)
settings.load_profile("rtmpd")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded here stays: a million objects that the collector of cycles need not look through."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mixed", action="store_true", help="modules in another order than that of their names")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several processes share the cores best if some wait for servers and clients while others compute.

    Modules that do either stand together by their names. All processes have to have them in the same order.
    """
    if config.getoption("mixed"):
        items.sort(key=lambda item: zlib.crc32(item.nodeid.partition("::")[0].encode()))


@pytest.fixture(scope="session", autouse=True)
def hangups_are_heard() -> None:
    """SIGHUP reaches the servers that tests start, though we run under nohup: what is ignored is inherited,
    and what is handled is not.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
