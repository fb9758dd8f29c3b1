"""Summary, report.md and report.html, report.json and the display say the same of one run, in the same order and words."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable

import pytest

from orchestrator.core import events as ev
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.observers.terminal.board import Known, Size, board
from orchestrator.observers.terminal.tally import Tally
from orchestrator.reports.model import RunReport, build
from orchestrator.reports.render import render
from orchestrator.reports.summary import print_summary

from .conftest import RUN_ID, START, Ending, make_state

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
    waves = re.search(r"^WAVE +MIG|## Waves|Waves and cutover times", text, re.MULTILINE)
    rest = re.search(r"point of no return", text, re.IGNORECASE)
    assert waves is not None
    assert rest is not None
    assert found[-1] < waves.start() < rest.start()
    for need in report.urgent():
        assert need.said in text
        assert need.to_do.replace("`", "").split(". ")[0] in text.replace("`", "")
        assert need.command is None or need.command in text
        for each in need.about:
            assert each.live_migration_id in text


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
    assert all(need.to_do in text and (need.command or "") in text for need in report.needs)


@pytest.mark.parametrize("form", FORMS)
def test_each_time_has_its_zone(form: Callable[[RunReport], str]) -> None:
    """Beside it, or in the title of its column."""
    report = build(night(goes_on=False), now=START + 100)
    text = form(report)
    bare = re.findall(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?!\.?\d* UTC|Z| to )", text)
    assert not bare or "(UTC)" in text
    if form is summary:
        assert bare == []
