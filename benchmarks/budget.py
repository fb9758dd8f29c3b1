"""How close the PUTs of a wave come to what the token bucket allows, with polls competing, and with several projects."""

from __future__ import annotations

from benchmarks.figures import table
from benchmarks.inprocess import run, workflow_of

CAPACITY, REFILL = 200, 50  # tokens; tokens a second


def measure(*, quick: bool) -> str:
    """The section on budget use."""
    count = 250 if quick else 600
    rows = [
        _case("one project", count, projects=1, mode="continuous"),
        _case("four projects, a bucket each", count, projects=4, mode="continuous"),
        _case("one project, refill in steps", count, projects=1, mode="interval"),
    ]
    head = ("case", "PUTs", "bound, s", "last PUT after, s", "ratio", "429s")
    return (
        f"## Budget use\n\nBuckets of {CAPACITY} tokens, {REFILL} a second; every migration is read once before its PUT, and "
        "those under way are polled meanwhile. The bound counts the tokens that must have been spent when the last PUT "
        "leaves: all PUTs and the read before each.\n\n" + table(head, rows)
    )


def _case(name: str, count: int, *, projects: int, mode: str) -> tuple[str, ...]:
    per = 1 if mode == "continuous" else 4
    refill = REFILL * per
    scenario = (
        "seed: 2\njobs: {ready_after: 0s, cutover: 1s..3s, initial_lag: 0s}\n"
        f"rate_limit: {{capacity: {CAPACITY}, refill: {refill}, per: {per}s, mode: {mode}}}\n"
    )
    config = f"rate_limit: {{requests: {refill}, per: {per}s, burst: {CAPACITY}}}\npolling: {{initial: 500ms}}\n"
    ending, record, _ = run(workflow_of({"all": count}, projects=projects), scenario, config)
    puts = sorted(time for job in record["migrations"].values() for time in job["put_times"])
    first = min(puts)
    tokens = 2 * count / projects
    needed = max(0.0, tokens - CAPACITY)
    bound = needed / REFILL if mode == "continuous" else -(-needed // refill) * per
    took = puts[-1] - first
    return (
        name,
        str(len(puts)),
        f"{bound:.2f}",
        f"{took:.2f}",
        f"{took / bound:.3f}" if bound else "-",
        str(ending.state.request_statistics()["by_status"].get("429", 0)),
    )
