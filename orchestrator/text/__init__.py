"""Durations, instants, counts, escaping, redaction: pure, and knows nobody."""

from __future__ import annotations
