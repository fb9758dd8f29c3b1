"""`python -m benchmarks`: measure everything side by side in one run, and write results.md and results.svg."""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks import budget, cost, discovery, journal, memory, night, page, serve, startup
from benchmarks.bench import ansible_playbook
from benchmarks.chart import bars

HERE = Path(__file__).resolve().parent
SECTIONS = {
    "cost": cost.measure,
    "night": night.measure,
    "budget": budget.measure,
    "discovery": discovery.measure,
    "memory": memory.measure,
    "journal": journal.measure,
    "startup": startup.measure,
    "serve": serve.measure,
    "page": page.measure,
}


def main() -> None:
    """Measure, print as it goes, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="small sizes and one repetition, to see that it works")
    parser.add_argument("--only", action="append", choices=SECTIONS)
    parser.add_argument("--beside", type=Path, help="another checkout of this program, for the night before and after")
    args = parser.parse_args()
    sections = [_machine()]
    sections_of = SECTIONS | {"night": partial(night.measure, beside=args.beside and args.beside.resolve())}
    for name in args.only or SECTIONS:
        section = sections_of[name](quick=args.quick)
        print(section, flush=True)
        sections.append(section)
    if args.quick or args.only:
        return
    (HERE / "results.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    (HERE / "results.svg").write_text(
        bars(cost.PICTURE, unit="µs of client CPU per migration, start-up apart"), encoding="utf-8"
    )
    print(f"written: {HERE / 'results.md'}")


def _machine() -> str:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    names = ("aiohttp", "anyio", "httpx", "pydantic", "structlog", *(["ansible-core"] if ansible_playbook() else []))
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"# Results\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {cpu}, Python {sys.version.split()[0]}, {versions}. "
        "Made by `make bench`; medians, with the lowest and highest in brackets. The simulator runs in a second process on "
        "the same machine.\n\n![CPU per migration](results.svg)"
    )


if __name__ == "__main__":
    main()
