"""The journal's file: versions, damage, a full disk, other processes."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from orchestrator.core.errors import JournalError
from orchestrator.core.events import Event, RunPaused, WaveFinished
from orchestrator.store import schema as module
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.schema import FILE, VERSION
from orchestrator.store.state_dir import refuse_foreign_state, unusable

from ..builders import NOW, WHO, run_started, workflow

OPEN = """
import sys
from pathlib import Path
from orchestrator.store.journal import open_journal
sys.stdin.readline()
for _ in range(20):
    with open_journal(Path(sys.argv[1])) as journal:
        journal.runs()
"""


def begin(journal: Journal) -> None:
    """Start run r1."""
    journal.begin("r1", workflow(), run_started(workflow()))


def pause(number: float) -> Event:
    """Some event."""
    return RunPaused(at=NOW + number, who=WHO)


def version(path: Path) -> int:
    """The version of the schema in the file."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_a_fresh_journal_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Directory and file; from version 0 to the newest, durable."""
    with open_journal(tmp_path / "a" / "state") as journal:
        db = journal._db
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    path = tmp_path / "a" / "state" / FILE
    assert version(path) == VERSION
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_older_journal_is_brought_forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds stays."""
    with open_journal(tmp_path) as journal:
        begin(journal)
    monkeypatch.setattr(module, "VERSION", VERSION + 1)
    monkeypatch.setattr(module, "SCHEMA_UPGRADES", (*module.SCHEMA_UPGRADES, "CREATE TABLE news (x TEXT) STRICT;"))
    with pytest.raises(JournalError, match="older version"), open_journal(tmp_path, readonly=True):
        pass
    with open_journal(tmp_path) as journal:
        assert journal._db.execute("SELECT * FROM news").fetchall() == []
        assert [row.run_id for row in journal.runs()] == ["r1"]
    assert version(tmp_path / FILE) == VERSION + 1


@pytest.mark.parametrize("readonly", [True, False])
def test_a_newer_journal_is_left_alone(tmp_path: Path, readonly: bool) -> None:
    """With the advice to upgrade the program."""
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("PRAGMA user_version = 99")
    with (
        pytest.raises(JournalError, match=r"newer version .*schema 99.*upgrade"),
        open_journal(tmp_path, readonly=readonly),
    ):
        pass
    assert version(tmp_path / FILE) == 99


@pytest.mark.parametrize("readonly", [True, False])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, readonly: bool) -> None:
    """And stays as it is."""
    (tmp_path / FILE).write_text("these are not the bytes you are looking for" * 99)
    with (
        pytest.raises(JournalError, match="damaged, or no journal: keep it, restore a copy"),
        open_journal(tmp_path, readonly=readonly),
    ):
        pass


def test_a_damaged_journal_says_so(tmp_path: Path) -> None:
    """The header is fine, a page is not."""
    with open_journal(tmp_path) as journal:
        begin(journal)
    path = tmp_path / FILE
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    with open_journal(tmp_path, readonly=True) as journal, pytest.raises(JournalError, match="damaged"):
        journal.state("r1")


@pytest.mark.parametrize("readonly", [True, False])
def test_an_error_of_who_works_with_the_journal_is_not_told_as_the_journals(tmp_path: Path, readonly: bool) -> None:
    """It comes out as it was: whoever reads it must not look for it at the journal."""
    with open_journal(tmp_path):
        pass
    with pytest.raises(PermissionError, match="/closed/tool"), open_journal(tmp_path, readonly=readonly):
        raise PermissionError(13, "Permission denied", "/closed/tool")


def test_readers_make_no_journal(tmp_path: Path) -> None:
    """Where there is none, they say so."""
    with pytest.raises(JournalError, match="there is no journal"), open_journal(tmp_path, readonly=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_readers_cannot_write(tmp_path: Path) -> None:
    """What the file system would refuse, too: the message says it is read-only."""
    with open_journal(tmp_path) as journal:
        begin(journal)
    with open_journal(tmp_path, readonly=True) as journal, pytest.raises(JournalError, match="read-only"):
        journal.commit("r1", [pause(1)], {})


def test_a_state_directory_that_cannot_be_made_is_an_error_with_advice(tmp_path: Path) -> None:
    """A file stands in its way."""
    (tmp_path / "state").write_text("")
    with pytest.raises(JournalError, match="--state-dir"), open_journal(tmp_path / "state"):
        pass


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize("name", [FILE, f"{FILE}-wal", f"{FILE}-journal"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_a_files_place_is_an_error_at_once(
    tmp_path: Path, readonly: bool, name: str, make: Callable[[Path], None]
) -> None:
    """A pipe has no end, and SQLite would wait for its writer whatever signal comes."""
    with open_journal(tmp_path):
        pass
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    (tmp_path / name).chmod(0o600)
    with (
        pytest.raises(JournalError, match=rf"{name}: is no regular file: see what is there"),
        open_journal(tmp_path, readonly=readonly),
    ):
        pass


def test_a_process_without_file_descriptors_is_told_so(tmp_path: Path) -> None:
    """SQLite says no more than that it cannot open the file."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open_journal(tmp_path) as journal:
        begin(journal)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, allowed[1]))
        with pytest.raises(JournalError, match=r"Too many open files: .* raise `ulimit -n`"):
            open_journal(tmp_path, readonly=True).__enter__()
        with pytest.raises(JournalError, match=r"Too many open files: .* raise `ulimit -n`"):
            open_journal(tmp_path).__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)


