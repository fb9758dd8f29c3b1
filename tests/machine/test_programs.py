"""Programs of hooks: what is odd on the way to one is told, and is never an error of ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.machine.programs import oddity, program_to_start, refuse_foreign_program, trouble_with

LONG = "x" * 300
"""A name that no file system takes."""


@pytest.mark.parametrize("entry", ["/nowhere", f"/{LONG}", "/dev/null", "{loop}", "{closed}"])
def test_an_entry_of_the_path_that_cannot_be_looked_into_is_passed_over(
    tmp_path: Path, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, too long, no directory, a link to itself, or one that may not be searched: the next one has the program."""
    loop, closed = tmp_path / "loop", tmp_path / "closed"
    loop.symlink_to(loop)
    look = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.is_relative_to(closed):  # root may search any directory
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    path = f"{entry.format(loop=loop, closed=closed)}:/bin:/usr/bin"
    assert program_to_start("sh", tmp_path, path).name == "sh"
    assert trouble_with("sh", tmp_path, path) is None
    assert oddity("sh", tmp_path, path) is None


@pytest.mark.parametrize("program", [LONG, f"/{LONG}", f"./{LONG}/tool", "nul\0byte", "./nul\0byte"])
def test_a_name_that_no_file_can_have_is_told_as_missing(tmp_path: Path, program: str) -> None:
    """Whoever asks for what is odd about it gets an answer, and no error."""
    assert trouble_with(program, tmp_path, os.defpath) == "is not there, or cannot be run"
    assert oddity(program, tmp_path, os.defpath) is None
    refuse_foreign_program(program, tmp_path, os.defpath)
    with pytest.raises((OSError, ValueError)):
        program_to_start(program, tmp_path, os.defpath)
