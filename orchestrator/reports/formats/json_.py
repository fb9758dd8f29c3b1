"""`report.json`: the document that docs/report.md describes, schema version 1."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ...store.last_read import LastRead, LastReads
from ...text.escaping import visible
from ...text.instants import iso
from ..model import SCHEMA_VERSION, RunReport


def document(report: RunReport) -> dict[str, Any]:
    """*report* as JSON data; keys may be added to it without a new schema version, none is taken away."""
    found = {"schema_version": SCHEMA_VERSION, **asdict(report)}
    for migration, written in zip(report.migrations, found["migrations"], strict=True):
        written["vars"] = migration.vars.as_dict()
    for need in found["needs"]:
        for when in ("since", "until"):
            need[when] = None if need[when] is None else iso(need[when])
    return found


def render_json(report: RunReport, *, ascii_only: bool = False, reads: LastReads | None = None) -> str:
    """*report* as one JSON document.

    *ascii_only*: for a stream that takes nothing else. *reads*: each migration also gets what its last read showed.
    """
    found = document(report)
    if reads is not None:
        for migration in found["migrations"]:
            migration["last_read"] = _read(reads.by_name.get(migration["name"]))
    return visible(json.dumps(found, indent=1, ensure_ascii=ascii_only, allow_nan=False)) + "\n"


def _read(read: LastRead | None) -> dict[str, Any] | None:
    if read is None:
        return None
    return {
        "status": read.status,
        "ready": read.ready,
        "lag_seconds": read.lag,
        "seen_at": None if read.seen_at is None else iso(read.seen_at),
        "error": read.error,
        "error_at": None if read.error_at is None else iso(read.error_at),
    }
