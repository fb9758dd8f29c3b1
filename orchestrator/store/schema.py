"""The journal's file: its schema, how it is opened and brought forward, and what SQLite's errors mean to an operator."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ..core.errors import JournalError, JournalLockedError
from ..machine.own_files import PRIVATE, let_its_owner, make_way
from .ground import OpenFile
from .marks import Marks
from .seen import take_in_all_runs
from .state_dir import refuse_foreign_state, unusable
from .wholeness import WholenessCheck, mark_runs

VERSION = 8
FILE = "journal.db"
NEEDED: Final = (3, 37, 0)
"""The oldest SQLite that knows STRICT tables."""
LOCK_PATIENCE = 5.0
"""Seconds for which one attempt waits while another program keeps the file locked."""

_BESIDE = ("-wal", "-shm")
_TAKEN_IN = (*_BESIDE, "-journal")
"""Files beside the journal that SQLite takes for a part of it: what is in the last one is rolled into it, whoever wrote that."""

_OF_THE_SYSTEM: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
"""What SQLite says where the system has refused it something, of which it does not say why."""

_SCHEMA = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    rehearsal INTEGER NOT NULL,
    migrations INTEGER NOT NULL,
    started_at REAL NOT NULL,
    finished_at REAL,
    outcome TEXT,
    exit_code INTEGER,
    unfinished INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs,
    at REAL NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_run ON events (run_id, seq);
CREATE TABLE puts (
    group_id TEXT NOT NULL,
    live_migration_id TEXT NOT NULL,
    run_id TEXT NOT NULL REFERENCES runs,
    at REAL NOT NULL,
    PRIMARY KEY (group_id, live_migration_id, run_id)
) STRICT;
CREATE TABLE claims (
    group_id TEXT NOT NULL,
    live_migration_id TEXT NOT NULL,
    run_id TEXT NOT NULL REFERENCES runs,
    PRIMARY KEY (group_id, live_migration_id)
) STRICT;
CREATE TABLE controls (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs,
    at REAL NOT NULL,
    command TEXT NOT NULL,
    wave TEXT,
    who TEXT NOT NULL,
    handled INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX controls_of_run ON controls (run_id, handled);
"""
_MARKED = "ALTER TABLE runs ADD COLUMN marked INTEGER NOT NULL DEFAULT 0"  # whether the run has a mark (`marks`); until _ALL_MARKED
_DETAILED = "ALTER TABLE controls ADD COLUMN detail TEXT NOT NULL DEFAULT '{}'"  # reason, migration, gate: JSON
_READY = """
CREATE TABLE ready (
    group_id TEXT NOT NULL,
    live_migration_id TEXT NOT NULL,
    first_seen_at REAL NOT NULL,
    PRIMARY KEY (group_id, live_migration_id)
) STRICT;
"""
_ELSEWHERE = (
    "ALTER TABLE runs ADD COLUMN temporal TEXT"  # the Temporal cluster that works on the run (JSON); NULL: none does
)
_ALL_MARKED = (
    "ALTER TABLE runs DROP COLUMN marked"  # each has one: those from before there were marks get theirs right before
)
_SEEN = """
CREATE TABLE seen (
    group_id TEXT NOT NULL,
    live_migration_id TEXT NOT NULL,
    reported_lag INTEGER NOT NULL,
    lag_gone INTEGER NOT NULL,
    PRIMARY KEY (group_id, live_migration_id)
) STRICT;
"""
_SEEN_THERE = """
DROP TABLE seen;
CREATE TABLE seen (
    group_id TEXT NOT NULL,
    live_migration_id TEXT NOT NULL,
    server TEXT NOT NULL,
    reported_lag INTEGER NOT NULL,
    lag_gone INTEGER NOT NULL,
    was_ready INTEGER NOT NULL,
    PRIMARY KEY (group_id, live_migration_id, server)
) STRICT;
"""
SCHEMA_UPGRADES: tuple[str, ...] = (_SCHEMA, _MARKED, _DETAILED, _READY, _ELSEWHERE, _ALL_MARKED, _SEEN, _SEEN_THERE)
"""What brings a journal of version *n* to *n + 1*, by position."""


