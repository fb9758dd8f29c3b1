from __future__ import annotations

import io
import json
import os
import pty
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.events import GateWaiting
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.window import AbsoluteWindow, RecurringWindow
from orchestrator.reports import words
from orchestrator.reports.formats.json_ import render_json
from orchestrator.reports.model import RunReport, build
from orchestrator.reports.render import render
from orchestrator.reports.summary import print_json, print_summary
from orchestrator.store.last_read import LastRead, LastReads

from ..strength import examples
from .conftest import RUN_ID, START, Ending, MakeReport, MakeState, make_state


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def printed(
    report: RunReport, *, width: int | None = None, running: str | None = None, reads: LastReads | None = None
) -> str:
    """The summary as it goes into a pipe."""
    out = io.StringIO()
    paths = [Path("/state/runs/x/report.json")]
    print_summary(report, file=out, width=width, running=running, paths=paths, reads=reads)
    return out.getvalue()


def test_the_first_line_says_how_it_ended(report_of: MakeReport) -> None:
    """Outcome and the meaning of the exit code."""
    first = printed(report_of({"w": {"a": Ending()}})).splitlines()[0]
    assert first == "SUCCESS (exit code 0: every selected migration is SUCCESS)"


def test_a_rehearsal_is_marked_in_the_first_line(report_of: MakeReport) -> None:
    """Nobody has to read on to know."""
    assert printed(report_of({"w": {"a": Ending()}}, rehearsal=True)).startswith("REHEARSAL SUCCESS")


def test_what_needs_a_person_comes_before_the_tables(report_of: MakeReport) -> None:
    """With Atlas' own message, and how to go on."""
    text = printed(
        report_of(
            {
                "w": {
                    "a": Ending(),
                    "b": Ending(Outcome.FAILED, "oplog [bold]window[/bold]"),
                    "c": Ending(Outcome.NOT_STARTED),
                }
            },
            stopped="the window closed",
        )
    )
    assert "FAILED b (w): oplog [bold]window[/bold]" in text
    assert "NOT_STARTED c (w): the window closed" in text
    assert f"continue with:\n  $ atlas-cutover resume {RUN_ID}\n" in text
    assert text.index("NEEDS YOU NOW") < text.index("NOT STARTED\n") < text.index("WAVE ") < text.index("MIGRATION ")
    assert "report: /state/runs/x/report.json" in text


def test_the_way_on_after_the_window_is_a_new_window(report_of: MakeReport) -> None:
    """The command to copy, and what has to be done before."""
    window = AbsoluteWindow(opens=START - 3600, closes=START + 30)
    text = printed(report_of({"w": {"a": Ending(Outcome.NOT_STARTED)}}, window=window))
    assert "continue with (the window does not open any more: set a new one" in text
    assert "\n  $ atlas-cutover run WORKFLOW\n" in text


def test_what_nobody_follows_any_more_needs_somebody_who_does(report_of: MakeReport) -> None:
    """As on the page: with its ids, what to do and the command; the rest of the run does not hide it."""
    text = printed(report_of({"w": {"a": Ending(Outcome.UNDER_WAY), "b": Ending()}}, exit_code=ExitCode.SIGTERM))
    assert "2 migrations: 1 SUCCESS, 1 UNDER_WAY" in text
    assert "NEEDS YOU NOW\nUNDER_WAY a (w): Atlas accepted the cutover" in text
    assert "`" not in text.partition("UNDER_WAY a (w)")[2].partition("\n")[0]
    need = text.partition("NEEDS YOU NOW")[2].partition("2 migrations")[0]
    for said in (f"live migration {1:024x}", "follows it to its end at once", f"  $ atlas-cutover resume {RUN_ID}\n"):
        assert said in need
    assert "continue with (at once: it follows what Atlas has accepted, and sends no PUT):" in text
    assert f"\n  $ atlas-cutover resume {RUN_ID}\n" in text
    window = AbsoluteWindow(opens=START - 3600, closes=START + 30)
    waves = {"w": {"a": Ending(Outcome.UNDER_WAY), "b": Ending(Outcome.NOT_STARTED)}}
    assert f"\n  $ atlas-cutover resume {RUN_ID}\n" in printed(report_of(waves, window=window))


def test_an_end_in_doubt_has_no_cutover_seconds(report_of: MakeReport) -> None:
    """How long its application stands still is not known."""
    (migration,) = report_of({"w": {"a": Ending(Outcome.IN_DOUBT)}}).migrations
    assert migration.cutover_seconds is None


def test_large_runs_list_problems_only(report_of: MakeReport) -> None:
    """At most 20 of them, and how many more there are."""
    waves = {"w": {f"m{n:03}": Ending(Outcome.FAILED, f"message {n}") if n < 50 else Ending() for n in range(500)}}
    text = printed(report_of(waves))
    assert "and 30 more: see the report" in text
    assert f"all of them:\n  $ atlas-cutover status {RUN_ID} --all" in text
    assert "m499" not in text
    assert len(text.splitlines()) < 50


