"""YAML, CSV, config and environment to facts, with the line of every key."""

from __future__ import annotations
