"""How far the journal must reach: what is lost of it after a crash is noticed, and nothing else is."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.errors import CutoverError, JournalError
from orchestrator.core.events import CutoverRequested
from orchestrator.core.steered import Command
from orchestrator.operations.abort import abort, abort_interrupted
from orchestrator.operations.prune import prune
from orchestrator.operations.report import report
from orchestrator.operations.steering import steer
from orchestrator.reports.render import run_reports
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.last_read import reads_path
from orchestrator.store.locks import run_lock
from orchestrator.store.marks import SLOT, Marks, Reach
from orchestrator.store.schema import FILE

from ..builders import GROUP, NOW, live_id, run_resumed, run_started, workflow
from ..strength import examples

NAMES = ("orders", "customers", "inventory")
IDS = {name: (GROUP, live_id(number)) for number, name in enumerate(NAMES, start=1)}
WORKFLOW = workflow(NAMES)
WAL = FILE + "-wal"
BEFORE_ALL_WERE_MARKED = 5
"""A version of the schema."""


def crashed(directory: Path, *, until: int = 3) -> Path:
    """A state directory in *directory* as a process leaves it that dies after the intents of *until* PUTs."""
    with open_journal(directory / "alive") as journal:
        journal.begin("r1", WORKFLOW, run_started(WORKFLOW))
        for number in range(until):
            journal.commit("r1", [CutoverRequested(at=NOW + number, migration=NAMES[number])], IDS)
        shutil.copytree(directory / "alive", directory / "dead")
    return directory / "dead"


def go_on(state_dir: Path) -> list[str]:
    """Resume r1 and tell for which migrations it knows of a PUT."""
    with open_journal(state_dir) as journal:
        state = journal.state("r1")
        journal.resume("r1", WORKFLOW, run_resumed(NAMES), rehearsal=False)
        return [name for name in NAMES if state.migrations[name].cutover_requests]


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Turn one bit of *path* around."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def cut(path: Path, size: int) -> None:
    """Leave the first *size* bytes of *path*."""
    path.write_bytes(path.read_bytes()[:size])


def rename_in_an_event(state_dir: Path, name: str = "orders", other: str = "orderr") -> None:
    """Make one PUT that of nobody."""
    with closing(sqlite3.connect(state_dir / FILE)) as db, db:
        db.execute("UPDATE events SET data = replace(data, ?, ?) WHERE name = 'cutover_requested'", (name, other))


def test_nothing_is_marked_through_a_link(tmp_path: Path) -> None:
    """A directory that was put back as a link: no session begins, none goes on, and what the link leads to stays as it is."""
    state_dir = crashed(tmp_path)
    (state_dir / "marks").rename(tmp_path / "elsewhere")
    (state_dir / "marks").symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere" / "r1.mark").read_bytes()
    with pytest.raises(JournalError, match="marks: is a symbolic link"):
        go_on(state_dir)
    with open_journal(state_dir) as journal, pytest.raises(JournalError, match="marks: is a symbolic link"):
        journal.commit("r1", [CutoverRequested(at=NOW, migration=NAMES[0])], IDS)
    assert (tmp_path / "elsewhere" / "r1.mark").read_bytes() == before
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["r1.mark"]


def test_a_place_for_marks_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    """A run whose PUTs are not known any more would be missed there."""
    state_dir = crashed(tmp_path)
    (state_dir / "marks").rename(tmp_path / "elsewhere")
    (state_dir / "marks").write_bytes(b"")
    with pytest.raises(JournalError, match="marks: Not a directory"):
        list(Marks(state_dir))


@pytest.mark.parametrize("words", ["x 5 -", "5 x -", "5 -1 -", f"{'9' * 30} 5 -", "5 ٣ -"])
def test_a_slot_with_words_that_nobody_wrote_is_none(tmp_path: Path, words: str) -> None:
    """Whoever has made it up has made its checksum, too; the run can be ended all the same."""
    state_dir = crashed(tmp_path)
    slot = f"{words} {zlib.crc32(words.encode('ascii', errors='replace')):08x}".encode("ascii", errors="replace")
    (state_dir / "marks" / "r1.mark").write_bytes(slot.ljust(SLOT - 1) + b"\n")
    assert Marks(state_dir).of("r1").read() == Reach()
    assert abort("r1", state_dir=state_dir).run_id == "r1"


LOSSES: dict[str, Callable[[Path], None]] = {
    "missing": lambda wal: wal.unlink(),
    "empty": lambda wal: cut(wal, 0),
    "cut in half": lambda wal: cut(wal, wal.stat().st_size // 2),
    "without its last frame": lambda wal: cut(wal, wal.stat().st_size - 4120),
    "with a wrong bit in its header": lambda wal: flip(wal, 16),
    "with a wrong bit in a frame": lambda wal: flip(wal, wal.stat().st_size - 500),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_whose_intents_were_lost_with_the_wal_is_not_gone_on_with(tmp_path: Path, loss: str) -> None:
    """SQLite itself says nothing: it takes what is left for all there was."""
    state_dir = crashed(tmp_path)
    LOSSES[loss](state_dir / WAL)
    with pytest.raises(
        JournalError, match=r"run r1: events of it are missing.*nothing is sent.*atlas-cutover abort r1"
    ):
        go_on(state_dir)


def test_a_run_whose_process_died_is_gone_on_with(tmp_path: Path) -> None:
    """Its WAL is there, and all of its intents are known; again after the session that followed."""
    state_dir = crashed(tmp_path)
    assert go_on(state_dir) == list(NAMES)
    assert not (state_dir / WAL).exists()
    assert go_on(state_dir) == list(NAMES)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_happens_to_the_wal_no_intent_is_forgotten(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut anywhere or with any bit turned, either all intents are known or the run does not go on."""
    state_dir = crashed(tmp_path_factory.mktemp("state"), until=2)
    wal = state_dir / WAL
    offset = data.draw(st.integers(0, wal.stat().st_size - 1))
    if data.draw(st.booleans()):
        cut(wal, offset)
    else:
        flip(wal, offset, data.draw(st.integers(0, 7)))
    try:
        known = go_on(state_dir)
    except JournalError:
        return
    assert known == list(NAMES[:2])


