"""What the journal remembers of jobs, from run to run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.events import (
    CutoverRequested,
    Event,
    GateOpened,
    GateWaiting,
    JobsSeenBefore,
    MigrationFinished,
    RunFinished,
    StatusChanged,
)
from orchestrator.core.next_step import Reading
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import RunState
from orchestrator.core.seen import Seen, SeenJobs, remembered
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.schema import FILE

from ..builders import NOW, live_id, migration, run_started, workflow

HERE, THERE = "https://cloud.mongodb.com/api/atlas/v2", "https://elsewhere.example/api/atlas/v2"
PLAN = workflow(("a", "b", "c"))
IDS = {m.name: (m.group_id, m.live_migration_id) for _, m in PLAN.migrations()}
A, B, C = IDS.values()
LAGS = GateWaiting(at=NOW, migration="a", status="WORKING", ready=False, lag=99.0, max_lag=10.0)
GONE = GateWaiting(at=NOW, migration="a", status="WORKING", ready=True, lag=None, max_lag=10.0, lag_gone=True)
OPENED = GateOpened(at=NOW, migration="b", status="WORKING", ready=True, lag=1.0)
AT_WHICHEVER_SERVER = 7  # what was seen was remembered by this version of the schema
OVER = RunFinished(at=NOW + 9, outcome=RunOutcome.FAILED, exit_code=1, unfinished=False, requests={})


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with open_journal(tmp_path) as found:
        yield found


def begin(
    journal: Journal, run_id: str, given: Workflow = PLAN, *, rehearsal: bool = False, base_url: str = HERE
) -> tuple[Event, ...]:
    """Begin a run; what it is told."""
    first = replace(run_started(given, rehearsal=rehearsal), base_url=base_url)

    def told(_puts: object, seen: SeenJobs) -> tuple[Event, ...]:
        return remembered(given, RunState(run_id=run_id), first, seen)

    return journal.begin(run_id, given, first, remembered=told)


def test_a_run_is_told_what_another_one_has_seen_of_its_jobs(journal: Journal) -> None:
    """With its beginning, and its journal says so, whichever workflow the job was in, and whatever it is called there."""
    assert begin(journal, "r1") == ()
    journal.commit("r1", [LAGS, OPENED, GONE, OVER], IDS)
    members = (migration("x", live_migration_id=A[1]), migration("y", live_migration_id=live_id(77)))
    given = Workflow(name="another", waves=(Wave(name="w", migrations=members),))
    told = (JobsSeenBefore(at=NOW, reported_lag=("x",), lag_gone=("x",), was_ready=("x",)),)
    assert begin(journal, "r2", given) == told
    assert tuple(event for _, event in journal.events("r2"))[1:] == told
    assert journal.state("r2").migrations["x"].lag_gone


def test_what_was_seen_is_on_disk_with_its_event(tmp_path: Path) -> None:
    """A process that is killed right after it loses none of it."""
    with open_journal(tmp_path) as journal:
        begin(journal, "r1")
        journal.commit(
            "r1", [LAGS, OPENED, StatusChanged(at=NOW, migration="b", status="FAILED", previous="WORKING")], IDS
        )
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in tmp_path.glob(f"{FILE}*"):
            (copy / file.name).write_bytes(file.read_bytes())
    with open_journal(copy, readonly=True) as journal:
        assert journal.seen_jobs() == {A: Seen(reported_lag=True), B: Seen(True, True, True)}


def test_a_lag_that_is_back_is_remembered_as_that(journal: Journal) -> None:
    """And that there was one stays."""
    begin(journal, "r1")
    journal.commit("r1", [LAGS, GONE], IDS)
    assert journal.seen_jobs() == {A: Seen(True, True, True)}
    journal.commit("r1", [LAGS], IDS)
    assert journal.seen_jobs() == {A: Seen(True, False, True)}


def test_a_lag_that_one_server_shows_takes_back_nothing_that_was_seen_at_another(journal: Journal) -> None:
    """A run or a plan elsewhere reads another job, or the same one by another name; what was seen counts at both, until it is taken back where it was seen."""
    begin(journal, "r1", base_url=THERE)
    journal.commit("r1", [LAGS, GONE, OVER], IDS)
    assert begin(journal, "r2") == (JobsSeenBefore(at=NOW, reported_lag=("a",), lag_gone=("a",), was_ready=("a",)),)
    journal.commit("r2", [LAGS, OVER], IDS)
    journal.shown({A: Reading(status="WORKING", ready=True, lag=1.0)}, base_url=HERE, at=NOW)
    assert journal.seen_jobs() == {A: Seen(True, True, True)}
    begin(journal, "r3", base_url="https://Elsewhere.example:443/api/atlas/v1.0")
    journal.commit("r3", [LAGS, OVER], IDS)
    assert journal.seen_jobs() == {A: Seen(True, False, True)}


def test_a_rehearsal_neither_remembers_nor_is_told_anything(journal: Journal) -> None:
    """Its jobs are made up."""
    begin(journal, "r1", rehearsal=True)
    journal.commit("r1", [LAGS, OVER], {})
    assert journal.seen_jobs() == {}
    begin(journal, "r2")
    journal.commit("r2", [LAGS, OVER], IDS)
    assert begin(journal, "r3", rehearsal=True) == ()


def test_what_was_seen_outlives_its_run(journal: Journal) -> None:
    """One row a job, however many runs come and go."""
    for number in range(3):
        begin(journal, f"r{number}")
        journal.commit(f"r{number}", [LAGS, CutoverRequested(at=NOW, migration="a"), GONE, OVER], IDS)
        journal.forget(f"r{number}")
        assert journal.seen_jobs() == {A: Seen(True, True, True)}


def test_what_was_read_without_a_run_is_remembered_too(journal: Journal) -> None:
    """And when the job was first seen ready."""
    journal.shown({A: Reading(status="WORKING", ready=True, lag=1.0), B: Reading(status="NEW")}, base_url=HERE, at=NOW)
    assert journal.seen_jobs() == {A: Seen(reported_lag=True, was_ready=True)}
    journal.shown({A: Reading(status="WORKING", ready=True)}, base_url=HERE, at=NOW + 9)
    assert journal.seen_jobs() == {A: Seen(True, True, True)}
    assert journal.first_seen_ready() == {A: NOW}


def test_what_a_run_was_told_elsewhere_is_remembered_here(journal: Journal) -> None:
    """It is mirrored from Temporal, where it was begun from another state directory."""
    begin(journal, "r1")
    journal.commit("r1", [JobsSeenBefore(at=NOW, reported_lag=("a", "b"), lag_gone=("a", "gone")), OPENED], IDS)
    assert journal.seen_jobs() == {A: Seen(True, True), B: Seen(True, False, True)}


@pytest.mark.parametrize("version", [AT_WHICHEVER_SERVER - 1, AT_WHICHEVER_SERVER])
def test_an_older_journal_remembers_what_its_runs_have_seen(tmp_path: Path, version: int) -> None:
    """From their events, but for what cannot be read, which is nobody's memory; in their order, and without rehearsals."""
    failed = MigrationFinished(at=NOW, migration="c", outcome=Outcome.FAILED, status="FAILED", lag_gone=True)
    with open_journal(tmp_path) as journal:
        begin(journal, "r1")
        journal.commit("r1", [LAGS, OPENED, GONE, OVER], IDS)
        begin(journal, "r2")
        journal.commit(
            "r2", [GateOpened(at=NOW, migration="c", status="WORKING", ready=True, lag=None), failed, OVER], IDS
        )
        begin(journal, "r3", rehearsal=True)
        journal.commit("r3", [LAGS], {})
        begin(journal, "r5", base_url=THERE)
        journal.commit("r5", [LAGS, OVER], IDS)
        begin(journal, "r4", workflow(("d",), name="damaged"))
        known = journal.seen_jobs()
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute("UPDATE events SET data = '{' WHERE run_id = 'r4'")
        db.execute("INSERT INTO events (run_id, at, name, data) VALUES ('r1', ?, 'gate_opened', '[]')", (NOW,))
        db.execute("DROP TABLE seen")
        if version == AT_WHICHEVER_SERVER:
            db.execute("CREATE TABLE seen (group_id, live_migration_id, reported_lag, lag_gone)")
        db.execute(f"PRAGMA user_version = {version}")
    with open_journal(tmp_path) as journal:
        assert (
            journal.seen_jobs()
            == known
            == {
                A: Seen(True, True, True),
                B: Seen(True, False, True),
                C: Seen(False, True, True),
            }
        )
