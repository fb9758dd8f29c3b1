"""A page that has been open all night shows what one shows that is opened now."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core import events as ev
from orchestrator.core.listing import RunStanding
from orchestrator.core.next_step import LOOK
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.observers.terminal.tally import Tally
from orchestrator.operations.status import runs
from orchestrator.reports import ASSETS
from orchestrator.reports.model import build
from orchestrator.reports.words import standing_of
from orchestrator.store.journal import open_journal
from orchestrator.text.instants import iso
from orchestrator.web import look, view
from orchestrator.web.look import Changes, OutOfReachError, RunLook

from ..builders import NOW, run_resumed, workflow
from .nights import RUN, Night, cutover_of


def hook(name: str, code: int) -> ev.Event:
    """A hook of *name* that ended with *code*."""
    return ev.HookFinished(
        at=NOW, hook="after_success", wave="w1", migration=name, argv=("./up.sh",), exit_code=code, seconds=1.0
    )


STEPS: list[list[ev.Event]] = [
    [ev.WaveStarted(at=NOW, wave="w1", migrations=3, concurrency=3)],
    cutover_of("a", NOW),
    [*cutover_of("b", NOW, outcome=Outcome.FAILED, message="no room left"), *cutover_of("c", NOW)[:3]],
    [hook("a", 1)],
    [hook("a", 0)],
    [ev.CutoverInDoubt(at=NOW, migration="c", reason="no answer", settle=30.0)],
    [ev.MigrationFinished(at=NOW, migration="c", outcome=Outcome.SUCCESS, status="COMPLETE")],
    [ev.ApprovalWaiting(at=NOW, wave="w2")],
    [ev.RunPaused(at=NOW, who="ada")],
    [ev.CutoversStopped(at=NOW, reason="aborted by ada")],
    [ev.RunFinished(at=NOW, outcome=RunOutcome.FAILED, exit_code=1, unfinished=False, requests={})],
]


class Page:
    """What a page knows that has been told all *changes*."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {"rows": {}, "needs": None, "decisions": None, "head": None}

    def told(self, changes: Changes | None) -> dict[str, Any]:
        """All that it knows after *changes*."""
        if changes is not None:
            self.known["rows"] = changes.rows if changes.fresh else self.known["rows"] | changes.rows
            self.known["head"] = changes.head
            if changes.needs is not None:
                self.known["needs"] = changes.needs
            if changes.decisions is not None:
                self.known["decisions"] = changes.decisions
        return self.known


def test_what_is_kept_up_to_date_is_what_is_reckoned_anew(night: Night) -> None:
    """Rows, counts of waves, what is left, and who is wanted, after each step of a night; also without a process."""
    night.begin(workflow(("a", "b", "c"), ("d",)))
    kept, page = RunLook(night.state_dir, RUN, wall=lambda: NOW), Page()
    with night.held():
        page.told(kept.look())
        for step in STEPS:
            night.write(*step)
            anew = Page().told(RunLook(night.state_dir, RUN, wall=lambda: NOW).look())
            assert page.told(kept.look()) == anew, step
    anew = Page().told(RunLook(night.state_dir, RUN, wall=lambda: NOW).look())
    assert page.told(kept.look()) == anew


