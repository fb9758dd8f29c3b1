"""Marks: how far the journal must reach, kept beside it in a small file for each run.

A commit lives in the journal's WAL file until SQLite copies it into the main one. Where that file is lost, cut or damaged,
SQLite takes what is left of it for the whole, without a word, and the intents of PUTs that have left are gone. So the last
event of each commit is written down here as well, with a digest of all events up to it, before anybody acts on the commit;
a journal that does not reach its mark, or says something else up to there, is not gone on with.

A mark has two slots, written in turn: a write that a loss of power cuts short leaves the one before it.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..machine.own_files import make_directory, open_own, refuse_link
from .state_dir import part_of_path, unusable

SLOT = 128
"""Bytes; less than a sector of any disk."""
_DIRECTORY, _SUFFIX = "marks", ".mark"
_NUMBER = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a run's events go: the number of the last one, and a digest of all of them."""

    seq: int = 0
    digest: str = ""

    def after(self, rows: Iterable[tuple[int, float, str, str]]) -> Reach:
        """The reach when these *rows* (number, time, name, data) are added."""
        reach = self
        for seq, at, name, data in rows:
            told = f"{reach.digest}\n{seq}\n{float(at)!r}\n{name}\n{data}"
            reach = replace(reach, seq=seq, digest=hashlib.sha256(told.encode()).hexdigest())
        return reach


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of the run *run_id* in the file *path*. It is written by the process that works on the run alone."""

    path: Path
    run_id: str

    def exists(self) -> bool:
        """Whether there is one.

        Raises:
            JournalError: That cannot be seen.
        """
        try:
            return self.path.exists()
        except OSError as error:
            raise unusable(self.path, error) from error

    def read(self) -> Reach:
        """What it says; nothing where it was never written to its end, or has just been removed with its run.

        Raises:
            JournalError: It cannot be read.
        """
        try:
            descriptor = open_own(self.path, os.O_RDONLY)
            try:
                return _newest(descriptor)[1]
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return Reach()
        except OSError as error:
            raise unusable(self.path, error) from error

    def write(self, reach: Reach) -> None:
        """Say *reach*: it is on disk when this returns.

        Raises:
            JournalError: It cannot be written.
        """
        try:
            made = not self.exists()
            make_directory(self.path.parent)
            descriptor = open_own(self.path, os.O_RDWR | os.O_CREAT)
            try:
                turn, _ = _newest(descriptor)
                os.pwrite(descriptor, _slot(turn + 1, reach), (turn + 1) % 2 * SLOT)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if made:
                for directory in self.path.parents[:2]:
                    _sync(directory)
        except OSError as error:
            raise unusable(self.path, error) from error

    def remove(self) -> None:
        """There is none any more; that is on disk when this returns.

        Raises:
            JournalError: It cannot be removed.
        """
        try:
            refuse_link(self.path.parent)
            self.path.unlink(missing_ok=True)
            if self.path.parent.is_dir():
                _sync(self.path.parent)
        except OSError as error:
            raise unusable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of all runs in a state directory."""

    state_dir: Path

    def of(self, run_id: str) -> Mark:
        """The mark of the run *run_id*, whether there is one or not."""
        return Mark(self.state_dir / _DIRECTORY / f"{part_of_path(run_id)}{_SUFFIX}", run_id)

    def make_place(self) -> None:
        """See that there is a place for marks, and that it is one to write to.

        Raises:
            JournalError: It cannot be made, is somebody else's, or a link.
        """
        directory = self.state_dir / _DIRECTORY
        try:
            make_directory(directory)
        except OSError as error:
            raise unusable(directory, error) from error

    def copy_to(self, directory: Path) -> None:
        """Copy all of them to the state directory *directory*.

        Raises:
            JournalError: The place for them cannot be read.
            OSError: One of them cannot be copied.
        """
        for mark in self:
            with suppress(FileNotFoundError):  # it has just been removed with its run
                data = mark.path.read_bytes()
                copy = Marks(directory).of(mark.run_id).path
                make_directory(copy.parent)
                copy.write_bytes(data)

    def __iter__(self) -> Iterator[Mark]:
        directory = self.state_dir / _DIRECTORY
        try:
            found = sorted(os.listdir(directory))  # noqa: PTH208 - `glob` and `iterdir` of some versions pass over what they cannot read
        except FileNotFoundError:
            return
        except OSError as error:
            raise unusable(directory, error) from error
        for name in found:
            if name.endswith(_SUFFIX):
                yield Mark(directory / name, name.removesuffix(_SUFFIX))


def _slot(turn: int, reach: Reach) -> bytes:
    text = f"{turn} {reach.seq} {reach.digest or '-'}"
    return f"{text} {zlib.crc32(text.encode()):08x}".ljust(SLOT - 1).encode() + b"\n"


def _newest(descriptor: int) -> tuple[int, Reach]:
    """The turn and reach of the slot that was written last; (0, nothing) in a file that has none."""
    found = (0, Reach())
    for place in (0, SLOT):
        words = os.pread(descriptor, SLOT, place).decode("ascii", errors="replace").split()
        if len(words) != 4 or f"{zlib.crc32(' '.join(words[:3]).encode()):08x}" != words[3]:
            continue
        if _NUMBER.fullmatch(words[0]) and _NUMBER.fullmatch(words[1]):  # anything else was not written by this program
            turn, reach = int(words[0]), Reach(int(words[1]), "" if words[2] == "-" else words[2])
            found = max(found, (turn, reach), key=lambda pair: pair[0])
    return found


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
