"""A night at Atlas's latencies: when a wave's last PUT leaves, beside a plain client, and when each end is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.bench import KEYS, LIMIT_SECONDS, ROOT, record_of, simulator, write_jobs
from benchmarks.figures import table

INITIAL = 2.0  # polling.initial, the default
RATE = 500 / 60  # tokens a second of a project at Atlas
LONGEST_ANSWER = 4.0  # of `latency: atlas`
PER_PROJECT = 200  # migrations; the reads and PUTs of so many fit into the burst of 1,200
WAVES = (5, 20, 60, 200, 1000)
USES = (None, 50)  # of a nonce; None: as many as one likes
SEEDS = (1, 2, 3)
AT_ONCE = 6  # nights; small ones wait nearly all of the time
JOBS_AT_ONCE = 600  # of large nights, whose clients would take each other's processor
PLAIN, BEFORE, NOW = "plain client", "before", "now"

Client = Callable[[str, Path], float]
"""Runs a client against a base URL, in the directory of its jobs, and says when it began, in Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A wave of so many migrations, and how many uses a nonce has."""

    count: int
    uses: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What one client did in one night. Seconds: until its last PUT arrived; from each end to the answer that showed it."""

    last_put: float
    unseen: tuple[float, ...]
    refused: int


Nights = dict[str, list[Night]]
"""By client; one for each seed."""


def measure(*, quick: bool, beside: Path | None = None) -> str:
    """The section on a night at Atlas's latencies. *beside*: another checkout of this program, to show what changed."""
    waves, seeds = ((5, 20), SEEDS[:2]) if quick else (WAVES, SEEDS)
    clients = {PLAIN: _plain} | ({BEFORE: _program(beside)} if beside else {}) | {NOW: _program(ROOT)}
    asked = [
        (Case(count=count, uses=uses), name, seed)
        for count in waves
        for uses in USES
        for name in clients
        for seed in seeds
    ]
    nights: dict[Case, Nights] = defaultdict(lambda: defaultdict(list))
    for count in waves:
        wave = [each for each in asked if each[0].count == count]
        with ThreadPoolExecutor(max(1, min(AT_ONCE, JOBS_AT_ONCE // count))) as pool:
            for (case, name, _), night in zip(
                wave, pool.map(lambda each: _night(each[0], each[2], clients[each[1]]), wave), strict=True
            ):
                nights[case][name].append(night)
    ours = [name for name in clients if name != PLAIN]
    puts_head = (
        "wave",
        "nonce",
        f"{PLAIN}, s",
        *(title for name in ours for title in (f"{name}, s", "times plain", "429s")),
    )
    ends_head = ("wave", "nonce", "mean: bound, s", *(f"{name}, s" for name in ours))
    ends_head += ("worst: bound, s", *(f"{name}, s" for name in ours))
    return (
        "## A night at Atlas's latencies\n\nEvery answer takes as long as Atlas's recorded ones: half of them 0.12 s, one in "
        f"ten 0.77 s and more, one in a hundred 3 s. Waves in projects of at most {PER_PROJECT} migrations, all of them ready, "
        "cutovers of 20 to 40 s, default settings, Atlas's limits with a refill in steps. The plain client fetches one "
        "challenge, then sends GET and PUT for each job, signed, 100 requests in flight, and does nothing else.\n\n"
        f"Until the last PUT arrived, medians of {len(seeds)} nights, in which the same request takes the same time for each "
        "client; the ratio is that of each night, the largest in brackets.\n\n"
        f"{table(puts_head, list(_last_puts(nights, ours)))}\n\n"
        "From an end to when the answer left that showed it. The bound of the mean is max(initial / 2, M / 2R), that of the "
        "worst max(initial, M / R) and the longest answer (4 s); M migrations in a project, R requests a second.\n\n"
        f"{table(ends_head, list(_ends(nights, ours)))}"
    )


def _last_puts(nights: dict[Case, Nights], ours: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for case, found in nights.items():
        row = [*_case(case), f"{median(night.last_put for night in found[PLAIN]):.2f}"]
        for name in ours:
            ratios = [one.last_put / plain.last_put for one, plain in zip(found[name], found[PLAIN], strict=True)]
            row += [
                f"{median(night.last_put for night in found[name]):.2f}",
                f"{median(ratios):.2f} [{max(ratios):.2f}]",
                str(sum(night.refused for night in found[name])),
            ]
        yield tuple(row)


def _ends(nights: dict[Case, Nights], ours: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for case, found in nights.items():
        share = min(case.count, PER_PROJECT) / RATE
        means = [f"{mean(seconds for night in found[name] for seconds in night.unseen):.2f}" for name in ours]
        worst = [f"{max(seconds for night in found[name] for seconds in night.unseen):.2f}" for name in ours]
        yield (
            *_case(case),
            f"{max(INITIAL / 2, share / 2):.2f}",
            *means,
            f"{max(INITIAL, share) + LONGEST_ANSWER:.2f}",
            *worst,
        )


def _case(case: Case) -> tuple[str, str]:
    return str(case.count), "any" if case.uses is None else f"{case.uses} uses"


def _night(case: Case, seed: int, client: Client) -> Night:
    scenario = (
        f"seed: {seed}\nlatency: atlas\njobs: {{ready_after: 0s, cutover: 20s..40s, initial_lag: 0s}}\n"
        "rate_limit: {capacity: 1200, refill: 500, per: 60s, mode: interval}\n"
        f"nonce: {{uses: {case.uses or 'off'}}}\n"
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _, workflow = write_jobs(directory, case.count, projects=-(-case.count // PER_PROJECT))
        with simulator(directory, workflow, scenario) as (base, _):
            began = client(base, directory)
            record = record_of(base)
    jobs = record["migrations"].values()
    if any(job["puts_processed"] != 1 for job in jobs):
        raise SystemExit(f"a wave of {case.count}: not every job was cut over")
    return Night(
        last_put=record["started_at"] + max(job["put_times"][-1] for job in jobs) - began,
        unseen=tuple(job["first_final_read"] - job["finished_at"] for job in jobs if job["first_final_read"]),
        refused=record["too_many_requests"],
    )


def _plain(base: str, directory: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.contenders.plain", base, str(directory / "jobs.csv")]
    return float(_said(command)["began"])


def _program(tree: Path) -> Client:
    """The command of the checkout *tree*, as an operator starts it; its own report says when it began."""

    def run(base: str, directory: Path) -> float:
        (directory / "config.yaml").write_text(f"atlas: {{base_url: '{base}'}}\n", encoding="utf-8")
        command = [sys.executable, "-m", "orchestrator", "run", str(directory / "workflow.yaml"), "--yes"]
        command += ["--config", str(directory / "config.yaml"), "--state-dir", str(directory / "state")]
        report = _said([*command, "--format", "json", "--log-level", "error"], tree)
        return datetime.fromisoformat(report["started_at"]).timestamp()

    return run


def _said(command: Sequence[str], cwd: Path = ROOT) -> Any:
    """The JSON that *command* prints on stdout."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | KEYS, cwd=cwd, timeout=LIMIT_SECONDS, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[2]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)
