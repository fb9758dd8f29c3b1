"""How long the end of a job stays unseen, beside the documented bound and plain exponential backoff."""

from __future__ import annotations

from random import Random
from statistics import mean

from benchmarks.figures import table
from benchmarks.inprocess import run, workflow_of
from orchestrator.core.polling import backoff
from orchestrator.core.settings import Polling

INITIAL = 2.0


def measure(*, quick: bool) -> str:
    """The section on discovery."""
    cases = ((1, 50.0), (40, 50.0)) if quick else ((1, 8.0), (50, 50.0), (400, 50.0), (600, 100.0))
    rows = [_case(jobs, rate) for jobs, rate in cases]
    head = (
        "jobs under way",
        "tokens a second",
        "bound, s",
        "mean, s",
        "longest, s",
        "ratio",
        "plain backoff, s",
        "429s",
    )
    return (
        f"## Discovery\n\nFrom a job's real end to the read that saw it; polling.initial {INITIAL:g} s. The bound is "
        "max(initial / 2, M / 2R). Plain backoff is reckoned on the same jobs: waits from 2 s by 1.5 to 30 s, whatever "
        "the budget.\n\n" + table(head, rows)
    )


def _case(jobs: int, rate: float) -> tuple[str, ...]:
    scenario = (
        "seed: 3\njobs: {ready_after: 0s, cutover: 15s..40s, initial_lag: 0s}\n"
        f"rate_limit: {{capacity: {2 * jobs + 20}, refill: {int(rate)}, per: 1s}}\n"
    )
    config = (
        f"rate_limit: {{requests: {int(rate)}, per: 1s, burst: {2 * jobs + 20}}}\npolling: {{initial: {INITIAL}s}}\n"
    )
    ending, record, _ = run(workflow_of({"all": jobs}), scenario, config)
    delays, plain = [], []
    random = Random(3)  # noqa: S311 - jitter, no secret
    for job in record["migrations"].values():
        delays.append(job["first_final_read"] - job["finished_at"])
        plain.append(_plain_backoff(job["finished_at"] - job["put_times"][0], random))
    bound = max(INITIAL / 2, jobs / (2 * rate))
    return (
        str(jobs),
        f"{rate:g}",
        f"{bound:.2f}",
        f"{mean(delays):.2f}",
        f"{max(delays):.2f}",
        f"{mean(delays) / bound:.2f}",
        f"{mean(plain):.2f}",
        str(ending.state.request_statistics()["by_status"].get("429", 0)),
    )


def _plain_backoff(end: float, random: Random) -> float:
    """How long a job that ends *end* seconds after its PUT stays unseen under backoff alone."""
    policy = Polling(initial=INITIAL)
    at, attempt = 0.0, 1
    while at < end:
        wait = backoff(policy, attempt)
        at += wait * (1 + policy.jitter * (2 * random.random() - 1))
        attempt += 1
    return at - end