@contextmanager
def connected(path: Path, *, readonly: bool) -> Iterator[sqlite3.Connection]:
    """A connection to the journal's file; made where there is none, and brought forward where it is old, unless *readonly*.

    Raises:
        JournalError: The directory or file cannot be used, is somebody else's, damaged, or of a newer version.
    """
    state_dir = path.parent
    if sqlite3.sqlite_version_info < NEEDED:
        raise JournalError(
            f"this Python's SQLite is {sqlite3.sqlite_version}, and the journal needs {'.'.join(map(str, NEEDED))} or newer: "
            "use a Python that was built with one (`python3 -c 'import sqlite3; print(sqlite3.sqlite_version)'`)"
        )
    try:
        if state_dir.exists() and not state_dir.is_dir():
            raise unusable(state_dir, NotADirectoryError(errno.ENOTDIR, "is no directory"))
        refuse_foreign_state(path, *_TAKEN_IN, written=not readonly)
        if not readonly:
            make_way(state_dir)
            refuse_foreign_state(path, *_TAKEN_IN, written=True)  # what somebody else has put there meanwhile
            _make(path)
        elif not path.exists():
            refuse_lost(state_dir)
            raise JournalError(f"{path}: there is no journal: no run has been started with this state directory")
        _check_access(path)
        connection = _opened(path, "ro" if readonly else "rwc")
    except sqlite3.Error as error:
        raise explained(path, error) from error
    except OSError as error:
        raise unusable(path, error) from error
    try:
        try:
            _prepare(path, connection, readonly=readonly)
        except sqlite3.Error as error:
            raise explained(path, error) from error
        except OSError as error:
            raise unusable(path, error) from error
        yield connection
    finally:
        connection.close()


def files_of(state_dir: Path) -> Iterator[Path]:
    """What a state directory keeps runs in: the journal, and the files and directories beside it that belong to it."""
    journal = state_dir / FILE
    yield from (journal, *(journal.with_name(journal.name + end) for end in _BESIDE))
    yield from (state_dir / name for name in ("locks", "marks", "reads"))


def refuse_lost(state_dir: Path) -> None:
    """Return when no mark in *state_dir*, which has no journal, names a run that was recorded.

    Raises:
        JournalError: One does: the journal was there, and what its runs have sent is not known any more.
    """
    WholenessCheck(state_dir / FILE, lambda _sql, _values: [(0,)], Marks(state_dir)).check_marks()


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=LOCK_PATIENCE,
        check_same_thread=False,
    )


@contextmanager
def where_to_read(path: Path, *, readonly: bool) -> Iterator[Path]:
    """Where the journal *path* is opened: there, or as a copy where it is only to be read, and SQLite may not make what it needs beside it.

    So it is with a copy of a state directory on a medium that is *readonly* itself.

    Raises:
        JournalError: It is somebody else's, or cannot be copied.
    """
    with ExitStack() as stack:
        try:
            place = path
            if readonly and path.exists() and not _may_make_files_in(path.parent):
                refuse_foreign_state(path, *_TAKEN_IN)
                if not _opens_as_it_is(path):
                    place = Path(stack.enter_context(TemporaryDirectory(prefix="atlas-cutover-"))) / path.name
            if place != path:
                Marks(path.parent).copy_to(place.parent)  # first: the journal that is copied after them reaches them
                for file in (path, path.with_name(path.name + _BESIDE[0])):
                    if file.exists():
                        shutil.copyfile(file, place.with_name(file.name))
        except OSError as error:
            raise unusable(path, error) from error
        yield place  # what goes wrong meanwhile is no word of the journal's


def _opens_as_it_is(path: Path) -> bool:
    """Whether SQLite has all that it needs at *path*, as far as nothing is written there."""
    with suppress(sqlite3.Error), closing(_opened(path, "ro")) as db:
        db.execute("PRAGMA user_version").fetchone()
        return True
    return False


