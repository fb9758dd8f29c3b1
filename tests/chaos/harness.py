"""Two processes, the program and a simulated Atlas, and what must be true of them however the first one dies.

A `ChaosNight` is one workflow with its own simulator and state directory. `ChaosNight.session` starts the program once, kills it
where a `Kill` says so, and returns its exit code; `ChaosNight.problems` compares what the journal and the report say with the
simulator's own record. The simulator accepts and counts a cutover that comes twice, so that a second PUT would be seen.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.core.settings import PRIVATE_KEY_VARIABLE, PUBLIC_KEY_VARIABLE

from ..loaded import Order, Process, loaded_program
from .dying import VARIABLE

CHECKOUT = Path(__file__).parents[2]
PUBLIC_KEY = "chaoskey"
PRIVATE_KEY = "5e7a0c4e-1f53-4b52-9c1b-8a6d4f0e2b77"
GROUP_ID = "7e68e12770616e75e6df43d0"

REQUEST_TIMEOUT = 1.0
SETTLE = 1.0
"""Seconds, in place of the default of 30: a night would take as many more for each death."""
POLLING_INITIAL = 0.1
LONGEST_SESSION = 400.0
"""Seconds; several doubts of one migration, each for the default settle time, are part of it."""

LATE = "put_processed"
"""The boundary that only the server sees: the PUT is carried out, and its answer has not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When a session dies: at the *count*-th passage of *point*, when a held PUT is processed, or after *seconds*."""

    point: str
    count: int = 1
    seconds: float = 0.0


class SimulatedAtlas:
    """The simulator, as a process of its own."""

    def __init__(self, directory: Path, *, speed: float, api: str = "v2") -> None:
        arguments = ["simulate", "--port", "0", "--speed", f"{speed:g}", "--api", api]
        arguments += ["--workflow", str(directory / "workflow.yaml"), "--scenario", str(directory / "scenario.yaml")]
        loaded = loaded_program()
        self._process: Process
        with (directory / "simulator.log").open("wb") as log:
            if loaded is None:
                command = [sys.executable, "-m", "orchestrator", *arguments]
                self._process = subprocess.Popen(
                    command, cwd=CHECKOUT, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True
                )
            else:
                order = Order(argv=arguments, cwd=str(CHECKOUT), environ=environment())
                self._process = loaded.start(order, stderr=log.fileno())
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        if not self.base_url:
            raise AssertionError(f"the simulator did not start: {(directory / 'simulator.log').read_text()}")

    def record(self) -> dict[str, Any]:
        """What is true, see docs/simulator.md."""
        url = self.base_url.partition("/api/")[0] + "/__simulator__/record"
        with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310 - loopback, over http
            record: dict[str, Any] = json.load(answer)
        return record

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(slots=True, kw_only=True)
class ChaosNight:
    """One workflow, its simulator and its state directory. *held*: live migrations whose PUT's answer is held back."""

    directory: Path
    atlas: SimulatedAtlas
    held: frozenset[str] = frozenset()
    kills: list[str] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)
    started: list[Process] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        """The state directory of the program."""
        return self.directory / "state"

    @property
    def journal(self) -> Path:
        """The journal file."""
        return self.state_dir / "journal.db"

    def command(self, *arguments: str, module: Sequence[str] = ("tests.chaos.dying",)) -> list[str]:
        """The command line of the program for this night; *module* is what runs it, with arguments of its own."""
        options = ["--config", str(self.directory / "config.yaml"), "--state-dir", str(self.state_dir)]
        return [sys.executable, "-m", *module, *arguments, *options]

    def start(
        self,
        *arguments: str,
        crash_at: str | None = None,
        variables: Mapping[str, str] | None = None,
        module: Sequence[str] = ("tests.chaos.dying",),
        **popen: Any,
    ) -> Process:
        """Start the program; stdout and stderr are appended to files of the night, unless *popen* says otherwise."""
        extra = dict(variables or {}) | ({} if crash_at is None else {VARIABLE: crash_at})
        command, loaded = self.command(*arguments, module=module), loaded_program()
        process: Process
        with (self.directory / "stdout").open("ab") as out, (self.directory / "stderr").open("ab") as err:
            if loaded is None or popen or any(name.startswith("PYTHON") for name in extra):
                streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **popen}
                process = subprocess.Popen(command, cwd=CHECKOUT, env=environment(**extra), text=True, **streams)
            else:
                _, _, name, *argv = command
                order = Order(module=name, argv=argv, cwd=str(CHECKOUT), environ=environment(**extra))
                process = loaded.start(order, stdout=out.fileno(), stderr=err.fileno())
        self.started.append(process)
        return process

    def end(self) -> None:
        """Leave no process behind, whatever a test did not come to."""
        for process in self.started:
            process.kill()
            process.wait()

    def session(self, kill: Kill | None = None, *, rng: random.Random | None = None) -> int:
        """One session: begin the run or continue it, die as *kill* says; the exit code (-9: killed)."""
        named = kill is not None and kill.point not in (LATE, "random")
        process = self.start(*self._arguments(rng), crash_at=f"{kill.point}:{kill.count}" if kill and named else None)
        try:
            if kill is not None and not named:
                self._kill_from_outside(process, kill)
            code = process.wait(LONGEST_SESSION)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"a session takes longer than {LONGEST_SESSION:g} s: {self.directory}") from None
        self.exit_codes.append(code)
        if code == -signal.SIGKILL and kill is not None:
            self.kills.append(kill.point)
        return code

    def finish(self, *, attempts: int = 5, over: Sequence[int] = (0, 1)) -> int:
        """Sessions without kills until one ends with a final exit code, one of *over*; that code."""
        code = self.session()
        while code not in over and attempts > 1:
            attempts -= 1
            code = self.session()
        return code

    def run_id(self) -> str | None:
        """The run of this night, None while none is recorded."""
        rows = self.rows("SELECT run_id FROM runs")
        assert len(rows) <= 1, f"one workflow was started, {len(rows)} runs are recorded"
        return str(rows[0][0]) if rows else None

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the journal answers to *sql*; nothing where there is no journal yet."""
        if not self.journal.exists():
            return []
        connection = sqlite3.connect(f"{self.journal.as_uri()}?mode=ro", uri=True)
        try:
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                return []
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def processed(self) -> int:
        """How many cutovers were carried out so far."""
        return sum(migration["puts_processed"] for migration in self.atlas.record()["migrations"].values())

    def said(self) -> str:
        """What the program has written to stderr so far."""
        return (self.directory / "stderr").read_text(errors="replace")

    def report(self) -> dict[str, Any]:
        """The report in the run's directory."""
        path = self.state_dir / "runs" / (self.run_id() or "") / "report.json"
        report: dict[str, Any] = json.loads(path.read_text())
        return report

    def problems(self) -> list[str]:
        """What is not as it is promised; empty when all is well."""
        return compare(self.report(), self.atlas.record()["migrations"]) + [
            f"integrity_check: {row[0]}" for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"
        ]

    def _arguments(self, rng: random.Random | None) -> tuple[str, ...]:
        run_id = self.run_id()
        begin = ("run", str(self.directory / "workflow.yaml"), "--yes")
        if run_id is None:
            return begin
        if rng is not None and self.rows("SELECT unfinished FROM runs")[0][0]:
            return rng.choice([begin, ("resume",), ("resume", run_id)])
        return ("resume", run_id)

    def _kill_from_outside(self, process: Process, kill: Kill) -> None:
        if kill.point == "random":
            time.sleep(kill.seconds)
        else:
            before = self._held_and_processed()
            while process.poll() is None and self._held_and_processed() == before:
                time.sleep(0.02)
        process.kill()  # does nothing where the process has ended by itself

    def _held_and_processed(self) -> int:
        migrations = self.atlas.record()["migrations"]
        return sum(migrations[live_migration_id]["puts_processed"] for live_migration_id in self.held)


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return as soon as *condition* holds, which another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"this did not happen in {seconds:g} s"
        time.sleep(0.02)