def test_the_beginning_of_a_run_is_in_the_main_file_at_once(tmp_path: Path) -> None:
    """Without the WAL the run is known, if not what it did."""
    state_dir = crashed(tmp_path)
    (state_dir / WAL).unlink()
    with open_journal(state_dir, readonly=True) as journal:
        assert [row.run_id for row in journal.runs()] == ["r1"]


def test_a_mark_that_names_an_unknown_run_refuses_every_run(tmp_path: Path) -> None:
    """The journal is gone or an older copy: what its runs have sent is not known to another workflow either."""
    state_dir = crashed(tmp_path)
    for file in state_dir.glob(f"{FILE}*"):
        file.unlink()
    other = workflow(("a",), name="other")
    with open_journal(state_dir) as journal, pytest.raises(JournalError, match=r"run r1: events .*remove .*r1\.mark"):
        journal.begin("r2", other, run_started(other))
    Marks(state_dir).of("r1").path.unlink()
    with open_journal(state_dir) as journal:
        journal.begin("r2", other, run_started(other))


def test_an_older_copy_of_the_journal_is_noticed(tmp_path: Path) -> None:
    """One that knows the run, and not all that it did."""
    with open_journal(tmp_path) as journal:
        journal.begin("r1", WORKFLOW, run_started(WORKFLOW))
        with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
            journal._db.backup(copy)
        journal.commit("r1", [CutoverRequested(at=NOW, migration="orders")], IDS)
    (tmp_path / "copy.db").replace(tmp_path / FILE)
    with pytest.raises(JournalError, match="events of it are missing"):
        go_on(tmp_path)


def test_a_run_without_its_mark_is_not_gone_on_with(tmp_path: Path) -> None:
    """Of a state directory of which the journal alone was copied, nobody can tell whether it is whole."""
    state_dir = crashed(tmp_path)
    Marks(state_dir).of("r1").path.unlink()
    with pytest.raises(JournalError, match=r"r1\.mark is gone, .*cannot be told"):
        go_on(state_dir)


def made_older(state_dir: Path, version: int) -> None:
    """Turn the journal into one of *version*, in which the run has no mark."""
    with closing(sqlite3.connect(state_dir / FILE)) as db, db:
        if version > 1:
            db.execute("ALTER TABLE runs ADD COLUMN marked INTEGER NOT NULL DEFAULT 0")
        else:
            db.execute("ALTER TABLE runs DROP COLUMN temporal")
            db.execute("ALTER TABLE controls DROP COLUMN detail")
            db.execute("DROP TABLE ready")
        db.execute("DROP TABLE seen")
        db.execute(f"PRAGMA user_version = {version}")
    Marks(state_dir).of("r1").path.unlink()


@pytest.mark.parametrize("version", [1, 5])
def test_a_run_from_before_there_were_marks_is_gone_on_with(tmp_path: Path, version: int) -> None:
    """Its journal is brought forward, also by a version between, and what is in it then is what it has to reach."""
    state_dir = crashed(tmp_path)
    made_older(state_dir, version)
    with open_journal(state_dir):
        pass
    rename_in_an_event(state_dir)
    with pytest.raises(JournalError, match="not those that were written"):
        go_on(state_dir)
    rename_in_an_event(state_dir, "orderr", "orders")
    assert go_on(state_dir) == list(NAMES)


