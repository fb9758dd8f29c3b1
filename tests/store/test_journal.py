from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.errors import BusyError, JournalDamagedError, JournalError
from orchestrator.core.events import CutoverNotBegun, CutoverRequested, Event, RunFinished, RunPaused
from orchestrator.core.next_step import Reading
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.steered import Command
from orchestrator.core.steering import GateChange, SteeringRequest
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.locks import locked, run_lock
from orchestrator.store.reader import EarlierPut
from orchestrator.store.schema import FILE

from ..builders import GROUP, NOW, WHO, finished, live_id, migration, run_resumed, run_started, workflow
from ..eventstrategies import any_event
from ..strength import examples

DEEP = "[" * 100_000
ORDERS = {"orders": (GROUP, live_id(1))}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal in a new state directory."""
    with open_journal(tmp_path) as opened:
        yield opened


def begin(
    journal: Journal, run_id: str = "r1", given: Workflow | None = None, *, at: float = NOW, rehearsal: bool = False
) -> Workflow:
    """Start a run; its workflow."""
    given = given or workflow()
    journal.begin(run_id, given, run_started(given, at=at, rehearsal=rehearsal))
    return given


def over(*, unfinished: bool = False, keep_claims: bool = False) -> RunFinished:
    """The end of a session."""
    outcome = RunOutcome.IN_DOUBT if unfinished else RunOutcome.SUCCESS
    code = 4 if unfinished else 0
    return RunFinished(
        at=NOW + 60, outcome=outcome, exit_code=code, unfinished=unfinished, requests={}, keep_claims=keep_claims
    )


def recorded(journal: Journal, run_id: str = "r1") -> list[Event]:
    """The events of a run, its beginning left out."""
    return [event for _, event in journal.events(run_id)][1:]


# -- events ------------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(events=st.lists(any_event, max_size=5))
def test_every_event_comes_back_as_it_was(journal: Journal, events: list[Event]) -> None:
    """In order, whatever it holds."""
    run_id = f"r{len(journal.runs())}"
    begin(journal, run_id, rehearsal=True)
    journal.commit(run_id, events, {})
    assert recorded(journal, run_id) == events


def test_the_state_of_a_run_is_the_fold_of_its_events(tmp_path: Path) -> None:
    """Also in the next process."""
    with open_journal(tmp_path) as journal:
        given_workflow = begin(journal)
        journal.commit("r1", [finished("orders", Outcome.SUCCESS)], ORDERS)
    with open_journal(tmp_path, readonly=True) as journal:
        state = journal.state("r1")
    assert state.workflow == given_workflow
    assert state.result("orders").outcome is Outcome.SUCCESS


def test_events_can_be_followed_from_where_one_left_off(journal: Journal) -> None:
    """The status page asks for what came after."""
    begin(journal)
    events = [RunPaused(at=NOW + n, who=WHO) for n in range(3)]
    journal.commit("r1", events, {})
    numbers = [number for number, _ in journal.events("r1")]
    assert numbers == sorted(numbers)
    assert [event for _, event in journal.events("r1", after=numbers[1])] == events[1:]
    assert list(journal.events("r1", after=numbers[-1])) == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run_teleported", "{}"),
        ("run_paused", "{"),
        ("run_paused", "[]"),
        ("run_paused", "{}"),
        ("run_started", "[1]"),
        ("run_finished", '{"outcome": "MAYBE"}'),
        ("run_paused", '{"who": []}'),
        ("run_paused", DEEP),
        ("run_paused", f'{{"who": {DEEP}'),
        ("gate_changed", f'{{"migration": "orders", "who": "ada", "max_lag": 1{"0" * 400}, "timeout": 1}}'),
    ],
)
def test_an_event_that_cannot_be_read_is_named(journal: Journal, name: str, data: str) -> None:
    """By a newer version, or damaged: which one, in which file, and what ends the run."""
    begin(journal)
    with closing(sqlite3.connect(journal.path)) as other:
        other.execute("INSERT INTO events (run_id, at, name, data) VALUES ('r1', 1.0, ?, ?)", (name, data))
        other.commit()
    with pytest.raises(JournalDamagedError, match=rf"{FILE}: event 2 cannot be read.*`atlas-cutover abort r1` ends it"):
        journal.state("r1")
    state, left_out = journal.readable_state("r1")
    assert (state.started_at, left_out) == (NOW, 1)


def test_half_of_a_character_in_an_event_is_shown_as_one_that_is_missing(journal: Journal) -> None:
    """JSON may hold it; no page, report or terminal can."""
    begin(journal)
    with closing(sqlite3.connect(journal.path)) as other:
        paused = r'{"who": "a\ud83d\ude80b", "reason": "\ud800"}'
        other.execute("INSERT INTO events (run_id, at, name, data) VALUES ('r1', 1.0, 'run_paused', ?)", (paused,))
        other.commit()
    [event] = recorded(journal)
    assert event == RunPaused(at=1.0, who="a\N{ROCKET}b", reason="\ufffd")


# -- the list of runs --------------------------------------------------------------------------------------------------


def test_runs_come_newest_first_and_know_how_they_ended(journal: Journal) -> None:
    """As `status` lists them."""
    begin(journal, "r1", at=NOW)
    begin(journal, "r2", workflow(("x", "y"), name="other"), at=NOW + 1, rehearsal=True)
    journal.commit("r1", [over()], ORDERS)
    second, first = journal.runs()
    assert (first.run_id, first.outcome, first.exit_code, first.unfinished) == ("r1", "SUCCESS", 0, False)
    assert (first.started_at, first.finished_at, first.rehearsal) == (NOW, NOW + 60, False)
    assert (second.workflow, second.migrations, second.rehearsal, second.exit_code) == ("other", 2, True, None)
    assert second.unfinished
    assert [row.run_id for row in journal.runs(limit=1)] == ["r2"]


def test_a_resumed_run_is_under_way_again(journal: Journal) -> None:
    """Until it ends again."""
    begin(journal)
    journal.commit("r1", [over(unfinished=True), run_resumed(("orders",))], ORDERS)
    [row] = journal.runs()
    assert (row.finished_at, row.outcome, row.exit_code, row.unfinished) == (None, None, None, True)


def test_runs_are_found_by_the_beginning_of_their_ids(journal: Journal) -> None:
    """Newest first; the whole id means that one alone."""
    for run_id in ("20261128-ab", "20261128-abc", "20261129-x_"):
        begin(journal, run_id, rehearsal=True)
    texts = ("20261129", "20261128", "20261128-ab", "nothing", "%", "_")
    assert {text: [row.run_id for row in journal.matching(text)] for text in texts} == {
        "20261129": ["20261129-x_"],
        "20261128": ["20261128-abc", "20261128-ab"],
        "20261128-ab": ["20261128-ab"],
        "nothing": [],
        "%": [],
        "_": [],
    }
    assert journal.find("20261129") is None


def test_the_newest_unfinished_run_is_found_by_workflow_and_kind(journal: Journal) -> None:
    """A rehearsal is never continued by a real run."""
    begin(journal, "r1", at=NOW)
    begin(journal, "r2", at=NOW + 1, rehearsal=True)
    begin(journal, "r3", workflow(("x",), name="other"), at=NOW + 2, rehearsal=True)
    begin(journal, "r4", at=NOW + 3, rehearsal=True)
    journal.commit("r4", [over()], {})

    def found(workflow: str | None = None, rehearsal: bool | None = None) -> list[str]:
        return [row.run_id for row in journal.unfinished(workflow=workflow, rehearsal=rehearsal)]

    assert (found(), found(workflow="retail-eu"), found(rehearsal=False)) == (["r3", "r2", "r1"], ["r2", "r1"], ["r1"])
    assert (found("retail-eu", False), found("other", False)) == (["r1"], [])


def test_an_old_run_is_found_behind_very_many_newer_ones(journal: Journal) -> None:
    """A cron job of years does not hide what was left unfinished."""
    begin(journal, "old", at=NOW)
    with closing(sqlite3.connect(journal.path)) as other:
        other.executemany(
            "INSERT INTO runs (run_id, workflow, rehearsal, migrations, started_at, unfinished) VALUES (?, 'w', 1, 1, ?, 0)",
            [(f"n{number}", NOW + number) for number in range(1, 1500)],
        )
        other.commit()
    row = journal.find("old")
    assert row is not None
    assert journal.unfinished(workflow="retail-eu") == [row]


# -- claims ------------------------------------------------------------------------------------------------------------


def test_a_live_migration_of_an_active_run_is_refused_with_who_holds_it(journal: Journal) -> None:
    """Run, workflow, process and host, and to wait."""
    begin(journal)
    with (
        locked(run_lock(journal.state_dir, "r1"), holder="ana@bastion (4711), run r1"),
        pytest.raises(BusyError) as refused,
    ):
        begin(journal, "r2", workflow(("other name",), name="other"))
    message = str(refused.value)
    for part in (live_id(1), "other name", "run r1 of workflow 'retail-eu'", "ana@bastion (4711)", "wait"):
        assert part in message
    assert [row.run_id for row in journal.runs()] == ["r1"], "the refused run left no trace"


def test_a_live_migration_of_an_interrupted_run_is_refused_with_what_to_do(journal: Journal) -> None:
    """Resume it or abort it."""
    begin(journal)
    with pytest.raises(BusyError, match=r"interrupted: `atlas-cutover resume r1` .*`atlas-cutover abort r1`"):
        begin(journal, "r2", workflow(("x",), name="other"))


@pytest.mark.parametrize("kept", [True, False])
def test_claims_end_with_the_run_unless_something_is_in_doubt(journal: Journal, kept: bool) -> None:
    """The next run may take what is settled."""
    begin(journal)
    journal.commit("r1", [over(unfinished=True, keep_claims=kept)], ORDERS)
    if not kept:
        begin(journal, "r2")
        return
    with pytest.raises(BusyError):
        begin(journal, "r2")


def test_a_run_claims_again_when_it_is_continued(journal: Journal) -> None:
    """Its own claims are no hindrance, those that another run took meanwhile are."""
    given_workflow = begin(journal)
    journal.resume("r1", given_workflow, run_resumed(("orders",)), rehearsal=False)
    journal.commit("r1", [over()], ORDERS)
    begin(journal, "r2")
    before = list(journal.events("r1"))
    with pytest.raises(BusyError, match="run r2"):
        journal.resume("r1", given_workflow, run_resumed(("orders",)), rehearsal=False)
    assert list(journal.events("r1")) == before
    assert [row.unfinished for row in journal.runs() if row.run_id == "r1"] == [False]


def test_runs_of_other_live_migrations_and_rehearsals_do_not_meet(journal: Journal) -> None:
    """The same id in another project is another live migration."""
    begin(journal)
    begin(journal, "r2", rehearsal=True)
    elsewhere = Wave(name="w", migrations=(migration("o", group_id="0" * 24),))
    begin(journal, "r3", Workflow(name="third", waves=(elsewhere,)))
    assert len(journal.runs()) == 3


# -- earlier PUTs ------------------------------------------------------------------------------------------------------


def test_puts_of_other_runs_are_remembered_until_they_are_known_not_to_have_begun(journal: Journal) -> None:
    """Whatever became of their runs."""
    requested = CutoverRequested(at=NOW + 1, migration="orders")
    begin(journal)
    journal.commit("r1", [requested, over()], ORDERS)
    begin(journal, "r2")
    assert journal.earlier_puts("r2") == {(GROUP, live_id(1)): EarlierPut("r1", NOW + 1)}
    assert journal.earlier_puts("r1") == {}
    journal.commit("r1", [CutoverNotBegun(at=NOW + 2, migration="orders", reason="429")], ORDERS)
    assert journal.earlier_puts("r2") == {}


HERE = "https://cloud.mongodb.com/api/atlas/v2"
THERE = "https://elsewhere.example/api/atlas/v2"


def sent(journal: Journal, run_id: str, *then: Event, base_url: str = THERE, at: float = NOW) -> None:
    """A run that has sent a PUT for `orders` to *base_url*, to which *then* came, and that is over."""
    given = replace(workflow(), name=run_id)
    journal.begin(run_id, given, replace(run_started(given, at=at), base_url=base_url))
    journal.commit(run_id, [CutoverRequested(at=at, migration="orders"), *then, over()], ORDERS)


@pytest.mark.parametrize(
    ("outcome", "elsewhere"),
    [
        (None, THERE),
        (Outcome.IN_DOUBT, THERE),
        (Outcome.TIMED_OUT, THERE),
        (Outcome.SUCCESS, ""),
        (Outcome.FAILED, ""),
    ],
)
def test_a_put_to_another_server_is_known_as_one_until_its_end_was_told(
    journal: Journal, outcome: Outcome | None, elsewhere: str
) -> None:
    """To whoever reads the job elsewhere; there it is a PUT like any other, however the address is spelled."""
    sent(journal, "r1", *([] if outcome is None else [finished("orders", outcome, at=NOW + 1)]))
    assert journal.earlier_puts("r2", base_url=HERE) == {ORDERS["orders"]: EarlierPut("r1", NOW, elsewhere)}
    for address in (THERE, "https://Elsewhere.example:443/api/atlas/v1.0"):
        assert journal.earlier_puts("r2", base_url=address) == {ORDERS["orders"]: EarlierPut("r1", NOW)}


def test_of_the_puts_to_one_server_the_last_one_counts(journal: Journal) -> None:
    """It left when the one before it was known to have come to nothing; one to this server says nothing of one to another."""
    sent(journal, "r1")
    sent(journal, "r2", finished("orders", Outcome.SUCCESS, at=NOW + 1), base_url=HERE, at=NOW + 10)
    assert journal.earlier_puts("r9", base_url=HERE) == {ORDERS["orders"]: EarlierPut("r1", NOW, THERE)}
    sent(journal, "r3", finished("orders", Outcome.SUCCESS, at=NOW + 21), base_url=THERE.upper(), at=NOW + 20)
    assert journal.earlier_puts("r9", base_url=HERE) == {ORDERS["orders"]: EarlierPut("r3", NOW + 20)}


def test_a_put_of_which_nobody_can_read_where_it_was_sent_is_read_where_the_run_is(
    journal: Journal, tmp_path: Path
) -> None:
    """Its run could be ended by its events alone, and who has done that has looked at its jobs."""
    sent(journal, "r1")
    for data in (DEEP, "{}", '{"base_url": 7}'):
        journal._db.execute("UPDATE events SET data = ? WHERE run_id = 'r1' AND name = 'run_started'", (data,))
        with open_journal(tmp_path) as other:
            assert other.earlier_puts("r2", base_url=HERE) == {ORDERS["orders"]: EarlierPut("r1", NOW)}


def test_puts_of_a_rehearsal_are_no_puts(journal: Journal) -> None:
    """They never left for Atlas."""
    begin(journal, rehearsal=True)
    events = [CutoverRequested(at=NOW, migration="orders"), CutoverNotBegun(at=NOW, migration="orders", reason="x")]
    journal.commit("r1", events[:1], {})
    assert journal.earlier_puts("r2") == {}
    journal.commit("r1", events[1:], {})


# -- control requests --------------------------------------------------------------------------------------------------


def test_control_requests_wait_until_they_are_handled(journal: Journal, tmp_path: Path) -> None:
    """In the order they came, for their run alone."""
    for run_id in ("r1", "r2"):
        begin(journal, run_id, rehearsal=True)
    pause = SteeringRequest(command=Command.PAUSE, who=WHO, reason="the network is down")
    gate = SteeringRequest(command=Command.GATE, who=WHO, migration="orders", gate=GateChange(max_lag=60.0))
    approve = SteeringRequest(command=Command.APPROVE, who=WHO, wave="w1")
    with open_journal(tmp_path) as other:
        other.request("r1", pause, at=NOW)
        other.request("r2", SteeringRequest(command=Command.ABORT, who=WHO), at=NOW)
        other.request("r1", gate, approve, at=NOW)
    controls = journal.controls("r1")
    assert [control.request for control in controls] == [pause, gate, approve]
    journal.handled(controls[:1])
    assert [c.request for c in journal.controls("r1")] == [gate, approve]
    assert [c.request.command for c in journal.controls("r2")] == ["abort"]


def test_a_request_for_a_run_that_is_not_there_is_refused(journal: Journal) -> None:
    """The database itself keeps the books straight."""
    with pytest.raises(JournalError, match="FOREIGN KEY"):
        journal.request("nothing", SteeringRequest(command=Command.PAUSE, who=WHO), at=NOW)


def test_a_request_that_this_version_does_not_know_is_named(tmp_path: Path) -> None:
    """It was left by a newer one: the run's process must not guess what it means."""
    with open_journal(tmp_path) as journal:
        begin(journal, "r1", rehearsal=True)
        journal.request("r1", SteeringRequest(command=Command.PAUSE, who=WHO), at=NOW)
        journal._db.execute("UPDATE controls SET command = 'teleport'")
        with pytest.raises(
            JournalError, match=r"what is asked of run r1 cannot be read: request 1 \('teleport'.*newer version"
        ):
            journal.controls("r1")


