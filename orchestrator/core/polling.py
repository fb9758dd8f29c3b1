"""How long to wait between two reads of one job. Pure.

During a cutover the application is down, so every second until its end is seen counts; but a project's token bucket is
shared by all of its jobs. The wait grows from `initial` by `factor` to `max` like any backoff, and spare budget shortens
it: with M jobs to read and R tokens a second, reading each every M / R seconds uses the budget up and no more. It is never
shorter than `initial`. `docs/polling.md` has the reasoning and the measurements.
"""

from __future__ import annotations

from .settings import Polling


def backoff(policy: Polling, attempt: int) -> float:
    """Seconds before read number *attempt* (1: the first that waits), without regard to the budget."""
    if policy.factor <= 1.0:
        return policy.initial
    wait = policy.initial
    for _ in range(attempt - 1):
        wait *= policy.factor
        if wait >= policy.max:
            return policy.max
    return wait


def fair_share(*, jobs: int, rate: float, spare: float, per: float) -> float:
    """Seconds between two reads of one job when *jobs* share *rate* tokens a second and *spare* stored ones.

    Stored tokens beyond one for each job are spent over *per* seconds, so that enough stay for the PUTs of a next wave.
    """
    return jobs / (rate + max(0.0, spare - jobs) / per)


def poll_wait(policy: Polling, attempt: int, *, share: float, random: float) -> float:
    """Seconds to wait before read number *attempt* (1: the first that waits).

    Args:
        policy: The configured backoff.
        attempt: Counts the reads since the cutover was accepted, or since the gate began to wait.
        share: What the budget allows, see `fair_share`.
        random: Uniform in [0, 1). The jitter shortens what lies above `initial`: no wait is longer than its share.
    """
    wait = max(policy.initial, min(backoff(policy, attempt), share))
    spread = wait - (wait - policy.initial) * policy.jitter * random
    return max(policy.initial, spread)  # a jitter of 1 comes down to it but for what floating point loses
