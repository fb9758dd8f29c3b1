from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.errors import InputError
from orchestrator.core.workflow import Workflow
from orchestrator.files.workflow_file import load_workflow
from orchestrator.simulator import Scenario, load_scenario
from orchestrator.simulator.bucket import RateLimit, Refill
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.jobs import NEVER, JobStatus
from orchestrator.simulator.organisations import Organisation
from orchestrator.simulator.scenario import Api, Documents, Fault, FaultKind, Garbage, Kind, Range
from orchestrator.simulator.tokens import TokenRules

EVERYTHING = """\
seed: 7
jobs: {ready_after: 0s..3s, cutover: never, initial_lag: 1m, ready_lag: 2s, expires_after: 2h, ends: COMPLETE}
rate_limit: {capacity: 10, refill: 5, per: 60s, mode: interval, headers: off}
nonce: {uses: 50, seconds: off, qop: false}
documents: older
special:
  billing: {ends: FAILED, error_message: "disk full", cutover: 5s}
  legacy: {status: EXPIRED}
unknown_jobs: create
repeat_puts: process
faults:
  - {on: cutover, kind: lost_after, migration: orders, times: 1}
  - {on: any, kind: too_many_requests, share: 0.25, retry_after: 1s, after: 5s, until: 10s}
  - {on: read, kind: garbage, body: cut}
  - {on: read, kind: status}
  - {on: cutover, kind: hang_after, delay: 1m}
  - {on: read, kind: stale, age: 20s}
  - {on: token, kind: status, status: 500}
tokens: {life: 30s, most: 3, per_minute: off}
organisations:
  - {client_id: mdb_sa_id_1, client_secret: s, projects: [7e68e12770616e75e6df43d0]}
  - {public_key: abcdefgh, private_key: p, projects: []}
"""

WRONG = """\
sed: 7
jobs: {cutover: 20s..5s, ends: EXPIRED}
rate_limit: {capacity: 0, mode: sometimes}
special: {bilings: {status: WORKING}, orders: failed}
unknown_jobs: maybe
faults:
  - {on: cutover, kind: lost_after, migration: oders, share: 1.5}
  - {kind: explode, times: 0}
  - {on: read, kind: slow}
  - {on: read, kind: status, status: 200, body: cut}
  - nonsense
  - {on: read, kind: stale}
  - {on: any, kind: stale, age: 5s}
"""

WRONG_ORGANISATIONS = """\
tokens: {lives: 1h, most: 0}
organisations:
  - {client_id: a, projects: [x]}
  - {projects: all}
"""


def write(directory: Path, text: str) -> Path:
    """A scenario file with *text*."""
    path = directory / "scenario.yaml"
    path.write_text(text)
    return path


def test_every_key_finds_its_place(tmp_path: Path, workflow: Workflow) -> None:
    """The whole format, read to facts."""
    scenario = load_scenario(write(tmp_path, EVERYTHING), workflow=workflow)
    assert (scenario.seed, scenario.unknown_jobs, scenario.repeat_puts) == (7, True, True)
    assert scenario.jobs.ready_after == Range(low=0.0, high=3.0)
    assert scenario.jobs.cutover == Range(low=NEVER, high=NEVER)
    assert (scenario.jobs.initial_lag.low, scenario.jobs.expires_after) == (60.0, 7200.0)
    assert scenario.rate_limit == RateLimit(capacity=10, refill=5, per=60.0, mode=Refill.INTERVAL, headers=False)
    assert scenario.nonce == NonceRules(uses=50, seconds=None, qop=False)
    assert scenario.tokens == TokenRules(life=30.0, most=3, per_minute=None)
    assert scenario.organisations == (
        Organisation(account=("mdb_sa_id_1", "s"), projects=frozenset({"7e68e12770616e75e6df43d0"})),
        Organisation(keys=("abcdefgh", "p"), projects=frozenset()),
    )
    assert scenario.documents is Documents.OLDER
    assert scenario.special["billing"].ends is JobStatus.FAILED
    assert scenario.special["legacy"].status is JobStatus.EXPIRED
    assert scenario.faults == (
        Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_AFTER, migration="orders", times=1),
        Fault(on=None, kind=FaultKind.TOO_MANY_REQUESTS, share=0.25, retry_after=1.0, after=5.0, until=10.0),
        Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=Garbage.CUT),
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=503),
        Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, delay=60.0),
        Fault(on=Kind.READ, kind=FaultKind.STALE, age=20.0),
        Fault(on=Kind.TOKEN, kind=FaultKind.STATUS, status=500),
    )


