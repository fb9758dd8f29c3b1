"""The JSON Schemas are never stricter than `check`: what an editor underlines is a mistake. What they cannot say, they leave open."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orchestrator.core.errors import InputError
from orchestrator.files.config import config_schema, load_settings
from orchestrator.files.workflow_file import read_workflow, workflow_schema

from ..strength import examples

GROUP, LIVE = "7e68e12770616e75e6df43d0", "a659ce44c03ca1e348b1e992"
HOOKS = {
    "before": [["a", 1]],
    "verify": [["b"]],
    "after_success": [],
    "timeout": "1m",
    "verify_every": 5,
    "verify_timeout": "PT5M",
}
WORKFLOW: dict[str, Any] = {
    "version": 1,
    "name": "n",
    "window": {"opens": "2026-11-28T01:00:00+01:00", "closes": "2026-11-28T04:00:00+01:00", "reserve": "30m"},
    "vars": {"cluster": "x"},
    "run_hooks": HOOKS,
    "defaults": {
        "group_id": GROUP,
        "gate": {"max_lag": "10s", "timeout": "30m"},
        "timeout": "2h",
        "hooks": HOOKS,
        "wave_hooks": HOOKS,
    },
    "waves": [
        {
            "name": "w",
            "concurrency": 1,
            "max_failures": "10%",
            "approval": {"timeout": "30m"},
            "soak": "15m",
            "migrations": [{"name": "m", "live_migration_id": LIVE, "gate": "off", "vars": {"a": 1}}],
        }
    ],
}
RECURRING = {
    **WORKFLOW,
    "window": {
        "from": "01:00",
        "to": "04:00",
        "days": ["sat"],
        "timezone": "Europe/Berlin",
        "reserve": "1h",
        "except": ["2026-12-24"],
    },
}
CONFIG: dict[str, Any] = {
    "atlas": {
        "base_url": "https://cloud.mongodb.com",
        "public_key": "a",
        "private_key": "b",
        "request_timeout": "30s",
        "settle": "30s",
    },
    "credentials": {"eu": {"client_id": "mdb_sa_id_1", "client_secret": "x"}},
    "rate_limit": {"requests": 500, "per": "60s", "burst": 1200, "scope": "group", "learn": True},
    "polling": {"initial": "2s", "factor": 1.5, "max": "30s", "jitter": 0.1},
    "state_dir": "/s",
    "logging": {"level": "info", "format": "json", "file": "/l"},
    "notify": {"urls": ["json://x"]},
    "metrics": {"textfile": "/x.prom"},
}
VALUES: tuple[Any, ...] = (
    None, "", "~", True, False, "true", "Yes", "OFF", "off", "tRuE", "oN", 0, 1, 2, -1, 1.5, 0.5, 1e3, 999999999, 10**12, "0", "1", "01", "007", "1.0", "1.50", "+1",
    "1e3", "90", "90s", "1m30s", "2h", "500ms", "1.5h", "PT90S", "P1D", "P1DT2H", "PT", "1d12h", "0s", "3650d", "10%", "0%", "100%", "12.5%", "101%",
    "a", "A", "é", "a b", " a", "x" * 100, "x" * 101, "x" * 1001, GROUP, GROUP.upper(), LIVE, "1" * 24, "info", "INFO", "Info", "iNfO", "json", "Group", "account",
    "https://cloud.mongodb.com/api/atlas/v1.0", "http://localhost:1", "${A}", "x${A}y", "$$", "2026-11-28", "2026-11-28T01:00:00Z", "2026-11-28 01:00:00+01:00",
    "00:00", "23:59", "24:00", "SAT", "sat", "UTC", "Europe/Berlin", [], ["a"], [["a"]], [["a", 1, True]], [[]], [["a"], ["b"]], ["sat", "SUN"], ["2026-12-24"],
    {}, {"timeout": "1m"}, {"max_lag": "0"}, {"max_lag": 5, "timeout": 1.5}, {"a": None}, {"a": True, "B": 1.5}, {"A-B": "x"},
)  # fmt: skip


def places(data: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and item of *data*."""
    for key, inside in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*above, key)
        yield from places(inside, (*above, key))


def changed(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    """*data* with another *value* at *place*."""
    found = copy.deepcopy(data)
    inside = found
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    return found


def right_workflow(data: Any, directory: Path) -> bool:
    """Whether `check` takes it."""
    try:
        read_workflow(json.dumps(data).encode(), name="w", directory=directory)
    except InputError:
        return False
    return True


def right_config(data: Any, directory: Path) -> bool:
    """Whether `check` takes it."""
    path = directory / "c.yaml"
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    try:
        load_settings(path, environ={"HOME": "/", "A": "30s"})
    except InputError:
        return False
    return True


@pytest.mark.parametrize("kind", ["workflow", "recurring", "config"])
def test_what_check_takes_the_schema_takes(kind: str, tmp_path: Path) -> None:
    """Each value of a hundred at each place of a file that has all keys; a brief run draws a quarter of the pairs."""
    right = right_config if kind == "config" else right_workflow
    good = {"workflow": WORKFLOW, "recurring": RECURRING, "config": CONFIG}[kind]
    schema = Draft202012Validator(config_schema() if kind == "config" else workflow_schema())
    assert right(good, tmp_path)
    where = [place for place in places(good) if kind != "recurring" or place[0] == "window"]
    pairs = list(product(where, VALUES))
    stricter, taken = [], 0
    for place, value in random.sample(pairs, min(len(pairs), max(1000, examples(len(pairs))))):
        data = changed(good, place, value)
        if right(data, tmp_path):
            taken += 1
            if not schema.is_valid(data):
                stricter.append((place, value))
    assert stricter == []
    assert taken > 30
