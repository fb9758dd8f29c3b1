"""What is said on stderr where a file cannot be written."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def warn_of_unwritten(unwritten: Iterable[tuple[Path, OSError]]) -> None:
    """Say of each report that could not be written why not."""
    for path, error in unwritten:
        warn(f"{path}: the report could not be written: {error.strerror or error}")


def warn(line: str) -> None:
    """Say *line* on stderr, if there is anybody to hear it."""
    with suppress(OSError):
        print(f"warning: {line}", file=sys.stderr)
