from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.core.events import (
    ApprovalWaiting,
    BudgetWaiting,
    CutoverAccepted,
    CutoverRequested,
    CutoversStopped,
    Event,
    GateOpened,
    GateWaiting,
    MigrationFinished,
    MigrationRetried,
    RateLimited,
    RunAborted,
    RunPaused,
    RunUnpaused,
    StatusPolled,
    VerificationStarted,
    WaveApproved,
    WaveFinished,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.observers.log.heartbeat import Heartbeat
from orchestrator.observers.log.sink import configure_logging
from orchestrator.observers.terminal.board import Size, board
from orchestrator.observers.terminal.progress import MOST_HELD, Progress
from orchestrator.observers.terminal.screen import can_move
from orchestrator.observers.terminal.tally import Tally

from ..terminal import screen
from .examples import AT, EVENTS, GROUP, WORKFLOW, migration, running, started

Sink = Callable[[Event, RunState], None]


def follow(sink: Sink, *happened: Event, workflow: Workflow = WORKFLOW, rehearsal: bool = False) -> RunState:
    """Let *sink* see a run begin and *happened* happen."""
    state = running(workflow, rehearsal=rehearsal)
    sink(started(workflow, rehearsal=rehearsal), state)
    for event in happened:
        state.apply(event)
        sink(event, state)
    return state


def cut_over(name: str, seconds: float, outcome: Outcome = Outcome.SUCCESS) -> list[Event]:
    """A whole cutover that took *seconds*."""
    return [
        GateOpened(at=AT, migration=name, status="WORKING", ready=True, lag=1.0),
        CutoverRequested(at=AT, migration=name),
        CutoverAccepted(at=AT + 1, migration=name, http_status=202, status=None),
        MigrationFinished(at=AT + seconds, migration=name, outcome=outcome, status="COMPLETE"),
    ]


BUSY: list[Event] = [
    WindowOpened(at=AT, closes=AT + 3600),
    WaveStarted(at=AT, wave="canary", migrations=1, concurrency=1),
    *cut_over("orders", 8.0),
    WaveFinished(at=AT + 8, wave="canary", counts={"SUCCESS": 1}),
    WaveStarted(at=AT + 9, wave="rest", migrations=8, concurrency=4),
    *cut_over("m000", 6.0),
    *cut_over("m001", 7.0, Outcome.FAILED),
    *cut_over("m002", 9.0)[:3],
    GateWaiting(at=AT + 10, migration="m003", status="WORKING", ready=True, lag=34.0, max_lag=10.0),
    StatusPolled(at=AT + 10, migration="m003", status="WORKING", ready=True, lag=34.0),
]


def lines_of(
    *happened: Event, now: float = AT + 70, columns: int = 120, rows: int = 40, ascii_only: bool = False, **run: Any
) -> list[str]:
    """The display after *happened*, as a console without colour shows it."""
    tally = Tally()
    state = follow(tally.take, *happened, **run)
    console = Console(file=io.StringIO(), width=columns, no_color=True, record=True, legacy_windows=False)
    for line in board(tally, state, now=now, size=Size(columns=columns, rows=rows, ascii_only=ascii_only)):
        console.print(line)
    return console.export_text().splitlines()


def test_a_wide_display_shows_waves_migrations_waits_and_time() -> None:
    """All that a person wants to know at once."""
    assert lines_of(*BUSY, ascii_only=True) == [
        "retail-eu  2 of 9 cut over  1m10s",
        "canary #################### 1/1  1 SUCCESS",
        "rest   #####............... 2/8  1 SUCCESS  1 FAILED  1 cutting over  1 at the gate  4 not yet",
        "  m002 cutting over    WORKING   1m10s",
        "  m003 at the gate     WORKING   lag 34s  1m",
        "waits 1m for 1 gate",
        "window closes in 58m50s  cutovers left: 9s to 16s",
    ]


@pytest.mark.parametrize("columns", [40, 20, 8, 1])
@pytest.mark.parametrize("rows", [50, 8, 3, 2, 1])
def test_the_display_fits_any_terminal(columns: int, rows: int) -> None:
    """No line is as wide as the terminal, and one row stays free."""
    tally = Tally()
    state = follow(tally.take, *BUSY)
    lines = board(tally, state, now=AT + 70, size=Size(columns=columns, rows=rows))
    assert len(lines) <= max(1, rows - 1)
    assert all(cell_len(line.plain) <= max(1, columns - 1) for line in lines)


def test_a_narrow_display_keeps_what_matters() -> None:
    """Names, numbers and waits; a wave's numbers go below its bar where they have no room beside it."""
    lines = lines_of(*BUSY, columns=40)
    assert lines[0] == "retail-eu  2 of 9 cut over  1m10s"
    assert lines[1].startswith("canary \N{FULL BLOCK}")
    assert [lines[3], lines[4]] == ["  1 SUCCESS, 1 FAILED, 1 cutting over,", "  1 at the gate, 4 not yet"]
    assert "lag 34s" in lines[6]
    assert lines[-1].startswith("window closes in 58m50s")


def test_wide_characters_are_measured_as_the_terminal_shows_them() -> None:
    """A name in Japanese takes two columns a character."""
    workflow = Workflow(name="夜間", waves=(Wave(name="第一波" * 9, migrations=(migration(1, "注文" * 12),)),))
    gate = GateWaiting(at=AT, migration="注文" * 12, status=None, ready=False, lag=None, max_lag=10.0)
    for columns in (40, 41, 120):
        assert all(cell_len(line) < columns for line in lines_of(gate, columns=columns, workflow=workflow))


def test_a_rehearsal_is_marked() -> None:
    """At the very beginning."""
    assert lines_of(rehearsal=True)[0].startswith("REHEARSAL retail-eu")


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        ([ApprovalWaiting(at=AT, wave="rest")], "waits 1m10s for approval of wave rest"),
        ([ApprovalWaiting(at=AT, wave="rest"), WaveApproved(at=AT, wave="rest", who="g")], None),
        ([RunPaused(at=AT + 10, who="ada@night")], "waits 1m for unpause (paused by ada@night)"),
        ([RunPaused(at=AT, who="ada@night"), RunUnpaused(at=AT, who="ada@night")], None),
        ([WindowWaiting(at=AT, opens=AT + 100, closes=AT + 900)], "waits 1m10s for the window, which opens in 30s"),
        (
            [RateLimited(at=AT + 60, method="GET", path="/", scope=GROUP, retry_after=55.0)],
            f"waits 10s for Atlas' rate limit ({GROUP}), 45s more",
        ),
        ([RateLimited(at=AT, method="GET", path="/", scope=GROUP, retry_after=5.0)], None),
        (
            [BudgetWaiting(at=AT + 60, scope=GROUP, requests=12, wait=55.0)],
            f"waits 10s for the request budget ({GROUP}), 45s more",
        ),
        ([BudgetWaiting(at=AT, scope=GROUP, requests=12, wait=5.0)], None),
        (
            [GateWaiting(at=AT + 8, migration="m001", status="NEW", ready=False, lag=None, max_lag=1.0)],
            "waits 1m2s for 1 gate",
        ),
    ],
)
def test_it_says_what_is_waited_for_and_since_when(happened: list[Event], expected: str | None) -> None:
    """Window, approval, gate, pause and rate limit, and no longer than it lasts."""
    assert [line for line in lines_of(*happened) if line.startswith("waits")] == ([expected] if expected else [])


