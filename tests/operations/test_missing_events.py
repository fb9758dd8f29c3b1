"""A run of which the journal has lost events: nobody tells it as if it were whole."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core import events as ev
from orchestrator.core.errors import JournalError
from orchestrator.core.needs import MISSING
from orchestrator.core.no_return import Point, Side
from orchestrator.core.outcomes import ExitCode, Outcome, RunOutcome
from orchestrator.files.in_code import build_settings
from orchestrator.operations.abort import abort
from orchestrator.operations.foresight import foresee, foresee_going_on, foresee_resume
from orchestrator.operations.options import Options
from orchestrator.operations.prune import prunable, prune
from orchestrator.operations.report import report
from orchestrator.operations.status import runs, status
from orchestrator.operations.watching import Watching
from orchestrator.reports.formats.markdown import render_markdown
from orchestrator.reports.model import RunReport
from orchestrator.store import schema, wholeness
from orchestrator.store.journal import open_journal
from orchestrator.store.marks import Mark, Marks
from orchestrator.store.schema import FILE
from orchestrator.web.look import RunLook, look_at_runs
from orchestrator.web.report import report_of
from orchestrator.web.troubles import EVERY, Troubles

from ..builders import NOW, workflow
from ..web.nights import RUN, Night, cutover_of

GIVEN = workflow(("orders", "carts", "stock"))
ACCEPTED = [*cutover_of("carts", NOW)[:4]]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A run in which `orders` is cut over, Atlas cuts `carts` over, and `stock` waits."""
    night = Night(state_dir=tmp_path)
    night.begin(GIVEN)
    night.write(*cutover_of("orders", NOW))
    return night


def copied(night: Night, name: str) -> Path:
    """A copy of the journal as it is now."""
    with (
        closing(sqlite3.connect(night.state_dir / FILE)) as db,
        closing(sqlite3.connect(night.state_dir / name)) as copy,
    ):
        db.backup(copy)
    return night.state_dir / name


def lose_what_came(night: Night, *events: ev.Event) -> None:
    """Write *events*, and put the journal of before back: the marks know of them."""
    older = copied(night, "older")
    night.write(*events)
    for file in night.state_dir.glob(f"{FILE}*"):
        file.unlink()
    older.rename(night.state_dir / FILE)


def sides(report: RunReport) -> dict[str, tuple[Outcome, Side, Point]]:
    """Where the report has each migration."""
    return {m.name: (m.outcome, m.side, m.point) for m in report.migrations}


IN_DOUBT = (Outcome.IN_DOUBT, Side.SENT, Point.DOUBT)
AS_FAR_AS_KNOWN = {"orders": (Outcome.SUCCESS, Side.OVER, Point.CUT_OVER), "carts": IN_DOUBT, "stock": IN_DOUBT}


def all_texts(night: Night) -> list[str]:
    """What each reader of the run says of it."""
    page = RunLook(night.state_dir, RUN).look()
    assert page is not None
    return [
        render_markdown(status(RUN, state_dir=night.state_dir).report),
        render_markdown(report(RUN, state_dir=night.state_dir).report),
        re.sub(
            "<script.*?</script>", "", report_of(night.state_dir, RUN, NOW) or "", flags=re.DOTALL
        ),  # they know all texts
        json.dumps([page.needs, [row.text for row in page.rows.values()]]),
    ]


def without_an_intent(night: Night) -> None:
    """As when the WAL is lost after a crash."""
    lose_what_came(night, *ACCEPTED)


def without_a_mark(night: Night) -> None:
    """As when the journal alone was copied."""
    Marks(night.state_dir).of(RUN).remove()


def with_another_event(night: Night) -> None:
    """A wrong bit: the PUT for `carts` is that of nobody."""
    night.write(*ACCEPTED)
    with closing(sqlite3.connect(night.state_dir / FILE)) as db, db:
        db.execute("UPDATE events SET data = replace(data, 'carts', 'cartr')")
        db.execute("UPDATE events SET data = replace(data, 'cartr', 'carts') WHERE name = 'run_started'")


DAMAGES = {
    "events of it are missing": without_an_intent,
    "so whether all of its events are here, and are its own, cannot be told": without_a_mark,
    "its events are not those that were written": with_another_event,
}


@pytest.mark.parametrize("said", DAMAGES)
def test_what_may_have_been_sent_is_nowhere_called_the_sources(night: Night, said: str) -> None:
    """What is cut over stays so. Of all else a PUT may have left, and each reader says why, first of all."""
    DAMAGES[said](night)
    for found in (status(RUN, state_dir=night.state_dir).report, report(RUN, state_dir=night.state_dir).report):
        assert sides(found) == AS_FAR_AS_KNOWN
        assert (found.outcome, found.exit_code) == (RunOutcome.IN_DOUBT, ExitCode.IN_DOUBT)
        assert said in (found.events_missing or "")
        (need,) = found.needs
        assert (need.kind, need.count, [each.name for each in need.about]) == (MISSING, 2, ["carts", "stock"])
        assert f"`atlas-cutover abort {RUN}`" in need.to_do
        assert (need.command, found.advice.command) == (None, None)
    for text in all_texts(night):
        assert "source is in charge" not in text
        assert "atlas-cutover resume" not in text
        assert said in text


