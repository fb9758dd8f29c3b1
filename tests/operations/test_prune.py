"""Which runs are removed, which never are, and that no other run misses what was."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from orchestrator.core.errors import JournalError
from orchestrator.core.events import CutoverRequested, RunPaused
from orchestrator.core.outcomes import Outcome
from orchestrator.operations.abort import abort
from orchestrator.operations.plan import plan
from orchestrator.operations.prune import Prunable, prunable, prune
from orchestrator.operations.status import runs
from orchestrator.operations.target import Rehearsal
from orchestrator.simulator import Scenario
from orchestrator.store.journal import open_journal
from orchestrator.store.locks import locked, run_lock
from orchestrator.store.marks import Mark

from ..engines.house import READY, die_when, house, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

DAY = 86_400.0


def prune_all(state_dir: Path, **asked: object) -> Prunable:
    """What `runs prune` does with *asked*."""
    found = prunable(state_dir=state_dir, **asked)  # type: ignore[arg-type]
    done = prune([row.run_id for row in found.removed], state_dir=state_dir)
    return Prunable(removed=done.removed, kept=(*found.kept, *done.kept))


def left(state_dir: Path) -> list[str]:
    """The workflows of the runs that the journal has."""
    return [each.row.workflow for each in runs(state_dir=state_dir)]


def files_of(state_dir: Path, run_id: str) -> list[Path]:
    """The files and directories that are named after a run."""
    return list(state_dir.rglob(f"*{run_id}*"))


@pytest.mark.parametrize("name", ["marks", "runs", "locks", "reads"])
async def test_nothing_is_removed_through_a_link(tmp_path: Path, name: str) -> None:
    """A directory that was put back as a link leads to what may be somebody's only copy; the run stays known."""
    async with house(tmp_path / "state", workflow(wave("w", "a"))) as it:
        rehearsed = await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
    (tmp_path / "state" / name / rehearsed.state.run_id).mkdir(parents=True, mode=0o700)
    (tmp_path / "state" / name).rename(tmp_path / "elsewhere")
    kept = files_of(tmp_path / "elsewhere", rehearsed.state.run_id)
    (tmp_path / "state" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match=rf"{name}: is a symbolic link"):
        prune_all(tmp_path / "state", rehearsals=True)
    assert [each.row.run_id for each in runs(state_dir=tmp_path / "state")] == [rehearsed.state.run_id]
    assert files_of(tmp_path / "elsewhere", rehearsed.state.run_id) == kept


async def test_rehearsals_are_removed_and_real_runs_stay(tmp_path: Path) -> None:
    """With their events, marks and files; and everything goes on as if they had not been."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        rehearsed = await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
        real = await it.start()
        assert files_of(tmp_path, rehearsed.state.run_id)
        done = prune_all(tmp_path, rehearsals=True)
        assert [row.run_id for row in done.removed] == [rehearsed.state.run_id]
        assert done.kept == ()
        assert [each.row.run_id for each in runs(state_dir=tmp_path)] == [real.state.run_id]
        with open_journal(tmp_path, readonly=True) as journal:
            tables = [name for (name,) in journal._query("SELECT name FROM sqlite_schema WHERE type = 'table'", ())]
            for table in tables:  # also one that is new
                if "run_id" in [row[1] for row in journal._query(f"PRAGMA table_info({table})", ())]:
                    sql = f"SELECT count(*) FROM {table} WHERE run_id = ?"  # noqa: S608 - a table's name
                    assert journal._query(sql, (rehearsed.state.run_id,)) == [(0,)], table
            assert [name for (name,) in journal._query("PRAGMA integrity_check", ())] == ["ok"]
            assert journal._query("PRAGMA foreign_key_check", ()) == []
        assert files_of(tmp_path, rehearsed.state.run_id) == []
        assert outcomes(await it.start()) == {"a": Outcome.SUCCESS}  # found complete; no mark is missed
        assert it.puts("a") == 1


async def test_only_what_ended_long_enough_ago_is_removed(tmp_path: Path) -> None:
    """And with it goes what forecasts were made of."""
    given = workflow(wave("w", "a"))
    async with house(tmp_path, given) as it:
        await it.start()
        assert prune_all(tmp_path, older_than=DAY, now=wall() + DAY / 2).removed == ()
        assert plan(given, it.settings, now=wall()).forecast is not None
        assert len(prune_all(tmp_path, older_than=DAY, now=wall() + 2 * DAY).removed) == 1
        assert left(tmp_path) == []
        assert plan(given, it.settings, now=wall()).forecast is None
        assert plan(given, it.settings, now=wall() + 200 * 3600.0).expiring == ()  # it was cut over


async def test_what_is_unfinished_or_in_doubt_is_never_removed(tmp_path: Path) -> None:
    """Neither a run that may be continued, nor one that was given up with a PUT whose end nobody knows."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverRequested))
        (kept,) = prune_all(tmp_path, older_than=0.0, now=wall() + DAY).kept
        assert "it is unfinished" in kept.why
        abort(run_id, state_dir=tmp_path)
        (kept,) = prune_all(tmp_path, older_than=0.0, now=wall() + 9e9).kept
        assert "how 1 of its cutovers ended is not known" in kept.why
        assert len(left(tmp_path)) == 1


async def test_a_run_that_somebody_works_on_is_not_removed(tmp_path: Path) -> None:
    """Whether the lock was taken before it was looked at, or since."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        ending = await it.start()
        with locked(run_lock(tmp_path, ending.state.run_id), holder="ada"):
            found = prunable(older_than=0.0, state_dir=tmp_path, now=wall() + DAY)
            assert [kept.why for kept in found.kept] == ["ada works on it"]
            assert [kept.why for kept in prune([ending.state.run_id], state_dir=tmp_path).kept] == ["ada works on it"]
        assert len(left(tmp_path)) == 1
        assert prune(["no-such-run"], state_dir=tmp_path) == Prunable(removed=(), kept=())


async def test_a_removal_that_dies_half_way_keeps_no_run_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark goes first; what is left of the run can be removed again."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        first = await it.start()
        remove = Mark.remove

        def die(mark: Mark) -> None:
            remove(mark)
            raise JournalError("the power is gone")

        monkeypatch.setattr(Mark, "remove", die)
        with pytest.raises(JournalError, match="power"):
            prune([first.state.run_id], state_dir=tmp_path)
        monkeypatch.undo()
        assert len(left(tmp_path)) == 1
        with anyio.fail_after(900):
            await it.start()
        assert len(prune_all(tmp_path, older_than=0.0, now=wall() + DAY).removed) == 2


async def test_events_of_other_runs_are_not_touched(tmp_path: Path) -> None:
    """A run that goes on after others were removed adds to its own events."""
    async with house(tmp_path, workflow(wave("w", "a"), wave("later", "b"))) as it:
        await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
        first = await it.start(only=("w",))
        await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
        assert len(prune_all(tmp_path, rehearsals=True).removed) == 2
        ending = await it.start()
        assert ending.state.run_id == first.state.run_id
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        assert not [event for event in it.events if isinstance(event, RunPaused)]
