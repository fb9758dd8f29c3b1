"""One renderer a file."""

from __future__ import annotations
