"""What a run leaves for other programs: the report's fields, the log's lines, files in every format."""

from __future__ import annotations

import csv
import json
import re
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema

from .program import GROUP, Atlas, Program, new_id

OUTCOMES = ("SUCCESS", "FAILED", "UNVERIFIED", "TIMED_OUT", "NOT_STARTED", "IN_DOUBT", "UNDER_WAY")
COUNT = {"type": "integer", "minimum": 0}
INSTANT = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}


def fields(**properties: Any) -> dict[str, Any]:
    """A JSON Schema of an object that has at least *properties*."""
    return {"type": "object", "properties": properties, "required": list(properties)}


MIGRATION = fields(
    name={"type": "string"},
    wave={"type": "string"},
    group_id={"const": GROUP},
    live_migration_id={"pattern": "^[0-9a-f]{24}$"},
    outcome={"enum": list(OUTCOMES)},
    remote_status={"type": ["string", "null"]},
    error_message={"type": ["string", "null"]},
    requested_at=INSTANT,
    accepted_at=INSTANT,
    finished_at=INSTANT,
    cutover_seconds={"type": ["number", "null"]},
    cutover_requests=COUNT,
    polls=COUNT,
)
REPORT = fields(
    schema_version={"const": 1},
    run_id={"type": "string"},
    workflow={"const": "night"},
    workflow_sha256={"pattern": "^[0-9a-f]{64}$"},
    base_url={"type": "string"},
    rehearsal={"type": "boolean"},
    started_at=INSTANT,
    finished_at=INSTANT,
    duration_seconds={"type": "number"},
    outcome={"enum": ["SUCCESS", "FAILED", "INCOMPLETE", "IN_DOUBT"]},
    exit_code=COUNT,
    totals=fields(migrations=COUNT, **dict.fromkeys(OUTCOMES, COUNT)),
    migrations={"type": "array", "items": MIGRATION, "minItems": 3},
    requests=fields(total=COUNT, by_status={"type": "object", "additionalProperties": COUNT}, retries=COUNT),
)
ALWAYS = {"timestamp", "level", "event", "run_id"}
OF_A_MIGRATION = {"workflow", "wave", "migration", "group_id", "live_migration_id"}
EVENTS = {
    *("run_started", "run_resumed", "run_finished", "run_paused", "run_unpaused", "run_aborted", "approval_waiting"),
    *("wave_started", "wave_finished", "gate_waiting", "gate_opened", "cutover_requested", "cutover_accepted"),
    *("cutover_in_doubt", "status_changed", "status_polled", "cutover_admitted", "migration_finished", "hook_finished"),
    *("rate_limited", "request_retried"),
}


def test_a_run_leaves_reports_and_a_log(online: Program, atlas: Atlas) -> None:
    """The report has the contract's fields, stdout and file agree, every format can be read, and so can the log."""
    waves = {"canary": {"orders": new_id()}, "rest": {"carts": new_id(), "broken": next(atlas.fails)}}
    outputs = [argument for suffix in ("json", "md", "html", "xml", "csv") for argument in ("--output", f"r.{suffix}")]
    done = online.run(
        "run",
        online.workflow(waves),
        "--yes",
        "--format",
        "json",
        "--log-level",
        "debug",
        "--log-file",
        "log",
        *outputs,
    )
    assert done.code == 1
    jsonschema.validate(done.report, REPORT)
    assert done.report["totals"] == {**dict.fromkeys(OUTCOMES, 0), "migrations": 3, "SUCCESS": 2, "FAILED": 1}
    kept = online.state_dir / "runs" / done.report["run_id"]
    assert {path.name for path in kept.iterdir()} == {"report.json", "report.md", "report.html"}
    assert json.loads((kept / "report.json").read_text()) == done.report
    assert json.loads((online.directory / "r.json").read_text()) == done.report
    assert ET.parse(online.directory / "r.xml").getroot().get("failures") == "1"  # noqa: S314 - our own file
    with (online.directory / "r.csv").open(newline="") as file:
        assert [row["outcome"] for row in csv.DictReader(file)] == ["SUCCESS", "SUCCESS", "FAILED"]
    for suffix in ("md", "html"):
        assert "broken" in (online.directory / f"r.{suffix}").read_text()
    check_log(done.log)
    assert [json.loads(line) for line in (online.directory / "log").read_text().splitlines()] == done.log
    again = online.run("report", done.report["run_id"], "--format", "json", "--output", "again.md")
    assert (again.code, again.err) == (0, "")
    assert again.report["migrations"] == done.report["migrations"]
    assert (online.directory / "again.md").read_text() == (kept / "report.md").read_text()


