"""The log: events as entries, for a console or as JSON lines."""

from __future__ import annotations
