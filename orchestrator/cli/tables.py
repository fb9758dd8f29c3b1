"""Tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.text import Text

from ..machine.tables import table
from ..machine.terminal import columns_of
from ..text.escaping import one_line


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *titles*, as `machine.tables` lays them out."""
    shown = [[Text(one_line(cell)) for cell in row] for row in rows]
    for line in table(titles, shown, columns_of(sys.stdout)):
        print(line.plain.rstrip())
