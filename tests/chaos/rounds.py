"""A round of the long form: a night drawn at random from a seed, killed several times, and compared with the truth."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.core.checkpoints import CHECKPOINTS

from .harness import LATE, REQUEST_TIMEOUT, SETTLE, ChaosNight, Kill, night, workflow
from .proof import People, with_proof

WAVES = (4, 16, 20, 20)
MIGRATIONS = sum(WAVES)
NAMES = [f"m{number:03}" for number in range(MIGRATIONS)]
OVER = (0, 1, 3)
"""Exit codes of a run that is over; 3, where something was skipped and nothing else is left."""
SPEED = 20.0
EARLY = (*CHECKPOINTS[1 : CHECKPOINTS.index("finishing")], LATE, "random", "random")
AT_THE_END = CHECKPOINTS[CHECKPOINTS.index("finishing") :]
PASSAGES = {"polling": 25, "committing": 5, "committed": 5, LATE: 1}  # the other boundaries: up to 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What a round's Atlas and network are like, and how the program is set for them. Real seconds.

    What docs/guarantees.md assumes holds in each: a PUT arrives within *request_timeout* and *overdue*, a read shows what was so
    *age* before, and with half a latency they are less than the settle time: who dies right after a PUT gives it up then, and the next
    session may begin at once.

    Args:
        latency: How long answers take, as a scenario has it.
        request_timeout: The program's; what is held for longer is given up, and may be carried out afterwards.
        settle: `atlas.settle`; None: its default.
        overdue: How long after the timeout a held PUT is carried out.
        age: How old the knowledge of a replica is.
        random_kill: The latest moment of a death at random.
    """

    latency: str = "off"
    request_timeout: float = REQUEST_TIMEOUT
    settle: float | None = SETTLE + REQUEST_TIMEOUT
    overdue: float = 0.25
    age: float = 0.5
    random_kill: float = 3.0


WEATHER = {
    "near": Weather(),
    "atlas": Weather(latency="atlas", request_timeout=5.0, settle=10.0, overdue=0.5, age=2.0, random_kill=12.0),
    "default settle": Weather(settle=None, overdue=10.0, age=15.0),
}
"""Latencies go up to 4 s, half of it before a PUT is carried out."""