def _may_make_files_in(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


def _make(path: Path) -> None:
    """Make the file where there is none: SQLite would make it readable for all whom the umask lets."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        try:
            let_its_owner(descriptor)
        finally:
            os.close(descriptor)


def _check_access(path: Path) -> None:
    """Raise what keeps us from *path*, as SQLite would not say it.

    The file is not opened for that: closing it would give up the locks of this process's other connections.
    """
    with suppress(FileNotFoundError):
        path.stat()
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _prepare(path: Path, db: sqlite3.Connection, *, readonly: bool) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise JournalError(
            f"{path}: written by a newer version of atlas-cutover (schema {version}, this one knows {VERSION}): upgrade"
        )
    db.execute("PRAGMA foreign_keys = ON")
    if readonly:
        if version == 0:
            raise JournalError(f"{path}: nothing was ever recorded in it: start a run with `atlas-cutover run`")
        if version < VERSION:
            raise JournalError(f"{path}: of an older version (schema {version}): start or resume a run to upgrade it")
        return
    path.chmod(PRIVATE)
    _write_ahead(db)
    db.execute("PRAGMA synchronous = FULL")
    if version == VERSION:
        return  # nothing to write, so nobody who keeps it locked is waited for
    db.execute("BEGIN IMMEDIATE")  # another process may upgrade it at the same moment
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    for script in SCHEMA_UPGRADES[version:]:
        if script == _ALL_MARKED:
            rows = db.execute("SELECT run_id FROM runs WHERE marked = 0").fetchall()
            mark_runs(
                (run_id for (run_id,) in rows),
                lambda sql, values: db.execute(sql, values).fetchall(),
                Marks(path.parent),
            )
        for statement in script.split(";"):
            db.execute(statement)
        if script == _SEEN_THERE:
            take_in_all_runs(db)
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _write_ahead(db: sqlite3.Connection) -> None:
    """Turn the journal to SQLite's write-ahead log, which a file that was made just now has not yet.

    Where two do it at the same moment, SQLite refuses one of them without waiting, as each has read and both want to write.
    """
    patience = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            time.sleep(0.01)
        else:
            return


def explained(path: Path, error: sqlite3.Error) -> JournalError:
    """*error* in the words of an operator: what is wrong with *path*, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _OF_THE_SYSTEM and (met := _trouble_in(path.parent)) is not None:
        return unusable(path, met)
    if code == sqlite3.SQLITE_BUSY:
        return JournalLockedError(
            f"{path}: another process keeps the file locked (a backup, a `sqlite3` shell with an open transaction?): "
            f"end it, or wait for it ({error})"
        )
    advice = {
        sqlite3.SQLITE_FULL: "the disk is full: make room",
        sqlite3.SQLITE_READONLY: "the file is read-only: check its owner and permissions, and how its file system is mounted",
        sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check that it is a regular file, and its permissions",
        sqlite3.SQLITE_NOTADB: "the file is damaged, or no journal: keep it, restore a copy, and look at the live migrations in Atlas",
        sqlite3.SQLITE_CORRUPT: "the file is damaged: keep it, restore a copy, and look at the live migrations in Atlas",
        sqlite3.SQLITE_IOERR: "it cannot be read or written: check that it is a regular file, and look for disk errors (`dmesg`)",
    }.get(code, "the journal failed")
    return JournalError(f"{path}: {advice} ({error})")


def _trouble_in(directory: Path) -> OSError | None:
    """What the system says when *directory* is opened and written to: SQLite does not tell why it could not. None: nothing.

    The journal itself is not opened for that (`_check_access`).
    """
    try:
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if os.statvfs(directory).f_flag & os.ST_RDONLY:
            return OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory))
    except OSError as met:
        return met
    return None


def empty_wal(db: sqlite3.Connection) -> None:
    """Move what is committed into the main file and empty the WAL; as far as the readers of the moment allow.

    Raises:
        sqlite3.Error: The disk is full, or the file damaged.
    """
    db.execute("PRAGMA busy_timeout = 500")
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.execute(f"PRAGMA busy_timeout = {int(LOCK_PATIENCE * 1000)}")


def open_files_of(path: Path) -> tuple[OpenFile, ...]:
    """The files of the journal at *path*, which is open: the main one, and those beside it that SQLite keeps meanwhile.

    Raises:
        OSError: One of them is not there.
    """
    return tuple(OpenFile.of(file, file.stat()) for file in (path, *(path.with_name(path.name + e) for e in _BESIDE)))
