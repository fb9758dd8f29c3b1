"""Whose files these are, and how our own are written."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from orchestrator.core.errors import JournalError
from orchestrator.machine import ownership
from orchestrator.machine.access_lists import ATTRIBUTE, ENTRY, GROUP, OWNING_GROUP, USER, VERSION
from orchestrator.machine.own_files import make_directory, open_own, replace_file
from orchestrator.machine.ownership import ForeignFileError, refuse_foreign, refuse_foreign_place
from orchestrator.machine.programs import program_to_start, refuse_foreign_program, trouble_with
from orchestrator.machine.trusted_files import read_bytes
from orchestrator.store.journal import open_journal
from orchestrator.store.locks import locked
from orchestrator.store.state_dir import refuse_foreign_state

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
SOMEBODY = 54321
"""A user and a group that no machine has."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of our own."""
    path = tmp_path / "file"
    path.write_text("as it was")
    path.chmod(0o644)
    return path


def why_not(path: Path) -> str:
    """Why *path* is refused."""
    with pytest.raises(ForeignFileError) as refused:
        refuse_foreign(path, path.lstat())
    return str(refused.value.strerror)


def test_ones_own_file_and_roots_are_taken(file: Path) -> None:
    """Whatever others may read."""
    refuse_foreign(file, file.stat())
    refuse_foreign(Path("/etc/passwd"), Path("/etc/passwd").stat())
    refuse_foreign_place(file)


def test_what_everybody_may_write_is_refused_with_the_remedy(file: Path) -> None:
    """The mode, and the command that mends it."""
    file.chmod(0o646)
    assert why_not(file) == f"can be written by everybody (mode 0646): chmod o-w {file}"


def test_a_directory_with_the_sticky_bit_is_nobodys_door(tmp_path: Path) -> None:
    """In `/tmp` nobody can remove what is another's; without the bit anybody can."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "shared" / "file").touch()
    refuse_foreign_place(tmp_path / "shared" / "file")
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(ForeignFileError, match=r"lies in .*shared, which can be written by everybody"):
        refuse_foreign_place(tmp_path / "shared" / "file")


@pytest.mark.parametrize("kind", ["file", "program", "state directory"])
def test_one_open_directory_far_above_is_enough_to_refuse(tmp_path: Path, kind: str) -> None:
    """Whoever may rename there exchanges all that is below it: the message names it, and what mends it."""
    below = tmp_path / "open" / "ops"
    (below / "deep").mkdir(parents=True)
    tool = below / "deep" / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)

    def looked_at() -> None:
        match kind:
            case "file":
                read_bytes(tool)
            case "program":
                refuse_foreign_program("deep/tool", below, None)
            case _:
                refuse_foreign_state(below / "state" / "not" / "made" / "journal.db")

    looked_at()
    below.parent.chmod(0o777)
    with pytest.raises(
        ForeignFileError,
        match=r"lies in (.*/open), which can be written .* \(mode 0777\): chmod o-w \1 \(or chmod \+t \1,",
    ):
        looked_at()
    below.parent.chmod(0o1777)
    looked_at()


@ROOT
@pytest.mark.parametrize("linked", ["a directory", "the file"])
def test_a_link_that_somebody_else_made_is_not_followed(tmp_path: Path, file: Path, linked: str) -> None:
    """In a directory such as `/tmp` anybody makes one, to a file of ours that was meant for something else."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    link = tmp_path / "shared" / "link"
    link.symlink_to(file.parent if linked == "a directory" else file)
    path = link / file.name if linked == "a directory" else link
    assert read_bytes(path) == b"as it was"
    os.lchown(link, SOMEBODY, -1)
    with pytest.raises(ForeignFileError, match=rf"symbolic link .*belongs to user {SOMEBODY}"):
        read_bytes(path)


def test_links_of_ones_own_lead_anywhere_and_round_in_circles_nowhere(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative and absolute ones, up and down, and a file that is open already."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to("../../a")
    (tmp_path / "home").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "link").symlink_to("../file")
    monkeypatch.chdir(tmp_path / "a")
    refuse_foreign_place(Path("../home/b/up/b/../link"))
    with file.open() as opened:
        refuse_foreign_place(Path(f"/dev/fd/{opened.fileno()}"))
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        refuse_foreign_place(tmp_path / "round" / "file")