def check_log(log: list[dict[str, Any]]) -> None:
    """Each line has the contract's fields; the events of a run, of its waves and migrations are in order."""
    names = [entry["event"] for entry in log]
    assert set(names) <= EVENTS
    assert (names[0], names[-1]) == ("run_started", "run_finished")
    moments = [datetime.fromisoformat(entry["timestamp"]) for entry in log]
    assert all(moment.tzinfo is not None for moment in moments)
    for entry in log:
        wanted = ALWAYS | (OF_A_MIGRATION if "migration" in entry else set())
        assert wanted <= entry.keys(), entry
        assert entry["level"] == "debug" or entry["event"] not in ("status_polled", "cutover_admitted")
    for name in ("orders", "carts", "broken"):
        own = [entry["event"] for entry in log if entry.get("migration") == name]
        steps = ["gate_opened", "cutover_requested", "cutover_accepted", "status_changed", "migration_finished"]
        assert [event for event in own if event in steps] == steps
    waves = [(e["event"], e["wave"]) for e in log if e["event"] in ("wave_started", "wave_finished")]
    assert waves == [(event, wave) for wave in ("canary", "rest") for event in ("wave_started", "wave_finished")]


def test_log_formats(program: Program) -> None:
    """JSON where stderr is no terminal, lines for a person on request; the table is alone on stdout."""
    program.scenario()
    workflow = program.workflow({"one": {"orders": new_id()}})
    console = program.run("run", workflow, "--rehearse", "--log-format", "console")
    assert console.code == 0
    assert "cutover_requested" in console.err
    assert not console.err.startswith("{")
    assert console.out.startswith("REHEARSAL SUCCESS")
    assert not any(line.startswith("{") for line in console.out.splitlines())
    assert "\x1b" not in console.out + console.err


def test_output_that_vanishes_hides_nothing(program: Program) -> None:
    """A report that cannot be written after the run is a warning: summary and exit code stand."""
    program.scenario()
    (program.directory / "out").mkdir()
    hooks = {"after_success": [["rmdir", str(program.directory / "out")], ["touch", str(program.directory / "out")]]}
    workflow = program.workflow({"one": {"orders": new_id()}}, defaults={"hooks": hooks})
    done = program.run("run", workflow, "--rehearse", "--output", "out/r.md")
    assert done.code == 0
    assert "REHEARSAL SUCCESS" in done.out
    assert "warning: out/r.md: the report could not be written" in done.err


def test_failed_hooks_need_a_person(program: Program) -> None:
    """Though the cutover went well and the exit code is 0: nobody was told of it. Also in `status`."""
    program.scenario()
    hooks = {"after_success": [["sh", "-c", "exit 3"]]}
    more: dict[str, Any] = {"two": {"wave_hooks": {"after_success": [["false"]]}}}
    waves = {"one": {"orders": new_id(), "carts": new_id()}, "two": {"search": new_id()}}
    done = program.run("run", program.workflow(waves, defaults={"hooks": hooks}, **more), "--rehearse")
    assert done.code == 0
    run_id = done.log[0]["run_id"]
    for text in (done.out, program.run("status", run_id).out):
        person = text.partition("NEEDS YOU NOW\n")[2]
        assert re.search(
            r"^FAILED hook after_success of .*orders.*: exit code 3 \(sh -c exit 3\), since 20.* UTC$",
            person,
            re.MULTILINE,
        )
        assert "FAILED hook after_success of two: exit code 1 (false)" in person


def test_output_that_cannot_be_written_stops_no_other(program: Program) -> None:
    """The warning names it, and those named after it are there, after `run` as after `report`."""
    program.scenario()
    (program.directory / "out").mkdir()
    hooks = {"after_success": [["rmdir", str(program.directory / "out")], ["touch", str(program.directory / "out")]]}
    workflow = program.workflow({"one": {"orders": new_id()}}, defaults={"hooks": hooks})
    done = program.run("run", workflow, "--rehearse", "--output", "out/r.md", "--output", "r.csv")
    assert done.code == 0
    assert "report: r.csv" in done.out
    assert "report: out/r.md" not in done.out
    assert (program.directory / "r.csv").exists()


def test_status_of_runs_as_json(program: Program) -> None:
    """`status --format json` lists the runs; with an id, or the beginning of one, that run."""
    program.scenario()
    assert program.run("run", program.workflow({"one": {"orders": new_id()}}), "--rehearse").code == 0
    (row,) = json.loads(program.run("status", "--format", "json").out)
    assert (row["workflow"], row["rehearsal"], row["outcome"], row["running"]) == ("night", True, "SUCCESS", False)
    done = program.run("status", row["run_id"][:12], "--format", "json")
    assert done.report["run_id"] == row["run_id"]
