"""Metrics of a run as a file for node_exporter's textfile collector (extra `metrics`).

The file is replaced as a whole, so that the collector never reads half of it. The time of the last success stays in it
through later runs that fail: it is what an alert looks at.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import structlog

from ..core.errors import InputError
from ..core.events import Event, RunFinished, RunResumed, RunStarted
from ..core.migration import UNDER_WAY
from ..core.outcomes import Outcome, RunOutcome
from ..core.run import RunState
from ..core.times import cutover_seconds, downtime_seconds
from ..machine.aside import Aside
from ..machine.outlet import PATIENCE
from ..machine.own_files import replace_file
from ..machine.regular_files import SpecialFileError, open_regular

if TYPE_CHECKING:
    from prometheus_client.core import Metric

INTERVAL = 15.0
"""Seconds between two writes while a run is under way."""

BUCKETS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Upper bounds of the histogram of cutover durations, in seconds."""

READABLE = 0o644

_LAST_SUCCESS = "atlas_cutover_last_success_timestamp_seconds"
_LONGEST_FILE, _LONGEST_LINE = 1 << 20, 2000  # bytes, characters; what we write is far below both


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """One token bucket: *tokens* that may be spent now, of *capacity*."""

    tokens: float
    capacity: float


def require_metrics() -> None:
    """Make sure that the extra is installed.

    Raises:
        InputError: It is not.
    """
    try:
        import prometheus_client  # noqa: F401 - asked for to learn whether it is there
    except ImportError as error:
        raise InputError("metrics need prometheus-client: `pip install 'atlas-cutover[metrics]'`") from error


def write_metrics(path: Path, state: RunState, *, now: float, budget: Mapping[str, BudgetUse] | None = None) -> None:
    """Write the metrics of *state* to *path*, whole or not at all, readable for node_exporter whatever the umask.

    Args:
        path: The file; its name has to end in ``.prom`` for node_exporter to read it.
        state: The run.
        now: Unix seconds.
        budget: The token buckets by scope.

    Raises:
        InputError: The extra `metrics` is not installed.
        OSError: The file cannot be written.
    """
    require_metrics()
    _write(path, state.workflow.name, list(_families(state, now)), list(_budget(budget or {})), success=_success(state))


def _write(path: Path, workflow: str, of_run: list[Metric], of_budget: list[Metric], *, success: float | None) -> None:
    """Write what is known of a run of *workflow* to *path*; without a *success* of it, that which the file has."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    families = [*of_run, *_last_success(workflow, success or _previous_success(path, workflow)), *of_budget]

    class Snapshot(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from families

    registry = CollectorRegistry()
    registry.register(Snapshot())
    replace_file(path, generate_latest(registry), mode=READABLE)


class MetricsFile:
    """Keeps *path* up to date: events go to `sink`, `run` writes now and then. A failure is logged and hurts nothing.

    A thread writes, and nobody waits for it but `settle`, at the end: the file system may hang. What there was to write meanwhile is written
    with what comes next.

    Args:
        path: The file.
        wall: Unix seconds.
        budget: Asked for the token buckets before each write.

    Raises:
        InputError: The extra `metrics` is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        budget: Callable[[], Mapping[str, BudgetUse]] = dict,
    ) -> None:
        require_metrics()
        self._path = path
        self._wall = wall
        self._budget = budget
        self._state: RunState | None = None
        self._writing: Aside[None] | None = None
        self._left_out = False  # something was not written, as the thread was at work
        self._hangs = False  # that was told

    def sink(self, event: Event, state: RunState) -> None:
        """Take *event* in; the first and the last of a session are written at once."""
        self._state = state
        if isinstance(event, (RunStarted, RunResumed, RunFinished)):
            self.write()

    async def run(self) -> None:
        """Write every `INTERVAL` seconds, until cancelled."""
        while True:
            await anyio.sleep(INTERVAL)
            self.write()

    def write(self) -> None:
        """Write now, unless the file system has not taken yet what was written before."""
        state = self._state
        if state is None:
            return
        self._left_out = not self._has_ended(0.0)
        if self._left_out:
            return
        of_run, of_budget = list(_families(state, self._wall())), list(_budget(self._budget()))
        workflow, success = state.workflow.name, _success(state)
        self._writing = Aside(lambda: _write(self._path, workflow, of_run, of_budget, success=success))

    def settle(self, patience: float = PATIENCE) -> None:
        """Wait until the last that there was to write is written, at most *patience* seconds."""
        until = time.monotonic() + patience
        if self._has_ended(patience) and self._left_out:
            self.write()
            self._has_ended(until - time.monotonic())

    def _has_ended(self, patience: float) -> bool:
        """Whether nothing is being written, after *patience* seconds at most; what went wrong is told, and once that nothing does."""
        writing = self._writing
        if writing is None:
            return True
        ended = writing.wait(patience)
        if ended or not self._hangs:
            try:
                writing.result(0.0)
            except OSError as error:
                structlog.get_logger().warning("metrics_failed", file=str(self._path), error=error.strerror)
        self._hangs = not ended
        if ended:
            self._writing = None
        return ended


