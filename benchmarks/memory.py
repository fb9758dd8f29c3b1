"""How memory grows with the number of migrations."""

from __future__ import annotations

from benchmarks.bench import run_session
from benchmarks.cost import CALM
from benchmarks.figures import table


def measure(*, quick: bool) -> str:
    """The section on memory: peak memory of the session, and its growth between sizes."""
    sizes = (500, 1000) if quick else (1000, 5000, 20000)
    found = [(size, run_session(size, CALM).memory_kb) for size in sizes]
    rows = []
    for index, (size, memory) in enumerate(found):
        growth = "-"
        if index:
            before_size, before = found[index - 1]
            growth = f"{(memory - before) / (size - before_size):.1f}"
        rows.append((str(size), f"{memory / 1024:.1f}", growth))
    overall = (found[-1][1] - found[0][1]) / (found[-1][0] - found[0][0])
    head = ("migrations", "peak above start, MiB", "growth, kB per migration")
    return f"## Memory\n\n{table(head, rows)}\n\nOver all: {overall:.1f} kB per migration."
