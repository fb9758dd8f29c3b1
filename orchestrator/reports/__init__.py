"""The report of a run: one fold (`model`), many renderers (`render`), and what they share with the status page (`assets`)."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
"""Style, scripts and pieces of HTML, of report.html and of the status page."""