def _families(state: RunState, now: float) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    workflow = state.workflow.name
    info = GaugeMetricFamily(
        "atlas_cutover_run_info",
        "The run that these metrics are of.",
        labels=["workflow", "run_id", "version", "rehearsal"],
    )
    info.add_metric([workflow, state.run_id, state.version, "true" if state.rehearsal else "false"], 1)
    yield info

    totals = state.totals()
    migrations = GaugeMetricFamily(
        "atlas_cutover_migrations",
        "Selected live migrations by outcome, as if the run ended now.",
        labels=["workflow", "outcome"],
    )
    for outcome in Outcome:
        migrations.add_metric([workflow, str(outcome)], totals[outcome])
    yield migrations

    under_way = sum(1 for name in state.selected if state.migrations[name].phase in UNDER_WAY)
    yield _gauge("atlas_cutover_migrations_under_way", "Cutovers requested and not yet final.", workflow, under_way)
    rows = [
        (migration, state.migrations[migration.name])
        for _, migration in state.rows()
        if migration.name in state.selected
    ]
    yield _histogram(
        "atlas_cutover_duration_seconds",
        "Seconds from the PUT to the final status.",
        state,
        (cutover_seconds(known) for _, known in rows),
    )
    yield _histogram(
        "atlas_cutover_downtime_seconds",
        "Seconds for which an application stood still: from the first before hook to the last verify and after_success hook.",
        state,
        (downtime_seconds(known, migration.hooks) for migration, known in rows),
    )

    statistics = state.request_statistics()
    requests = CounterMetricFamily(
        "atlas_cutover_requests",
        "Requests sent to Atlas by HTTP status; error: no answer.",
        labels=["workflow", "status"],
    )
    for status, number in statistics["by_status"].items():
        requests.add_metric([workflow, str(status)], number)
    yield requests
    retries = CounterMetricFamily("atlas_cutover_request_retries", "Reads that were sent again.", labels=["workflow"])
    retries.add_metric([workflow], statistics["retries"])
    yield retries

    active = state.started_at is not None and state.finished_at is None
    yield _gauge("atlas_cutover_run_active", "1 while a session of the run is under way.", workflow, int(active))
    yield _gauge("atlas_cutover_written_timestamp_seconds", "When this file was written.", workflow, now)
    if state.started_at is not None:
        yield _gauge("atlas_cutover_run_start_timestamp_seconds", "When the run began.", workflow, state.started_at)
    if state.finished_at is not None:
        yield _gauge(
            "atlas_cutover_run_end_timestamp_seconds", "When its last session ended.", workflow, state.finished_at
        )
    if state.recorded_exit_code is not None:
        code = state.recorded_exit_code
        yield _gauge("atlas_cutover_exit_code", "The exit code of its last session.", workflow, code)


def _last_success(workflow: str, at: float | None) -> Iterator[Metric]:
    if at is not None:
        yield _gauge(_LAST_SUCCESS, "When a run of the workflow last ended in SUCCESS; no rehearsal.", workflow, at)


def _histogram(name: str, help_text: str, state: RunState, all_seconds: Iterable[float | None]) -> Metric:
    """Of the migrations of which the seconds are known."""
    from prometheus_client.core import HistogramMetricFamily

    numbers, total = [0] * (len(BUCKETS) + 1), 0.0
    for seconds in all_seconds:
        if seconds is not None:
            numbers[bisect_left(BUCKETS, seconds)] += 1
            total += seconds
    bounds = [*map(str, BUCKETS), "+Inf"]
    family = HistogramMetricFamily(name, help_text, labels=["workflow"])
    buckets = [(bound, float(number)) for bound, number in zip(bounds, accumulate(numbers), strict=True)]
    family.add_metric([state.workflow.name], buckets=buckets, sum_value=total)
    return family


def _budget(budget: Mapping[str, BudgetUse]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    if not budget:
        return
    tokens = GaugeMetricFamily("atlas_cutover_budget_tokens", "Requests that may be sent now.", labels=["scope"])
    capacity = GaugeMetricFamily("atlas_cutover_budget_capacity", "Requests in a full bucket.", labels=["scope"])
    for scope, use in budget.items():
        tokens.add_metric([scope], use.tokens)
        capacity.add_metric([scope], use.capacity)
    yield tokens
    yield capacity


def _gauge(name: str, help_text: str, workflow: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, help_text, labels=["workflow"])
    family.add_metric([workflow], value)
    return family


def _success(state: RunState) -> float | None:
    if state.rehearsal or state.finished_at is None or state.outcome() is not RunOutcome.SUCCESS:
        return None
    return state.finished_at


def _previous_success(path: Path, workflow: str) -> float | None:
    """When the workflow last succeeded, as the file that is about to be replaced says."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with open_regular(path) as file:
            lines = file.read(_LONGEST_FILE).decode(errors="replace").splitlines()
        # It may be anybody's file, and what it says of other things, at any length, is nobody's business here.
        own = [line for line in lines if line.startswith(_LAST_SUCCESS) and len(line) <= _LONGEST_LINE]
        families = list(text_string_to_metric_families("\n".join(own)))
    except (FileNotFoundError, SpecialFileError, ValueError):
        return None  # none yet, or no file of ours: it is replaced
    samples = (sample for family in families for sample in family.samples)
    found = [s.value for s in samples if s.name == _LAST_SUCCESS and s.labels.get("workflow") == workflow]
    return found[0] if found else None
