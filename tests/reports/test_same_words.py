"""Summary, report.md and report.html, report.json, the display and the status page say the same of one run, in the same order and words."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core import events as ev
from orchestrator.core.needs import NOT_RUN, UNAPPROVED, needs
from orchestrator.core.outcomes import ExitCode, Outcome, RunOutcome
from orchestrator.core.run import APPROVAL_TIMEOUT, RunState
from orchestrator.core.standing import INTERRUPTED, NO_END_RECORDED, verdict
from orchestrator.observers.notify import Messages
from orchestrator.observers.terminal.board import Known, Size, board
from orchestrator.observers.terminal.tally import Tally
from orchestrator.reports import ASSETS, shape
from orchestrator.reports.model import RunReport, build
from orchestrator.reports.options import with_options
from orchestrator.reports.render import render
from orchestrator.reports.summary import print_summary
from orchestrator.text.instants import in_words, iso
from orchestrator.web import app

from .conftest import RUN_ID, START, Ending, make_state

PAGE = Path(app.__file__).parent
HOLDER = "ops@bastion (pid 4711), run " + RUN_ID
NIGHT = {
    "canary": {
        "doubtful": Ending(Outcome.IN_DOUBT, "its answer was lost"),
        "slow": Ending(Outcome.TIMED_OUT, "accepted, but not final within 2h"),
        "unproven": Ending(Outcome.UNVERIFIED, "verify hook: ./prove ended with 1"),
        "one": Ending(Outcome.FAILED, "no room left"),
        "two": Ending(Outcome.FAILED, "no room left"),
        "gate": Ending(Outcome.FAILED, "the gate did not open in 30m", seconds=0),
        "fine": Ending(),
    },
    "rest": {"users": Ending(Outcome.NOT_STARTED)},
}
HOOK = ev.HookFinished(
    at=START + 50, hook="after_success", argv=("./tell", "them"), exit_code=3, seconds=1.0, migration="fine"
)


def night(*, goes_on: bool) -> RunState:
    """A run with every kind of problem; *goes_on*: its second wave waits for approval."""
    state = make_state(NIGHT, hooks=(HOOK,), finished=not goes_on)
    if goes_on:
        state.apply(ev.ApprovalWaiting(at=START + 60, wave="rest"))
        state.waves["rest"].approved_by = None
    return state


def summary(report: RunReport) -> str:
    """What `status` and the end of a run print."""
    out = io.StringIO()
    print_summary(report, file=out, running=report.holder)
    return out.getvalue()


def text_of_html(report: RunReport) -> str:
    """What a reader of report.html sees that runs no scripts."""
    body = re.sub(r"<(script|style|noscript).*?</\1>", "", render(report, ".html"), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def text_of_markdown(report: RunReport) -> str:
    """report.md without its escapes."""
    return html.unescape(render(report, ".md").replace("\\", "").replace("\u200b", ""))


FORMS: list[Callable[[RunReport], str]] = [summary, text_of_markdown, text_of_html]


def places(text: str, facts: list[str]) -> list[int]:
    """Where each of *facts* is first said, in any case."""
    found = [text.lower().find(fact.lower()) for fact in facts]
    assert -1 not in found, facts[found.index(-1)]
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("goes_on", [True, False])
def test_what_needs_somebody_comes_first_and_all_of_it(form: Callable[[RunReport], str], goes_on: bool) -> None:
    """The most urgent first, then the waves, then the rest; each with its words, ids, what to do and command."""
    report = build(night(goes_on=goes_on), now=START + 100, holder=HOLDER if goes_on else None)
    text = form(report)
    order = [
        "needs you now",
        "its answer was lost",
        "accepted, but not final",
        "verify hook: ./prove ended with 1",
        "no room left",
        "the gate did not open in 30m",
        "hook after_success of fine",
        *("wave rest" for _ in range(goes_on)),
    ]
    found = places(text, order)
    assert found == sorted(found)
    assert form is not text_of_html or "Hook failed hook after_success of fine" in text
    waves = re.search(r"^WAVE +MIG|## Waves|Waves and cutover times", text, re.MULTILINE)
    rest = re.search(r"point of no return", text, re.IGNORECASE)
    assert waves is not None
    assert rest is not None
    assert found[-1] < waves.start() < rest.start()
    for need in report.needs:
        assert need.said in text
        assert need.since is not None
        assert f"since {in_words(need.since)}" in text
        assert need.to_do.replace("`", "").split(". ")[0] in text.replace("`", "")
        assert need.command is None or need.command in text
        for each in need.about:
            assert each.live_migration_id in text


def test_what_is_to_be_done_says_of_which() -> None:
    """Where one advice is for several reasons, or stands apart from what happened, names are beside it; in a ticket and a message ids, too."""
    waves = {"first": {"other": Ending(Outcome.FAILED, "oplog gone")}, "canary": NIGHT["canary"]}
    state = make_state(waves, hooks=(HOOK,))
    report = build(state, now=START + 100)
    ids = {m.name: m.live_migration_id for _, m in state.rows()}
    told = [line for line in text_of_markdown(report).splitlines() if line.startswith("- ") and "fine" not in line]
    for names, advice in (
        (("other", "one", "two"), "not sent twice"),
        (("gate",), "Nothing has begun"),
        (("slow",), "Watch it in the Atlas UI"),
    ):
        (line,) = [line for line in told if advice in line]
        assert all(f"{name} `{ids[name]}`" in line.partition(": ")[0] for name in names)
    assert "- FAILED hook after_success of fine" in text_of_markdown(report)
    assert "  other, one, two: Atlas ended the cutover as FAILED" in summary(report)
    assert "  Nothing has begun, so the source is still in charge." in summary(report)
    notified = Messages().message(
        ev.RunFinished(at=START + 99, outcome=RunOutcome.IN_DOUBT, exit_code=4, unfinished=True, requests={}), state
    )
    assert notified is not None
    assert f"FAILED 2 migrations (one, two) (one {ids['one']}, two {ids['two']}): no room left" in notified.body


@pytest.mark.parametrize("form", FORMS)
def test_a_report_of_a_run_that_goes_on_does_not_say_that_it_is_over(form: Callable[[RunReport], str]) -> None:
    """How it stands, who works on it, since when a wave waits; nothing that would be so if it ended now, and no way on that is none."""
    text = form(build(night(goes_on=True), now=START + 100, holder=HOLDER))
    assert f"waits for approval ({HOLDER})" in text or f"waits for approval {HOLDER} works on it" in text
    assert "waits for approval, since 2026-11-28 00:01:00 UTC" in text
    for untrue in ("exit code 1:", "1 NOT_STARTED", "the run is over", "continue with", "requests: 0"):
        assert untrue not in text
    assert "1 not yet" in text
    assert f"atlas-cutover approve {RUN_ID} rest" in text


def night_with_an_approval_that_expires(*events: ev.Event) -> RunState:
    """A wave that has 10 minutes to be approved in, and *events* after it was asked for that."""
    state = make_state(NIGHT, finished=not events)
    waves = state.workflow.waves
    state.apply(
        ev.RunStarted(
            at=START,
            workflow=replace(
                state.workflow, waves=(waves[0], replace(waves[1], approval=True, approval_timeout=600.0))
            ),
            base_url=state.base_url,
            rehearsal=False,
            selected=("users",),
            who="ops",
            version="1",
        )
    )
    for event in (ev.ApprovalWaiting(at=START + 60, wave="rest"), *events):
        state.apply(event)
    return state


@pytest.mark.parametrize("form", FORMS)
def test_an_approval_that_expires_says_when_and_after_that_who_is_wanted(form: Callable[[RunReport], str]) -> None:
    """In each form alike, and to programs: until when it waits, then that nobody approved it in time, what to do, and the command."""
    waiting = night_with_an_approval_that_expires()
    report = build(waiting, now=START + 100, holder=HOLDER)
    assert "since 2026-11-28 00:01:00 UTC; counts as rejected at 2026-11-28 00:11:00 UTC" in form(report)
    (need,) = json.loads(render(report, ".json"))["needs"]
    assert need["until"] == shape.needed(needs(waiting, START + 100, holder=HOLDER)[0])["until"] == iso(START + 660)
    late = night_with_an_approval_that_expires(
        ev.WaveRejected(at=START + 660, wave="rest", who=APPROVAL_TIMEOUT, reason="nobody approved it within 10m"),
        ev.RunFinished(at=START + 661, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={}),
    )
    text = form(build(late, now=START + 700))
    said = "nobody approved it within 10m, so it counts as rejected, since 2026-11-28 00:11:00 UTC"
    before = dict(zip(FORMS, ("wave rest: ", "| UNAPPROVED | wave rest | ", "wave rest "), strict=True))
    assert f"{before[form]}{said}" in text
    assert form is summary or "nobody in time" in text
    assert "approval.timeout" not in text
    assert "Continued, the run asks for its approval again: be there to answer." in text
    assert f"atlas-cutover resume {RUN_ID}" in text
    looks = (PAGE / "static" / "needs.js").read_text(encoding="utf-8")
    assert f"  {UNAPPROVED}: {{" in looks


@pytest.mark.parametrize("form", FORMS)
def test_an_application_that_an_aborted_run_leaves_stopped_is_told_in_each_form(
    form: Callable[[RunReport], str],
) -> None:
    """Since when, and what somebody does by hand: no hook does it any more, and no command is to be typed."""
    state = make_state(NIGHT, finished=False)
    for event in (
        ev.HookStarted(at=START + 60, hook="before", argv=("./stop",), wave="rest", migration="users"),
        ev.RunAborted(at=START + 90, who="ada"),
        ev.RunFinished(at=START + 90, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=False, requests={}),
    ):
        state.apply(event)
    report = build(state, now=START + 100)
    text = form(report)
    assert "hooks of users" in text
    assert "may have stopped the application, and nothing has undone what it did, since 2026-11-28 00:01:00 UTC" in text
    assert "let the application write to the source by hand" in text
    assert "resume" not in text
    (users,) = [point for point in report.point_of_no_return if "users" in point.names]
    assert (users.point, "by hand" in users.what_is_right) == ("prepared", True)
    assert shape.points(goes_on=False, over=True)["prepared"]["what_is_right"] == users.what_is_right
    for file, word in (("needs.js", f"  {NOT_RUN}: {{"), ("../../reports/assets/base.css", f".o-{NOT_RUN}")):
        assert word in (PAGE / "static" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", FORMS)
def test_a_command_that_ends_and_leaves_its_run_to_temporal_knows_its_own_exit_code(
    form: Callable[[RunReport], str],
) -> None:
    """That is no interruption of the run."""
    text = form(build(night(goes_on=True), now=START + 100, exit_code=ExitCode.SIGTERM))
    assert "exit code 143" in text
    assert "interrupt" not in text.lower().replace("interrupted by sigterm", "")


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_was_killed_has_no_outcome_and_no_exit_code(form: Callable[[RunReport], str]) -> None:
    """Nobody has seen either: the forms say that it was interrupted, in the page's words, and neither how long it took nor that it goes on."""
    report = build(night(goes_on=True), now=START + 100)
    text = form(report)
    assert [str(need.kind) for need in report.needs][:2] == ["IN_DOUBT", "INTERRUPTED"]
    for true in (
        "interrupted",
        NO_END_RECORDED,
        "nobody follows what is under way",
        f"atlas-cutover resume {RUN_ID}",
        "no end recorded",
    ):
        assert true in text
    for untrue in ("exit code 4", "exit code 1:", "the run is over", " to now"):
        assert untrue not in text
    page = (PAGE / "static" / "run.js").read_text(encoding="utf-8")
    assert NO_END_RECORDED.removeprefix("its process ") in page
    assert f'word: "{INTERRUPTED}"' in (ASSETS / "words.js").read_text(encoding="utf-8")
    document = json.loads(render(report, ".json"))
    assert (document["outcome"], document["exit_code"], document["finished_at"]) == ("IN_DOUBT", 4, None)


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("goes_on", [True, False])
def test_each_command_of_a_report_finds_the_state_directory_where_the_options_for_it_are_known(
    form: Callable[[RunReport], str], goes_on: bool
) -> None:
    """Those to copy, and those within what is to be done and in what is to be known first."""
    report = build(night(goes_on=goes_on), now=START + 100, holder=HOLDER if goes_on else None)
    text = " ".join(form(with_options(report, " --state-dir '/srv/a b'")).split())
    commands = re.findall(r"atlas-cutover [a-z]+ ", text)
    assert len(commands) >= 3
    assert len(re.findall(r"atlas-cutover [a-z]+ [^`]*? --state-dir '/srv/a b'", text)) == len(commands)
    assert with_options(report, "") is report