def test_a_run_that_was_over_may_have_gone_on_since(night: Night) -> None:
    """What FAILED before its PUT may have been tried again in the session that is lost."""
    night.write(
        *(
            ev.MigrationFinished(
                at=NOW,
                migration=name,
                outcome=Outcome.FAILED,
                status="WORKING",
                error_message="the gate did not open in 2s",
            )
            for name in ("carts", "stock")
        )
    )
    night.finish(outcome=RunOutcome.FAILED, code=1)
    lose_what_came(night, ev.CutoverRequested(at=NOW, migration="carts"))
    found = status(RUN, state_dir=night.state_dir).report
    assert sides(found) == AS_FAR_AS_KNOWN
    assert (found.outcome, found.exit_code, found.interrupted) == (RunOutcome.IN_DOUBT, ExitCode.IN_DOUBT, False)
    assert {m.error_message for m in found.migrations} == {
        None,
        "events of the run are missing here; the last that is known: FAILED: the gate did not open in 2s",
    }
    page = RunLook(night.state_dir, RUN).look()
    assert page is not None
    assert (page.head["outcome"], page.head["exit_code"]) == ("IN_DOUBT", 4)
    (kept,) = prunable(older_than=0.0, state_dir=night.state_dir, now=NOW + 9e9).kept
    assert "events of it are missing" in kept.why
    (kept,) = prune([RUN], state_dir=night.state_dir).kept
    assert Marks(night.state_dir).of(RUN).exists()
    abort(RUN, state_dir=night.state_dir)  # so that others can begin
    assert sides(status(RUN, state_dir=night.state_dir).report) == AS_FAR_AS_KNOWN
    (kept,) = prune([RUN], state_dir=night.state_dir).kept
    assert "how 2 of its cutovers ended is not known" in kept.why


@pytest.mark.parametrize("said", DAMAGES)
def test_the_end_of_such_a_run_leaves_in_doubt_what_is(night: Night, said: str) -> None:
    """From then on the journal is as whole as it will ever be: its report, every later one, and other runs know of the doubt."""
    DAMAGES[said](night)
    ended = abort(RUN, state_dir=night.state_dir, who="ada")
    assert said in (ended.events_missing or "")
    assert sorted(ended.unwatched) == ["carts", "stock"]
    found = status(RUN, state_dir=night.state_dir).report
    assert sides(found) == AS_FAR_AS_KNOWN
    assert (found.events_missing, found.exit_code, found.unfinished) == (None, ExitCode.IN_DOUBT, False)
    written = json.loads((night.state_dir / "runs" / RUN / "report.json").read_text())
    assert [m["outcome"] for m in written["migrations"]] == ["SUCCESS", "IN_DOUBT", "IN_DOUBT"]
    with open_journal(night.state_dir, readonly=True) as journal:
        known = {live for _, live in journal.earlier_puts("another")}
    assert known >= {m.live_migration_id for _, m in GIVEN.migrations() if m.name != "orders"}


def test_a_list_of_runs_names_those_of_which_events_are_missing(night: Night) -> None:
    """In the terminal and on the page."""
    without_an_intent(night)
    (listed,) = runs(state_dir=night.state_dir)
    assert "events of it are missing" in (listed.events_missing or "")
    (row,) = look_at_runs(night.state_dir)["runs"]
    assert (row["outcome"], "events of it are missing" in row["events_missing"]) == ("IN_DOUBT", True)


def test_a_list_of_runs_names_one_that_is_over_of_which_events_are_missing(night: Night) -> None:
    """It was recorded as over, and something was recorded after that: in the terminal and on the page."""
    night.finish()
    lose_what_came(night, ev.CutoverRequested(at=NOW, migration="carts"))
    (listed,) = runs(state_dir=night.state_dir)
    assert (listed.row.unfinished, "events of it are missing" in (listed.events_missing or "")) == (False, True)
    (row,) = look_at_runs(night.state_dir)["runs"]
    assert (row["outcome"], "events of it are missing" in (row["events_missing"] or "")) == ("IN_DOUBT", True)


def test_a_list_that_stays_open_sees_within_seconds_that_events_of_a_run_that_is_over_have_gone(night: Night) -> None:
    """Its mark is not read at each look: there may be hundreds of such runs."""
    night.finish()
    now = 0.0
    troubles = Troubles(steady=lambda: now)

    def shown() -> bool:
        (row,) = look_at_runs(night.state_dir, {}, troubles)["runs"]
        return row["events_missing"] is not None

    assert not shown()
    lose_what_came(night, ev.CutoverRequested(at=NOW, migration="carts"))
    now = EVERY
    assert shown()


