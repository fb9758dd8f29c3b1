"""Workers and commands as processes, with a Temporal server and a simulated Atlas of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import yaml

from orchestrator.core.workflow import Workflow

from ...loaded import ROOT, Fork, Order, loaded_program
from ..house import KEYS, House
from .cluster import LEASE
from .servers import Server

COMMAND = ("orchestrator",)
"""A program: its module, and what is put before the command's arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def outcomes(self) -> dict[str, str]:
        """Migration to outcome, of `--format json`."""
        return {migration["name"]: migration["outcome"] for migration in json.loads(self.out)["migrations"]}


@dataclass(slots=True)
class Process:
    """A worker or a command. *out*, *err*: where it writes to."""

    process: subprocess.Popen[bytes] | Fork
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    @property
    def args(self) -> Any:
        """Its command."""
        return self.process.args

    def poll(self) -> int | None:
        """Its exit code, negative where a signal has ended it; None: it lives."""
        return self.process.poll()

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        """As when its machine is lost."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(timeout)


@dataclass(slots=True)
class Fleet:
    """Where processes find what they need: *directory* has the config and the workflow, a state directory, and the workers' logs."""

    directory: Path
    server: Server
    it: House
    workers: list[Process] = field(default_factory=list)
    commands: list[Process] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = {
            "atlas": {"base_url": self.it.settings.atlas.base_url, "request_timeout": "5s", "settle": "5s"},
            "polling": {"initial": "500ms", "max": "2s"},
            "state_dir": str(self.directory / "state"),
            "temporal": {"address": self.server.address, "namespace": self.server.namespace, "lease": f"{LEASE:g}s"},
            "logging": {"format": "json"},
        }
        (self.directory / "config.yaml").write_text(json.dumps(config))

    def write(self, plan: Workflow, **more: Any) -> Path:
        """The file of *plan*; *more*: further keys at its top."""
        waves = [
            {
                "name": wave.name,
                **({"approval": True} if wave.approval else {}),
                **({"concurrency": wave.concurrency} if wave.concurrency else {}),
                "migrations": [
                    {"name": m.name, "group_id": m.group_id, "live_migration_id": m.live_migration_id}
                    for m in wave.migrations
                ],
            }
            for wave in plan.waves
        ]
        path = self.directory / f"{plan.name}.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "name": plan.name, "waves": waves, **more}))
        return path

    def environment(self, *, keys: bool) -> dict[str, str]:
        """That of a process, with the *keys* of Atlas or without."""
        plain = {key: value for key, value in os.environ.items() if not key.startswith("MONGODB_ATLAS_")}
        given = {"MONGODB_ATLAS_PUBLIC_API_KEY": KEYS[0], "MONGODB_ATLAS_PRIVATE_API_KEY": KEYS[1]}
        return {**plain, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(given if keys else {})}

    def worker(self, program: Sequence[str] = COMMAND, prefix: Sequence[str] = ()) -> Process:
        """One more worker; *prefix*: what runs Python, which is started anew then."""
        self.number += 1
        log = self.directory / f"worker-{self.number}.log"
        arguments = ("worker", "--config", str(self.directory / "config.yaml"))
        environment = self.environment(keys=True)
        started = start_program(program, arguments, environment, out=Path(os.devnull), err=log, prefix=prefix)
        self.workers.append(started)
        return started

    def end_workers(self) -> None:
        """Kill them all."""
        for process in self.workers:
            process.kill()
            process.wait()

    async def serves(self, number: int) -> None:
        """Return when worker *number* (from 1 on) serves."""
        with anyio.fail_after(120):
            while b"worker_started" not in (self.directory / f"worker-{number}.log").read_bytes():  # noqa: ASYNC110
                await anyio.sleep(0.1)

    def logs(self) -> str:
        """What the workers have said."""
        return "".join(path.read_text() for path in sorted(self.directory.glob("worker-*.log")))

    def begin(self, *arguments: str, state: str = "state", program: Sequence[str] = COMMAND) -> Process:
        """A command, without keys; *state*: its state directory."""
        place = ("--config", str(self.directory / "config.yaml"), "--state-dir", str(self.directory / state))
        said = self.directory / f"command-{len(self.commands)}"
        out, err = said.with_suffix(".out"), said.with_suffix(".err")
        begun = start_program(program, (*arguments, *place), self.environment(keys=False), out=out, err=err)
        self.commands.append(begun)
        return begun

    async def end(self, process: Process, *, within: float = 120.0) -> Ended:
        """What came of a command."""
        code = await anyio.to_thread.run_sync(process.wait, within)
        return Ended(code=code, out=process.out.read_text(), err=process.err.read_text())

    async def run(self, *arguments: str, state: str = "state") -> Ended:
        """A command, to its end."""
        return await self.end(self.begin(*arguments, state=state))

    def journal(self, state: str = "state") -> list[str]:
        """The names of the events in the journal."""
        path = self.directory / state / "journal.db"
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return [name for (name,) in db.execute("SELECT name FROM events ORDER BY seq")]
        return []  # there is none yet


def start_program(
    program: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    out: Path,
    err: Path,
    prefix: Sequence[str] = (),
) -> Process:
    """Begin *program*: as a fork of a process that has loaded all that it needs, or where that cannot be, as a new interpreter."""
    module, *before = program
    loaded = None if prefix else loaded_program()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process: subprocess.Popen[bytes] | Fork
        if loaded is None:
            command = [*prefix, sys.executable, "-m", module, *before, *arguments]
            process = subprocess.Popen(
                command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
        else:
            order = Order(argv=[*before, *arguments], cwd=str(ROOT), environ=environment, module=module)
            process = loaded.start(order, stdout=stdout.fileno(), stderr=stderr.fileno())
    return Process(process, out, err)


def run_id(text: str) -> str:
    """The run id in *text*."""
    found = re.search(r"\d{8}-\d{6}-[0-9a-f]{6}", text)
    assert found is not None, text
    return found.group()


@contextmanager
def fleet(directory: Path, server: Server, it: House) -> Iterator[Fleet]:
    """Processes that are ended with the context."""
    made = Fleet(directory, server, it)
    try:
        yield made
    finally:
        made.end_workers()
        for command in made.commands:
            if command.poll() is None:
                command.kill()
                command.wait()