def test_no_error_of_the_systems_sends_anybody_to_another_directory(tmp_path: Path) -> None:
    """Who has runs in this one would know nothing of their PUTs there."""
    for path in (tmp_path / FILE, tmp_path / "marks" / "r1.mark", tmp_path / "not" / "there" / FILE):
        for met in errno.errorcode:
            told = str(unusable(path, OSError(met, os.strerror(met), str(path))))
            assert "choose" not in told
            assert "another directory" not in told


def test_a_file_of_somebody_else_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its permissions cannot be set; no traceback."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(JournalError, match="Operation not permitted"), open_journal(tmp_path):
        pass


def test_a_full_disk_is_named_and_leaves_the_journal_whole(tmp_path: Path) -> None:
    """Nothing of the batch is written, and when there is room it goes on."""
    big = WaveFinished(at=NOW, wave="w" * 5000, counts={})
    with open_journal(tmp_path) as journal:
        begin(journal)
        [(pages,)] = journal._db.execute("PRAGMA page_count").fetchall()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalError, match="the disk is full: make room"):
            journal.commit("r1", [pause(1), *[big] * 50], {})
        assert len(list(journal.events("r1"))) == 1
        journal._db.execute("PRAGMA max_page_count = 100000")
        journal.commit("r1", [pause(2)], {})
        assert [event.at for _, event in journal.events("r1")] == [NOW, NOW + 2]
        assert journal._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_error_inside_a_transaction_leaves_nothing_behind(tmp_path: Path) -> None:
    """Whatever the error is."""
    with open_journal(tmp_path) as journal:
        begin(journal)
        with pytest.raises(TypeError, match="JSON"):
            journal.commit("r1", [pause(1), WaveFinished(at=NOW, wave="w", counts={"x": object()})], {})  # type: ignore[dict-item]
        assert not journal._db.in_transaction
        journal.commit("r1", [pause(2)], {})
        assert [event.at for _, event in journal.events("r1")] == [NOW, NOW + 2]


def test_a_file_that_stays_locked_is_an_error(tmp_path: Path) -> None:
    """Another program holds it; which one, SQLite cannot say."""
    with open_journal(tmp_path) as journal, closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        begin(journal)
        other.execute("BEGIN IMMEDIATE")
        journal._db.execute("PRAGMA busy_timeout = 1")
        with pytest.raises(JournalError, match="another process keeps the file locked"):
            journal.commit("r1", [pause(1)], {})


def test_an_error_of_another_kind_keeps_its_own_words(tmp_path: Path) -> None:
    """Twice the same run."""
    with open_journal(tmp_path) as journal:
        begin(journal)
        with pytest.raises(JournalError, match="UNIQUE"):
            begin(journal)


def test_a_closed_journal_is_an_error(tmp_path: Path) -> None:
    """Not a crash."""
    with open_journal(tmp_path) as journal:
        journal.close()
        with pytest.raises(JournalError, match="closed"):
            journal.runs()
        with pytest.raises(JournalError, match="closed"):
            journal.commit("r1", [pause(1)], {})


def test_many_processes_open_a_fresh_journal_at_once(tmp_path: Path) -> None:
    """One of them makes it, the others wait their turn."""
    state_dir = tmp_path / "state"
    command = [sys.executable, "-c", OPEN, str(state_dir)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        for process in processes:
            stack.callback(process.kill)
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert errors == ""
    with open_journal(state_dir) as journal:
        assert journal.runs() == []


def test_two_that_make_a_journal_at_the_same_moment_wait_for_each_other(tmp_path: Path) -> None:
    """SQLite refuses one of two that turn a new file to its write-ahead log, and does not wait; one try in four meets that."""
    together = threading.Barrier(4)

    def open_it(state_dir: Path) -> None:
        together.wait()
        with open_journal(state_dir):
            pass

    with ThreadPoolExecutor(4) as pool:
        for number in range(25):
            state_dir = tmp_path / str(number)
            for opened in [pool.submit(open_it, state_dir) for _ in range(4)]:
                opened.result()


@pytest.mark.parametrize("end", ["", "-wal"])
def test_a_journal_with_a_second_name_is_read_and_not_written(tmp_path: Path, end: str) -> None:
    """Whoever has the other name has the runs; the message does not send anybody to remove the journal."""
    state_dir = tmp_path / "state"
    with open_journal(state_dir):
        os.link(state_dir / (FILE + end), tmp_path / "second")
        with (
            pytest.raises(JournalError, match=rf"{FILE}{end}: has a second name .* remove that other name, not this"),
            open_journal(state_dir),
        ):
            pass
        with open_journal(state_dir, readonly=True) as journal:
            assert journal.runs() == []
        (tmp_path / "second").unlink()
        with open_journal(state_dir):
            pass


def test_files_beside_the_journal_may_go_while_they_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite takes them away when another process closes the journal, at any moment."""
    with open_journal(tmp_path):
        pass
    monkeypatch.setattr(Path, "exists", lambda _: True)  # as it was when it was asked
    refuse_foreign_state(tmp_path / FILE, "-wal", "-shm")


def test_readers_see_each_commit_while_a_writer_writes(tmp_path: Path) -> None:
    """Neither waits for the other, and a transaction under way is not seen."""
    with open_journal(tmp_path) as writer, open_journal(tmp_path, readonly=True) as reader:
        begin(writer)
        for number in range(1, 4):
            writer.commit("r1", [pause(number)], {})
            assert len(list(reader.events("r1"))) == 1 + number
        with writer._transaction():
            writer.insert("r1", [pause(9)], {})
            assert len(list(reader.events("r1"))) == 4
        assert len(list(reader.events("r1"))) == 5
