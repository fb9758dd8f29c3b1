from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.simulator.jobs import FINAL, NEVER, Job, JobPlan, JobStatus, Refusal, view
from orchestrator.simulator.scenario import JobRules, Range, Scenario, Special

PLAN = JobPlan(ready_after=100.0, lag_start=60.0, lag_ready=2.0, cutover_seconds=10.0, expires_after=1000.0)


def make_job(plan: JobPlan) -> Job:
    """A job that fares by *plan*."""
    return Job(name="orders", group_id="b" * 24, live_migration_id="a" * 24, plan=plan)


def test_a_job_is_new_then_works_with_a_falling_lag_then_is_ready() -> None:
    """Without a cutover the states come in the order that Atlas documents."""
    states = [view(PLAN, age, None) for age in (0.0, 20.0, 60.0, 99.9, 100.0, 1099.9, 1100.0)]
    assert [state.status for state in states] == ["NEW", *["WORKING"] * 5, "EXPIRED"]
    assert [state.ready for state in states] == [False, False, False, False, True, True, False]
    assert [state.lag for state in states] == [None, 49, 26, 3, 2, 2, None]


def test_the_lag_is_gone_from_the_cutover_on() -> None:
    """`lagTimeSeconds` is only returned before the cutover phase."""
    job = make_job(PLAN)
    assert job.cutover(150.0) is None
    assert (job.view(150.0).status, job.view(150.0).ready, job.view(150.0).lag) == ("WORKING", False, None)
    assert job.view(159.9).status is JobStatus.WORKING
    assert job.view(160.0).status is JobStatus.COMPLETE
    assert job.final_at(159.9) is None
    assert job.final_at(170.0) == 160.0


def test_a_cutover_is_refused_before_ready_during_a_cutover_and_after_the_end() -> None:
    """Only a job that is ready can be cut over, and only once."""
    job = make_job(PLAN)
    refusals = [job.cutover(now) for now in (0.0, 99.0, 100.0, 105.0, 110.0)]
    assert refusals == [Refusal.NOT_READY, Refusal.NOT_READY, None, Refusal.UNDER_WAY, Refusal.OVER]
    assert (job.puts_processed, job.puts_refused) == (1, 4)


def test_a_repeated_cutover_is_counted_where_the_scenario_processes_it() -> None:
    """`repeat` shows a second PUT in the record and leaves the first one's course alone."""
    job = make_job(PLAN)
    assert [job.cutover(now, repeat=True) for now in (100.0, 105.0, 200.0)] == [None, None, None]
    assert job.puts_processed == 3
    assert job.final_at(300.0) == 110.0


def test_a_fixed_status_stands_from_the_start() -> None:
    """A job that was over before the run accepts no cutover."""
    job = make_job(JobPlan(fixed=JobStatus.EXPIRED))
    assert job.view(0.0).status is JobStatus.EXPIRED
    assert job.cutover(0.0) is Refusal.OVER
    assert job.final_at(0.0) == 0.0


def test_never_is_a_time_too() -> None:
    """A job that is never ready keeps its lag, one whose cutover never ends keeps working."""
    assert view(JobPlan(ready_after=NEVER), 1e9, None).lag in (None, 60)
    assert view(JobPlan(cutover_seconds=NEVER), 1e9, 1e9).status is JobStatus.WORKING


def test_the_same_seed_plans_the_same_job() -> None:
    """A plan depends on seed and id alone, not on the other jobs."""
    scenario = Scenario(seed=7)
    assert scenario.plan("a" * 24) == scenario.plan("a" * 24, "orders")
    assert scenario.plan("a" * 24) != scenario.plan("b" * 24)
    assert scenario.plan("a" * 24) != Scenario(seed=8).plan("a" * 24)


def test_what_is_special_is_found_by_name_and_by_id() -> None:
    """Special settings replace the rules of all jobs, for one job."""
    failing = Special(ends=JobStatus.FAILED, error_message="disk full", cutover=Range(low=3.0, high=3.0))
    scenario = Scenario(special={"billing": failing, "c" * 24: Special(status=JobStatus.EXPIRED)})
    plan = scenario.plan("b" * 24, "billing")
    assert (plan.ends, plan.error_message, plan.cutover_seconds) == (JobStatus.FAILED, "disk full", 3.0)
    assert scenario.plan("c" * 24).fixed is JobStatus.EXPIRED
    assert scenario.plan("d" * 24, "orders").ends is JobStatus.COMPLETE


@given(
    seed=st.integers(min_value=0, max_value=1000),
    cut_at=st.floats(min_value=0, max_value=50),
    times=st.lists(st.floats(min_value=0, max_value=200), min_size=2, max_size=20),
)
def test_a_final_status_never_changes(seed: int, cut_at: float, times: list[float]) -> None:
    """Once a job is over, every later read says the same."""
    scenario = Scenario(seed=seed, jobs=JobRules(expires_after=60.0))
    job = make_job(scenario.plan("a" * 24))
    final: JobStatus | None = None
    tried = False
    for now in sorted(times):
        if now >= cut_at and not tried:
            tried = True
            job.cutover(now)
        seen = job.view(now)
        assert final in (None, seen.status)
        if seen.status in FINAL:
            final = seen.status
            assert job.final_at(now) is not None
        else:
            assert job.final_at(now) is None
