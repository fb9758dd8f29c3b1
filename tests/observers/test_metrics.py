from __future__ import annotations

import io
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.errors import InputError
from orchestrator.core.events import CutoverRequested, HookFinished, MigrationFinished, RunFinished
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import RunState
from orchestrator.core.workflow import Hooks
from orchestrator.machine.own_files import replace_file
from orchestrator.observers import metrics
from orchestrator.observers.log.sink import configure_logging
from orchestrator.observers.metrics import BudgetUse, MetricsFile, write_metrics

from .examples import AT, WORKFLOW, running, started

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
ENDED = RunFinished(
    at=AT + 100,
    outcome=RunOutcome.SUCCESS,
    exit_code=0,
    unfinished=False,
    requests={"total": 21, "by_status": {"200": 12, "202": 9}, "retries": 2},
)


def ended(*, failing: bool = False, rehearsal: bool = False) -> RunState:
    """A run whose cutovers took 1, 2, 3 … seconds; the last one fails when *failing*."""
    state = running(rehearsal=rehearsal)
    names = [migration.name for _, migration in state.workflow.migrations()]
    for seconds, name in enumerate(names, 1):
        outcome = Outcome.FAILED if failing and name == names[-1] else Outcome.SUCCESS
        state.apply(CutoverRequested(at=AT, migration=name))
        state.apply(MigrationFinished(at=AT + seconds, migration=name, outcome=outcome, status="COMPLETE"))
    state.apply(replace(ENDED, exit_code=1 if failing else 0))
    return state


def read(path: Path) -> Samples:
    """The samples in *path*, by name and labels other than the workflow's."""
    found: Samples = {}
    for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key != "workflow"}
            assert sample.labels.get("workflow", "retail-eu") == "retail-eu"
            found[sample.name, tuple(sorted(labels.items()))] = sample.value
    return found


def test_the_metrics_of_a_finished_run(tmp_path: Path) -> None:
    """Outcomes, durations, requests, budget and times, as prometheus's own parser reads them."""
    path = tmp_path / "cutover.prom"
    budget = {"g1": BudgetUse(tokens=480.5, capacity=1200)}
    write_metrics(path, ended(), now=AT + 101, budget=budget)
    samples = read(path)
    info = (("rehearsal", "false"), ("run_id", "20261128-010000-3f9a1c"), ("version", "0.1.0"))
    assert samples["atlas_cutover_run_info", info] == 1
    outcomes = {word: samples["atlas_cutover_migrations", (("outcome", word),)] for word in Outcome}
    assert outcomes == {"SUCCESS": 9, "FAILED": 0, "UNVERIFIED": 0, "TIMED_OUT": 0} | {
        "NOT_STARTED": 0,
        "IN_DOUBT": 0,
        "UNDER_WAY": 0,
    }
    assert samples["atlas_cutover_duration_seconds_count", ()] == 9
    assert samples["atlas_cutover_duration_seconds_sum", ()] == 45
    buckets = {le: samples["atlas_cutover_duration_seconds_bucket", (("le", le),)] for le in ("1.0", "5.0", "+Inf")}
    assert buckets == {"1.0": 1, "5.0": 5, "+Inf": 9}
    assert samples["atlas_cutover_downtime_seconds_count", ()] == 9
    assert samples["atlas_cutover_downtime_seconds_sum", ()] == 45
    assert samples["atlas_cutover_requests_total", (("status", "202"),)] == 9
    assert samples["atlas_cutover_request_retries_total", ()] == 2
    assert samples["atlas_cutover_budget_tokens", (("scope", "g1"),)] == 480.5
    assert samples["atlas_cutover_budget_capacity", (("scope", "g1"),)] == 1200
    assert samples["atlas_cutover_run_start_timestamp_seconds", ()] == AT
    assert samples["atlas_cutover_run_end_timestamp_seconds", ()] == AT + 100
    assert samples["atlas_cutover_last_success_timestamp_seconds", ()] == AT + 100
    assert samples["atlas_cutover_written_timestamp_seconds", ()] == AT + 101
    assert samples["atlas_cutover_exit_code", ()] == 0
    assert samples["atlas_cutover_run_active", ()] == 0
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_under_way_is_active_and_has_no_end(tmp_path: Path) -> None:
    """Nor a success."""
    state = running()
    state.apply(CutoverRequested(at=AT, migration="orders"))
    write_metrics(tmp_path / "m.prom", state, now=AT)
    samples = read(tmp_path / "m.prom")
    assert samples["atlas_cutover_run_active", ()] == 1
    assert samples["atlas_cutover_migrations_under_way", ()] == 1
    assert not {name for name, _ in samples} & {
        "atlas_cutover_run_end_timestamp_seconds",
        "atlas_cutover_exit_code",
        "atlas_cutover_last_success_timestamp_seconds",
    }


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_stands_in_the_place_of_the_textfile_is_refused_unread(tmp_path: Path, kind: str) -> None:
    """A pipe would be waited for, and a device has no end: others may write where node_exporter reads. It stays as it is."""
    path = tmp_path / "x.prom"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="no regular file"):
        write_metrics(path, ended(failing=True), now=AT + 101, budget={})
    assert path.is_fifo() if kind == "pipe" else path.is_symlink()


