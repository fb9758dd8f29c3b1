from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.events import HookFinished, RunResumed
from orchestrator.core.history import nearest_rank
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.window import AbsoluteWindow, RecurringWindow
from orchestrator.reports.formats.json_ import document, render_json
from orchestrator.reports.model import HookReport, MigrationReport, RunReport, WaveReport, WindowReport, build
from orchestrator.reports.percentiles import Statistics, statistics_of

from .conftest import RUN_ID, START, Ending, MakeReport, MakeState

CONTRACT_KEYS = [
    "schema_version", "run_id", "workflow", "workflow_sha256", "base_url", "rehearsal", "started_at", "finished_at",
    "duration_seconds", "outcome", "exit_code", "totals", "migrations", "requests",
]  # fmt: skip
CONTRACT_MIGRATION_KEYS = [
    "name", "wave", "group_id", "live_migration_id", "outcome", "remote_status", "error_message", "requested_at",
    "accepted_at", "finished_at", "cutover_seconds", "cutover_requests", "polls",
]  # fmt: skip


def test_json_has_every_field_of_the_contract(report_of: MakeReport) -> None:
    """Nothing of schema version 1 lacks, and totals name every outcome."""
    read = json.loads(render_json(report_of({"canary": {"orders": Ending()}})))
    assert set(CONTRACT_KEYS) <= set(read)
    assert set(CONTRACT_MIGRATION_KEYS) <= set(read["migrations"][0])
    assert read["schema_version"] == 1
    assert read["run_id"] == RUN_ID
    assert read["totals"] == {"migrations": 1, **{str(o): int(o is Outcome.SUCCESS) for o in Outcome}}
    assert read["requests"] == {"total": 17, "by_status": {"200": 12, "202": 3, "401": 1, "429": 1}, "retries": 1}


def test_cutover_seconds_run_from_the_put_to_the_end(report_of: MakeReport) -> None:
    """The application is down from the request until the final state is seen."""
    report = report_of({"canary": {"orders": Ending(seconds=8.1)}})
    (orders,) = report.migrations
    assert orders.cutover_seconds == 8.1
    assert (orders.outcome, orders.remote_status) == (Outcome.SUCCESS, "COMPLETE")
    assert (orders.cutover_requests, orders.polls) == (1, 4)
    assert report.statistics.total == 8.1


def test_migrations_stand_in_workflow_order(report_of: MakeReport) -> None:
    """Neither the name nor the time of the end changes the order."""
    report = report_of({"b": {"z": Ending(seconds=9), "a": Ending(seconds=1)}, "a": {"m": Ending()}})
    assert [m.name for m in report.migrations] == ["z", "a", "m"]
    assert [wave.name for wave in report.waves] == ["b", "a"]


def test_what_had_no_put_has_no_cutover_time(report_of: MakeReport) -> None:
    """NOT_STARTED has no times, and says why."""
    report = report_of({"w": {"late": Ending(Outcome.NOT_STARTED)}}, stopped="the window closed")
    (late,) = report.migrations
    assert late.cutover_seconds is None
    assert late.error_message == "the window closed"
    assert report.exit_code == ExitCode.INCOMPLETE
    assert report.unfinished


def test_percentiles_leave_out_what_atlas_refused(report_of: MakeReport) -> None:
    """A PUT that was refused at once is no short cutover."""
    report = report_of({"w": {"a": Ending(seconds=10), "b": Ending(Outcome.FAILED, "409 Conflict", seconds=0)}})
    assert report.migrations[1].cutover_seconds is None
    assert report.statistics.count == 1
    assert report.statistics.p50 == 10


def test_the_most_urgent_come_first_and_alike_ones_together(report_of: MakeReport) -> None:
    """In doubt before timed out before failed before under way before not started; one entry for one message."""
    report = report_of(
        {
            "w": {
                "n": Ending(Outcome.NOT_STARTED),
                "f1": Ending(Outcome.FAILED, "same"),
                "t": Ending(Outcome.TIMED_OUT, "slow"),
                "f2": Ending(Outcome.FAILED, "same"),
                "d": Ending(Outcome.IN_DOUBT, "lost"),
                "u": Ending(Outcome.UNDER_WAY),
                "ok": Ending(),
            }
        }
    )
    assert [[m.name for m in p.migrations] for p in report.problems()] == [["d"], ["u"], ["t"], ["f1", "f2"], ["n"]]
    assert [(need.kind, need.count) for need in report.needs] == [
        ("IN_DOUBT", 1),
        ("UNDER_WAY", 1),
        ("TIMED_OUT", 1),
        ("FAILED", 2),
    ]
    others = [(title, [p.outcome for p in found]) for title, found in report.other_problems()]
    assert others == [("Not started", [Outcome.NOT_STARTED])]