@pytest.mark.parametrize("mask", [0, 0o277, 0o777])
def test_directories_that_are_made_on_the_way_are_ours_alone(tmp_path: Path, mask: int) -> None:
    """All of them, under an umask that forbids nothing, and under one that forbids their owner everything; and so are files."""
    before = os.umask(mask)
    try:
        with open_journal(tmp_path / "deep" / "a" / "b") as journal:
            make_directory(tmp_path / "deep" / "c" / "d")
            with locked(tmp_path / "deep" / "c" / "d" / "a.lock", holder="me"):
                modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "deep").rglob("*") if path.is_file()}
            assert journal.runs() == []
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "deep").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "deep", *made)} == {0o700}
    assert len(made) == 4
    assert modes == {0o600}


def test_a_link_is_as_safe_as_both_of_its_ends(tmp_path: Path, file: Path) -> None:
    """Who can turn the link, or replace what it names, decides what is read."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "shared" / "link").symlink_to(file)
    with pytest.raises(ForeignFileError, match=r"lies in .*shared"):
        refuse_foreign_place(tmp_path / "shared" / "link")
    (tmp_path / "shared" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "shared" / "file")
    with pytest.raises(ForeignFileError, match=r"lies in .*shared"):
        refuse_foreign_place(tmp_path / "link")


@ROOT
def test_somebody_elses_file_is_refused_until_they_are_trusted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that the message names."""
    os.chown(file, SOMEBODY, -1)
    assert why_not(file).startswith(f"belongs to user {SOMEBODY}: use the same user, ")
    assert f"trust them with ATLAS_CUTOVER_TRUST_USERS={SOMEBODY} (" in why_not(file)
    monkeypatch.setenv("ATLAS_CUTOVER_TRUST_USERS", f"nobody-of-this-name, {SOMEBODY}, {'9' * 5000}")
    refuse_foreign(file, file.stat())


@ROOT
def test_a_group_may_write_where_it_is_trusted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the `fsGroup` of a pod."""
    os.chown(file, -1, SOMEBODY)
    file.chmod(0o660)
    assert why_not(file).endswith(f"trust its members with ATLAS_CUTOVER_TRUST_GROUPS={SOMEBODY}")
    monkeypatch.setenv("ATLAS_CUTOVER_TRUST_GROUPS", str(SOMEBODY))
    refuse_foreign(file, file.stat())
    os.chown(file, -1, 0)
    monkeypatch.delenv("ATLAS_CUTOVER_TRUST_GROUPS")
    refuse_foreign(file, file.stat())


def test_a_group_of_ones_own_name_is_harmless_while_it_is_nobody_elses_primary(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A primary group's list of members does not name those who have it."""
    group = file.stat().st_gid or SOMEBODY
    me = pwd.struct_passwd(("op", "x", os.geteuid(), group, "", "/", "/bin/sh"))
    alias = pwd.struct_passwd(("op-too", "x", os.geteuid(), group, "", "/", "/bin/sh"))
    other = pwd.struct_passwd(("other", "x", SOMEBODY, group, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: me)
    monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group(("op", "x", number, [])))
    status = os.stat_result((0o100664, *file.stat()[1:5], group, *file.stat()[6:]))
    for everybody, refused in (([me, alias], False), ([me, other], True)):
        monkeypatch.setattr(pwd, "getpwall", lambda everybody=everybody: everybody)
        ownership._is_primary_of_others.cache_clear()
        with pytest.raises(ForeignFileError, match="by the group op") if refused else nullcontext():
            refuse_foreign(file, status)
    ownership._is_primary_of_others.cache_clear()


def listed(path: Path, *entries: tuple[int, int, int]) -> None:
    """Give *path* an access control list: the owner may write, and *entries* besides (whom it is about, what they may do, number)."""
    nobody = 0xFFFFFFFF
    plain = [(0x01, 6, nobody), (0x10, 6, nobody), (0x20, 4, nobody)]
    if all(tag != OWNING_GROUP for tag, *_ in entries):
        plain.append((OWNING_GROUP, 4, nobody))
    try:
        os.setxattr(path, ATTRIBUTE, VERSION + b"".join(ENTRY.pack(*entry) for entry in sorted([*plain, *entries])))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        pytest.skip("no access control lists on this file system")


