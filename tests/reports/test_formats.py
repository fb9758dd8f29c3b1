from __future__ import annotations

import csv
import io
import json
import re
from xml.etree import ElementTree as ET

from orchestrator.core.events import GateChanged, HookFinished, MigrationSkipped, RunPaused, RunUnpaused
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.reports.formats.html import _coded
from orchestrator.reports.model import build
from orchestrator.reports.render import render

from .conftest import RUN_ID, START, Ending, MakeReport, make_state

MIXED = {
    "canary": {"orders": Ending()},
    "rest": {
        "lost": Ending(Outcome.IN_DOUBT, "the answer was lost"),
        "slow": Ending(Outcome.TIMED_OUT, "not final within 2h"),
        "bad": Ending(Outcome.FAILED, "oplog window exceeded"),
        "soon": Ending(Outcome.UNDER_WAY),
        "late": Ending(Outcome.NOT_STARTED),
    },
}


def test_junit_tells_failures_errors_and_skipped_apart(report_of: MakeReport) -> None:
    """FAILED is a failure, IN_DOUBT and TIMED_OUT are errors, UNDER_WAY and NOT_STARTED are skipped."""
    root = ET.fromstring(render(report_of(MIXED, stopped="the window closed"), ".xml").encode())  # noqa: S314 - ours
    canary, rest = root.findall("testsuite")
    assert (canary.get("name"), canary.get("tests"), canary.get("failures")) == ("canary", "1", "0")
    assert root.get("skipped") is None  # which the schemas of consumers do not know there
    assert [rest.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["5", "1", "2", "2"]
    tags = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert tags == {
        "orders": [],
        "lost": ["error"],
        "slow": ["error"],
        "bad": ["failure"],
        "soon": ["skipped"],
        "late": ["skipped"],
    }
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "oplog window exceeded"
    assert canary.get("timestamp") == "2026-11-28T00:00:05"


def test_csv_has_a_row_for_each_migration(report_of: MakeReport) -> None:
    """The head names the report's fields."""
    rows = list(csv.DictReader(io.StringIO(render(report_of(MIXED), ".csv"), newline="")))
    assert [row["name"] for row in rows] == ["orders", "lost", "slow", "bad", "soon", "late"]
    assert rows[0]["outcome"] == "SUCCESS"
    assert rows[0]["cutover_seconds"] == "8.1"
    assert (rows[4]["outcome"], rows[4]["finished_at"]) == ("UNDER_WAY", "")
    assert rows[5]["requested_at"] == ""


def test_markdown_says_first_what_needs_a_person(report_of: MakeReport) -> None:
    """Problems stand before waves and migrations, with Atlas' message and what to do."""
    hook = HookFinished(at=START, hook="before", argv=("./stop", "a b"), exit_code=3, seconds=1.0, output="no\n")
    text = render(report_of(MIXED, stopped="the window closed", hooks=(hook,)), ".md")
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert titles == [
        *("Needs you now", "Not started"),
        *("Waves", "Decisions", "Point of no return", "Migrations", "Hooks that failed"),
    ]
    assert re.search(
        r"\| FAILED \| bad `[0-9a-f]{24}` \(rest\) \| oplog window exceeded, since 2026-11-28 00:00:\d\d UTC \|", text
    )
    assert text.index("## Needs you now") < text.index("cutover time: p50")
    assert re.search(
        rf"- UNDER_WAY soon `[0-9a-f]{{24}}`: Atlas carries the cutover out. `atlas-cutover resume {RUN_ID}` follows it to its end at once",
        text,
    )
    assert "atlas-cutover resume" in text
    assert "exit code 4" in text


def test_markdown_of_many_migrations_fits_into_a_ticket(report_of: MakeReport) -> None:
    """GitHub takes 65,536 characters."""
    many = {
        f"m{n}": Ending(Outcome.FAILED, f"message {n} {'x' * 80}") if n % 20 == 0 else Ending() for n in range(3000)
    }
    text = render(report_of({"w": many}), ".md")
    assert len(text) < 65_536
    assert "The first 150 of 150 without SUCCESS" in text


def decided() -> RunState:
    """A run about which people have decided: one wave in the name of Ada, 30 migrations in Bob's, and a gate."""
    state = make_state(
        {"canary": {"orders": Ending()}, "rest": {f"m{n}": Ending(Outcome.NOT_STARTED) for n in range(30)}}
    )
    state.apply(RunPaused(at=START + 7, who="ada|", reason="<b>lag</b>"))
    for number in range(30):
        state.apply(MigrationSkipped(at=START + 8, migration=f"m{number}", who="bob", reason="not tonight"))
    state.apply(GateChanged(at=START + 9, migration="m1", max_lag=60.0, timeout=1800.0, who="bob"))
    return state


def test_what_people_decided_is_in_the_reports() -> None:
    """Who, when, why, and about what: each in report.json, one row for each command in those for people."""
    report = build(decided(), now=START + 60)
    steering = json.loads(render(report, ".json"))["steering"]
    assert [entry["command"] for entry in steering] == ["approve", "pause", *["skip"] * 30, "gate"]
    assert steering[1] == {
        "at": "2026-11-28T00:00:07.000Z",
        "command": "pause",
        "who": "ada|",
        "reason": "<b>lag</b>",
        "wave": None,
        "migration": None,
        "gate": None,
        "gate_before": None,
    }
    assert (steering[2]["wave"], steering[2]["migration"]) == ("rest", "m0")
    assert steering[-1]["gate"] == {"max_lag": 60.0, "timeout": 1800.0}
    assert steering[-1]["gate_before"] == {"max_lag": 10.0, "timeout": 1800.0}
    text = render(report, ".md")
    assert "| 2026-11-28 00:00:07 | pause | the run | ada\\| | &lt;b&gt;lag&lt;/b&gt; |" in text
    assert re.search(r"^\| [^|]* \| skip \| m0, m1, .* \| bob \| not tonight \|$", text, re.MULTILINE)
    assert "| gate: lag up to 10s for 30m -&gt; lag up to 1m for 30m | m1 | bob | - |" in text
    page = re.sub(r"<script.*?</script>", "", render(report, ".html"), flags=re.DOTALL)
    for expected in ("Decisions", "wave rest", "ada|", "&lt;b&gt;lag&lt;/b&gt;", "not tonight", "lag up to 1m"):
        assert expected in page


def test_markdown_of_many_decisions_fits_into_a_ticket() -> None:
    """Long reasons are cut there, and the last of many decisions are in report.json alone."""
    state = make_state({"w": {f"m{n}": Ending(Outcome.FAILED, "no") for n in range(200)}})
    for number in range(200):
        state.apply(RunPaused(at=START + number, who="ada", reason="|" * 5000))
        state.apply(RunUnpaused(at=START + number, who="ada"))
    text = render(build(state, now=START), ".md")
    assert len(text) < 65_536
    assert "And 370 more: see report.json." in text


def test_html_needs_nothing_from_elsewhere(report_of: MakeReport) -> None:
    """No address is loaded, and the policy would forbid it; the page has its title and language."""
    text = render(report_of(MIXED), ".html")
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text)
    assert not re.search(r"url\((?!#)", text)  # a texture is a place of the same page
    assert "@import" not in text
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe" not in policy[1]
    assert '<html lang="en">' in text
    assert "<title>IN_DOUBT: retail-eu, cutover report</title>" in text