def test_the_last_success_outlives_later_failures_and_rehearsals(tmp_path: Path) -> None:
    """It is what an alert looks at; a rehearsal is no success."""
    path = tmp_path / "m.prom"
    last = ("atlas_cutover_last_success_timestamp_seconds", ())
    write_metrics(path, ended(rehearsal=True), now=AT)
    assert last not in read(path)
    write_metrics(path, ended(), now=AT)
    for state in (ended(failing=True), running(), ended(rehearsal=True)):
        write_metrics(path, state, now=AT)
        assert read(path)[last] == AT + 100


@pytest.mark.parametrize("content", [b"no metrics {{{\n", b"\xff\xfe", b""])
def test_a_file_that_holds_something_else_is_replaced(tmp_path: Path, content: bytes) -> None:
    """It does not stop the metrics for ever."""
    path = tmp_path / "m.prom"
    path.write_bytes(content)
    write_metrics(path, ended(), now=AT)
    assert read(path)


@pytest.mark.timeout(60)  # the labels of one long line are read in the square of its length
@pytest.mark.parametrize("name", ["a", "atlas_cutover_last_success_timestamp_seconds"])
def test_what_somebody_else_puts_there_holds_nobody_up(tmp_path: Path, name: str) -> None:
    """The collector's directory may be open to others; the last success is looked for in lines of ours alone."""
    path = tmp_path / "m.prom"
    labels = ",".join(f'a{number}="b"' for number in range(200_000))
    path.write_text(f"{name}{{{labels}}} 1\n", encoding="utf-8")
    write_metrics(path, ended(), now=AT)
    assert read(path)


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the run begins."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(InputError, match=r"pip install 'atlas-cutover\[metrics\]'"):
        MetricsFile(tmp_path / "m.prom")


def test_a_directory_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    """The run goes on."""
    stream = io.StringIO()
    with configure_logging(level="info", format="json", file=None, secrets=[], stream=stream):
        file = MetricsFile(tmp_path / "no" / "m.prom")
        file.sink(started(), running())
        file.settle()
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["event"], entry["error"]) == (
        "warning",
        "metrics_failed",
        "No such file or directory",
    )


@pytest.mark.anyio
async def test_the_file_is_written_at_the_beginning_meanwhile_and_at_the_end(
    tmp_path: Path, virtual_time: object
) -> None:
    """So that the collector always finds how things stand."""
    path = tmp_path / "m.prom"
    times = [AT]
    file = MetricsFile(path, wall=lambda: times[0], budget=lambda: {"g": BudgetUse(tokens=1, capacity=2)})
    state = running()
    file.sink(started(), state)
    file.settle()
    written = ("atlas_cutover_written_timestamp_seconds", ())
    assert read(path)[written] == AT
    times[0] = AT + 15
    with anyio.move_on_after(16):
        await file.run()
    file.settle()
    assert read(path)[written] == AT + 15
    times[0] = AT + 20
    state.apply(ENDED)
    file.sink(ENDED, state)
    file.settle()
    assert read(path)[written] == AT + 20


@pytest.mark.anyio
async def test_a_file_system_that_hangs_holds_no_run_up_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, virtual_time: object
) -> None:
    """Neither the first write nor those after it, nor the end for longer than it is patient; what comes next is written once it answers."""
    answers, asked = threading.Event(), []

    def hangs(path: Path, data: bytes, *, mode: int | None) -> None:
        asked.append(path)
        assert answers.wait(60)
        replace_file(path, data, mode=mode)

    monkeypatch.setattr(metrics, "replace_file", hangs)
    path, state, stream = tmp_path / "m.prom", running(), io.StringIO()
    times = [AT]
    with configure_logging(level="info", format="json", file=None, secrets=[], stream=stream):
        file = MetricsFile(path, wall=lambda: times[0])
        file.sink(started(), state)
        with anyio.move_on_after(61):
            await file.run()
        state.apply(ENDED)
        times[0] = AT + 70
        file.sink(ENDED, state)
        file.settle(patience=0.05)
        assert not path.exists()
        answers.set()
        file.settle()
    assert read(path)["atlas_cutover_written_timestamp_seconds", ()] == AT + 70
    assert len(asked) == 2
    (entry,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (entry["event"], entry["error"].split(";")[0]) == ("metrics_failed", "the file system does not answer")


def test_downtime_begins_with_the_first_hook_and_ends_with_the_last(tmp_path: Path) -> None:
    """The cutover took 5 s, and its application stood still for 17 s."""
    hooks = Hooks(before=(("stop",),), after_success=(("start",),))
    (canary, *_) = WORKFLOW.waves
    orders = replace(canary.migrations[0], hooks=hooks)
    state = running(replace(WORKFLOW, waves=(replace(canary, migrations=(orders,)),)))

    def hook_ends(name: str, at: float, seconds: float) -> HookFinished:
        return HookFinished(
            at=at, hook=name, argv=("x",), exit_code=0, seconds=seconds, wave="canary", migration="orders"
        )

    state.apply(hook_ends("before", AT + 10, 10))
    state.apply(CutoverRequested(at=AT + 11, migration="orders"))
    state.apply(MigrationFinished(at=AT + 16, migration="orders", outcome=Outcome.SUCCESS, status="COMPLETE"))
    write_metrics(tmp_path / "before.prom", state, now=AT + 16)
    state.apply(hook_ends("after_success", AT + 17, 1))
    write_metrics(tmp_path / "after.prom", state, now=AT + 17)
    assert read(tmp_path / "before.prom")["atlas_cutover_downtime_seconds_count", ()] == 0
    after = read(tmp_path / "after.prom")
    assert after["atlas_cutover_downtime_seconds_sum", ()] == 17
    assert after["atlas_cutover_duration_seconds_sum", ()] == 5