def test_an_empty_file_is_a_calm_night(tmp_path: Path) -> None:
    """Every key is optional; without a limit each API has its own."""
    scenario = load_scenario(write(tmp_path, ""))
    assert scenario == Scenario()
    limits = [scenario.limit(api) for api in (Api.V2, Api.V1)]
    assert [limit and (limit.capacity, limit.refill, limit.per) for limit in limits] == [
        (1200, 500, 60),
        (100, 100, 60),
    ]
    assert load_scenario(write(tmp_path, "rate_limit: off\n")).limit(Api.V2) is None


def test_every_mistake_is_reported_with_its_line_and_key(tmp_path: Path, workflow: Workflow) -> None:
    """All at once, as `file:line: key: what is wrong`."""
    path = write(tmp_path, WRONG)
    with pytest.raises(InputError) as caught:
        load_scenario(path, workflow=workflow)
    found = {(problem.line, problem.key): problem.message for problem in caught.value.problems}
    assert found.keys() == {
        (1, "sed"),
        (2, "jobs.cutover"),
        (2, "jobs.ends"),
        (3, "rate_limit.capacity"),
        (3, "rate_limit.mode"),
        (3, "rate_limit.refill"),
        (3, "rate_limit.per"),
        (4, "special.bilings"),
        (4, "special.bilings.status"),
        (4, "special.orders"),
        (5, "unknown_jobs"),
        (7, "faults[0].migration"),
        (7, "faults[0].share"),
        (8, "faults[1].kind"),
        (8, "faults[1].on"),
        (8, "faults[1].times"),
        (9, "faults[2]"),
        (10, "faults[3].status"),
        (10, "faults[3].body"),
        (11, "faults[4]"),
        (12, "faults[5]"),
        (13, "faults[6]"),
    }
    assert "did you mean 'seed'?" in found[1, "sed"]
    assert "did you mean 'orders'?" in found[7, "faults[0].migration"]
    assert str(caught.value).startswith(f"{path}:1: sed: ")


def test_the_example_scenario_fits_its_workflow() -> None:
    """Exactly one migration fails, in a middle wave, and every job can pass its gate."""
    workflows = Path(__file__).parents[2] / "workflows"
    workflow = load_workflow(workflows / "example.yaml")
    scenario = load_scenario(workflows / "example.scenario.yaml", workflow=workflow)
    failing = []
    for wave, migration in workflow.migrations():
        plan = scenario.plan(migration.live_migration_id, migration.name)
        if plan.ends is JobStatus.FAILED:
            failing.append(wave)
        assert migration.gate is None or migration.gate.max_lag >= plan.lag_ready
    assert len(failing) == 1
    assert failing[0] in workflow.waves[1:-1]


def test_what_is_wrong_with_organisations_and_tokens_is_told(tmp_path: Path) -> None:
    """Each with its key."""
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, WRONG_ORGANISATIONS))
    assert [problem.key for problem in caught.value.problems] == [
        "tokens.lives",
        "tokens.most",
        "organisations[0]",
        "organisations[0].projects[0]",
        "organisations[1]",
        "organisations[1].projects",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jobs: {cutover: [5s]}", "jobs.cutover: expected a duration, a range such as 5s..20s, or never, not a list"),
        ("jobs: {ready_in_cutover: perhaps}", "jobs.ready_in_cutover: expected true or false, not 'perhaps'"),
        ("nonce: {uses: 0}", "nonce.uses: expected a whole number of at least 1, not '0'"),
        ("seed:", "seed: expected a single value, not nothing"),
        ("faults: {on: read}", "faults: expected a list, not a mapping"),
        ("faults: [{on: read, kind: garbage, body: json}]", "faults[0].body: expected one of invalid_json, truncated"),
        ("special: {orders: {ready_in_cutover: on}}", "special.orders.ready_in_cutover: unknown key; did you mean 'ready_after'?"),
        ("rate_limit: fast", "rate_limit: expected off, or a mapping such as {capacity: 1200, refill: 500, per: 60s}, not 'fast'"),
        ("- seed", "expected a mapping, not a list"),
        ("seed: 1\nseed: 2", "seed: "),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_is_told_as_in_a_workflow(tmp_path: Path, text: str, message: str) -> None:
    """What was expected, and what is there."""
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{path}:{problem.line}: {message}")


@pytest.mark.parametrize("text", ["jobs:", "faults:\nspecial:", "rate_limit:", "special: {orders: }", "latency: off"])
def test_an_empty_key_says_nothing(tmp_path: Path, text: str) -> None:
    """So a file may hold the keys that will be filled in later."""
    scenario = load_scenario(write(tmp_path, text))
    assert (scenario.jobs, scenario.faults, scenario.latency, scenario.rate_limit) == (Scenario().jobs, (), None, None)
