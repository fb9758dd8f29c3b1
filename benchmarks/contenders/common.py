"""What every contender needs: the jobs, the keys and the pace."""

from __future__ import annotations

import csv
import os
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