def test_each_need_of_a_run_that_goes_on_has_its_picture_and_its_words_in_the_html() -> None:
    """An approval is none of the outcomes, and was shown without either."""
    state = night(goes_on=True)
    state.apply(ev.RunPaused(at=START + 70, who="ada"))
    report = build(state, now=START + 100, holder=HOLDER, silent=START + 71)
    written = render(report, ".html")
    assert set(re.findall(r'href="#(i-\w+)"', written)) <= set(re.findall(r'id="(i-\w+)"', written))
    text = text_of_html(report)
    assert re.search(r"live migration 0{23}1 ?, project 7e68", text)
    assert [
        word
        for word in ("No sign of life the run", "Waits for approval wave rest", "Paused the run")
        if word not in text
    ] == []


def test_the_document_for_programs_says_who_works_on_the_run() -> None:
    """And that nobody does; then the way on is there again."""
    state = night(goes_on=True)
    going = json.loads(render(build(state, now=START + 100, holder=HOLDER), ".json"))
    assert (going["holder"], going["stands"], going["advice"]["command"]) == (HOLDER, "waits for approval", None)
    left = json.loads(render(build(state, now=START + 100), ".json"))
    assert (left["holder"], left["stands"]) == (None, None)
    assert left["advice"]["command"] == f"atlas-cutover resume {RUN_ID}"


