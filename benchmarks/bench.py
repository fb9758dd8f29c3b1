"""Starts a simulator and a contender, and collects what both say."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEYS = {"MONGODB_ATLAS_PUBLIC_API_KEY": "benchmrk", "MONGODB_ATLAS_PRIVATE_API_KEY": "made-up-for-the-benchmark"}
ROOT = Path(__file__).resolve().parent.parent
CONTENDERS = ROOT / "benchmarks" / "contenders"
LIMIT_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one contender cost in one run. Seconds, kilobytes; *requests* as the simulator counted them, 401 legs too."""

    contender: str
    jobs: int
    cpu: float
    wall: float
    memory_kb: float
    requests: int
    server_cpu: float
    record: dict[str, Any] = field(repr=False)
    extra: dict[str, float]

    @property
    def cpu_per_request(self) -> float:
        """Microseconds of the client's CPU for one request."""
        return 1e6 * self.cpu / self.requests


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


def run_python(module: str, jobs: int, scenario: str, *, projects: int = 1) -> Cost:
    """Run the contender *module* of this package against a fresh simulator with *jobs* jobs."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        csv_file, workflow = write_jobs(directory, jobs, projects=projects)
        with simulator(directory, workflow, scenario) as (base, process):
            before = cpu_of(process)
            given = [base, str(workflow), name] if module == "atlas_cutover" else [base, str(csv_file)]
            done = subprocess.run(
                [sys.executable, "-m", f"benchmarks.contenders.{module}", *given],
                capture_output=True,
                text=True,
                env=os.environ | KEYS,
                cwd=ROOT,
                timeout=LIMIT_SECONDS,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{module} ended with {done.returncode}:\n{done.stderr}")
            said = json.loads(done.stdout.splitlines()[-1])
            return _cost(module, jobs, said, record_of(base), cpu_of(process) - before)


def run_command(contender: str, jobs: int, scenario: str) -> Cost:
    """Run a contender that is no Python module of this package; its CPU is that of all its processes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        csv_file, workflow = write_jobs(directory, jobs)
        with simulator(directory, workflow, scenario) as (base, process):
            command = COMMANDS[contender](base, csv_file)
            before = cpu_of(process)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = os.times().elapsed
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=os.environ | KEYS | {"ANSIBLE_HOME": name, "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
                timeout=LIMIT_SECONDS,
                check=False,
            )
            if done.returncode:
                raise SystemExit(
                    f"{contender} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
                )
            wall = os.times().elapsed - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
            said = {"cpu": cpu, "wall": wall, "memory_kb": 0.0}
            return _cost(contender, jobs, said, record_of(base), cpu_of(process) - before)


def ansible_playbook() -> Path | None:
    """Ansible's command beside this Python; None where the extra `bench` is not installed."""
    command = Path(sys.executable).with_name("ansible-playbook")
    return command if command.exists() else None


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


COMMANDS = {"curl": _curl, "ansible": _ansible}
"""The contenders of `run_command`: what to run, given the base URL and the CSV of jobs."""


def _cost(contender: str, jobs: int, said: dict[str, float], record: dict[str, Any], server_cpu: float) -> Cost:
    unfinished = [job for job in record["migrations"].values() if job["status"] != "COMPLETE"]
    if unfinished:
        raise SystemExit(f"{contender} left {len(unfinished)} of {jobs} jobs unfinished")
    known = ("cpu", "wall", "memory_kb")
    return Cost(
        contender=contender,
        jobs=jobs,
        **{key: said[key] for key in known},
        requests=record["requests"]["total"],
        server_cpu=server_cpu,
        record=record,
        extra={key: value for key, value in said.items() if key not in known},
    )
