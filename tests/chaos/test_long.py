"""The long form: `make chaos`. Hundreds of kills and faults; the figures stand in docs/guarantees.md."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.core.checkpoints import CHECKPOINTS

from .harness import LATE, Kill, essence, night, workflow
from .rounds import MIGRATIONS, WEATHER, Tally, new_seed, play

pytestmark = pytest.mark.chaos

KILLS, FAULTS, LIVE_MIGRATIONS = 300, 300, 3000
SIDE_BY_SIDE = 8  # a round mostly waits, so that two cores carry as many


def test_hundreds_of_kills_and_faults_lose_nothing_and_repeat_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """300 kills and 300 faults over 3,000 migrations: no PUT carried out twice, none lost, every outcome true."""
    seed, began = new_seed(), time.monotonic()
    with capsys.disabled():
        print(f"\nchaos: seed {seed}, everything in {tmp_path}", flush=True)  # noqa: T201 - to repeat it
    tally = Tally()
    next_seed = seed
    with (tmp_path / "chaos.log").open("w") as log, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        while not _enough(tally):
            left = max(SIDE_BY_SIDE, -(-(LIVE_MIGRATIONS - tally.migrations) // MIGRATIONS))
            seeds = range(next_seed, next_seed + left)
            next_seed += left
            for played in pool.map(lambda one: play(one, tmp_path / f"seed-{one}"), seeds):
                tally.add(played)
                log.write(json.dumps(tally.figures(seed=seed, seconds=time.monotonic() - began)) + "\n")
                log.writelines(f"{problem}\n" for problem in played.problems)
                log.flush()
    figures = tally.figures(seed=seed, seconds=time.monotonic() - began)
    (tmp_path / "chaos.json").write_text(json.dumps(figures, indent=2) + "\n")
    with capsys.disabled():
        print(json.dumps(figures, indent=2), flush=True)  # noqa: T201 - the figures of docs/guarantees.md
    assert tally.problems == []
    assert set(tally.kills) == {*CHECKPOINTS, LATE, "random"}
    assert set(tally.rounds) == set(WEATHER)


def test_twenty_deaths_in_a_row_leave_the_report_of_an_undisturbed_run(tmp_path: Path) -> None:
    """Killed and continued twenty times, the journal is whole and the report the one of a run that never died."""
    plan = workflow(waves=(4, 12, 14), concurrency=3)
    scenario = {
        "seed": 20,
        "jobs": {"ready_after": "0s..5s", "cutover": "2s..10s"},
        "special": {"m009": {"ends": "FAILED", "error_message": "made to fail"}},
    }
    with night(tmp_path / "undisturbed", plan=plan, scenario=scenario) as calm:
        assert calm.finish() == 1
        undisturbed = essence(calm.report())
    rng = random.Random(20)
    early = CHECKPOINTS[: CHECKPOINTS.index("finishing")]
    with night(tmp_path / "disturbed", plan=plan, scenario=scenario) as chaos:
        while len(chaos.kills) < 20:
            chaos.session(Kill(point=early[len(chaos.kills) % len(early)], count=1), rng=rng)
            assert chaos.exit_codes[-1] < 0, "the run came to its end before it had died twenty times"
            assert chaos.rows("PRAGMA integrity_check") == [("ok",)]
        assert chaos.finish() == 1
        assert chaos.problems() == []
        assert essence(chaos.report()) == undisturbed


def _enough(tally: Tally) -> bool:
    return tally.kills.total() >= KILLS and tally.faults.total() >= FAULTS and tally.migrations >= LIVE_MIGRATIONS