def test_what_is_under_way_goes_first_in_a_large_run(state_of: MakeState) -> None:
    """Of 100 migrations, the two whose cutovers are under way are listed, and what waits for its wave is not."""
    early = {f"m{n:03}": Ending(Outcome.UNDER_WAY if n in (7, 42) else Outcome.NOT_STARTED) for n in range(100)}
    state = state_of({"w": early}, finished=False)
    text = printed(build(state, now=START + 60, holder="ops@bastion (4711)"), running="ops@bastion (4711)")
    rows = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows if row[1:4] == ["w", "cutting", "over"]] == ["m007", "m042"]
    assert not [row for row in rows if row[:2] == ["m008", "w"]]


def test_the_times_of_a_run_are_told_in_the_machines_zone_too(
    report_of: MakeReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which the log on the terminal was; both marked, and UTC alone where that is the machine's."""
    report = report_of({"w": {"a": Ending()}})
    for zone, told in (("Europe/Berlin", True), ("UTC", False)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            text = printed(report)
        finally:
            monkeypatch.undo()
            time.tzset()
        assert ("  here that was 2026-11-28 01:00:00 to 2026-11-28 01:00:17 CET\n" in text) is told
        assert ", 2026-11-28 00:00:00 to 2026-11-28 00:00:17 UTC (" in text


def test_the_times_of_a_run_are_told_in_the_windows_zone_too(state_of: MakeState) -> None:
    """In summary, report.md and report.html, whose readers may be anywhere; once where it is that of the machine."""
    window = RecurringWindow(start="00:30", end="04:00", days=("sat",), timezone="Asia/Kolkata")
    report = build(state_of({"w": {"a": Ending(), "b": Ending(Outcome.NOT_STARTED)}}, window=window), now=START + 60)
    told = "2026-11-28 05:30:00 to 2026-11-28 05:30:17 IST"
    assert f"  in the window's zone that was {told}\n" in printed(report)
    for form in (".md", ".html"):
        assert re.search(
            f"in the window's zone(: |</dt><dd>){told}", render(report, form).replace("&#39;", "'"), re.IGNORECASE
        )
    assert words.times_elsewhere(report) == [("in the window's zone", told)]
    assert report.window is not None
    assert report.window.timezone == "Asia/Kolkata"


def test_a_narrow_terminal_shows_everything(report_of: MakeReport) -> None:
    """In 40 columns no line is longer, and no cell is lost."""
    text = printed(
        report_of({"canary": {"orders": Ending()}, "rest": {"x" * 60: Ending(Outcome.FAILED, "why " * 30)}}), width=40
    )
    body = [line for line in text.splitlines() if not line.startswith(("report: ", "  $ ")) and "x" * 60 not in line]
    assert max(len(line.rstrip()) for line in body) <= 40
    assert "orders" in text
    assert "wave canary, outcome SUCCESS" in text


def test_a_pipe_gets_whole_lines_and_no_colour(report_of: MakeReport) -> None:
    """So that grep finds a message."""
    message = "word " * 60 + "end"
    text = printed(report_of({"w": {"a": Ending(Outcome.FAILED, message)}}))
    assert f"FAILED a (w): {message}, since 2026-11-28 " in text
    assert "\x1b" not in text


def test_a_terminal_gets_colour_unless_unwanted(report_of: MakeReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and *color* False win."""
    report = report_of({"w": {"a": Ending()}})
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured, plain, unwanted = Terminal(), Terminal(), Terminal()
    print_summary(report, file=coloured, width=100)
    print_summary(report, file=plain, width=100, color=False)
    monkeypatch.setenv("NO_COLOR", "1")
    print_summary(report, file=unwanted, width=100)
    assert "\x1b[32m" in coloured.getvalue()
    assert "32m" not in plain.getvalue()
    assert "32m" not in unwanted.getvalue()


def test_a_real_terminal_is_recognised(report_of: MakeReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a pseudo-terminal, as a shell would."""
    monkeypatch.setenv("TERM", "xterm-256color")
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as file:
        print_summary(report_of({"w": {"a": Ending()}}), file=file)
        file.flush()
        assert b"\x1b[32mSUCCESS" in os.read(leader, 4096)
    os.close(leader)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_other_encodings_lose_no_name(encoding: str, report_of: MakeReport) -> None:
    """What an encoding lacks is shown as an escape, in text and in JSON."""
    report = report_of({"w": {"müller-注文": Ending()}})
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    print_summary(report, file=file)
    file.flush()
    shown = raw.getvalue().decode(encoding)
    assert {"ascii": r"m\xfcller-\u6ce8\u6587", "latin-1": r"müller-\u6ce8\u6587"}.get(encoding, "müller-注文") in shown
    raw.seek(0)
    raw.truncate()
    print_json(report, file=file)
    file.flush()
    assert json.loads(raw.getvalue().decode(encoding))["migrations"][0]["name"] == "müller-注文"


@settings(max_examples=examples(50), deadline=None)
@given(st.text(st.characters(), max_size=30), st.text(st.characters(), max_size=60))
def test_no_text_steers_the_terminal(name: str, message: str) -> None:
    """Neither control characters nor rich's markup have any effect."""
    out = io.StringIO()
    report = build(make_state({"w": {name: Ending(Outcome.FAILED, message)}}), now=START)
    print_summary(report, file=out)
    assert all(c.isprintable() or c in "\n\u200c\u200d" for c in out.getvalue())


def test_a_run_under_way_shows_how_far_it_is(state_of: MakeState) -> None:
    """What is under way is not called in doubt, and nobody is told to resume."""
    state = state_of({"w": {"a": Ending(), "b": Ending(Outcome.NOT_STARTED)}}, finished=False)
    text = printed(build(state, now=START + 60, holder="ops@bastion (4711)"), running="ops@bastion (4711)")
    assert text.startswith("under way (ops@bastion (4711))")
    assert "2 migrations: 1 SUCCESS, 1 not yet" in text
    assert "resume" not in text


def test_all_are_listed_with_what_was_read_of_them(report_of: MakeReport) -> None:
    """Whatever their number; what is over has the end that the journal knows, and no lag."""
    reads = {
        "m000": LastRead(at=START, seen_at=START, status="WORKING", lag=7.0),
        "m001": LastRead(
            at=START + 50, seen_at=START - 60, status="WORKING", lag=12.5, error="503", error_at=START + 50
        ),
    }
    waves = {"w": {f"m{n:03}": Ending(Outcome.NOT_STARTED) if n == 1 else Ending() for n in range(500)}}
    text = printed(report_of(waves), reads=LastReads(by_name=reads, now=START + 60))
    rows = {line.split()[0]: line for line in text.splitlines() if re.match(r"m\d{3} ", line)}
    assert len(rows) == 500
    assert re.search(r"m000 +w +SUCCESS +COMPLETE +- +1m ago +1 +-", rows["m000"])
    assert re.search(r"m001 +w +NOT_STARTED +WORKING +13s +2m ago +0 +10s ago: 503", rows["m001"])
    assert re.search(r"m499 +w +SUCCESS +COMPLETE +- +- +1 +-", rows["m499"])


def test_a_run_under_way_says_which_side_of_no_return_migrations_are_on(state_of: MakeState) -> None:
    """And what is right to do there, with the last moment at which a cutover may start; one that has ended well needs none of it."""
    window = AbsoluteWindow(opens=START - 60, closes=START + 3600, reserve=600)
    waves = {"w": {"done": Ending(), "sent": Ending(Outcome.UNDER_WAY), "waits": Ending(Outcome.NOT_STARTED)}}
    state = state_of(waves, window=window, finished=False)
    text = printed(build(state, now=START + 60, holder="ops@bastion (4711)"), running="ops@bastion (4711)")
    assert "the last moment at which a cutover may start: 2026-11-28 00:50:00 UTC" in text
    assert "point of no return: 1 nothing sent, 1 sent, 1 over" in text
    assert "  sent (sent): The PUT was sent, and nothing takes it back: let no writer return to the source" in text
    assert "  waits (waits): No PUT has taken effect: the source is in charge" in text
    assert "point of no return" not in printed(build(state_of({"w": {"done": Ending()}}), now=START + 60))


def test_each_migration_of_the_report_is_on_one_side(report_of: MakeReport) -> None:
    """In JSON for programs, and in the groups by what is right to do."""
    waves = {
        "w": {"a": Ending(), "b": Ending(), "c": Ending(Outcome.FAILED, "no", seconds=0), "d": Ending(Outcome.IN_DOUBT)}
    }
    found = json.loads(render_json(report_of(waves)))
    assert {m["name"]: (m["side"], m["point"]) for m in found["migrations"]} == {
        "a": ("over", "cut over"),
        "b": ("over", "cut over"),
        "c": ("nothing sent", "not cut over"),
        "d": ("sent", "in doubt"),
    }
    assert {point["point"]: point["names"] for point in found["point_of_no_return"]} == {
        "not cut over": ["c"],
        "in doubt": ["d"],
        "cut over": ["a", "b"],
    }


def test_status_under_way_says_what_a_gate_waits_for(state_of: MakeState) -> None:
    """The reason and the lag, without being asked for all of them."""
    state = state_of({"w": {name: Ending(Outcome.NOT_STARTED) for name in ("a", "b", "c")}}, finished=False)
    for name in ("a", "b"):
        state.apply(GateWaiting(at=START + 10, migration=name, status="WORKING", ready=False, lag=50.0, max_lag=10.0))
    reads = {
        "a": LastRead(at=START + 20, seen_at=START + 20, status="WORKING", ready=False, lag=400.0),
        "b": LastRead(at=START + 20, seen_at=START + 20, status="WORKING", ready=True, lag=42.0),
    }
    out = io.StringIO()
    report = build(state, now=START + 25, holder="ops@bastion (4711)")
    print_summary(
        report, file=out, running="ops@bastion (4711)", reads=LastReads(by_name=reads, now=START + 25), every=False
    )
    rows = {line.split()[0]: " ".join(line.split()) for line in out.getvalue().splitlines() if line[:2] in ("a ", "b ")}
    assert rows["a"].startswith("a w at the gate: not ready WORKING 6m40s 5s ago")
    assert rows["b"].startswith("b w at the gate: lag WORKING 42s 5s ago")
