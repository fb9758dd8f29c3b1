"""What every contender needs: the jobs, the pace, and a line that says what it cost."""

from __future__ import annotations

import csv
import json
import os
import resource
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
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    extra: dict[str, float] = {}
    yield extra
    result = {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "memory_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
        **extra,
    }
    sys.stdout.write(json.dumps(result) + "\n")