def compare(report: Mapping[str, Any], truth: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where *report* differs from the simulator's record of its live migrations, or a promise is broken."""
    problems = []
    told = {entry["live_migration_id"]: entry for entry in report["migrations"]}
    for live_migration_id, true in truth.items():
        name, entry = true["name"], told.get(live_migration_id)
        if true["puts_processed"] + true["puts_refused"] > 1:
            refused = f", {true['puts_refused']} were refused" if true["puts_refused"] else ""
            problems.append(f"twice: {name}: {true['puts_processed']} PUTs were carried out{refused}")
        if entry is None:
            problems.append(f"lost: {name} is not in the report")
            continue
        if true["puts_processed"] == 0 and entry["outcome"] == "FAILED" and "/cutover: 409 " in entry["error_message"]:
            continue  # refused, and nothing began: so it is told
        outcome = {"COMPLETE": "SUCCESS", "FAILED": "FAILED"}.get(true["status"])
        if outcome is None or true["puts_processed"] == 0:
            problems.append(f"lost: {name} was never cut over: {true['status']}, the report says {entry['outcome']}")
        elif entry["outcome"] != outcome:
            problems.append(f"wrong: {name} is {true['status']}, the report says {entry['outcome']}")
        if true["puts_received"] > entry["cutover_requests"]:
            problems.append(f"untold: {name}: {true['puts_received']} PUTs came, {entry['cutover_requests']} are told")
    counted = dict.fromkeys(("SUCCESS", "FAILED", "UNVERIFIED", "TIMED_OUT", "NOT_STARTED", "IN_DOUBT", "UNDER_WAY"), 0)
    for entry in told.values():
        counted[entry["outcome"]] += 1
    if report["totals"] != {"migrations": len(truth), **counted}:
        problems.append(f"wrong: the totals are {report['totals']}, counted {counted}")
    if report["exit_code"] != int(counted["FAILED"] > 0) and not problems:
        problems.append(f"wrong: the exit code is {report['exit_code']} with {counted}")
    return problems


def essence(report: Mapping[str, Any]) -> dict[str, Any]:
    """*report* without times, counters and run id: what must not depend on how often the program died."""
    kept = ("name", "wave", "group_id", "live_migration_id", "outcome", "remote_status", "error_message")
    return {
        **{key: report[key] for key in ("schema_version", "workflow", "workflow_sha256", "rehearsal")},
        **{key: report[key] for key in ("outcome", "exit_code", "totals")},
        "migrations": [{key: entry[key] for key in kept} for entry in report["migrations"]],
    }


def environment(**extra: str) -> dict[str, str]:
    """The environment of both processes: the keys, and nothing that steers the program from outside."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START") if name in os.environ}
    return {**kept, PUBLIC_KEY_VARIABLE: PUBLIC_KEY, PRIVATE_KEY_VARIABLE: PRIVATE_KEY, **extra}


def workflow(*, name: str = "chaos", waves: Sequence[int] = (2, 8, 10), concurrency: int = 4) -> dict[str, Any]:
    """A workflow with waves of these sizes, as the file has it."""
    numbers = iter(range(sum(waves)))
    return {
        "version": 1,
        "name": name,
        "defaults": {
            "group_id": GROUP_ID,
            "timeout": "10m",
            "gate": {"max_lag": "10s", "timeout": "10m"},
        },
        "waves": [
            {
                "name": f"wave-{place}",
                "concurrency": concurrency,
                "migrations": [
                    {"name": f"m{number:03}", "live_migration_id": f"{number:024x}"}
                    for number in (next(numbers) for _ in range(size))
                ],
            }
            for place, size in enumerate(waves)
        ],
    }


@contextmanager
def night(
    directory: Path,
    *,
    plan: Mapping[str, Any],
    scenario: Mapping[str, Any],
    speed: float = 20.0,
    api: str = "v2",
    settle: float | None = SETTLE,
    atlas: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Iterator[ChaosNight]:
    """A night in *directory* with the workflow *plan*; the simulator lives as long as the context.

    *settle*: `atlas.settle` in seconds; None: its default. *atlas*: further settings of that section.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write = {"workflow": plan, "scenario": {"repeat_puts": "process", **scenario}}
    for stem, content in write.items():
        (directory / f"{stem}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    simulated = SimulatedAtlas(directory, speed=speed, api=api)
    settling = {} if settle is None else {"settle": f"{settle:g}s"}
    settings: dict[str, Any] = {
        "atlas": {
            "base_url": simulated.base_url,
            "request_timeout": f"{REQUEST_TIMEOUT:g}s",
            **settling,
            **(atlas or {}),
        },
        "rate_limit": {"requests": 3000, "per": "10s", "burst": 3000},
        "polling": {"initial": f"{POLLING_INITIAL:g}s", "factor": 1.5, "max": "0.5s", "jitter": 0.1},
        **(config or {}),
    }
    (directory / "config.yaml").write_text(yaml.safe_dump(settings))
    names = {m["name"]: m["live_migration_id"] for wave in plan["waves"] for m in wave["migrations"]}
    held = {
        names[f["migration"]]
        for f in scenario.get("faults", ())
        if f["kind"] in ("slow", "hang_after") and "migration" in f
    }
    begun = ChaosNight(directory=directory, atlas=simulated, held=frozenset(held))
    try:
        yield begun
    finally:
        begun.end()
        simulated.stop()
