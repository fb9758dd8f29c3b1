"""`report.json`: the contract's document, schema version 1."""

from __future__ import annotations

import json
from dataclasses import asdict

from .model import SCHEMA_VERSION, RunReport


def render_json(report: RunReport) -> str:
    """*report* as one JSON document; keys may be added to it without a new schema version, none is taken away."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(report)}, indent=1, ensure_ascii=False) + "\n"