@pytest.mark.skipif(sys.platform != "linux", reason="lists are kept elsewhere")
@pytest.mark.parametrize(("tag", "variable"), [(USER, "USERS"), (GROUP, "GROUPS")])
def test_who_may_write_by_an_access_control_list_is_seen(
    file: Path, monkeypatch: pytest.MonkeyPatch, tag: int, variable: str
) -> None:
    """In the mode it looks as if root's group might; both a path and an open file are asked."""
    listed(file, (tag, 6, SOMEBODY))
    assert file.stat().st_mode & 0o777 == 0o664
    who = "user" if tag == USER else "the group"
    assert why_not(file) == (
        f"can be written by {who} {SOMEBODY}, by its access control list: setfacl -b {file}, or trust them with "
        f"ATLAS_CUTOVER_TRUST_{variable}={SOMEBODY}"
    )
    for opened in (read_bytes, partial(open_own, flags=os.O_RDONLY)):
        with pytest.raises(ForeignFileError, match="access control list"):
            opened(file)
    monkeypatch.setenv(f"ATLAS_CUTOVER_TRUST_{variable}", str(SOMEBODY))
    assert read_bytes(file) == b"as it was"


@pytest.mark.skipif(sys.platform != "linux", reason="lists are kept elsewhere")
def test_an_access_control_list_that_lets_nobody_else_write_is_no_reason_to_refuse(file: Path) -> None:
    """Those who may read, ourselves, and an owning group whose bit in the mode is the list's mask."""
    listed(file, (USER, 4, SOMEBODY), (GROUP, 4, SOMEBODY), (USER, 6, os.geteuid()))
    if os.geteuid() == 0:
        os.chown(file, -1, SOMEBODY)
    assert file.stat().st_mode & 0o020
    assert read_bytes(file) == b"as it was"


@ROOT
def test_an_owning_group_may_write_by_an_access_control_list(file: Path) -> None:
    """Its entry counts as its bit in the mode does elsewhere."""
    os.chown(file, -1, SOMEBODY)
    listed(file, (OWNING_GROUP, 6, 0xFFFFFFFF), (USER, 4, SOMEBODY))
    assert why_not(file).startswith(f"can be written by the group {SOMEBODY} (mode 0664): chmod g-w")


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT])
def test_our_own_files_are_opened_through_no_link(tmp_path: Path, file: Path, flags: int) -> None:
    """Neither a symbolic one, dangling or not, nor a second name of somebody's file."""
    for name, target in (("link", file), ("dangling", tmp_path / "nowhere")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(ForeignFileError, match="is a symbolic link"):
            open_own(tmp_path / name, flags)
    os.link(file, tmp_path / "second")
    with pytest.raises(ForeignFileError, match="has a second name"):
        open_own(tmp_path / "second", flags)
    assert file.read_text() == "as it was"
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "second").unlink()
    file.chmod(0o666)
    with pytest.raises(ForeignFileError, match="can be written by everybody"):
        open_own(file, flags)