GATES = [
    "1",
    "[1]",
    "{}",
    '["x", "y"]',
    "[1, 2, 3]",
    '["60s", null]',
    f"[1{'0' * 400}, 1]",
    "[-1, null]",
    "[NaN, 1]",
    "[1, Infinity]",
    "[true, 1]",
    "[null, 315360001]",
]


@pytest.mark.parametrize(
    "detail",
    ["[]", "5", "{", DEEP, '{"reason": 5, "gate": null}', '{"migration": []}', "{}", *(f'{{"migration": "orders", "gate": {gate}}}' for gate in GATES)],
)  # fmt: skip
def test_a_request_that_is_damaged_is_named(tmp_path: Path, detail: str) -> None:
    """Whoever works on the run stops it in order, and follows what is under way. The bounds of a gate are those of the command line."""
    with open_journal(tmp_path) as journal:
        begin(journal, "r1", rehearsal=True)
        asked = SteeringRequest(command=Command.GATE, who=WHO, migration="orders", gate=GateChange(max_lag=60.0))
        journal.request("r1", asked, at=NOW)
        journal._db.execute("UPDATE controls SET detail = ?", (detail,))
        told = r"what is asked of run r1 cannot be read: request 1 \(.*`atlas-cutover abort r1` ends it"
        with pytest.raises(JournalError, match=told):
            journal.controls("r1")


