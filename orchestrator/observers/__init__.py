"""Who is told of every event: log, terminal, metrics, notifications."""

from __future__ import annotations
