"""What every contender needs: the jobs, the pace, and a line that says what it cost."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 2.0
CONNECTIONS = 100
ACCEPT = "application/vnd.atlas.2023-01-01+json"
PUBLIC = os.environ.get("MONGODB_ATLAS_PUBLIC_API_KEY", "")
PRIVATE = os.environ.get("MONGODB_ATLAS_PRIVATE_API_KEY", "")


def paths(jobs: Path) -> list[str]:
    """The path of each job below the base URL; *jobs* is a CSV with name, group_id and live_migration_id."""
    with jobs.open(newline="", encoding="utf-8") as file:
        return [f"/groups/{row['group_id']}/liveMigrations/{row['live_migration_id']}" for row in csv.DictReader(file)]


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Measure the block and print CPU seconds, wall seconds and peak memory of this process as one JSON line."""
    before = _memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    extra: dict[str, float] = {}
    yield extra
    result = {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "memory_kb": _memory("VmHWM") - before,
        **extra,
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _memory(key: str) -> int:
    """A figure of this process in kB. Not `ru_maxrss`, which begins with the peak of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{key}:")[2].split()[0])
