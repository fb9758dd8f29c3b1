"""What this process has to live on: its version and its file descriptors."""

from __future__ import annotations
