"""Programs of hooks: what is odd on the way to one is told, and is never an error of ours."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from orchestrator.machine.ownership import ForeignFileError
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


def written(path: Path, text: str, mode: int = 0o755) -> Path:
    """A script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "line",
    [
        "#!{open}/interp",
        "#! \t{open}/interp\t-x",
        "#!/usr/bin/env interp",
        "#!/usr/bin/env -S PATH={open} interp -u",
        "#!/usr/bin/env -S --debug -u HOME PATH=/nowhere:{open} interp '-u #'",
        "#!/usr/bin/env --split-string=-C {open} ./interp",
        "#!/usr/bin/env -S --chdir={open} PATH= interp",
        "#!/usr/bin/env -S --chdir {open}/.. PATH=.:open FIRST=1 interp",
        "#!/usr/bin/env -iS\t-P {open} interp",
        "#!{other_env} interp",
        "#!{chain}",
    ],
)
def test_an_interpreter_that_others_can_change_is_refused(tmp_path: Path, line: str) -> None:
    """Named in the first line, found by `env` on the hook's PATH, or by an interpreter that is a script itself: what it is decides what runs."""
    interp = written(tmp_path / "open" / "interp", "#!/bin/sh\n")
    chain = written(tmp_path / "chain", f"#!{interp}\n")
    other_env = tmp_path / "not-called-so"
    other_env.symlink_to("/usr/bin/env")
    script = written(
        tmp_path / "own" / "hook", line.format(open=interp.parent, chain=chain, other_env=other_env) + "\n"
    )
    path = f"{interp.parent}:/bin"
    assert program_to_start("./hook", script.parent, path) == script
    interp.chmod(0o777)
    with pytest.raises(ForeignFileError, match=r"open/interp.*can be written by everybody") as refused:
        program_to_start("./hook", script.parent, path)
    assert refused.value.filename == str(script)
    interp.chmod(0o755)
    interp.parent.chmod(0o777)
    with pytest.raises(ForeignFileError, match=r"lies in .*/open, which can be written by everybody"):
        refuse_foreign_program("./hook", script.parent, path)


@pytest.mark.parametrize("entry", ["{open}", "{open}/not/there", "{shared}/not/there"])
def test_an_entry_of_the_path_before_the_interpreter_is_nobody_elses_to_fill(tmp_path: Path, entry: str) -> None:
    """`env` looks at it first, whenever the hook starts: another interpreter could have come there by then."""
    for name, mode in (("open", 0o777), ("shared", 0o1777), ("good", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    good = written(tmp_path / "good" / "interp", "#!/bin/sh\n").parent
    script = written(tmp_path / "own" / "hook", "#!/usr/bin/env interp\n")
    bad = entry.format(open=tmp_path / "open", shared=tmp_path / "shared")
    assert program_to_start("./hook", script.parent, f"{good}:{bad}") == script
    with pytest.raises(
        ForeignFileError,
        match=r"has env look for interp on PATH by its first line, and there .*can be written by everybody .*: .*; or "
        rf"take {bad} off PATH, or name the interpreter's whole path in that line",
    ):
        program_to_start("./hook", script.parent, f"{bad}:{good}")


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("#!/usr/bin/env sh", None),
        ("#!/usr/bin/env -S -i FIRST=1 sh -e 'what follows' is \\ the program's #", None),
        ("#!/usr/bin/env -vS --default-signal=PIPE - sh", None),
        ("#!/usr/bin/env -S -u HOME --chdir=/ sh", None),
        (
            "#!/usr/bin/env no-such-interpreter",
            "its first line has env look for no-such-interpreter, which is not on PATH",
        ),
        ("#!/usr/bin/env", None),
    ],
)
def test_what_env_looks_for_is_looked_for(tmp_path: Path, line: str, trouble: str | None) -> None:
    """As it would look itself; what it makes nothing of is its own to tell."""
    written(tmp_path / "hook", f"{line}\n")
    assert trouble_with("./hook", tmp_path, "/usr/bin:/bin") == trouble
    assert program_to_start("./hook", tmp_path, "/usr/bin:/bin") == tmp_path / "hook"


@pytest.mark.parametrize(
    "argument",
    [
        "-S 'unclosed",
        "-S 'sh'",
        "-S ${SHELL_OF_HOOKS}",
        "-S PATH=/bin:/usr\\_sh",
        "-S sh#",
        "-S #sh",
        "-S --ch=/ sh",
        "-S --chdir",
        "-S --un PATH sh",
        "-S --ignore-env sh",
        "-S --spl=sh",
        "-S -S sh",
        "-S -0 sh",
        "-S -- sh",
        "-S FIRST=1 -i sh",
        "-S - -i sh",
        "-S =sh sh",
        "-S -u 'PATH' sh",
        "-S",
        "-S env PATH=/bin sh",
        "-S FIRST=1 /usr/bin/env sh",
        "-i",
        "-u PATH",
        "sh -e",
        "--spl=sh",
        "--split-string sh",
        "FIRST=1",
        "sh\0-of-the-hook",
        f"-S PATH={'/bin:' * 50} sh",
    ],
)
def test_what_cannot_be_told_of_the_first_line_is_refused(tmp_path: Path, argument: str) -> None:
    """What `env` reads in another way than it looks, or an older one, or one of another system, could be somebody else's program."""
    script = written(tmp_path / "hook", f"#!/usr/bin/env {argument}\n")
    told = r"tells /usr/bin/env what to start in a way that cannot be judged beforehand .*: give the interpreter's whole path"
    assert re.match(f"its first line {told}", str(trouble_with("./hook", tmp_path, "/usr/bin:/bin")))
    with pytest.raises(ForeignFileError, match=f"has a first line that {told}") as refused:
        program_to_start("./hook", tmp_path, "/usr/bin:/bin")
    assert refused.value.filename == str(script)
