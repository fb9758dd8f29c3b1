"""Those who watch a run: log, progress, metrics, notifications."""

from __future__ import annotations
