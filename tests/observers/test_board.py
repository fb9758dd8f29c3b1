"""What a display puts first, how it says that it has no news, and that its words are those of the page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from orchestrator.core.events import (
    ApprovalWaiting,
    CutoverInDoubt,
    Event,
    GateWaiting,
    HookFinished,
    MigrationFinished,
    RunPaused,
    StatusPolled,
    WaveStarted,
)
from orchestrator.core.needs import needs
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.core.standing import SKIPPED, WORDS, budget_in_words, verdict
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.observers.terminal.board import Known, Size, board
from orchestrator.observers.terminal.insight import Insight
from orchestrator.observers.terminal.tally import Tally
from orchestrator.reports import ASSETS
from orchestrator.store.last_read import LastRead

from .examples import AT, WORKFLOW, migration, running, started

NAMES = (
    "注文-データベース",
    "cafe\u0301-ordres",
    "a-very-long-name-of-a-migration-1",
    "a-very-long-name-of-a-migration-2",
)
FLEET = Workflow(
    name="夜間",
    waves=(Wave(name="Welle 中", max_failures=2, migrations=tuple(migration(i, n) for i, n in enumerate(NAMES))),),
)
FAILURES: list[Event] = [
    WaveStarted(at=AT, wave="rest", migrations=8, concurrency=8),
    MigrationFinished(
        at=AT + 1, migration="m001", outcome=Outcome.FAILED, status="WORKING", error_message="no room left"
    ),
    HookFinished(
        at=AT + 2, hook="after_success", wave="rest", migration="m002", argv=("./up.sh",), exit_code=1, seconds=1.0
    ),
    GateWaiting(at=AT + 3, migration="m003", status="WORKING", ready=True, lag=34.0, max_lag=10.0, note="lag 34s"),
    CutoverInDoubt(at=AT + 3, migration="m004", reason="no answer", settle=30.0),
    ApprovalWaiting(at=AT + 4, wave="rest"),
]


def shown(
    *happened: Event,
    workflow: Workflow = WORKFLOW,
    columns: int = 80,
    rows: int = 40,
    now: float = AT + 70,
    **known: object,
) -> list[str]:
    """The display after *happened*, with what waits for a person."""
    state, tally = running(workflow), Tally()
    tally.take(started(workflow), state)
    for event in happened:
        state.apply(event)
        tally.take(event, state)
    facts = {"needs": needs(state, now, holder="ops"), **known}
    size = Size(columns=columns, rows=rows)
    return [line.plain.rstrip() for line in board(tally, state, now=now, size=size, known=Known(**facts))]  # type: ignore[arg-type]


def test_what_needs_a_person_comes_first_with_the_command() -> None:
    """Failures before approvals; the same is not said again below."""
    lines = shown(*FAILURES)
    assert lines[1:4] == [
        "NEEDS YOU NOW",
        "FAILED m001: no room left, since 2026-11-28 01:00:01 UTC",
        "  No PUT was sent, so the source is still in charge. Once the cause is fixed,",
    ]
    said = [line for line in lines if line.startswith(("FAILED", "wave "))]
    assert said[1:] == [
        "FAILED hook after_success of m002: exit code 1 (./up.sh), since 2026-11-28",
        "wave rest waits for approval, since 2026-11-28 01:00:04 UTC",
    ]
    assert "  $ atlas-cutover approve 20261128-010000-3f9a1c rest" in lines
    assert not [line for line in lines if line.startswith("waits") and "approval" in line]
    moving = [line.split()[0] for line in lines if line.startswith("  m")]
    assert moving == ["m004", "m003"]  # the doubt first


def test_a_wave_that_is_under_way_ends_about_then() -> None:
    """As on the page, and nothing of it while somebody is waited for."""
    many = Workflow(
        name="many", waves=(Wave(name="core", migrations=tuple(migration(i, f"db{i}") for i in range(20))),)
    )
    ended: list[Event] = [
        MigrationFinished(at=AT + 10 * n, migration=f"db{n}", outcome=Outcome.SUCCESS, status="COMPLETE")
        for n in range(10)
    ]
    begun = WaveStarted(at=AT, wave="core", migrations=20, concurrency=2)
    assert "wave core ends in about 2m" in " ".join(shown(begun, *ended, workflow=many, now=AT + 108))
    paused = RunPaused(at=AT + 99, who="ada")
    assert "in about" not in " ".join(shown(begun, *ended, paused, workflow=many, now=AT + 108))


def test_where_rows_are_few_it_says_how_many_more_need_somebody() -> None:
    """And which command tells of them."""
    lines = shown(*FAILURES, rows=10)
    assert len(lines) <= 9
    assert lines[1:3] == ["NEEDS YOU NOW", "FAILED m001: no room left"]
    assert "and 2 more: atlas-cutover status 20261128-010000-3f9a1c" in lines


@pytest.mark.parametrize("columns", [80, 60, 20])
def test_names_in_any_script_fit_and_can_be_told_apart(columns: int) -> None:
    """Two columns for an ideograph, none for a combining mark; the end of a long name stays."""
    gates = [GateWaiting(at=AT, migration=n, status="NEW", ready=False, lag=None, max_lag=10.0) for n in NAMES]
    lines = shown(*gates, workflow=FLEET, columns=columns)
    assert all(cell_len(line) < columns for line in lines)
    assert len({line for line in lines if re.match(r" *a-v.*-[12]\b", line)}) == 2
    assert any("cafe\u0301-ordres" in line for line in lines)


def test_without_news_it_says_since_when_and_shows_no_newer_time() -> None:
    """As the page does: what is shown was so then."""
    gate = GateWaiting(at=AT, migration="m003", status="WORKING", ready=True, lag=34.0, max_lag=10.0)
    lines = shown(gate, as_of=AT + 70, no_news="the journal cannot be read.")
    assert lines[0].startswith("NO NEWS SINCE 2026-11-28 01:01:10 UTC: what is shown was so then.")
    assert "as of" not in "".join(lines)
    assert "as of 01:01:10 UTC" in shown(gate, as_of=AT + 70)[0]
    assert shown(silent=True)[0].startswith("retail-eu  no sign of life")


def test_what_the_last_read_showed_goes_before_what_was_recorded() -> None:
    """Reads are not in the journal; one that is old, or failed, says so."""
    gate = GateWaiting(at=AT, migration="m003", status="WORKING", ready=True, lag=34.0, max_lag=10.0)
    read = LastRead(at=AT + 60, seen_at=AT + 60, status="WORKING", ready=True, lag=12.0)
    assert "lag 12s" in "".join(shown(gate, reads={"m003": read}))
    old = LastRead(at=AT + 40, seen_at=AT + 40, status="WORKING", ready=True, lag=12.0)
    assert "read 30s ago" in "".join(shown(gate, reads={"m003": old}))
    failed = old.after(StatusPolled(at=AT + 60, migration="m003", status=None, ready=None, lag=None, error="HTTP 503"))
    assert "read failed 10s ago: HTTP 503" in "".join(shown(gate, reads={"m003": failed}, columns=120))


def test_a_read_that_fails_says_why_at_80_columns() -> None:
    """And not which request that was, which left no room for it: the row is of one migration, and its ids are elsewhere."""
    gate = GateWaiting(at=AT, migration="m003", status="WORKING", ready=True, lag=34.0, max_lag=10.0)
    told = "GET /api/atlas/v2/groups/7e68e12770616e75e6df43d0/liveMigrations/a659ce44c03ca1e348b1e992: no answer within the request timeout"
    failed = LastRead(at=AT).after(
        StatusPolled(at=AT + 60, migration="m003", status=None, ready=None, lag=None, error=told)
    )
    assert "    read failed 10s ago: no answer within the request timeout" in shown(gate, reads={"m003": failed})
    many = [replace(gate, migration=name) for name in ("m000", "m001", "m002", "m003")]
    few = shown(*many, reads=dict.fromkeys(("m000", "m001", "m002", "m003"), failed), rows=9)
    assert len(few) <= 8
    assert "  and 3 more" in few


def test_waves_show_their_failures_against_what_they_may_have() -> None:
    """In the page's words."""
    failed = MigrationFinished(at=AT, migration=NAMES[0], outcome=Outcome.FAILED, status=None)
    assert "  1 of 2 failures used, 2 more stop the run" in shown(failed, workflow=FLEET)