def test_a_page_and_a_watch_that_are_open_see_that_events_have_gone_and_come_back(night: Night) -> None:
    """Somebody puts an older copy into the place of the journal, and then the right one."""
    page, watching = RunLook(night.state_dir, RUN), Watching(RUN, state_dir=night.state_dir)
    page.look()
    assert watching.look().state.missing == ""
    newer = copied(night, "newer")
    with closing(sqlite3.connect(night.state_dir / FILE)) as db, db:
        db.execute("DELETE FROM events WHERE name = 'migration_finished'")
    changes = page.look()
    assert changes is not None
    assert changes.needs is not None
    assert [need["kind"] for need in changes.needs] == [MISSING]
    assert changes.rows["stock"].state == "IN_DOUBT"
    seen = watching.look()
    assert (seen.new, "events of it are missing" in seen.state.missing) == (True, True)
    newer.replace(night.state_dir / FILE)
    changes = page.look()
    assert changes is not None
    assert changes.rows["stock"].state == "NOT_STARTED"
    assert watching.look().state.missing == ""


@pytest.mark.parametrize("mark_seen_first", [True, False])
def test_a_run_that_is_worked_on_is_not_called_damaged(
    night: Night, monkeypatch: pytest.MonkeyPatch, mark_seen_first: bool
) -> None:
    """Its process commits, and writes the mark, between any two things that a reader looks at."""
    read, last = Mark.read, wholeness.last_event
    events = iter(cutover_of("carts", NOW) * 9)

    def wrote() -> None:
        with monkeypatch.context() as as_it_was:
            as_it_was.setattr(Mark, "read", read)
            as_it_was.setattr(wholeness, "last_event", last)
            night.write(next(events))

    def read_then(mark: Mark) -> Any:
        found = read(mark)
        if mark_seen_first:
            wrote()
        return found

    def last_then(*given: Any) -> int:
        found = last(*given)
        if not mark_seen_first:
            wrote()
        return found

    monkeypatch.setattr(Mark, "read", read_then)
    monkeypatch.setattr(wholeness, "last_event", last_then)
    with night.held():
        assert status(RUN, state_dir=night.state_dir).report.events_missing is None
        assert Watching(RUN, state_dir=night.state_dir).look().state.missing == ""
        page = RunLook(night.state_dir, RUN).look()
    assert page is not None
    assert [need["kind"] for need in page.needs or ()] == []


def test_events_that_nothing_waits_for_may_be_ahead_of_the_mark(night: Night) -> None:
    """They are committed without it."""
    with open_journal(night.state_dir) as journal:
        journal.commit(RUN, cutover_of("carts", NOW)[:1], {}, marked=False)
        assert journal.told_state(RUN).missing == ""
    assert status(RUN, state_dir=night.state_dir).report.events_missing is None


@pytest.mark.parametrize("damage", [None, without_an_intent])
def test_a_copy_on_a_medium_that_takes_no_files_is_compared_with_its_marks(
    night: Night, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Night], None] | None
) -> None:
    """The journal is read elsewhere then, and so are they; the message names the place that people know."""
    if damage is not None:
        damage(night)
    monkeypatch.setattr(schema, "_may_make_files_in", lambda _: False)
    monkeypatch.setattr(schema, "_opens_as_it_is", lambda _: False)
    found = status(RUN, state_dir=night.state_dir).report
    assert (found.events_missing is None) == (damage is None)
    without_a_mark(night)
    found = status(RUN, state_dir=night.state_dir).report
    assert f"{Marks(night.state_dir).of(RUN).path} is gone" in (found.events_missing or "")


@pytest.mark.parametrize("empty", [False, True], ids=["no journal", "a new one"])
def test_a_journal_that_is_gone_is_none_that_never_was(night: Night, empty: bool) -> None:
    """Marks name the run whose cutovers may be under way: readers say what `run` says."""
    for file in night.state_dir.glob(f"{FILE}*"):
        file.unlink()
    if empty:
        with open_journal(night.state_dir):
            pass
    said = rf"run {RUN}: events of it are missing.*remove .*{RUN}\.mark"
    readers: list[Callable[[], object]] = [
        lambda: runs(state_dir=night.state_dir),
        lambda: status(state_dir=night.state_dir),
        lambda: status(RUN, state_dir=night.state_dir),
        lambda: report(RUN, state_dir=night.state_dir),
        lambda: Watching(RUN, state_dir=night.state_dir),
    ]
    for read in readers:
        with pytest.raises(JournalError, match=said):
            read()
    assert f"run {RUN}: events of it are missing" in look_at_runs(night.state_dir)["error"]
    page = RunLook(night.state_dir, RUN).look()
    assert page is not None
    assert f"run {RUN}: events of it are missing" in page.head["error"]


def test_nobody_is_asked_about_what_will_be_refused(night: Night) -> None:
    """`run`, `resume` and `plan` say it before the question what is to be cut over."""
    without_an_intent(night)
    settings = build_settings({"state_dir": str(night.state_dir)}, environ={})
    foreseen: list[Callable[[], object]] = [
        lambda: foresee(GIVEN, settings, Options(), now=NOW),
        lambda: foresee(workflow(("archive",), name="other"), settings, Options(), now=NOW),
        lambda: foresee_going_on(GIVEN, settings, Options(), now=NOW),
        lambda: foresee_resume(RUN, settings, Options(), now=NOW),
    ]
    for each in foreseen:
        with pytest.raises(JournalError, match="events of it are missing"):
            each()
