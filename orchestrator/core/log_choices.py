"""What may be asked of the log: how much, and in which form. It imports nothing, as the command line needs it for `--help`."""

from __future__ import annotations

LOG_LEVELS = ("debug", "info", "warning", "error")
"""From the one that leaves out nothing on."""
DEFAULT_LOG_LEVEL = "info"
LOG_FORMATS = ("console", "json")
"""Lines for a person, and JSON lines."""
