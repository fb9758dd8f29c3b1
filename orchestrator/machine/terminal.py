"""How large the terminal is that a stream goes to, if it goes to one."""

from __future__ import annotations

import os
from typing import TextIO

FALLBACK = os.terminal_size((80, 24))


def size_of(stream: TextIO) -> os.terminal_size:
    """How large the terminal is that *stream* is; 80 columns and 24 rows where it does not tell."""
    return _told_by(stream) or FALLBACK


def columns_of(stream: TextIO) -> int | None:
    """How wide lines on *stream* may be; None: it is no terminal, or does not tell, so that no line is broken and all can be searched."""
    if stream.closed or not stream.isatty():
        return None
    size = _told_by(stream)
    return None if size is None else size.columns


def _told_by(stream: TextIO) -> os.terminal_size | None:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return None
    return size if size.columns > 0 and size.lines > 0 else None