ROUNDS = ("near", "near", "near", "atlas", "atlas", "default settle")
"""The shares of each weather."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What happened in some rounds, and what should not have happened."""

    rounds: Counter[str] = field(default_factory=Counter)
    proven: int = 0  # rounds with verification and steering
    migrations: int = 0
    sessions: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    exit_codes: Counter[int] = field(default_factory=Counter)
    puts_received: int = 0
    puts_processed: int = 0
    requests: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take the figures of *other* in."""
        self.rounds += other.rounds
        self.proven += other.proven
        self.migrations += other.migrations
        self.sessions += other.sessions
        self.kills += other.kills
        self.faults += other.faults
        self.exit_codes += other.exit_codes
        self.puts_received += other.puts_received
        self.puts_processed += other.puts_processed
        self.requests += other.requests
        self.problems += other.problems

    def figures(self, *, seed: int, seconds: float) -> dict[str, Any]:
        """All figures, as plain data."""
        return {
            "seed": seed,
            "seconds": round(seconds),
            "rounds": self.rounds.total(),
            "rounds_by_weather": dict(sorted(self.rounds.items())),
            "rounds_verified_and_steered": self.proven,
            "migrations": self.migrations,
            "sessions": self.sessions,
            "kills": self.kills.total(),
            "kills_by_point": dict(sorted(self.kills.items())),
            "faults": self.faults.total(),
            "faults_by_kind": dict(sorted(self.faults.items())),
            "exit_codes": {str(code): count for code, count in sorted(self.exit_codes.items())},
            "requests": self.requests,
            "puts_received": self.puts_received,
            "puts_processed": self.puts_processed,
            "processed_twice": self._count("twice"),
            "lost": self._count("lost"),
            "wrong_outcomes": self._count("wrong"),
            "other_problems": len(self.problems) - sum(self._count(kind) for kind in ("twice", "lost", "wrong")),
        }

    def _count(self, kind: str) -> int:
        return sum(1 for problem in self.problems if problem.partition(": ")[2].startswith(f"{kind}: "))


def play(seed: int, directory: Path) -> Tally:
    """One round: begin the run, let it die as *seed* has it, continue it to its end, and compare."""
    rng = random.Random(seed)
    name = ROUNDS[seed % len(ROUNDS)]
    weather = WEATHER[name]
    plan = workflow(waves=WAVES, concurrency=rng.choice([6, 12, 20]))
    scenario = draw_scenario(rng, seed, weather)
    proven = seed % 2 == 1
    if proven:
        plan = with_proof(plan, directory, rng.sample(NAMES, 3), rng.sample(NAMES, 3))
    atlas = {"request_timeout": f"{weather.request_timeout:g}s"}
    with night(directory, plan=plan, scenario=scenario, speed=SPEED, settle=weather.settle, atlas=atlas) as chaos:
        people = People(night=chaos, rng=rng, names=NAMES) if proven else None
        problems = _live_through(chaos, draw_kills(rng, weather), rng, people)
        record = chaos.atlas.record()
    told = record["migrations"].values()
    return Tally(
        rounds=Counter([name]),
        proven=int(proven),
        migrations=len(told),
        sessions=len(chaos.exit_codes),
        kills=Counter(chaos.kills),
        faults=Counter(record["faults"]),
        exit_codes=Counter(chaos.exit_codes),
        puts_received=sum(migration["puts_received"] for migration in told),
        puts_processed=sum(migration["puts_processed"] for migration in told),
        requests=record["requests"]["total"],
        problems=[f"seed {seed}: {problem}" for problem in problems],
    )


def _live_through(chaos: ChaosNight, kills: Iterable[Kill], rng: random.Random, people: People | None) -> list[str]:
    """Die as *kills* have it, go on to the end, and say what is not as it should be."""
    for kill in kills:
        if people is not None:
            people.ask()
        ended = chaos.session(kill, rng=rng) in OVER
        if ended and kill.point not in AT_THE_END:
            break
    final = chaos.finish(over=OVER)
    if people is not None:
        people.make_good()
        final = chaos.finish()
    problems = chaos.problems() + (people.problems() if people else [])
    if final not in (0, 1):
        problems.append(f"wrong: the run does not come to its end: exit code {final}")
    return problems


def draw_kills(rng: random.Random, weather: Weather) -> Iterable[Kill]:
    """Five deaths while the run is under way, and some at its end."""
    if rng.random() < 0.5:
        yield Kill(point="run_begun")
    for point in rng.choices(EARLY, k=5):
        yield Kill(
            point=point, count=rng.randint(1, PASSAGES.get(point, 6)), seconds=rng.uniform(0.3, weather.random_kill)
        )
    for point in AT_THE_END:
        if rng.random() < 0.6:
            yield Kill(point=point, count=rng.randint(1, 2) if point == "reporting" else 1)


def draw_scenario(rng: random.Random, seed: int, weather: Weather) -> dict[str, Any]:
    """A night in which about every second cutover meets a fault, each kind at most once for a live migration."""
    names = NAMES
    in_time, too_late = weather.request_timeout * 0.9, weather.request_timeout + weather.overdue
    held = [{"on": "cutover", "kind": "slow", "migration": name, "delay": 0.6} for name in rng.sample(names, 4)]
    storm = round(rng.uniform(1.0, 6.0), 2)
    faults: list[dict[str, Any]] = [
        {"on": "any", "kind": "too_many_requests", "retry_after": 1, "after": storm, "until": storm + 0.4},
        *held,
        {"on": "cutover", "kind": "lost_before", "share": 0.08},
        {"on": "cutover", "kind": "lost_after", "share": 0.08},
        {"on": "cutover", "kind": "error_after", "share": 0.08},
        {"on": "cutover", "kind": "error_before", "status": 503, "share": 0.05},
        {"on": "cutover", "kind": "error_after", "status": 409, "share": 0.05},
        {"on": "cutover", "kind": "error_before", "status": 409, "share": 0.03},
        {"on": "cutover", "kind": "late", "delay": in_time, "share": 0.06},
        {"on": "cutover", "kind": "late", "delay": too_late, "share": 0.06},
        {"on": "cutover", "kind": "hang_before", "delay": too_late, "share": 0.04},
        {"on": "cutover", "kind": "hang_after", "delay": too_late, "share": 0.05},
        {"on": "cutover", "kind": "too_many_requests", "retry_after": 1, "share": 0.03},
        {"on": "cutover", "kind": "garbage", "share": 0.06},
        {"on": "read", "kind": "status", "status": 503, "share": 0.03},
        {"on": "read", "kind": "garbage", "share": 0.04},
        {"on": "read", "kind": "lost_before", "share": 0.02},
        {"on": "read", "kind": "hang_before", "delay": too_late, "share": 0.01},
    ]
    replica = [{"on": "read", "kind": "stale", "age": weather.age, "share": 0.1}]
    failing = {
        name: {"ends": "FAILED", "error_message": "made to fail"} for name in rng.sample(names, rng.randint(0, 3))
    }
    return {
        "seed": seed,
        "jobs": {"ready_after": "0s..10s", "cutover": "4s..20s"},
        "special": failing,
        "faults": [fault if "until" in fault else {**fault, "times": 1} for fault in faults] + replica,
        "latency": weather.latency,
        "repeat_puts": rng.choice(["process", "process", "refuse"]),
        "rate_limit": {"capacity": rng.choice([300, 3000]), "refill": rng.choice([1000, 3000]), "per": "10s"},
    }


def play_all(seeds: Iterable[int], directory: Path) -> Tally:
    """Rounds one after another; the nights without problems are removed."""
    tally = Tally()
    for seed in seeds:
        tally.add(play(seed, directory / f"seed-{seed}"))
    return tally


def new_seed() -> int:
    """A seed that differs from time to time; it is printed, so that a night can be repeated."""
    return int(time.time()) % 1_000_000 * 1000