def test_the_display_has_the_same_needs_in_the_same_order() -> None:
    """In the words of the others."""
    state = night(goes_on=True)
    report = build(state, now=START + 100, holder=HOLDER)
    lines = board(Tally(), state, now=START + 100, size=Size(columns=400, rows=100), known=Known(needs=report.needs))
    text = "\n".join(line.plain for line in lines).partition("NEEDS YOU NOW")[2]
    found = places(text, [need.said for need in report.needs])
    assert found == sorted(found)
    assert all(f"since {in_words(need.since or 0)}" in text for need in report.needs)
    assert all(need.to_do in text and (need.command or "") in text for need in report.needs)


@pytest.mark.parametrize("goes_on", [True, False])
def test_the_page_is_told_the_same_in_the_same_order(goes_on: bool) -> None:
    """Who is wanted, for what and with which command, in which sections, how many stand where, and what is right there."""
    state, holder = night(goes_on=goes_on), HOLDER if goes_on else None
    report = build(state, now=START + 100, holder=holder)
    told = [shape.needed(need) for need in needs(state, START + 100, holder=holder)]
    assert [(each["kind"], each["what"], each["said"], each["to_do"], each["command"]) for each in told] == [
        (str(need.kind), need.what, need.said, need.to_do, need.command) for need in report.needs
    ]
    assert [[one["live_migration_id"] for one in each["about"]] for each in told] == [
        [one.live_migration_id for one in need.about] for need in report.needs
    ]
    page = (PAGE / "templates" / "page.html").read_text(encoding="utf-8")
    order = ['id="outcome"', 'id="needs"', 'id="sides"', 'id="waves"', 'id="rows"']
    included = page.replace("{% include 'migrations.html' %}", (ASSETS / "migrations.html").read_text(encoding="utf-8"))
    found = places(included, order)
    assert found == sorted(found)
    for title in ("Needs you now", "Point of no return", "Waves", "Migrations"):
        assert title in page
        assert title.lower() in text_of_markdown(report).lower()
    looks = (PAGE / "static" / "needs.js").read_text(encoding="utf-8") + (ASSETS / "words.js").read_text(
        encoding="utf-8"
    )
    assert all(f"  {need.kind}: {{" in looks for need in report.needs)
    points = shape.points(goes_on=goes_on, over=not report.unfinished)
    assert all(each.what_is_right == points[each.point]["what_is_right"] for each in report.point_of_no_return)
    assert any("It can still be called off" in each.what_is_right for each in report.point_of_no_return) is goes_on