def test_html_says_what_needs_a_person_without_scripts(report_of: MakeReport) -> None:
    """A mail reader that runs no scripts still shows outcome, messages, and a table of a small run."""
    text = re.sub(
        r"<script.*?</script>", "", render(report_of(MIXED, stopped="the window closed"), ".html"), flags=re.DOTALL
    )
    for expected in ("IN_DOUBT", "oplog window exceeded", "the answer was lost", "the window closed", "orders"):
        assert expected in text
    assert "runs no scripts" in text


def test_html_does_not_break_the_id_of_a_run() -> None:
    """Where it stands in a command of ours; what is copied is the text."""
    assert _coded("go on: `resume 20261128-010000-3f9a1c`") == (
        'go on: <code>resume <span class="unbroken">20261128-010000-3f9a1c</span></code>'
    )


VARIED = {
    "w": {
        "a": Ending(variables={"cluster": "orders-eu", "Size": "=XL"}),
        "b": Ending(variables={"owner": "<ada>|"}),
        "c": Ending(),
    }
}


def test_variables_are_in_every_format(report_of: MakeReport) -> None:
    """As an object in JSON, columns in CSV, properties in JUnit, and text in the others; made harmless like all text."""
    report = report_of(VARIED)
    written = json.loads(render(report, ".json"))["migrations"]
    assert [m["vars"] for m in written] == [{"cluster": "orders-eu", "Size": "=XL"}, {"owner": "<ada>|"}, {}]
    rows = list(csv.DictReader(io.StringIO(render(report, ".csv"), newline="")))
    assert [(row["vars.cluster"], row["vars.Size"], row["vars.owner"]) for row in rows] == [
        ("orders-eu", "'=XL", ""),
        ("", "", "<ada>|"),
        ("", "", ""),
    ]
    cases = ET.fromstring(render(report, ".xml")).iter("testcase")  # noqa: S314 - our own
    found = [{p.get("name"): p.get("value") for p in case.iter("property")} for case in cases]
    assert found == [{"vars.cluster": "orders-eu", "vars.Size": "=XL"}, {"vars.owner": "<ada>|"}, {}]
    lines = render(report, ".md").splitlines()
    assert any(line.startswith("| a |") and line.endswith("| cluster=orders-eu, Size==XL |") for line in lines)
    assert any(line.startswith("| c |") and line.endswith("| - |") for line in lines)
    page = render(report, ".html")
    assert '{"cluster":"orders-eu","Size":"=XL"}' in page
    assert "<ada>" not in page


def test_reports_without_variables_have_no_column_for_them(report_of: MakeReport) -> None:
    """Nothing changes for who gives none."""
    report = report_of(MIXED)
    assert "vars" not in render(report, ".csv").splitlines()[0]
    assert "vars" not in render(report, ".md")
    assert "vars." not in render(report, ".xml")


def test_markdown_with_long_variables_fits_into_a_ticket_too(report_of: MakeReport) -> None:
    """They are cut there, and whole in the other formats."""
    many = {f"m{n}": Ending(Outcome.FAILED, "no", variables={"note": "x" * 1000}) for n in range(300)}
    assert len(render(report_of({"w": many}), ".md")) < 65_536