def test_it_says_when_and_why_nothing_more_starts() -> None:
    """With who aborted."""
    lines = lines_of(RunAborted(at=AT, who="ada@night"), CutoversStopped(at=AT, reason="aborted by ada@night"))
    assert lines[0].endswith("aborted by ada@night")
    assert "no further cutover starts: aborted by ada@night" in lines


def test_a_window_that_closed_is_said() -> None:
    """Not as a negative time."""
    assert lines_of(WindowOpened(at=AT, closes=AT + 60))[-1] == "window closed"


def test_how_long_cutovers_may_still_start_is_said_beside_the_windows_close() -> None:
    """With a reserve that is earlier."""
    said = lines_of(WindowOpened(at=AT, closes=AT + 3600, last_start=AT + 1800))[-1]
    assert re.match(r"cutovers may start for \d+m\d+s  window closes in \d+m\d+s", said)


def test_many_waves_and_migrations_are_summed_up() -> None:
    """What does not fit is a number."""
    waves = tuple(Wave(name=f"w{i}", migrations=(migration(i),)) for i in range(100))
    lines = lines_of(*cut_over("m000", 5.0), rows=12, workflow=Workflow(name="many", waves=waves))
    assert [line.split()[0] for line in lines[1:-1]] == ["w1", "w2", "w3", "w4"]
    assert lines[-1] == "(1 wave done, 95 to come)"
    one = Workflow(name="one", waves=(Wave(name="all", migrations=tuple(map(migration, range(100)))),))
    busy = [event for i in range(50) for event in cut_over(f"m{i:03}", 5.0)[:2]]
    lines = lines_of(*busy, rows=12, workflow=one)
    assert lines[-1] == "  and 42 more"
    assert len(lines) == 11


