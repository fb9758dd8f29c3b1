"""Starts a simulator and a contender, and collects what both say."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders.common import POLL_SECONDS

KEYS = {"MONGODB_ATLAS_PUBLIC_API_KEY": "benchmrk", "MONGODB_ATLAS_PRIVATE_API_KEY": "made-up-for-the-benchmark"}
ROOT = Path(__file__).resolve().parent.parent
CONTENDERS = ROOT / "benchmarks" / "contenders"
LIMIT_SECONDS = 600

Command = Callable[[str, Path], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one command cost, from its start to its end, with all its processes. Seconds; requests, as the simulator counted them."""

    jobs: int
    cpu: float
    wall: float
    requests: int
    server_cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What this program said of one session within its process. Seconds, kilobytes."""

    cpu: float
    memory_kb: float
    events: float
    commits: float
    journal_cpu: float
    journal_wall: float


def write_jobs(directory: Path, count: int, *, projects: int = 1) -> tuple[Path, Path]:
    """A CSV of *count* jobs in *projects* projects, and a workflow of one wave that reads it."""
    jobs = directory / "jobs.csv"
    rows = [f"m{i},{i % projects + 1:024x},{i + 1:024x}" for i in range(count)]
    jobs.write_text("\n".join(["name,group_id,live_migration_id", *rows]) + "\n", encoding="utf-8")
    workflow = directory / "workflow.yaml"
    waves = "waves: [{name: all, migrations_file: jobs.csv}]"
    workflow.write_text(f"version: 1\nname: bench\n{waves}\n", encoding="utf-8")
    return jobs, workflow


@contextmanager
def simulator(directory: Path, workflow: Path, scenario: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The simulator as a process of its own; its base URL, and the process."""
    file = directory / "bench.scenario.yaml"
    file.write_text(scenario, encoding="utf-8")
    command = [sys.executable, "-m", "orchestrator", "simulate", "--workflow", str(workflow), "--scenario", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | KEYS, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


def record_of(base: str) -> dict[str, Any]:
    """The simulator's own record."""
    with urllib.request.urlopen(base.partition("/api/")[0] + "/__simulator__/record", timeout=60) as answer:  # noqa: S310 - loopback
        record: dict[str, Any] = json.load(answer)
        return record


def cpu_of(process: subprocess.Popen[str]) -> float:
    """CPU seconds that *process* has used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_session(jobs: int, scenario: str) -> Session:
    """A session of this program in a process of its own that looks at itself, against a fresh simulator."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _, workflow = write_jobs(directory, jobs)
        with simulator(directory, workflow, scenario) as (base, _):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.contenders.session", base, str(workflow), name],
                capture_output=True,
                text=True,
                env=os.environ | KEYS,
                cwd=ROOT,
                timeout=LIMIT_SECONDS,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"the session ended with {done.returncode}:\n{done.stderr}")
            _all_over(record_of(base), "the session")
            return Session(**json.loads(done.stdout.splitlines()[-1]))


def run_command(contender: str, jobs: int, scenario: str) -> Cost:
    """Run the command of *contender* against a fresh simulator with *jobs* jobs."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        csv_file, workflow = write_jobs(directory, jobs)
        with simulator(directory, workflow, scenario) as (base, process), (directory / "output").open("wb+") as output:
            command = COMMANDS[contender](base, csv_file)
            before, started = cpu_of(process), time.perf_counter()
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | KEYS | {"ANSIBLE_HOME": name, "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
                cwd=ROOT,
            )
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            wall = time.perf_counter() - started
            if child.returncode:
                output.seek(-min(2000, output.tell()), os.SEEK_END)
                raise SystemExit(f"{contender} ended with {child.returncode}:\n{output.read().decode()}")
            record = record_of(base)
            _all_over(record, contender)
            return Cost(
                jobs=jobs,
                cpu=used.ru_utime + used.ru_stime,
                wall=wall,
                requests=record["requests"]["total"],
                server_cpu=cpu_of(process) - before,
            )


def ansible_playbook() -> Path | None:
    """Ansible's command beside this Python; None where the extra `bench` is not installed."""
    command = Path(sys.executable).with_name("ansible-playbook")
    return command if command.exists() else None


def _program(base: str, jobs: Path) -> list[str]:
    """The command as cron starts it: journal, reports, and the log as JSON lines; the budget is never in the way."""
    config = jobs.with_name("config.yaml")
    config.write_text(
        f"atlas: {{base_url: '{base}'}}\nrate_limit: {{requests: 1000000, per: 1s, burst: 1000000}}\n"
        f"polling: {{initial: {POLL_SECONDS}s}}\n",
        encoding="utf-8",
    )
    places = ["--config", str(config), "--state-dir", str(jobs.with_name("state"))]
    return [sys.executable, "-m", "orchestrator", "run", str(jobs.with_name("workflow.yaml")), "--yes", *places]


def _python(module: str) -> Command:
    return lambda base, jobs: [sys.executable, "-m", f"benchmarks.contenders.{module}", base, str(jobs)]


def _curl(base: str, jobs: Path) -> list[str]:
    return ["sh", str(CONTENDERS / "curl.sh"), base, str(jobs)]


def _ansible(base: str, jobs: Path) -> list[str]:
    inventory = jobs.with_name("inventory.json")
    with jobs.open(encoding="utf-8", newline="") as file:
        hosts = {
            row["name"]: {"job": f"{base}/groups/{row['group_id']}/liveMigrations/{row['live_migration_id']}"}
            for row in csv.DictReader(file)
        }
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    command = ansible_playbook()
    assert command is not None
    return [str(command), "--forks", "20", "--inventory", str(inventory), str(CONTENDERS / "ansible.yaml")]


def _all_over(record: dict[str, Any], who: str) -> None:
    unfinished = [job for job in record["migrations"].values() if job["status"] != "COMPLETE"]
    if unfinished:
        raise SystemExit(f"{who} left {len(unfinished)} of {len(record['migrations'])} jobs unfinished")


COMMANDS: dict[str, Command] = {
    "atlas-cutover": _program,
    "aiohttp, signed by hand": _python("raw_aiohttp"),
    "aiohttp, its digest": _python("aiohttp_digest"),
    "httpx": _python("httpx_digest"),
    "xargs, curl": _curl,
    "Ansible": _ansible,
}
"""The contenders of `run_command`: what to run, given the base URL and the CSV of jobs."""