def test_a_pipe_in_the_place_of_our_file_holds_nobody_up(tmp_path: Path) -> None:
    """It is an error at once."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        open_own(tmp_path / "pipe", os.O_RDWR)


def test_a_replaced_file_leaves_what_a_link_names_alone(tmp_path: Path, file: Path) -> None:
    """The link goes, its target stays; the mode is exactly what was asked for, or what the umask says."""
    link = tmp_path / "link"
    link.symlink_to(file)
    before = os.umask(0o027)
    try:
        replace_file(link, b"new", mode=None)
        assert link.stat().st_mode & 0o777 == 0o640
        replace_file(link, b"newer", mode=0o644)
        assert link.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
    assert (link.is_symlink(), link.read_bytes(), file.read_text()) == (False, b"newer", "as it was")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link"}


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_or_a_device_is_no_file_to_replace(tmp_path: Path, linked: bool) -> None:
    """Nor is one that a link leads to (`/dev/stdout`): whoever reads there would wait for ever."""
    place = tmp_path / "pipe"
    os.mkfifo(place)
    if linked:
        place = tmp_path / "link"
        place.symlink_to("pipe")
    with pytest.raises(OSError, match="no regular file"):
        replace_file(place, b"new", mode=None)
    assert (tmp_path / "pipe").is_fifo()
    assert place.is_symlink() is linked
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", place.name}


def test_a_file_of_the_longest_name_is_replaced(tmp_path: Path) -> None:
    """Though what is written beside it meanwhile has a name, too."""
    path = tmp_path / ("é" * 127 + "x")
    replace_file(path, b"new", mode=None)
    replace_file(path, b"newer", mode=0o600)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(path.name, b"newer")]


def test_a_directory_of_ours_is_no_link_and_for_us_alone(tmp_path: Path) -> None:
    """Made with mode 0700 whatever the umask."""
    make_directory(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "new")
    with pytest.raises(ForeignFileError, match="is a symbolic link"):
        make_directory(tmp_path / "link")


def test_a_program_that_others_can_change_is_refused(tmp_path: Path) -> None:
    """By its own mode, or that of its directory."""
    program = tmp_path / "bin" / "tool"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o757)
    with pytest.raises(ForeignFileError, match="can be written by everybody"):
        refuse_foreign_program("bin/tool", tmp_path, None)
    program.chmod(0o755)
    refuse_foreign_program("bin/tool", tmp_path, None)
    program.parent.chmod(0o777)
    with pytest.raises(ForeignFileError, match="lies in"):
        refuse_foreign_program("tool", tmp_path, str(program.parent))


def test_a_program_that_is_not_there_is_refused_where_others_could_put_it(tmp_path: Path) -> None:
    """They would take theirs away whenever it is looked at; where nobody else could, it is missing and no more."""
    (tmp_path / "bin").mkdir()
    for program in ("bin/tool", "bin/deep/tool"):
        refuse_foreign_program(program, tmp_path, None)
        with pytest.raises(FileNotFoundError):
            program_to_start(program, tmp_path, None)
    (tmp_path / "link").symlink_to("bin/tool")
    (tmp_path / "bin").chmod(0o777)
    for program in ("bin/tool", "bin/deep/tool", "./link"):
        with pytest.raises(ForeignFileError, match=r"lies in .*/bin, which can be written by everybody"):
            refuse_foreign_program(program, tmp_path, None)


@ROOT
def test_a_program_is_judged_by_what_lies_at_the_end_of_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `/tmp` somebody shows a link to a program of ours to the first look, and has a program of their own there for the next."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    ours, shown = tmp_path / "ours", shared / "tool"
    ours.write_text("#!/bin/sh\n")
    ours.chmod(0o755)
    shown.symlink_to(ours)

    look = refuse_foreign_place

    def exchanged(place: Path) -> os.stat_result:
        theirs = shared / "theirs"
        theirs.write_text("#!/bin/sh\n")
        theirs.chmod(0o755)
        os.chown(theirs, SOMEBODY, -1)
        theirs.replace(shown)
        return look(place)

    monkeypatch.setattr("orchestrator.machine.programs.refuse_foreign_place", exchanged)
    with pytest.raises(ForeignFileError, match=f"belongs to user {SOMEBODY}"):
        refuse_foreign_program(str(shown), tmp_path, None)


def test_a_file_that_was_exchanged_while_it_was_opened_is_not_read(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link of somebody else's to a file of ours, taken away for as long as links are looked for."""
    path = tmp_path / "workflow"
    path.symlink_to(file)
    look = refuse_foreign_place

    def exchanged(place: Path) -> os.stat_result:
        path.unlink()
        path.write_text("plain")
        return look(place)

    monkeypatch.setattr("orchestrator.machine.trusted_files.refuse_foreign_place", exchanged)
    with pytest.raises(ForeignFileError, match="was exchanged while it was opened"):
        read_bytes(path)