def test_the_words_are_those_of_the_page() -> None:
    """One list in Python, one for browsers."""
    text = (ASSETS / "words.js").read_text(encoding="utf-8")
    states = {"NEW": "WAITING", "ACCEPTED": "CUTOVER"}
    for phase, word in WORDS.items():
        assert f'{states.get(phase.name, phase.name)}: {{ word: "{word}"' in text
    assert f'SKIPPED: {{ word: "{SKIPPED}"' in text
    assert budget_in_words(failures=4, most=6, migrations=40) == "4 of 6 failures used, 3 more stop the run"
    assert budget_in_words(failures=0, most=0, migrations=4) == "no failure allowed: the first one stops the run"
    assert budget_in_words(failures=7, most=6, migrations=40) == "7 failures, 6 allowed: the run starts nothing more"
    assert budget_in_words(failures=1, most=None, migrations=4) == "1 failure, no limit"
    for said in (
        "the first one stops the run",
        "used, ",
        " more ",
        "allowed: the run starts nothing more",
        ", no limit",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ApprovalWaiting(at=AT, wave="rest"), "waits for approval"),
        (RunPaused(at=AT, who="ada"), "paused"),
        (WaveStarted(at=AT, wave="rest", migrations=8, concurrency=4), "under way"),
    ],
)
def test_waiting_for_a_person_is_said_in_the_first_line(event: Event, expected: str) -> None:
    """It is a state of its own."""
    state = running()
    state.apply(event)
    assert verdict(state) == expected
    assert verdict(state, silent=True) == "no sign of life"
    assert (expected in shown(event)[0]) is (expected != "under way")


def test_what_is_reckoned_over_all_migrations_is_reckoned_no_more_often_than_it_is_worth() -> None:
    """Not for a read, and after a long reckoning the next one waits."""
    clock = [0.0]
    insight = Insight(steady=lambda: clock[0])
    state: RunState = running()
    insight.reckon(state, AT, holder="ops")
    assert insight.sentences == ("point of no return: 9 nothing sent",)
    for event in FAILURES:
        state.apply(event)
    insight.take(StatusPolled(at=AT, migration="m003", status="NEW", ready=False, lag=None))
    clock[0] = 100.0
    insight.reckon(state, AT, holder="ops")
    assert not insight.needs
    insight.take(FAILURES[0])
    insight.reckon(state, AT, holder="ops")
    assert [need.kind for need in insight.needs] == ["FAILED", "HOOK", "APPROVAL"]
