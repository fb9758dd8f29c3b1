"""A default stands once, in the code; whatever else names it says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.atlas.connection import ClientSettings
from orchestrator.core.settings import DEFAULT_RATE_LIMITS, Api, ApiKey, Polling, Secret, Settings
from orchestrator.core.workflow import Gate, Migration
from orchestrator.files.config import load_settings
from orchestrator.text.durations import parse_duration

ROOT = Path(__file__).parents[2]
KEYS = {"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "0-1-2", "HOME": "/home/ops"}
MIGRATION = Migration(name="a", group_id="7e68e12770616e75e6df43d0", live_migration_id="a659ce44c03ca1e348b1e992")


def settings(config: Path | None) -> Settings:
    """What a config says, for an operator with a key."""
    return load_settings(config, environ=KEYS)


def documented(page: str) -> dict[str, str]:
    """The column of defaults on a page of docs/, by key; the first table that names a key counts."""
    found: dict[str, str] = {}
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        row = re.fullmatch(r"\| `([a-z_.]+)` \|.*?\|.*?\| *((?:[^|])*?) *\|.*\|", line)
        if row:
            found.setdefault(row[1], row[2].replace("`", ""))
    return found


def test_the_example_holds_the_defaults() -> None:
    """Whoever copies it changes nothing; it says one thing otherwise, the log's format, since that depends on the terminal."""
    example, none = settings(ROOT / "config.example.yaml"), settings(None)
    assert (example.rate_limit, example.polling, example.state_dir) == (none.rate_limit, none.polling, none.state_dir)
    assert example.atlas.base_url == none.atlas.base_url
    assert (example.atlas.request_timeout, example.atlas.settle) == (none.atlas.request_timeout, none.atlas.settle)
    assert example.logging.level == none.logging.level


def test_a_client_by_itself_has_the_same_defaults() -> None:
    """For tests and benchmarks."""
    none = settings(None)
    key = ApiKey(public_key=Secret("a"), private_key=Secret("b"))
    alone = ClientSettings(base_url=none.atlas.base_url, credentials=key)
    assert (alone.requests, alone.per, alone.burst, alone.scope) == (
        none.rate_limit.requests, none.rate_limit.per, none.rate_limit.burst, none.rate_limit.scope
    )  # fmt: skip
    assert (alone.request_timeout, alone.read_interval) == (none.atlas.request_timeout, none.polling.initial)


@pytest.mark.parametrize(
    ("key", "seconds"),
    [
        ("atlas.request_timeout", settings(None).atlas.request_timeout),
        ("atlas.settle", settings(None).atlas.settle),
        ("rate_limit.per", DEFAULT_RATE_LIMITS[Api.V2].per),
        ("polling.initial", Polling().initial),
        ("polling.max", Polling().max),
    ],
)
def test_the_page_of_the_config_names_the_defaults(key: str, seconds: float) -> None:
    """As durations."""
    assert parse_duration(documented("config.md")[key].partition(",")[0]) == seconds


def test_the_page_of_the_config_names_the_numbers() -> None:
    """And words."""
    page = documented("config.md")
    for key in ("requests", "burst"):
        v2, v1 = (getattr(DEFAULT_RATE_LIMITS[api], key) for api in (Api.V2, Api.V1))
        assert page[f"rate_limit.{key}"] == f"v2: {v2}, v1.0: {v1}"
    assert page["polling.factor"] == f"{Polling().factor:g}"
    assert page["polling.jitter"] == f"{Polling().jitter:g}"
    assert page["rate_limit.scope"] == DEFAULT_RATE_LIMITS[Api.V2].scope
    assert page["logging.level"] == settings(None).logging.level


def test_the_page_of_the_workflow_names_the_defaults() -> None:
    """Those of gate and timeout."""
    page = documented("workflow.md")
    assert parse_duration(page["gate.max_lag"]) == Gate().max_lag
    assert parse_duration(page["gate.timeout"]) == Gate().timeout
    assert parse_duration(page["timeout"]) == MIGRATION.timeout
