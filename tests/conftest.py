"""What every test gets: asyncio, on request with virtual time, and an environment of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import uuid
from collections.abc import Iterator
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from . import loaded
from .cases import (  # noqa: F401 - pytest calls them
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_report_header,
)
from .chromium import launched
from .engines.temporal.servers import OneForAll
from .strength import examples
from .virtualclock import VirtualClockLoop

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A busy machine is slow at times, and that is no fault of a test; what hangs is ended by pytest's timeout.
settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(100)
)
# The same examples on every run: new ones are found elsewhere.
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

REAL_TIME: tuple[str, dict[str, Any]] = ("asyncio", {})
VIRTUAL_TIME: tuple[str, dict[str, Any]] = ("asyncio", {"loop_factory": VirtualClockLoop})

# What is imported and collected stays to the end: looking through it for garbage, again and again, frees none.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """What is there once for all processes that do the tests, and ends with the last of them."""
    if hasattr(config, "workerinput"):
        if (address := config.workerinput.get("loaded")) is not None:
            loaded.is_at(address)
    elif config.getoption("numprocesses", None):
        config.pluginmanager.register(OneForAll())
        if sys.platform == "linux":
            config.pluginmanager.register(loaded.ForAll())


def pytest_collection_finish() -> None:
    """From here on there is garbage to collect, but nothing of what is there already."""
    gc.collect()
    gc.freeze()
    gc.enable()


FOREIGN_VARIABLES = ("no_color", "force_color", "columns", "lines")
FOREIGN_PREFIXES = ("mongodb_", "atlas_cutover_", "cutover_")


class Keys(NamedTuple):
    """A made-up pair of programmatic API keys, of the form that Atlas gives."""

    public: str
    private: str


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The loop of `pytest.mark.anyio` tests: asyncio, with virtual time for those that use `virtual_time`."""
    return VIRTUAL_TIME if "virtual_time" in request.fixturenames else REAL_TIME


@pytest.fixture
async def virtual_time(anyio_backend: tuple[str, dict[str, Any]]) -> VirtualClockLoop:
    """The loop, whose time jumps over every wait: for one test as an argument, for a module by `usefixtures`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualClockLoop)
    return loop


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home directory of its own, so that no test writes into the state directory of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("XDG_STATE_HOME", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nobody is trusted but those that a test names; and reading a hundred of them for each client takes its time."""
    nobody = tmp_path_factory.mktemp("authorities") / "none.pem"
    nobody.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(nobody))
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module; it has to be gone before other modules run loops of their own."""
    with launched() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    """The process that commands are forks of, where a test has asked for it, is asked no more after the last test."""
    yield
    loaded.no_more()


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no keys, no settings and no wishes about colour from outside."""
    for name in list(os.environ):
        plain = name.lower()
        if plain.endswith("_proxy") or plain in FOREIGN_VARIABLES or plain.startswith(FOREIGN_PREFIXES):
            monkeypatch.delenv(name)


@pytest.fixture
def keys() -> Keys:
    """Keys that no other test has."""
    return Keys(public="".join(random.choices(ascii_lowercase, k=8)), private=str(uuid.uuid4()))