def test_a_run_that_lost_its_mark_in_an_older_journal_gets_none_as_it_is_brought_forward(tmp_path: Path) -> None:
    """It says that it had one."""
    state_dir = crashed(tmp_path)
    made_older(state_dir, 5)
    with closing(sqlite3.connect(state_dir / FILE)) as db, db:
        db.execute("UPDATE runs SET marked = 1")
    with pytest.raises(JournalError, match=r"r1\.mark is gone, "):
        go_on(state_dir)


@pytest.mark.parametrize("unfinished", [1, 0])
def test_a_run_that_was_copied_into_a_journal_is_not_gone_on_with(tmp_path: Path, unfinished: int) -> None:
    """Its rows are there and no mark vouches for them: neither its hooks nor its PUTs are for this journal. It can be ended."""
    crashed(tmp_path)
    state_dir = tmp_path / "other"
    with open_journal(state_dir):
        pass
    with closing(sqlite3.connect(state_dir / FILE, isolation_level=None)) as db:
        db.execute("ATTACH ? AS theirs", (str(tmp_path / "dead" / FILE),))
        db.execute("INSERT INTO runs SELECT * FROM theirs.runs")
        db.execute("INSERT INTO events SELECT * FROM theirs.events")
        db.execute("INSERT INTO puts SELECT * FROM theirs.puts")
        db.execute("UPDATE runs SET unfinished = ?", (unfinished,))
    with pytest.raises(
        JournalError,
        match=r"or the run was copied into this journal .* in Atlas, then `atlas-cutover abort r1` ends it as it stands here, and another run",
    ):
        go_on(state_dir)
    if unfinished:
        with pytest.raises(JournalError, match="copied into this journal"):
            steer("r1", Command.PAUSE, state_dir=state_dir, who="somebody")
    abort("r1", state_dir=state_dir, who="somebody")
    with pytest.raises(CutoverError, match="is over"):
        abort("r1", state_dir=state_dir, who="somebody")
    other = workflow(("archive",), name="another")
    with open_journal(state_dir) as journal:
        journal.begin("r2", other, run_started(other))


@pytest.mark.parametrize("name", ["../../r1", "/r1", "..", "", ".r1", "r/1", "r1\x1b[2J", "r" * 65])
def test_a_run_in_a_journal_may_not_be_called_by_a_path(tmp_path: Path, name: str) -> None:
    """Files are called after runs: whoever hands somebody a journal would have chosen what is written, locked or removed."""
    state_dir = crashed(tmp_path)
    made_older(state_dir, 1)
    with closing(sqlite3.connect(state_dir / FILE)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("UPDATE runs SET run_id = ?, finished_at = 1, unfinished = 0", (name,))
        db.execute("UPDATE events SET run_id = ?", (name,))
    before = sorted(tmp_path.rglob("*"))
    for act in (
        lambda: prune([name], state_dir=state_dir),
        lambda: abort(name, state_dir=state_dir, who="somebody"),
        lambda: report(name, state_dir=state_dir),
        lambda: run_lock(state_dir, name),
        lambda: reads_path(state_dir, name),
        lambda: run_reports(state_dir, name),
    ):
        with pytest.raises(CutoverError) as caught:
            act()
        assert "\x1b" not in str(caught.value)
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.suffix == ".mark"] == []


def test_a_journal_that_says_it_is_older_than_it_is_marks_nothing(tmp_path: Path) -> None:
    """Nobody gets a mark for what they have put into it."""
    state_dir = crashed(tmp_path)
    Marks(state_dir).of("r1").path.unlink()
    with closing(sqlite3.connect(state_dir / FILE)) as db, db:
        db.execute(f"PRAGMA user_version = {BEFORE_ALL_WERE_MARKED}")
    with pytest.raises(JournalError, match=FILE), open_journal(state_dir):
        pass
    assert not Marks(state_dir).of("r1").exists()


def test_an_event_that_was_changed_in_the_file_is_noticed(tmp_path: Path) -> None:
    """A wrong bit in a name would make a PUT that of nobody."""
    state_dir = crashed(tmp_path)
    rename_in_an_event(state_dir)
    with pytest.raises(JournalError, match="not those that were written"):
        go_on(state_dir)


def test_a_run_that_lost_events_can_be_ended_and_another_begun(tmp_path: Path) -> None:
    """The way on that the message names."""
    state_dir = crashed(tmp_path)
    (state_dir / WAL).unlink()
    with open_journal(state_dir) as journal:
        abort_interrupted(journal, "r1", now=NOW)
        journal.begin("r2", WORKFLOW, run_started(WORKFLOW))


