"""The short form: one run, killed once at every boundary, against a server that misbehaves at the same time."""

from __future__ import annotations

from pathlib import Path

from orchestrator.core.checkpoints import CHECKPOINTS

from .harness import LATE, Kill, night, workflow

FAULTS = [
    {"on": "cutover", "kind": "slow", "migration": "m005", "delay": 0.8, "times": 1},
    {"on": "cutover", "kind": "lost_before", "migration": "m001", "times": 1},
    {"on": "cutover", "kind": "lost_after", "migration": "m004", "times": 1},
    {"on": "cutover", "kind": "error_after", "migration": "m007", "times": 1},
    {"on": "cutover", "kind": "late", "migration": "m009", "delay": 0.8, "times": 1},
    {"on": "read", "kind": "garbage", "share": 0.05, "times": 1},
]
SCENARIO = {
    "seed": 1,
    "jobs": {"ready_after": "0s..2s", "cutover": "2s..8s"},
    "special": {"m003": {"ends": "FAILED", "error_message": "made to fail"}},
    "faults": FAULTS,
    "rate_limit": {"capacity": 3000, "refill": 3000, "per": "10s"},
}
AT_ATLAS = {
    "seed": 2,
    "latency": "atlas",
    "jobs": {"ready_after": "0s..2s", "cutover": "2s..8s"},
    "faults": [
        {"on": "cutover", "kind": "slow", "migration": "m004", "delay": 0.8, "times": 1},
        {"on": "cutover", "kind": "lost_before", "migration": "m001", "times": 1},
        {"on": "cutover", "kind": "error_after", "status": 409, "migration": "m003", "times": 1},
        {"on": "read", "kind": "stale", "age": 2, "share": 0.2},
    ],
    "repeat_puts": "refuse",
}
COUNTS = {"committing": 2, "committed": 3, "polling": 6}


def test_a_run_that_dies_at_every_boundary_cuts_each_migration_over_once(tmp_path: Path) -> None:
    """Killed at each named point, and while a PUT's answer was on its way, the run ends as the server knows it did."""
    with night(tmp_path, plan=workflow(waves=(2, 8, 10)), scenario=SCENARIO) as chaos:
        for point in (*CHECKPOINTS[:5], LATE, *CHECKPOINTS[5:]):
            chaos.session(Kill(point=point, count=COUNTS.get(point, 1)))
        assert chaos.finish() == 1
        assert chaos.kills == [*CHECKPOINTS[:5], LATE, *CHECKPOINTS[5:]]
        assert chaos.problems() == []


def test_at_the_latencies_of_atlas_a_run_that_dies_cuts_each_migration_over_once(tmp_path: Path) -> None:
    """Answers of up to 4 s, a replica 2 s behind, and a 409 for a PUT that was carried out."""
    atlas = {"request_timeout": "5s"}
    plan = workflow(waves=(2, 6), concurrency=6)
    with night(tmp_path, plan=plan, scenario=AT_ATLAS, settle=5.0, atlas=atlas) as chaos:
        for point in ("after_intent", LATE, "polling"):
            chaos.session(Kill(point=point))
        assert chaos.finish() == 0
        assert chaos.kills == ["after_intent", LATE, "polling"]
        assert chaos.problems() == []