@pytest.mark.parametrize(
    ("command", "column", "value"),
    [
        (Command.PAUSE, "wave", "w1"),
        (Command.GATE, "wave", "w1"),
        (Command.APPROVE, "detail", '{"migration": "orders", "gate": null}'),
        (Command.PAUSE, "detail", '{"migration": "orders"}'),
    ],
)
def test_a_request_about_what_it_cannot_be_about_is_damaged(
    tmp_path: Path, command: Command, column: str, value: str
) -> None:
    """A `pause` that names a wave approved it, and an `approve` that names a migration took its gate away."""
    with open_journal(tmp_path) as journal:
        begin(journal, "r1", rehearsal=True)
        journal.request("r1", SteeringRequest(command=command, who=WHO), at=NOW)
        journal._db.execute(f"UPDATE controls SET {column} = ?", (value,))  # noqa: S608 - of those above
        with pytest.raises(JournalError, match=r"what is asked of run r1 cannot be read: .*it cannot be about"):
            journal.controls("r1")


@pytest.mark.parametrize(
    "change", ["outcome = 'MAYBE'", "started_at = 9e999", "finished_at = -1e300", "finished_at = 3e11"]
)
def test_how_a_run_stands_may_be_damaged_in_the_list_of_runs(journal: Journal, change: str) -> None:
    """It is told as damage, by whatever reads the run."""
    begin(journal)
    journal._db.execute(f"UPDATE runs SET {change}")  # noqa: S608 - one of those above
    for read in (journal.runs, journal.unfinished, lambda: journal.find("r1"), lambda: journal.matching("r")):
        with pytest.raises(JournalError, match=rf"{FILE}: run 'r1': how it stands cannot be read .*restore a copy"):
            read()