def test_an_event_costs_the_same_however_many_migrations_there_are() -> None:
    """The tally counts on, it does not count again: what it holds equals a recount."""
    tally = Tally()
    state = follow(tally.take, *BUSY)
    again = Tally()
    again.take(started(), state)
    assert {name: wave.counts() for name, wave in tally.waves.items()} == {
        name: wave.counts() for name, wave in again.waves.items()
    }
    assert tally.under_way == again.under_way
    assert tally.durations == [6.0, 7.0, 8.0]


def test_every_kind_of_event_can_be_shown() -> None:
    """None of them upsets the display."""
    for event in EVENTS:
        assert lines_of(event)


class Terminal(io.TextIOWrapper):
    """A terminal of a given encoding that keeps what was written."""

    def __init__(self, encoding: str = "utf-8", errors: str = "strict") -> None:
        self.kept = io.BytesIO()
        super().__init__(self.kept, encoding=encoding, errors=errors, write_through=True)

    def isatty(self) -> bool:
        """It is one."""
        return True

    def text(self) -> str:
        """All that was written."""
        return self.kept.getvalue().decode(self.encoding)


def display(terminal: Any, environ: Mapping[str, str] | None = None, size: tuple[int, int] = (80, 24)) -> Progress:
    """A display on *terminal*."""
    return Progress(terminal, environ=environ or {}, wall=lambda: AT + 70, size=lambda: os.terminal_size(size))


def test_log_lines_stand_above_the_display_and_stay() -> None:
    """However often it is drawn again; at the end only they are left."""
    terminal = Terminal()
    with (
        display(terminal, {"NO_COLOR": "1"}) as progress,
        configure_logging(
            level="info", format="console", file=None, secrets=[], stream=progress.stream, environ={"NO_COLOR": "1"}
        ) as setup,
    ):
        log = setup.sink()

        def both(event: Event, state: RunState) -> None:
            progress.sink(event, state)
            log(event, state)

        follow(both, *BUSY)
        progress.draw()
        progress.draw()
        shown = screen(terminal.text(), 10_000)
        logged = [i for i, row in enumerate(shown) if re.match(r"\d\d:\d\d:\d\d ", row)]
        assert logged == list(range(len(logged)))
        assert shown[len(logged)].startswith("retail-eu  2 of 9 cut over")
        assert shown[-1].startswith("point of no return: ")
        progress.stream.write("an unfinished line")
    after = screen(terminal.text(), 10_000)
    assert after[: len(logged)] == shown[: len(logged)]
    assert after[len(logged) :] == ["an unfinished line", ""]
    assert "\x1b[3" not in terminal.text()