def test_a_given_exit_code_goes_before_the_recorded_one(state_of: MakeState) -> None:
    """The process knows that a signal ended it; later, the record does."""
    state = state_of({"w": {"a": Ending()}}, exit_code=ExitCode.SIGTERM)
    assert build(state, now=START).exit_code == 143
    assert build(state, now=START, exit_code=ExitCode.SIGINT).exit_code == 130


def test_a_run_under_way_has_no_end_and_lasts_until_now(state_of: MakeState) -> None:
    """*now* stands in for the end."""
    report = build(state_of({"w": {"a": Ending()}}, finished=False), now=START + 60)
    assert report.finished_at is None
    assert report.duration_seconds == 60


def test_selected_migrations_alone_are_reported(state_of: MakeState) -> None:
    """After a continuation with `--only`, the others are of no concern."""
    state = state_of({"w": {"a": Ending(), "b": Ending()}, "x": {"c": Ending()}})
    state.apply(RunResumed(at=START + 100, selected=("b",), retry_failed=False, who="ops", settle=4))
    report = build(state, now=START + 200)
    assert [m.name for m in report.migrations] == ["b"]
    assert [wave.name for wave in report.waves] == ["w"]
    assert report.sessions == 2


def test_output_of_hooks_is_bounded(report_of: MakeReport) -> None:
    """A failed hook keeps more of its output than a good one, and always the end."""
    output = "x" * 9000 + "the end"
    hooks = tuple(
        HookFinished(at=START + 1, hook="before", argv=("./h",), exit_code=code, seconds=1.0, output=output)
        for code in (0, 1)
    )
    good, bad = report_of({"w": {"a": Ending()}}, hooks=hooks).hooks
    assert len(good.output) == 400
    assert len(bad.output) == 4000
    assert good.output.endswith("the end")
    assert report_of({"w": {"a": Ending()}}, hooks=hooks).failed_hooks() == [bad]


@pytest.mark.parametrize(
    ("window", "rule", "opens"),
    [
        (
            AbsoluteWindow(opens=START, closes=START + 3600),
            "2026-11-28 00:00:00 to 01:00:00 UTC",
            ["2026-11-28T00:00:00.000Z"],
        ),
        (
            RecurringWindow(start="01:00", end="04:00", days=("sat", "sun"), timezone="Europe/Berlin"),
            "sat, sun 01:00 to 04:00 Europe/Berlin",
            ["2026-11-28T00:00:00.000Z"],
        ),
        (AbsoluteWindow(opens=START - 9, closes=START - 1), "2026-11-27 23:59:51 to 23:59:59 UTC", []),
    ],
)
def test_openings_of_the_window_during_the_run(
    window: AbsoluteWindow | RecurringWindow, rule: str, opens: list[str], report_of: MakeReport
) -> None:
    """The rule is there in words, and the openings as times."""
    found = report_of({"w": {"a": Ending()}}, window=window).window
    assert found is not None
    assert found.rule == rule
    assert [opening.opens for opening in found.openings] == opens


def test_lone_surrogates_of_atlas_break_no_file(report_of: MakeReport) -> None:
    """JSON may hold half a character; UTF-8 may not."""
    report = report_of({"w": {"a": Ending(Outcome.FAILED, "half \ud83d a face")}})
    assert json.loads(render_json(report).encode())["migrations"][0]["error_message"] == "half ? a face"


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1), st.floats(min_value=0.01, max_value=1))
def test_nearest_rank_is_a_value_that_the_share_does_not_exceed(values: list[float], share: float) -> None:
    """At least *share* of the values are at most the percentile, and it is one of them."""
    found = nearest_rank(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_statistics_of_nothing() -> None:
    """There is no percentile of nothing, and no downtime."""
    none = statistics_of([])
    assert (none.count, none.p50, none.max, none.total) == (0, None, None, 0)


def test_document_is_plain_json_data(report_of: MakeReport) -> None:
    """What `document` gives survives JSON unchanged, but for tuples."""
    data = document(report_of({"w": {"a": Ending(Outcome.FAILED, "ü")}}, rehearsal=True))
    assert json.loads(json.dumps(data)) == json.loads(json.dumps(data, default=str))
    assert data["rehearsal"] is True


@pytest.mark.parametrize("kind", [RunReport, MigrationReport, WaveReport, HookReport, WindowReport, Statistics])
def test_every_field_is_documented(kind: type) -> None:
    """`docs/report.md` names each of them."""
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(kind) if f"`{field.name}`" not in page] == []
