"""The JSON Schemas are never stricter than `check`: what an editor underlines is a mistake. What they cannot say, they leave open.

docs/workflow.md lists that, and `LEFT_OPEN` has it in the words of `check`: whatever else `check` refuses, the schema has to refuse as well.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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


_WORDS = (
    "expected a duration (longer than|of at most|such as)",
    "expected a whole number (of at least|such as)",
    "expected a number (of at least|from|such as)",
    "expected at (least|most)",
    "expected a time (with its offset|in the years|zone)",
    "is not a day; expected such as",
    r"\w+ is .*h (behind|ahead of) UTC",
    "expected 24 lower-case hexadecimal digits",
    "expected (a name|text|a key|an address|a host|HOST:PORT|https://)",
    "cannot be the name of a variable",
    "the variables? .* (is|are) ",
    "(command [0-9]+ )?is one text with spaces",
    "command [0-9]+ names no program",
    "it has to open before",
    "its reserve of",
    "the wave is empty",
    "is required, but missing; give it here",
    "max has to be at least",
    "is empty: expected",
    "is (taken|given twice|listed twice)",
    ".*(belong together|both kinds|is missing|goes with|is a service account's|no API key)",
    "names a file|the file it names",
    "expected (one of|a list|true or false)",  # of what ${NAME} stands for
    "the environment variable|\\$|its value is wrapped",
)
LEFT_OPEN = re.compile("|".join(_WORDS))


def wrong_with_workflow(data: Any, directory: Path) -> list[str]:
    """What `check` says."""
    try:
        read_workflow(json.dumps(data).encode(), name="w", directory=directory)
    except InputError as error:
        return [problem.message for problem in error.problems]
    return []


def wrong_with_config(data: Any, directory: Path) -> list[str]:
    """What `check` says."""
    path = directory / "c.yaml"
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    try:
        load_settings(path, environ={"HOME": "/", "A": "30s"})
    except InputError as error:
        return [problem.message for problem in error.problems]
    return []


FILES = {"workflow": WORKFLOW, "recurring": RECURRING, "config": CONFIG}


def schema_of(kind: str) -> Draft202012Validator:
    """The schema for files of this *kind*."""
    return Draft202012Validator(config_schema() if kind == "config" else workflow_schema())


@pytest.mark.parametrize("kind", FILES)
def test_what_check_takes_the_schema_takes(kind: str, tmp_path: Path) -> None:
    """Each value of a hundred at each place of a file that has all keys; a brief run draws a quarter of the pairs."""
    wrong_with = wrong_with_config if kind == "config" else wrong_with_workflow
    schema, good = schema_of(kind), FILES[kind]
    assert not wrong_with(good, tmp_path)
    where = [place for place in places(good) if kind != "recurring" or place[0] == "window"]
    pairs = list(product(where, VALUES))
    stricter, taken = [], 0
    for place, value in random.sample(pairs, min(len(pairs), max(1000, examples(len(pairs))))):
        data = changed(good, place, value)
        if not wrong_with(data, tmp_path):
            taken += 1
            if not schema.is_valid(data):
                stricter.append((place, value))
    assert stricter == []
    assert taken > 30


@st.composite
def another(draw: st.DrawFn, kind: str) -> Any:
    """A file of this *kind*, with some keys and items left out, moved, repeated, misspelt, or of another value."""
    data: Any = copy.deepcopy(FILES[kind])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(list(places(data)) or [()]))
        if not place:
            break
        inside: Any = data
        for step in place[:-1]:
            inside = inside[step]
        match draw(st.sampled_from(["out", "value", "misspelt", "repeated", "moved"])):
            case "out":
                del inside[place[-1]]
            case "misspelt" if isinstance(inside, dict):
                inside[f"{place[-1]}x"] = inside.pop(place[-1])
            case "repeated" if isinstance(inside, list):
                inside.append(copy.deepcopy(inside[place[-1]]))
            case "moved" if isinstance(inside, dict):
                data[str(place[-1])] = inside.pop(place[-1])
            case _:
                inside[place[-1]] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return data


@pytest.mark.parametrize("kind", FILES)
def test_files_that_nobody_has_thought_of_are_judged_alike(kind: str, tmp_path: Path) -> None:
    """Whatever was left out, moved, repeated or misspelt."""
    schema, wrong_with = schema_of(kind), wrong_with_config if kind == "config" else wrong_with_workflow

    @settings(max_examples=examples(60), suppress_health_check=list(HealthCheck), deadline=None, database=None)
    @given(another(kind))
    def judged(data: Any) -> None:
        valid, wrong = schema.is_valid(data), wrong_with(data, tmp_path)
        assert wrong or valid, "the schema is stricter"
        assert not valid or all(LEFT_OPEN.search(message) for message in wrong), "the schema is laxer than it has to be"

    judged()
