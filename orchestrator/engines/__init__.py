"""Drivers: they do what the core decides. `local` runs everything in one process, with anyio."""

from __future__ import annotations