def test_a_wave_that_had_ended_is_over_after_resume_and_one_with_something_left_comes_when_it_is_taken_up(
    night: Night,
) -> None:
    """The first one ended before the kill, the second one was under way, and the third one had been cut short by a window."""
    night.begin(workflow(("a",), ("b",), ("c", "d")))
    over = ev.MigrationFinished(at=NOW + 9, migration="b", outcome=Outcome.SUCCESS, status="COMPLETE")
    night.write(
        ev.WaveStarted(at=NOW, wave="w1", migrations=1, concurrency=1),
        *cutover_of("a", NOW),
        ev.WaveFinished(at=NOW + 1, wave="w1", counts={}),
        ev.WaveStarted(at=NOW + 2, wave="w3", migrations=2, concurrency=2),
        *cutover_of("c", NOW + 2),
        ev.WaveFinished(at=NOW + 3, wave="w3", counts={}),
        ev.WaveStarted(at=NOW + 4, wave="w2", migrations=1, concurrency=1),
        *cutover_of("b", NOW + 4)[:3],
    )

    def waves() -> list[tuple[str | None, bool]]:
        found = RunLook(night.state_dir, RUN, wall=lambda: NOW).look()
        assert found is not None
        return [(wave["finished_at"], wave["under_way"]) for wave in found.head["waves"]]

    with night.held():
        assert waves() == [(iso(NOW + 1), False), (None, True), (iso(NOW + 3), False)]
        night.write(run_resumed(("a", "b", "c", "d"), at=NOW + 5))
        assert waves() == [(iso(NOW + 1), False), (None, True), (None, False)]
        night.write(over, ev.WaveFinished(at=NOW + 9, wave="w2", counts={}))
        night.write(ev.WaveStarted(at=NOW + 10, wave="w3", migrations=1, concurrency=2))
        assert waves() == [(iso(NOW + 1), False), (iso(NOW + 9), False), (None, True)]


def test_a_journal_that_is_out_of_reach_takes_nothing_from_what_is_known(night: Night) -> None:
    """A disk that is away for a moment prunes no run; a journal that is there, without the run, does."""
    night.begin(workflow(("a", "b")))
    looking, page = RunLook(night.state_dir, RUN, wall=lambda: NOW), Page()
    with night.held():
        before = dict(page.told(looking.look()))
        away = night.state_dir.rename(night.state_dir.with_name("away"))
        for _ in range(2):
            with pytest.raises(OutOfReachError):
                looking.look()
        away.rename(night.state_dir)
        assert page.told(looking.look()) == before
        night.write(ev.RunPaused(at=NOW, who="ada"))
        found = looking.look()
        assert found is not None
        assert (found.fresh, [line["event"] for line in found.log]) == (False, ["run_paused"])
    with open_journal(night.state_dir) as journal:
        journal.forget(RUN)
    gone = looking.look()
    assert gone is not None
    assert gone.head == {"run_id": RUN, "missing": True, "error": None}


def test_of_a_large_run_the_most_urgent_rows_come_first(night: Night, monkeypatch: Any) -> None:
    """With counts of all; the next look has everything, without being asked for by an event."""
    night.begin(workflow(("a", "b", "c"), ("d", "e")))
    night.write(*cutover_of("a", NOW), *cutover_of("e", NOW, outcome=Outcome.FAILED), *cutover_of("b", NOW)[:2])
    whole = RunLook(night.state_dir, RUN, wall=lambda: NOW).look()
    assert whole is not None
    monkeypatch.setattr(look, "MANY", 4)
    monkeypatch.setattr(look, "FIRST_ROWS", 3)
    looking = RunLook(night.state_dir, RUN, wall=lambda: NOW)
    first, second = looking.look(), looking.look()
    assert first is not None
    assert (first.fresh, first.whole, first.head, first.needs) == (True, False, whole.head, whole.needs)
    assert {name: (first.jobs[name].number, row.state) for name, row in first.rows.items()} == {
        "e": (4, "FAILED"), "b": (1, "NOT_STARTED"), "c": (2, "NOT_STARTED")
    }  # fmt: skip
    assert second is not None
    assert (second.fresh, second.whole, second.head) == (True, True, whole.head)
    assert (second.rows, second.jobs) == (whole.rows, whole.jobs)
    assert looking.look() is None
    night.write(ev.RunPaused(at=NOW, who="ada"))
    third = looking.look()
    assert third is not None
    assert (third.fresh, third.rows) == (False, {})


