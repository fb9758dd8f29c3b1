"""The verbs: what the command line, the page and Python users call."""

from __future__ import annotations