def test_the_page_says_how_a_run_stands_in_the_words_of_the_others() -> None:
    """A word for each state in which a run that is under way may be."""
    words = (ASSETS / "words.js").read_text(encoding="utf-8").partition("RUN_OUTCOMES = {")[2].partition("};")[0]
    state = night(goes_on=True)
    said = [verdict(state), verdict(state, silent=True)]
    state.waves["rest"].approval_since = None
    for event in (
        ev.WindowWaiting(at=START, opens=START + 900, closes=START + 1800),
        ev.RunPaused(at=START + 61, who="ada"),
        ev.ConfirmationWaiting(at=START + 62, who="ada"),
        ev.CutoversStopped(at=START + 63, reason="aborted by ada"),
    ):
        state.apply(event)
        said.append(verdict(state))
    assert len(set(said)) == 6
    assert [word for word in said if f'word: "{word}"' not in words] == []


@pytest.mark.parametrize("form", FORMS)
def test_each_time_has_its_zone(form: Callable[[RunReport], str]) -> None:
    """Beside it, or in the title of its column."""
    report = build(night(goes_on=False), now=START + 100)
    text = form(report)
    bare = re.findall(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?!\.?\d* UTC|Z| to )", text)
    assert not bare or "(UTC)" in text
    if form is summary:
        assert bare == []