def test_what_people_have_decided_is_told_when_it_is_and_only_then(night: Night, monkeypatch: Any) -> None:
    """The newest first, as the report says it, what one command decided in one row; of many as many as are shown, and no word without an end."""
    night.begin(workflow(("a", "b", "c"), ("d",)))
    looking = RunLook(night.state_dir, RUN, wall=lambda: NOW)
    with night.held():
        first = looking.look()
        assert first is not None
        assert first.decisions == {"count": 0, "decided": 0, "newest": []}
        night.write(ev.RunPaused(at=NOW + 1, who="ada", reason="lag\x1b[2J" + "!" * 1000))
        night.write(*(ev.MigrationSkipped(at=NOW + 2, migration=name, who="bob") for name in ("a", "b")))
        then = looking.look()
        assert then is not None
        assert then.decisions is not None
        shown = [(row["what"], row["about"], row["who"], row["reason"][:8]) for row in then.decisions["newest"]]
        assert shown == [("skip", "a, b", "bob", ""), ("pause", "the run", "ada", "lag!!!!!")]
        assert (then.decisions["count"], then.decisions["decided"]) == (2, 3)
        assert len(then.decisions["newest"][1]["reason"]) == view.DECIDED
        night.write(ev.WaveStarted(at=NOW, wave="w1", migrations=3, concurrency=3))
        quiet = looking.look()
        assert quiet is not None
        assert quiet.decisions is None
        monkeypatch.setattr(view, "DECISIONS", 1)
        night.write(ev.RunUnpaused(at=NOW + 3, who="ada"))
        last = looking.look()
    assert last is not None
    assert last.decisions is not None
    assert (last.decisions["count"], [row["what"] for row in last.decisions["newest"]]) == (3, ["unpause"])


def test_a_wave_that_is_under_way_has_a_pace_while_nothing_holds_it(night: Night) -> None:
    """What ended of it since it was last let go on: a pause is no slowness of Atlas. One that nobody works on has none."""
    names = tuple(f"db-{number}" for number in range(40))
    night.begin(workflow(names))
    looking = RunLook(night.state_dir, RUN, wall=lambda: NOW)

    def paces() -> Any:
        found = looking.look()
        return None if found is None else found.head["paces"]

    night.write(ev.WaveStarted(at=NOW, wave="w1", migrations=40, concurrency=2))
    with night.held():
        night.write(*(event for name in names[:9] for event in cutover_of(name, NOW)))
        assert paces() == []
        night.write(*cutover_of(names[9], NOW + 60))
        (told,) = paces()
        assert (told["wave"], told["ends"], told["left"]) == ("w1", 9, 30)
        night.write(ev.RunPaused(at=NOW + 90, who="ada"))
        assert paces() == []
        night.write(ev.RunUnpaused(at=NOW + 900, who="ada"))
        assert paces() == []
        night.write(*(event for name in names[10:20] for event in cutover_of(name, NOW + 900)))
        assert [each["left"] for each in paces()] == [20]
        night.write(ev.CutoversStopped(at=NOW + 999, reason="aborted by ada"))
        assert paces() == []
    assert paces() == []


def test_the_order_of_the_states_is_that_of_the_table() -> None:
    """One list in Python, one for browsers."""
    text = (ASSETS / "words.js").read_text(encoding="utf-8")
    ranks = {
        state: float(rank) for state, rank in re.findall(r"^  (\w+): \{ word: .* rank: ([\d.]+) \}", text, re.MULTILINE)
    }
    assert sorted(ranks, key=lambda state: ranks[state]) == list(view.ORDER)


def test_a_long_run_is_read_in_pieces(night: Night, monkeypatch: Any) -> None:
    """So that a page of thousands does not hold all of their events at once; the last of them are shown in words."""
    night.begin(workflow(("a", "b", "c"), ("d",)))
    for step in STEPS:
        night.write(*step)
    whole = RunLook(night.state_dir, RUN, wall=lambda: NOW).look()
    monkeypatch.setattr(look, "AT_ONCE", 2)
    assert RunLook(night.state_dir, RUN, wall=lambda: NOW).look() == whole
    assert whole is not None
    assert [line["seq"] for line in whole.log] == sorted(line["seq"] for line in whole.log)


