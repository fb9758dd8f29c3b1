"""The files that a run relies on: its lock files and the journal, at their paths, for as long as it works.

The kernel keeps a removed file alive for whoever has it open. A process whose lock file or state directory is removed, or
replaced by another, would go on locking and journaling where nobody looks, and a second process would know nothing of it.
So each file is remembered as it was opened, and compared with what is at its path right before anything is done in trust
of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import JournalError


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open here, by its path, device and inode."""

    path: Path
    device: int
    inode: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> OpenFile:
        """*path*, where a file of this *status* is open."""
        return cls(path, status.st_dev, status.st_ino)

    def trouble(self) -> str | None:
        """What is wrong with it now; None: the file that is open is the one at the path."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return "has been removed"
        except OSError as error:
            return f"cannot be seen any more ({error.strerror or error})"
        return (
            None if (status.st_dev, status.st_ino) == (self.device, self.inode) else "has been replaced by another file"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All the *files* that the work on run *run_id* relies on."""

    run_id: str
    files: tuple[OpenFile, ...] = ()

    def check(self) -> None:
        """Return when everything is where it was.

        Raises:
            JournalError: Something is not: nobody else can see any more what this process does.
        """
        for file in self.files:
            trouble = file.trouble()
            if trouble is not None:
                raise JournalError(
                    f"{file.path} {trouble} while run {self.run_id} works: another process could start and know nothing "
                    "of this one. Find out who did that, put the state directory back as it was if it was moved away, see "
                    f"with `atlas-cutover status` that no other run is under way, then `atlas-cutover resume {self.run_id}`"
                )
