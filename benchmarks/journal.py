"""What the journal costs within a run: commits, share of the CPU, and how many events a second it takes."""

from __future__ import annotations

from statistics import median

from benchmarks.bench import run_session
from benchmarks.cost import CALM
from benchmarks.figures import table


def measure(*, quick: bool) -> str:
    """The section on the journal: waves of some sizes, all migrations at once."""
    rows = []
    for size in (200,) if quick else (1000, 2000, 10000):
        sessions = [run_session(size, CALM) for _ in range(1 if quick else 3)]
        rows.append(
            (
                str(size),
                f"{median(each.events for each in sessions):.0f}",
                f"{median(each.commits for each in sessions):.0f}",
                f"{median(100 * each.journal_cpu / each.cpu for each in sessions):.1f} %",
                f"{median(each.events / each.journal_wall for each in sessions):.0f}",
            )
        )
    head = ("migrations", "events", "commits", "share of the run's CPU", "events a second while it writes")
    return (
        "## Journal\n\nEvery event in SQLite, on disk (`synchronous=FULL`); many commit together. The share is that of the "
        f"thread that writes, JSON included.\n\n{table(head, rows)}"
    )