def test_what_is_skipped_is_called_so_as_in_the_report(night: Night) -> None:
    """Until its end is recorded; it is not still to come, why is beside it, and it is not among what is left."""
    night.begin(workflow(("a", "b"), ("c", "d")))
    night.write(*cutover_of("a", NOW), ev.MigrationSkipped(at=NOW, migration="c", who="ada", reason="not ready"))
    with night.held():
        found = RunLook(night.state_dir, RUN, wall=lambda: NOW).look()
    assert found is not None
    assert found.rows["c"].state == "SKIPPED"
    assert "skipped by ada: not ready" in found.rows["c"].text
    assert [wave["states"] for wave in found.head["waves"]] == [
        {"SUCCESS": 1, "WAITING": 1},
        {"SKIPPED": 1, "WAITING": 1},
    ]
    with open_journal(night.state_dir, readonly=True) as journal:
        state, tally = journal.state(RUN), Tally()
        for _, event in journal.events(RUN):
            tally.take(event, state)
    report = build(state, now=NOW, holder="ops")
    assert [standing_of(m) for m in report.migrations] == ["SUCCESS", "not yet", "skipped", "not yet"]
    assert tally.stages() == {"SUCCESS": 1, "not yet": 2, "skipped": 1}
    assert tally.finished == 2
    night.write(ev.MigrationRetried(at=NOW, migration="c", who="ada"))
    with night.held():
        again = RunLook(night.state_dir, RUN, wall=lambda: NOW).look()
    assert again is not None
    assert again.rows["c"].state == "WAITING"


def test_the_list_says_of_each_run_under_way_what_it_waits_for(night: Night) -> None:
    """In the words of its page and of `status`; each look reads what has happened since the one before."""
    night.begin(workflow(("a",), ("b",)))
    standings: dict[str, RunStanding] = {}

    def words() -> tuple[str | None, str | None]:
        (run,) = look.look_at_runs(night.state_dir, standings)["runs"]
        (listed,) = runs(state_dir=night.state_dir)
        return run["stands"], listed.stands

    assert words() == (None, None)
    with night.held():
        assert words() == ("under way", "under way")
        for event, word in (
            (ev.WindowWaiting(at=NOW, opens=NOW + 9, closes=NOW + 99), "window not open yet"),
            (ev.WindowOpened(at=NOW, closes=NOW + 99), "under way"),
            (ev.ApprovalWaiting(at=NOW, wave="w2"), "waits for approval"),
            (ev.WaveApproved(at=NOW, wave="w2", who="ada"), "under way"),
            (ev.RunPaused(at=NOW, who="ada"), "paused"),
        ):
            night.write(event, *cutover_of("a", NOW))
            assert words() == (word, word)
        assert standings.keys() == {RUN}
    assert words() == (None, None)
    assert standings == {}


def test_a_run_that_was_pruned_is_told_to_be_gone_also_to_those_who_waited_for_it(night: Night) -> None:
    """They were told before it began that there is none; they are told again, once."""
    with open_journal(night.state_dir):
        looking = RunLook(night.state_dir, RUN, wall=lambda: NOW)
    assert (looking.look(), looking.look())[1] is None
    night.begin(workflow(("a",)))
    assert looking.look() is not None
    with open_journal(night.state_dir) as journal:
        journal.forget(RUN)
    gone = looking.look()
    assert gone is not None
    assert gone.head["missing"]
    assert looking.look() is None


def test_each_command_finds_the_state_directory_of_the_page(night: Night) -> None:
    """Those to copy, those within a sentence, what goes on with a run that was killed, and those of what happened last."""
    given = workflow(("a",), ("b",))
    night.begin(replace(given, waves=(given.waves[0], replace(given.waves[1], approval=True))))
    night.write(ev.CutoverRequested(at=NOW, migration="a"), ev.ApprovalWaiting(at=NOW, wave="w2"))
    night.write(
        ev.MigrationFinished(
            at=NOW, migration="a", outcome=Outcome.IN_DOUBT, status=None, error_message=f"no answer: {LOOK}"
        )
    )
    found = RunLook(night.state_dir, RUN, options=" --state-dir '/srv/a b'", wall=lambda: NOW).look()
    assert found is not None
    assert found.needs is not None
    told = [found.head["advice"]["command"], *(line["text"] for line in found.log)]
    told += [text for need in found.needs for text in (need["said"], need["to_do"], need["command"] or "")]
    commands = re.findall(r"atlas-cutover ([a-z]+)\b[^`]*", "`".join(told))
    assert set(commands) == {"resume", "approve"}
    assert len(re.findall(r"atlas-cutover [a-z]+ [^`]*--state-dir '/srv/a b'", "`".join(told))) == len(commands)