def test_a_program_is_looked_for_on_the_path_as_the_hook_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty and relative entries begin at its directory, and what cannot run for want of an interpreter is not passed over."""
    for place, first in (
        ("here", "#!/bin/sh\n"),
        ("here/tools", "#!/bin/sh\n"),
        ("one", "#!/no/such\n"),
        ("two", "#!/bin/sh\n"),
    ):
        (tmp_path / place).mkdir()
        (tmp_path / place / "tool").write_text(first)
        (tmp_path / place / "tool").chmod(0o755)
    monkeypatch.chdir(tmp_path / "two")
    here, one, two = tmp_path / "here", tmp_path / "one", tmp_path / "two"
    for path, found in ((":/bin", here), (f".:{two}", here), (f"tools:{two}", here / "tools"), (f"{one}:{two}", one)):
        assert program_to_start("tool", here, path) == found / "tool"
    assert "interpreter /no/such" in str(trouble_with("tool", here, f"{one}:{two}"))
    here.chmod(0o777)
    with pytest.raises(ForeignFileError, match=r"lies in .*/here, which"):
        refuse_foreign_program("tool", here, f":{two}")


def test_what_keeps_a_program_from_starting_is_told(tmp_path: Path) -> None:
    """A directory, lines of Windows, no interpreter or one that is not there, a missing bit."""

    def trouble(name: str, text: str, mode: int = 0o755) -> str:
        (tmp_path / name).write_bytes(text.encode())
        (tmp_path / name).chmod(mode)
        return trouble_with(f"./{name}", tmp_path, None) or "none"

    (tmp_path / "directory").mkdir()
    assert trouble_with("./directory", tmp_path, None) == "is a directory, expected a program"
    assert trouble("windows", "#!/bin/sh\r\necho\r\n").startswith("its lines end with CR LF")
    assert "'/bin/sh\\r'" in trouble("windows", "#!/bin/sh\r\n")
    assert trouble("gone", "#!/opt/nowhere/python3 -u\n") == (
        "its first line names the interpreter /opt/nowhere/python3, which is not there, or cannot be run"
    )
    assert trouble("good", "#!/bin/sh\n") == "none"
    assert trouble("binary", "\x7fELF\0\n") == "none"
    assert trouble("bare", "echo\n") == "its first line names no interpreter, such as #!/bin/sh"
    assert trouble("marked", "\ufeff#!/bin/sh\n").startswith("it begins with a byte order mark")
    assert trouble("not mine", "#!/bin/sh\n", 0o644) == f"may not be run: chmod +x '{tmp_path}/not mine'"
    assert trouble_with("no-such-command-anywhere", tmp_path, "/bin") == "is not there, or cannot be run"
    assert trouble_with("sh", tmp_path, "/bin:/usr/bin") is None


def test_a_state_directory_is_ones_own_and_no_common_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sticky bit, others may still add what SQLite takes for the journal's; it may lie in such a directory, and a trusted group may write it."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    with pytest.raises(
        JournalError, match=r"shared: can be written by everybody .*: chmod o-w .*shared if it is yours alone \("
    ):
        open_journal(tmp_path / "shared").__enter__()
    assert not list((tmp_path / "shared").iterdir())
    own = tmp_path / "shared" / "own"
    with open_journal(own):
        pass
    own.chmod(0o2770)
    if os.geteuid() == 0:  # as a volume with an `fsGroup` is
        os.chown(own, -1, SOMEBODY)
        own.chmod(0o2770)
        with pytest.raises(JournalError, match=f"can be written by the group {SOMEBODY}"):
            open_journal(own).__enter__()
    monkeypatch.setenv(ownership.GROUPS_VARIABLE, f"{SOMEBODY} {os.getegid()}")
    with open_journal(own):
        pass


@pytest.mark.parametrize("name", ["marks", "locks"])
def test_what_lies_in_the_state_directory_is_no_common_one_either(tmp_path: Path, name: str) -> None:
    """Others could put a mark or a lock there."""
    (tmp_path / name).mkdir()
    (tmp_path / name).chmod(0o1777)
    with pytest.raises(ForeignFileError, match="can be written by everybody"):
        make_directory(tmp_path / name)


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("readonly", [True, False])
def test_nothing_beside_the_journal_may_be_somebody_elses(tmp_path: Path, end: str, readonly: bool) -> None:
    """SQLite rolls what is in `-journal` into the journal, whoever has put it there."""
    with open_journal(tmp_path):
        pass
    beside = tmp_path / f"journal.db{end}"
    beside.write_bytes(b"made up")
    beside.chmod(0o666)
    with pytest.raises(JournalError, match=f"journal.db{end}: can be written by everybody"):
        open_journal(tmp_path, readonly=readonly).__enter__()
    assert beside.read_bytes() == b"made up"
