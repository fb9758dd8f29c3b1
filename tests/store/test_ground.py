"""A run stops when what it stands on is taken away: its lock files, its journal, its state directory."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from orchestrator.core.errors import JournalError, JournalLockedError
from orchestrator.core.events import CutoverRequested
from orchestrator.engines.local import locked_journal
from orchestrator.store import locks, schema
from orchestrator.store.ground import Ground
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.locks import locked, run_lock
from orchestrator.store.schema import FILE
from orchestrator.store.writer import Writer

from ..builders import GROUP, NOW, live_id, run_started, workflow

WORKFLOW = workflow(("orders",))
IDS = {"orders": (GROUP, live_id(1))}
INTENT = CutoverRequested(at=NOW, migration="orders")


def replaced(path: Path) -> None:
    """Put a copy of *path* in its place."""
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


TAKEN: dict[str, Callable[[Path], object]] = {
    "the run's lock file": lambda state: run_lock(state, "r1").unlink(),
    "all lock files": lambda state: shutil.rmtree(state / "locks"),
    "a lock file, by another": lambda state: replaced(run_lock(state, "r1")),
    "the journal": lambda state: (state / FILE).unlink(),
    "the journal, by a copy": lambda state: replaced(state / FILE),
    "the WAL": lambda state: (state / (FILE + "-wal")).unlink(),
    "the shared memory": lambda state: (state / (FILE + "-shm")).unlink(),
    "the state directory": shutil.rmtree,
    "the state directory, moved away": lambda state: state.rename(state.with_name("elsewhere")),
}


@pytest.mark.anyio
@pytest.mark.parametrize("what", TAKEN)
async def test_no_intent_is_recorded_on_ground_that_is_gone(tmp_path: Path, what: str) -> None:
    """The message names what is gone, and the way on."""
    state_dir = tmp_path / "state"
    lock = run_lock(state_dir, "r1")
    with open_journal(state_dir) as journal, locked(lock, holder="me") as place:
        journal.begin("r1", WORKFLOW, run_started(WORKFLOW))
        writer = Writer(journal, "r1", IDS, ground=Ground(run_id="r1", files=(place, *journal.open_files)))
        async with anyio.create_task_group() as group:
            group.start_soon(writer.run)
            await writer.append(INTENT)
            TAKEN[what](state_dir)
            with pytest.raises(JournalError, match=r"(removed|replaced).* while run r1 works.*atlas-cutover resume r1"):
                await writer.append(INTENT)
            writer.close()
        assert writer.commits == 1


def test_a_lock_file_that_is_removed_while_it_is_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a file that nobody else can open keeps nobody out."""
    path = run_lock(tmp_path, "r1")
    take = locks._try_lock
    taken: list[int] = []

    def removed_first(descriptor: int) -> bool:
        if not taken:
            path.unlink()
        taken.append(descriptor)
        return bool(take(descriptor))

    monkeypatch.setattr(locks, "_try_lock", removed_first)
    with locked(path, holder="me") as place:
        assert len(taken) == 2
        assert place.trouble() is None


# -- a journal that somebody else keeps locked ------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One try of a commit takes no time, and tries follow each other at once."""
    monkeypatch.setattr(schema, "LOCK_PATIENCE", 0.001)
    monkeypatch.setattr("orchestrator.store.writer._BETWEEN_TRIES", 0.01)
    monkeypatch.setattr(locked_journal, "TRY_EVERY", 0.01)


@pytest.mark.anyio
async def test_a_journal_that_is_kept_locked_is_waited_for_and_that_is_said(tmp_path: Path, impatient: None) -> None:
    """A backup, a shell with an open transaction: said once a minute, and once when it is over."""
    said: list[tuple[str, str]] = []
    with open_journal(tmp_path) as journal:
        journal.begin("r1", WORKFLOW, run_started(WORKFLOW))
        telling = locked_journal.LockedJournal("r1", lambda event, **fields: said.append((event, fields["detail"])))
        writer = Writer(journal, "r1", IDS, on_locked=telling.tell)
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as backup:
            backup.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as group:
                group.start_soon(writer.run)
                group.start_soon(writer.append, INTENT)
                with anyio.fail_after(60):
                    while not said:  # noqa: ASYNC110 - the other thread tells nobody
                        await anyio.sleep(0.01)
                with anyio.move_on_after(0.1) as limit:
                    await writer.flush()  # not before it is on disk, though nothing more was posted
                assert limit.cancelled_caught
                assert writer.commits == 0
                assert writer.failure is None
                backup.execute("ROLLBACK")
                await writer.flush()
                writer.close()
        assert [event for event, _ in said] == ["journal_locked", "journal_free"]
        assert "another process keeps the file locked" in said[0][1]
        assert [event for _, event in journal.events("r1")][1:] == [INTENT]


@pytest.mark.anyio
async def test_who_stops_a_run_does_not_wait_for_a_locked_journal(tmp_path: Path, impatient: None) -> None:
    """After a signal it counts as one that cannot be written, and the session ends."""
    with open_journal(tmp_path) as journal:
        journal.begin("r1", WORKFLOW, run_started(WORKFLOW))
        writer = Writer(journal, "r1", IDS)
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as backup:
            backup.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as group:
                group.start_soon(writer.run)
                writer.patient = False
                with anyio.fail_after(60), pytest.raises(JournalLockedError):
                    await writer.append(INTENT)
                writer.close()


@pytest.mark.anyio
async def test_a_run_begins_when_the_journal_is_free(tmp_path: Path, impatient: None) -> None:
    """Nothing is lost by a backup that is under way when the night begins."""
    said: list[str] = []
    with (
        open_journal(tmp_path) as journal,
        closing(sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)) as backup,
    ):
        backup.execute("BEGIN IMMEDIATE")

        def say(event: str, **_: object) -> None:
            said.append(event)
            if event == "journal_locked":
                backup.execute("ROLLBACK")

        with anyio.fail_after(60):
            await locked_journal.LockedJournal("r1", say).wait_until_free(journal)
    assert said == ["journal_locked", "journal_free"]


def test_opening_a_journal_waits_for_nobody(tmp_path: Path) -> None:
    """Where there is nothing to bring forward, nothing is written."""
    with open_journal(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as backup:
        backup.execute("BEGIN IMMEDIATE")
        with open_journal(tmp_path) as journal:
            assert journal.runs() == []


def test_an_old_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version that is needed, before anything is made."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 26, 0))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.26.0")
    with (
        pytest.raises(JournalError, match=r"SQLite is 3\.26\.0, and the journal needs 3\.37\.0 or newer"),
        open_journal(tmp_path / "state"),
    ):
        pass
    assert not (tmp_path / "state").exists()


def test_readers_stand_on_nothing(tmp_path: Path) -> None:
    """They write nothing that could be lost."""
    with open_journal(tmp_path) as journal:
        assert [place.path.name for place in journal.open_files] == [FILE, FILE + "-wal", FILE + "-shm"]
        with open_journal(tmp_path, readonly=True) as reader:
            assert _places(reader) == ()


def _places(journal: Journal) -> tuple[object, ...]:
    return journal.open_files
