"""CPU of whole commands, per migration and per request: this program, bare aiohttp loops, httpx, xargs with curl, Ansible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.bench import Cost, ansible_playbook, run_command
from benchmarks.figures import spread, table

CALM = "seed: 1\njobs: {ready_after: 0s, cutover: 3s..5s, initial_lag: 0s}\nrate_limit: off\n"
OURS, LEAST = "atlas-cutover", "aiohttp, signed by hand"
SIZES = {
    LEAST: (1000, 4000, 10000),
    "aiohttp, its digest": (1000, 4000, 10000),
    OURS: (1000, 4000, 10000),
    "httpx": (1000, 4000),
    "xargs, curl": (200,),
    "Ansible": (20,),
}
"""Jobs of each contender; processes are dear, and what they cost does not depend on how many there are."""
PICTURE: dict[str, float] = {}


def measure(*, quick: bool) -> str:
    """The section on cost. Contenders take turns within each repetition."""
    contenders = [name for name in SIZES if name != "Ansible" or ansible_playbook()]
    sizes = {name: (min(200, SIZES[name][0]),) if quick else SIZES[name] for name in contenders}
    starts: dict[str, list[Cost]] = defaultdict(list)
    costs: dict[tuple[str, int], list[Cost]] = defaultdict(list)
    for _ in range(1 if quick else 3):
        for name in contenders:
            starts[name].append(run_command(name, 1, CALM))
            for size in sizes[name]:
                costs[name, size].append(run_command(name, size, CALM))
    start_up = {name: median(cost.cpu for cost in found) for name, found in starts.items()}

    def per(name: str, size: int, of: Callable[[Cost], int]) -> list[float]:
        """Microseconds of CPU for one of what *of* counts, start-up apart."""
        return [1e6 * (cost.cpu - start_up[name]) / of(cost) for cost in costs[name, size]]

    rows = []
    for name, size in sorted(costs, key=lambda case: (list(SIZES).index(case[0]), case[1])):
        least = median(per(LEAST, size if (LEAST, size) in costs else sizes[LEAST][0], _jobs))
        migration, request = per(name, size, _jobs), per(name, size, _requests)
        rows.append(
            (
                name,
                str(size),
                f"{1000 * start_up[name]:.0f}",
                spread([cost / 1000 for cost in migration], 2),
                f"{median(migration) / least:.1f}",
                f"{median(cost.requests / size for cost in costs[name, size]):.1f}",
                spread(request),
                spread([cost.wall for cost in costs[name, size]], 1),
            )
        )
        if name != "Ansible":  # beside its bar the others could not be seen
            PICTURE[f"{name}, {size}"] = median(migration)
    head = (
        "contender",
        "jobs",
        "start-up, ms",
        "CPU per migration, ms",
        f"times {LEAST}",
        "requests per migration",
        "CPU per request, µs",
        "wall, s",
    )
    left_out = "" if ansible_playbook() else " Ansible is not installed here, so it is left out."
    return (
        "## Cost\n\nEach job is read, cut over, and read every 2 s until it is over; no rate limit, answers at once. CPU of the "
        "whole command and of all its processes; start-up, which is the CPU of the same command with one job, is taken off "
        "and stands by itself. Every contender signs its requests, and each is given the number of connections at which it "
        "is best: aiohttp, curl and this program 100, httpx 8, Ansible 20 forks. None but this program has a budget, a "
        f"journal, reports or a log. A request is what the simulator counted, 401 answers too.{left_out}\n\n"
        f"{table(head, rows)}\n\n{_growth(sizes[OURS], per)} {_server(costs[OURS, sizes[OURS][-1]])}"
    )


def _growth(sizes: Sequence[int], per: Callable[[str, int, Callable[[Cost], int]], list[float]]) -> str:
    first, last = (median(per(OURS, size, _requests)) for size in (sizes[0], sizes[-1]))
    return f"From {sizes[0]} to {sizes[-1]} jobs a request of {OURS} changes by {100 * (last / first - 1):+.0f} %."


def _server(costs: Sequence[Cost]) -> str:
    server = median(1e6 * cost.server_cpu / cost.requests for cost in costs)
    return f"The server spent {server:.0f} µs of its own core per request, so it was not what limited."


def _jobs(cost: Cost) -> int:
    return cost.jobs


def _requests(cost: Cost) -> int:
    return cost.requests