def without_intents(state_dir: Path) -> None:
    """What is gone with an older copy of the journal."""
    with closing(sqlite3.connect(state_dir / FILE)) as db, db:
        db.execute("DELETE FROM events WHERE name = 'cutover_requested'")
        db.execute("DELETE FROM puts")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "events are missing": without_intents,
    "the mark is gone": lambda state_dir: Marks(state_dir).of("r1").path.unlink(),
    "an event is another": rename_in_an_event,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_nothing_that_is_asked_of_a_damaged_run_makes_it_whole(tmp_path: Path, damage: str) -> None:
    """A mark over what is left would say that this is all, and the next session would send PUTs again. It can be ended."""
    state_dir = crashed(tmp_path, until=2)
    DAMAGES[damage](state_dir)
    mark = Marks(state_dir).of("r1")
    before = mark.read()
    for command, names in ((Command.PAUSE, ()), (Command.SKIP, ("inventory",)), (Command.GATE, ("inventory",))):
        with pytest.raises(JournalError, match="run r1: "):
            steer("r1", command, *names, state_dir=state_dir, who="somebody")
    assert mark.read() == before
    with pytest.raises(JournalError, match="run r1: "):
        go_on(state_dir)
    abort("r1", state_dir=state_dir, who="somebody")
    with open_journal(state_dir, readonly=True) as journal:
        (row,) = journal.runs()
        assert not row.unfinished


def test_what_is_asked_of_a_run_that_is_whole_hangs_on_no_other(tmp_path: Path) -> None:
    """Beside one that lost events."""
    state_dir = crashed(tmp_path)
    other = workflow(("archive",), name="another")
    with open_journal(state_dir) as journal:
        journal.begin("r2", other, run_started(other, rehearsal=True))
    without_intents(state_dir)
    steer("r2", Command.PAUSE, state_dir=state_dir, who="somebody")


def test_a_run_that_lost_events_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    """As what it sent would be forgotten with it."""
    state_dir = crashed(tmp_path)
    (state_dir / WAL).unlink()
    with open_journal(state_dir) as journal, pytest.raises(JournalError, match="events of it are missing"):
        journal.begin("r2", WORKFLOW, run_started(WORKFLOW), in_place_of={"r1": ()})


def test_of_two_writers_of_one_run_the_second_is_refused(tmp_path: Path) -> None:
    """Each knows the run; when one has written, what the other knows is old, whatever became of the locks."""
    with open_journal(tmp_path) as first, open_journal(tmp_path) as second:
        first.begin("r1", WORKFLOW, run_started(WORKFLOW))
        second.state("r1")
        first.commit("r1", [CutoverRequested(at=NOW, migration="orders")], IDS)
        with pytest.raises(JournalError, match="another process has worked on run r1 meanwhile"):
            second.resume("r1", WORKFLOW, run_resumed(NAMES), rehearsal=False)
        second.state("r1")
        second.resume("r1", WORKFLOW, run_resumed(NAMES), rehearsal=False)
        with pytest.raises(JournalError, match="another process has worked on run r1 meanwhile"):
            first.commit("r1", [CutoverRequested(at=NOW, migration="customers")], IDS)
        assert _requested(first) == ["orders"]


def _requested(journal: Journal) -> list[str]:
    return [event.migration for _, event in journal.events("r1") if isinstance(event, CutoverRequested)]


def test_a_mark_that_was_written_halfway_tells_what_it_told_before(tmp_path: Path) -> None:
    """The power goes while one of its slots is written; the other one stands."""
    mark = Marks(tmp_path).of("r1")
    for seq in (1, 2, 3):
        mark.write(Reach(seq, f"digest{seq}"))
    for torn, told in ((SLOT, 2), (0, 3)):
        whole = mark.path.read_bytes()
        with mark.path.open("r+b") as file:
            file.seek(torn + 1)
            file.write(b"\0" * 20)
        assert mark.read() == Reach(told, f"digest{told}")
        mark.path.write_bytes(whole)


def test_a_mark_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The commit does not count, as nobody could tell that it was lost."""
    with open_journal(tmp_path) as journal:
        journal.begin("r1", WORKFLOW, run_started(WORKFLOW))
        Marks(tmp_path).of("r1").path.unlink()
        Marks(tmp_path).of("r1").path.mkdir()
        with pytest.raises(JournalError, match=r"r1\.mark"):
            journal.commit("r1", [CutoverRequested(at=NOW, migration="orders")], IDS)