def test_enter_leaves_no_stale_line() -> None:
    """The terminal's echo moves the cursor below the display; the next frame erases all of it."""
    terminal = Terminal()
    with display(terminal, {"NO_COLOR": "1"}) as progress:
        progress.line_typed()  # before there is a display it moves nothing
        follow(progress.sink, *BUSY)
        progress.stream.write("a log line\n")
        progress.draw()
        before = screen(terminal.text(), 10_000)
        terminal.write("\r\n")
        progress.line_typed()
        progress.draw()
        assert screen(terminal.text(), 10_000) == before
    assert screen(terminal.text(), 10_000) == ["a log line", ""]


def test_a_terminal_that_became_narrower_is_cleaned_all_the_same() -> None:
    """The rows that the old lines take now are erased, and no log line is."""
    terminal = Terminal()
    size = [(100, 24)]
    progress = Progress(
        terminal, environ={"NO_COLOR": "1"}, wall=lambda: AT + 70, size=lambda: os.terminal_size(size[0])
    )
    with progress:
        follow(progress.sink, *BUSY)
        progress.stream.write("a log line\n")
        progress.draw()
        wide = terminal.text()
        size[0] = (40, 24)
        progress.draw()
    wrapped = sum(max(1, -(-len(row) // 40)) for row in screen(wide, 10_000)[1:])
    assert f"\r\x1b[{wrapped - 1}A\x1b[J" in terminal.text()[len(wide) :]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_any_encoding_can_show_it(encoding: str) -> None:
    """With bars of its own characters, and what it lacks as escapes."""
    terminal = Terminal(encoding)
    workflow = Workflow(name="夜間", waves=WORKFLOW.waves)
    with display(terminal) as progress:
        follow(progress.sink, *BUSY, workflow=workflow)
        progress.stream.write("日本\n")
        progress.draw()
    assert ("#####" in terminal.text()) is (encoding != "utf-8")


def test_colour_is_used_unless_it_is_not_wanted() -> None:
    """NO_COLOR leaves the words."""
    for environ, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
        terminal = Terminal()
        with display(terminal, environ) as progress:
            follow(progress.sink, *BUSY)
            progress.draw()
        assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.text())) is coloured


@pytest.mark.parametrize(
    ("tty", "term", "expected"),
    [(True, "xterm", True), (True, "dumb", False), (True, "", False), (False, "xterm", False)],
)
def test_a_display_is_for_terminals_that_can(tty: bool, term: str, expected: bool) -> None:
    """Not for files, nor for dumb ones."""
    assert can_move(Terminal() if tty else io.StringIO(), {"TERM": term}) is expected


def test_a_terminal_that_is_gone_hurts_nothing() -> None:
    """The run goes on without anybody looking."""
    terminal = Terminal()
    with display(terminal) as progress:
        follow(progress.sink, *BUSY)
        terminal.close()
        progress.draw()
        progress.stream.write("line\n")


class Stalled(Terminal):
    """A terminal that takes nothing, or takes everything, as it is told."""

    behind = full = False

    def write(self, text: str) -> int:
        """Take it, or say that there is no room."""
        if self.full:
            raise BlockingIOError
        return super().write(text)


def test_a_terminal_that_goes_on_shows_one_display_and_the_newest_lines() -> None:
    """What was on it when it took nothing more is replaced, and the log lines that are missing are counted, in their place."""
    terminal = Stalled()
    with display(terminal, {"NO_COLOR": "1"}) as progress:
        follow(progress.sink, *BUSY)
        progress._running = True
        progress.stream.write("the first line\n")
        progress.draw()
        before = screen(terminal.text(), 10_000)
        terminal.behind = True
        for _ in range(3):
            progress.draw()
        assert screen(terminal.text(), 10_000) == before
        terminal.full = True
        for number in range(MOST_HELD + 5):
            progress.stream.write(f"line {number}\n")
        terminal.full = terminal.behind = False
        progress.draw()
        after = screen(terminal.text(), 10_000)
    told = "(5 log lines are missing here: this terminal took nothing more)"
    assert after[:3] == ["the first line", told, "line 5"]
    assert after[MOST_HELD + 1] == f"line {MOST_HELD + 4}"
    assert after[MOST_HELD + 2 :] == before[1:]


@pytest.mark.anyio
async def test_the_display_is_drawn_by_its_task(virtual_time: object) -> None:
    """A few times a second, log lines with the next frame; cancelled, it leaves a clean screen."""
    terminal = Terminal()
    with display(terminal, {"NO_COLOR": "1"}) as progress:
        follow(progress.sink, *BUSY)
        async with anyio.create_task_group() as group:
            group.start_soon(progress.run)
            await anyio.sleep(2.1)
            assert terminal.text().count("2 of 9 cut over") == 9
            progress.stream.write("held\n")
            assert "held" not in terminal.text()
            await anyio.sleep(0.25)
            assert screen(terminal.text(), 10_000)[0] == "held"
            group.cancel_scope.cancel()
        assert screen(terminal.text(), 10_000) == ["held", ""]
        progress.stream.write("at once\n")
        assert screen(terminal.text(), 10_000) == ["held", "at once", ""]


@pytest.mark.anyio
async def test_a_sign_of_life_is_logged_where_there_is_no_terminal(virtual_time: object) -> None:
    """An entry `progress` with the numbers, at the times of the rule."""
    stream = io.StringIO()
    heartbeat = Heartbeat(wall=lambda: AT + 70)
    with configure_logging(level="info", format="json", file=None, secrets=[], stream=stream, clock=lambda: AT):
        follow(heartbeat.sink, *BUSY, rehearsal=True)
        with anyio.move_on_after(61):
            await heartbeat.run()
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(entries) == 2
    assert entries[0] == {
        "timestamp": "2026-11-28T01:00:00.250Z",
        "level": "info",
        "event": "progress",
        "run_id": "20261128-010000-3f9a1c",
        "workflow": "retail-eu",
        "rehearsal": True,
        "migrations": 9,
        "finished": 3,
        "under_way": 1,
        "at_gate": 1,
        "counts": {"SUCCESS": 2, "FAILED": 1, "cutting over": 1, "at the gate": 1, "not yet": 4},
        "waiting_for": "1 gate",
        "estimate": "9s to 16s",
    }


def test_the_sign_of_life_reads_well_on_a_console() -> None:
    """A sentence with what is done, waited for and left."""
    stream = io.StringIO()
    heartbeat = Heartbeat(wall=lambda: AT + 70)
    with configure_logging(level="info", format="console", file=None, secrets=[], stream=stream, environ={}) as setup:
        state = follow(heartbeat.sink, *BUSY)
        setup.logger.info("progress", **heartbeat.fields(state))
    assert stream.getvalue().endswith(
        "progress: 3 of 9 done, 1 under way; waits for 1 gate; cutovers left: 9s to 16s\n"
    )


def test_what_is_verified_again_was_cut_over_once() -> None:
    """Its time counts once in the estimate."""
    tally, state = Tally(), running()
    tally.take(started(), state)
    for event in (
        CutoverRequested(at=AT, migration="orders"),
        CutoverAccepted(at=AT + 1, migration="orders", http_status=202, status=None),
        VerificationStarted(at=AT + 10, migration="orders", status="COMPLETE"),
        MigrationFinished(at=AT + 20, migration="orders", outcome=Outcome.UNVERIFIED, status="COMPLETE"),
        MigrationRetried(at=AT + 30, migration="orders", who="ada"),
        VerificationStarted(at=AT + 31, migration="orders", status="COMPLETE"),
        MigrationFinished(at=AT + 40, migration="orders", outcome=Outcome.SUCCESS, status="COMPLETE"),
    ):
        state.apply(event)
        tally.take(event, state)
    assert tally.durations == [10.0]
