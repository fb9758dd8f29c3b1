"""Runs that meet: in two processes at once, and over what a dead one has left."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path
from typing import Any

import yaml

from .harness import ChaosNight, Kill, night, wait_until, workflow

QUICK: dict[str, Any] = {"seed": 3, "jobs": {"ready_after": "0s", "cutover": "4s"}}
ENDLESS: dict[str, Any] = {"seed": 3, "jobs": {"ready_after": "0s", "cutover": "never"}}


def test_of_two_processes_started_at_once_one_runs_and_the_other_says_who(tmp_path: Path) -> None:
    """The second one exits 5 with run, process and host of the first, and sends nothing."""
    with night(tmp_path, plan=workflow(waves=(3,)), scenario=ENDLESS) as both:
        begin = ("run", str(tmp_path / "workflow.yaml"), "--yes")
        processes = [both.start(*begin) for _ in range(2)]
        try:
            wait_until(lambda: any(process.poll() is not None for process in processes))
            loser, winner = sorted(processes, key=lambda process: process.poll() is None)
            wait_until(lambda: both.processed() == 3)
            assert winner.poll() is None
            assert loser.returncode == 5
            assert f"@{socket.gethostname()} (pid {winner.pid}), run {both.run_id()}" in both.said()
        finally:
            for process in processes:
                process.kill()
                process.wait()
        assert [m["puts_received"] for m in both.atlas.record()["migrations"].values()] == [1, 1, 1]


def test_a_dead_runs_live_migrations_are_kept_until_it_is_resumed_or_aborted(tmp_path: Path) -> None:
    """Another workflow exits 5 with the advice; after `abort` it may go on, and reads before it would send again."""
    with night(tmp_path, plan=workflow(waves=(1, 1)), scenario=QUICK) as first:
        first.session(Kill(point="put_answered"))
        dead = first.run_id()
        assert dead is not None
        assert first.processed() == 1
        (tmp_path / "other.yaml").write_text(yaml.safe_dump(workflow(name="other", waves=(2,))))

        assert _run(first, "run", str(tmp_path / "other.yaml"), "--yes") == 5
        assert f"atlas-cutover resume {dead}" in first.said()
        assert f"atlas-cutover abort {dead}" in first.said()

        assert _run(first, "abort", dead) == 0
        assert _run(first, "run", str(tmp_path / "other.yaml"), "--yes", "--output", str(tmp_path / "other.json")) == 0
        assert f"run {dead} sent a PUT" in first.said()
        truth = first.atlas.record()["migrations"].values()
        assert [(m["name"], m["puts_received"], m["status"]) for m in truth] == [
            ("m000", 1, "COMPLETE"),
            ("m001", 1, "COMPLETE"),
        ]


def test_without_evidence_no_second_put_leaves_and_a_person_is_asked(tmp_path: Path) -> None:
    """Documents without a lag prove nothing: a PUT lost in a crash stays IN_DOUBT, exit 4, and is sent no more."""
    plan = workflow(waves=(1, 1))
    plan["defaults"]["timeout"] = "2s"
    scenario = {**QUICK, "documents": "older", "jobs": {"ready_after": "0s", "cutover": "10s"}}
    with night(tmp_path, plan=plan, scenario=scenario, api="v1.0") as old:
        assert old.session(Kill(point="put_answered")) < 0
        assert old.session(Kill(point="after_intent")) < 0
        assert old.session() == 4
        truth = [(m["puts_received"], m["puts_processed"]) for m in old.atlas.record()["migrations"].values()]
        assert truth == [(1, 1), (0, 0)]
        assert [m["outcome"] for m in old.report()["migrations"]] == ["SUCCESS", "IN_DOUBT"]


def test_lock_files_that_are_removed_under_a_run_make_no_second_put(tmp_path: Path) -> None:
    """The first process has sent one PUT and not the next; a second one goes on with the run, and the first one stops."""
    plan = workflow(waves=(2,), concurrency=1)
    scenario = {"seed": 3, "jobs": {"ready_after": "0s", "cutover": "40s"}}
    with night(tmp_path, plan=plan, scenario=scenario) as both:
        first = both.start("run", str(tmp_path / "workflow.yaml"), "--yes")
        try:
            wait_until(lambda: both.processed() == 1)
            shutil.rmtree(both.state_dir / "locks")
            assert _run(both, "resume", str(both.run_id()), "--yes") == 0
            assert first.wait(60) == 3
        finally:
            first.kill()
            first.wait()
        assert both.problems() == []
        assert [m["puts_received"] for m in both.atlas.record()["migrations"].values()] == [1, 1]
        assert re.search(
            "has been (removed|replaced by another file) while run", both.said()
        )  # the second may be quick


def test_a_state_directory_that_is_taken_away_stops_the_run_before_its_next_put(tmp_path: Path) -> None:
    """A run in the new directory sends what the first one has not sent, and nothing is sent twice."""
    plan = workflow(waves=(2,), concurrency=1)
    scenario = {"seed": 3, "jobs": {"ready_after": "0s", "cutover": "40s"}}
    with night(tmp_path, plan=plan, scenario=scenario) as both:
        begin = ("run", str(tmp_path / "workflow.yaml"), "--yes")
        first = both.start(*begin)
        try:
            wait_until(lambda: both.processed() == 1)
            both.state_dir.rename(tmp_path / "elsewhere")
            assert first.wait(60) == 3
        finally:
            first.kill()
            first.wait()
        assert [m["puts_received"] for m in both.atlas.record()["migrations"].values()] == [1, 0]
        assert "has been removed while run" in both.said()


def test_a_run_whose_wal_is_lost_after_a_crash_sends_nothing(tmp_path: Path) -> None:
    """Exit code 2 and what to do, for the run and for another in its place; `abort` is the way on."""
    with night(tmp_path, plan=workflow(waves=(2,), concurrency=1), scenario=QUICK) as dead:
        dead.session(Kill(point="put_answered"))
        (dead.state_dir / "journal.db-wal").unlink()
        begin = ("run", str(tmp_path / "workflow.yaml"), "--yes")
        for command in (begin, (*begin, "--new"), ("resume", str(dead.run_id()))):
            assert _run(dead, *command) == 2
        assert "Cutovers that it has sent may not be known here" in dead.said()
        assert [m["puts_received"] for m in dead.atlas.record()["migrations"].values()] == [1, 0]
        assert _run(dead, "abort", str(dead.run_id())) == 0
        assert _run(dead, *begin) == 0
        assert [m["puts_received"] for m in dead.atlas.record()["migrations"].values()] == [1, 1]


def _run(chaos: ChaosNight, *arguments: str) -> int:
    return chaos.start(*arguments).wait(60)
