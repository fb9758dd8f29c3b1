"""A disk that remembers what was written to it and what was synced, so that the power can be cut at any moment afterwards.

The journal's file system calls come from SQLite's own VFS layer (apsw), those of marks from `os`. What was synced is there after a loss
of power; of the rest any part may be, in any order, down to single sectors.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import apsw
import pytest

from orchestrator.atlas.connection import GuardedRequest
from orchestrator.store import marks, schema

SECTOR = 512
WHO = "power-loss"


@dataclass(frozen=True, slots=True)
class Op:
    """Something that was done to the file *path*: *data* written at *at*, cut to *at* bytes, synced, removed; or a PUT left for *path*."""

    kind: Literal["write", "truncate", "sync", "delete", "directory", "put"]
    path: str
    at: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Disk:
    """All *ops* in their order. Files are known by their names below *root*."""

    root: Path
    ops: list[Op] = field(default_factory=list)

    def add(self, kind: Any, path: str | Path, at: int = 0, data: bytes = b"") -> None:
        """Remember one."""
        name = str(path) if kind == "put" else os.path.relpath(str(path), self.root)
        self.ops.append(Op(kind, name, at, data))


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        super().xWrite(data, offset)
        self._disk.add("write", self._path, offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(size)
        self._disk.add("truncate", self._path, size)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        super().xSync(flags)
        self._disk.add("sync", self._path)  # SQLite syncs the directory of a file that it has made with it


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        super().__init__(WHO, "")
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 - SQLite's name
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        super().xDelete(filename, syncdir)
        self._disk.add("delete", filename)
        if syncdir:
            self._disk.add("directory", Path(filename).parent)


class _Rows(list[tuple[Any, ...]]):
    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self)

    def fetchone(self) -> tuple[Any, ...]:
        return self[0]


class _Connection:
    """What the journal uses of `sqlite3.Connection`, by apsw."""

    def __init__(self, path: Path) -> None:
        self._db = apsw.Connection(str(path), vfs=WHO)
        self._db.set_busy_timeout(5000)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> _Rows:
        try:
            return _Rows(self._db.cursor().execute(sql, tuple(parameters)))
        except apsw.Error as error:
            raise sqlite3.OperationalError(str(error)) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            self.execute(sql, row)

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()


class _Os:
    """`os` for marks: what they write is remembered."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        self._disk.add("write", Path(f"/proc/self/fd/{descriptor}").readlink(), offset, bytes(data))
        return os.pwrite(descriptor, data, offset)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self._disk.add("directory" if path.is_dir() else "sync", path)


@contextmanager
def recorded(root: Path) -> Iterator[Disk]:
    """What a session writes below *root* meanwhile, and the PUTs that leave."""
    disk = Disk(root.resolve())
    vfs = _Vfs(disk)
    send = GuardedRequest.send

    async def sent(self: GuardedRequest, conn: Any) -> Any:
        if self.method == "PUT":
            disk.add("put", str(self.url.path).split("/")[-2])
        return await send(self, conn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "_opened", lambda path, _mode: _Connection(path))
        patch.setattr(marks, "os", _Os(disk))
        patch.setattr(GuardedRequest, "send", sent)
        try:
            yield disk
        finally:
            vfs.unregister()


# -- the power goes ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Kept:
    content: bytearray = field(default_factory=bytearray)
    there: bool = False  # its name is in the directory for good
    synced: bool = False
    pending: list[Op] = field(default_factory=list)


def after_power_loss(ops: Sequence[Op], kept: float, random: Random) -> dict[str, bytes]:
    """The files after the power went behind the last of *ops*: what was synced, and of the rest the share *kept*, by chance and shuffled."""
    files: dict[str, _Kept] = {}
    for op in ops:
        if op.kind == "put":
            continue
        if op.kind == "directory":
            for path, file in files.items():
                if str(Path(path).parent) == op.path:
                    if any(each.kind == "delete" for each in file.pending):
                        _apply(file, Op("delete", path))
                        file.pending.clear()
                    file.there = file.synced
            continue
        file = files.setdefault(op.path, _Kept())
        if op.kind == "sync":
            for each in file.pending:
                _apply(file, each)
            file.pending.clear()
            file.synced = True
            file.there = file.there or not op.path.startswith("marks")
        else:
            file.pending.append(op)
    found: dict[str, bytes] = {}
    for path, file in files.items():
        pending = [piece for op in file.pending for piece in _pieces(op) if random.random() < kept]
        if 0 < kept < 1:
            random.shuffle(pending)
        for op in pending:
            _apply(file, op)
        if file.there or random.random() < kept:
            found[path] = bytes(file.content)
    return found


def _pieces(op: Op) -> list[Op]:
    """*op*, sector by sector."""
    if op.kind != "write":
        return [op]
    return [Op("write", op.path, op.at + n, op.data[n : n + SECTOR]) for n in range(0, len(op.data), SECTOR)]


def _apply(file: _Kept, op: Op) -> None:
    match op.kind:
        case "write":
            end = op.at + len(op.data)
            file.content.extend(bytes(max(0, end - len(file.content))))
            file.content[op.at : end] = op.data
        case "truncate":
            del file.content[op.at :]
        case "delete":
            file.content.clear()
            file.there = file.synced = False
