"""CPU of the client per request, beside a raw aiohttp loop, httpx, and xargs with curl."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from benchmarks.bench import Cost, run_python, run_shell
from benchmarks.figures import spread, table

CALM = "seed: 1\njobs: {ready_after: 0s, cutover: 3s..5s, initial_lag: 0s}\nrate_limit: off\n"
OURS, RAW, HTTPX = "atlas_cutover", "raw_aiohttp", "httpx_digest"
CURL_JOBS = 200
PICTURE: dict[str, float] = {}


def measure(*, quick: bool) -> str:
    """The section on cost. Contenders take turns within each repetition."""
    sizes = (500,) if quick else (1000, 4000, 10000)
    repetitions = 1 if quick else 3
    costs: dict[tuple[str, int], list[Cost]] = defaultdict(list)
    for size in sizes:
        for _ in range(repetitions):
            costs[RAW, size].append(run_python(RAW, size, CALM + "auth: off\n"))
            costs[OURS, size].append(run_python(OURS, size, CALM))
            if size <= 4000:
                costs[HTTPX, size].append(run_python(HTTPX, size, CALM))
    curl = [run_shell("curl.sh", 50 if quick else CURL_JOBS, CALM) for _ in range(repetitions)]
    rows = []
    for size in sizes:
        raw = _median(costs[RAW, size])
        for name in (RAW, OURS, HTTPX):
            found = costs[name, size]
            if found:
                rows.append(_row(name, size, found, raw))
                PICTURE[f"{name}, {size} jobs"] = _median(found)
    raw = _median(costs[RAW, sizes[0]])
    rows.append(_row("xargs -P 100, curl --digest", len(curl) and curl[0].jobs, curl, raw))
    PICTURE[f"curl --digest, {curl[0].jobs} jobs"] = _median(curl)
    ours = [_median(costs[OURS, size]) for size in sizes]
    largest = costs[OURS, sizes[-1]]
    server = median(1e6 * cost.server_cpu / cost.requests for cost in largest)
    syncs = "; ".join(
        f"{size} jobs: {median(c.extra['commits'] for c in costs[OURS, size]):.0f} syncs for "
        f"{median(c.extra['events'] for c in costs[OURS, size]):.0f} events"
        for size in sizes
    )
    head = ("contender", "jobs", "requests", "CPU per request, µs", "times raw", "wall, s")
    return (
        "## Cost\n\nEach job is read, cut over, and read every 2 s until it is over; 100 connections at most; no rate "
        "limit. The raw loop sends no credentials and keeps no record; httpx and curl have no budget, journal or log "
        f"either.\n\n{table(head, rows)}\n\n"
        f"From {sizes[0]} to {sizes[-1]} jobs the cost per request changes by {100 * (ours[-1] / ours[0] - 1):+.0f} %. "
        f"The server spent {server:.0f} µs of its own core per request, so it was not what limited. "
        f"Journal: {syncs}."
    )


def _median(costs: list[Cost]) -> float:
    return median(cost.cpu_per_request for cost in costs)


def _row(name: str, size: int, costs: list[Cost], raw: float) -> tuple[str, ...]:
    return (
        name,
        str(size),
        f"{median(cost.requests for cost in costs):.0f}",
        spread([cost.cpu_per_request for cost in costs]),
        f"{_median(costs) / raw:.2f}",
        spread([cost.wall for cost in costs], 1),
    )