def test_a_put_or_a_sight_at_no_time_is_damage(journal: Journal) -> None:
    """Doubts and forecasts are reckoned from them."""
    begin(journal)
    journal.commit("r1", [CutoverRequested(at=NOW, migration="orders")], ORDERS)
    journal.shown({("g", "l"): Reading(status="WORKING", ready=True, lag=1.0)}, base_url=HERE, at=NOW)
    journal._db.execute("UPDATE puts SET at = 9e999")
    journal._db.execute("UPDATE ready SET first_seen_at = 9e999")
    with pytest.raises(JournalError, match="a row of puts cannot be read"):
        journal.earlier_puts("r2")
    with pytest.raises(JournalError, match="a row of ready cannot be read"):
        journal.first_seen_ready()


@pytest.mark.parametrize(
    "written",
    [
        "{",
        "7",
        "{}",
        DEEP,
        '{"address": 7, "namespace": "n", "tls": true, "codec_key_file": null, "lease": 10}',
        '{"address": "h:7233", "namespace": "n", "tls": true, "codec_key_file": null, "lease": Infinity}',
        '{"address": "h:7233", "namespace": "n", "tls": true, "codec_key_file": null, "lease": true}',
    ],
)
def test_what_a_run_says_of_its_cluster_may_be_damaged(tmp_path: Path, written: str) -> None:
    """It is told as damage, by whatever reads the run, and no address is made of it."""
    place = {"address": "127.0.0.1:7233", "namespace": "n", "tls": False, "codec_key_file": None, "lease": 10.0}
    with open_journal(tmp_path) as journal:
        journal.begin("r1", workflow(), run_started(workflow()), temporal=place)
        journal._db.execute("UPDATE runs SET temporal = ?", (written,))
        for read in (journal.runs, journal.unfinished, lambda: journal.find("r1"), lambda: journal.matching("r")):
            with pytest.raises(JournalError, match=rf"{FILE}: run r1: where it is at Temporal cannot be read"):
                read()
