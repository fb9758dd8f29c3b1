"""One run in one process."""

from __future__ import annotations
