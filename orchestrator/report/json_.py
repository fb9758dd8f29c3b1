"""`report.json`: the contract's document, schema version 1."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from .model import SCHEMA_VERSION, RunReport


def document(report: RunReport) -> dict[str, Any]:
    """*report* as JSON data; keys may be added to it without a new schema version, none is taken away."""
    return {"schema_version": SCHEMA_VERSION, **asdict(report)}


def render_json(report: RunReport, *, ascii_only: bool = False) -> str:
    """*report* as one JSON document; *ascii_only*: for a stream that takes nothing else."""
    return json.dumps(document(report), indent=1, ensure_ascii=ascii_only, allow_nan=False) + "\n"
