"""CPU of the client per request, beside a raw aiohttp loop, httpx, xargs with curl, and Ansible."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from benchmarks.bench import Cost, ansible_playbook, run_command, run_python
from benchmarks.figures import spread, table

CALM = "seed: 1\njobs: {ready_after: 0s, cutover: 3s..5s, initial_lag: 0s}\nrate_limit: off\n"
OURS, RAW, DIGEST, HTTPX = "atlas_cutover", "raw_aiohttp", "aiohttp_digest", "httpx_digest"
CURL, ANSIBLE = "curl", "ansible"
CURL_JOBS, ANSIBLE_JOBS = 200, 20  # processes are dear, and their cost per request does not depend on how many jobs
PICTURE: dict[str, float] = {}


def measure(*, quick: bool) -> str:
    """The section on cost. Contenders take turns within each repetition."""
    sizes = (500,) if quick else (1000, 4000, 10000)
    curl_jobs, ansible_jobs = (50, 5) if quick else (CURL_JOBS, ANSIBLE_JOBS)
    costs: dict[tuple[str, int], list[Cost]] = defaultdict(list)
    for _ in range(1 if quick else 3):
        for size in sizes:
            costs[RAW, size].append(run_python(RAW, size, CALM + "auth: off\n"))
            costs[DIGEST, size].append(run_python(DIGEST, size, CALM))
            costs[OURS, size].append(run_python(OURS, size, CALM))
            if size <= 4000:
                costs[HTTPX, size].append(run_python(HTTPX, size, CALM))
        costs[CURL, curl_jobs].append(run_command(CURL, curl_jobs, CALM))
        if ansible_playbook():
            costs[ANSIBLE, ansible_jobs].append(run_command(ANSIBLE, ansible_jobs, CALM))
    rows = []
    for (name, size), found in costs.items():
        raw = _median(costs[RAW, size if size in sizes else sizes[0]])
        rows.append(_row(name, size, found, raw))
        if name != ANSIBLE:  # beside its bar the others could not be seen
            PICTURE[f"{name}, {size} jobs"] = _median(found)
    ours = [_median(costs[OURS, size]) for size in sizes]
    largest = costs[OURS, sizes[-1]]
    server = median(1e6 * cost.server_cpu / cost.requests for cost in largest)
    head = ("contender", "jobs", "requests", "CPU per request, µs", "times raw", "wall, s")
    left_out = "" if ansible_playbook() else " Ansible is not installed here, so it is left out."
    return (
        "## Cost\n\nEach job is read, cut over, and read every 2 s until it is over; 100 connections at most; no rate "
        "limit. The raw loop sends no credentials and keeps no record; `aiohttp_digest` is the same loop with aiohttp's digest "
        "auth: the least that a client with credentials costs. httpx, curl and Ansible have no budget, journal or log "
        f"either.{left_out}\n\n{table(head, rows)}\n\n"
        f"From {sizes[0]} to {sizes[-1]} jobs the cost per request changes by {100 * (ours[-1] / ours[0] - 1):+.0f} %. "
        f"The server spent {server:.0f} µs of its own core per request, so it was not what limited."
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
