"""What `plan --online` makes of each job, by the rules that a run goes by; nothing but reads is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.outcomes import ExitCode
from orchestrator.core.readiness import expiry_in_words
from orchestrator.core.workflow import Workflow
from orchestrator.operations.plan import plan
from orchestrator.operations.plan_online import OnlinePlan, Verdict, plan_online
from orchestrator.operations.target import Rehearsal
from orchestrator.simulator import JobStatus, Scenario
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, Garbage, JobRules, Kind, Range, Special

from .house import READY, AbsoluteWindow, Gate, house, migration, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NOT_YET = Special(ready_after=Range(low=9e9, high=9e9))
LAGS = Special(ready_lag=Range(low=40.0, high=40.0))


async def planned(tmp_path: Path, given: Workflow, scenario: Scenario | None = None) -> OnlinePlan:
    """The plan of *given* at an Atlas of *scenario*, which gets no PUT."""
    async with house(tmp_path, given, scenario) as it:
        found = await plan_online(given, it.settings, now=wall())
        assert it.atlas.record()["requests"]["by_kind"].get("cutover", 0) == 0
        return found


def verdicts(found: OnlinePlan) -> dict[str, str]:
    """By migration."""
    return {name: job.verdict for name, job in found.jobs.items()}


async def test_all_could_be_cut_over(tmp_path: Path) -> None:
    """Exit code 0."""
    found = await planned(tmp_path, workflow(wave("w", "a", "b")))
    assert verdicts(found) == {"a": Verdict.READY, "b": Verdict.READY}
    assert found.exit_code is ExitCode.SUCCESS


async def test_what_is_not_ready_yet_is_waited_for(tmp_path: Path) -> None:
    """Not ready, or with more lag than its own gate allows: exit code 3. What has no gate is ready as it is."""
    plan = workflow(
        wave("w", "late", "lags", migration("patient", gate=Gate(max_lag=60.0)), migration("off", gate=None))
    )
    special = {"late": NOT_YET, "lags": LAGS, "patient": LAGS, "off": NOT_YET}
    found = await planned(tmp_path, plan, Scenario(jobs=READY, special=special))
    assert verdicts(found) == {"late": "waiting", "lags": "waiting", "patient": "ready", "off": "ready"}
    assert found.jobs["lags"].text == "WORKING, ready, lag 40s"
    assert found.exit_code is ExitCode.INCOMPLETE


async def test_what_can_never_be_cut_over_counts_before_what_is_waited_for(tmp_path: Path) -> None:
    """Over, gone or refused: exit code 1, with what Atlas said."""
    plan = workflow(wave("w", "over", "expired", "failed", "gone", "forbidden", "broken", "late", "fine"))
    special = {
        "over": Special(status=JobStatus.COMPLETE),
        "expired": Special(status=JobStatus.EXPIRED),
        "failed": Special(status=JobStatus.FAILED),
        "late": NOT_YET,
    }
    faults = tuple(
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=status, migration=name)
        for name, status in (("gone", 404), ("forbidden", 403), ("broken", 400))
    )
    found = await planned(tmp_path, plan, Scenario(jobs=READY, special=special, faults=faults))
    assert verdicts(found) == {
        "over": "finished",
        "expired": "failed",
        "failed": "failed",
        "gone": "missing",
        "forbidden": "refused",
        "broken": "refused",
        "late": "waiting",
        "fine": "ready",
    }
    assert found.exit_code is ExitCode.FAILED
    assert [found.jobs[name].text[:3] for name in ("gone", "forbidden", "broken")] == ["404", "403", "400"]


NO_ANSWER = [
    (Fault(on=Kind.READ, kind=FaultKind.STATUS, status=503), "503"),
    (Fault(on=Kind.READ, kind=FaultKind.STATUS, status=408), "408"),
    (Fault(on=Kind.READ, kind=FaultKind.TOO_MANY_REQUESTS, retry_after=1), "429"),
    (Fault(on=Kind.READ, kind=FaultKind.LOST_BEFORE), "the answer was lost"),
    (Fault(on=Kind.READ, kind=FaultKind.HANG_BEFORE, delay=900.0), "no answer within the request timeout"),
    (Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=Garbage.INVALID_JSON), "JSON"),
]


@pytest.mark.parametrize(("fault", "said"), NO_ANSWER, ids=[said for _, said in NO_ANSWER])
async def test_a_job_that_could_not_be_read_is_neither_ready_nor_refused(
    tmp_path: Path, fault: Fault, said: str
) -> None:
    """A run would wait at its gate and read it again: so it is waited for, with what came in place of an answer; exit code 3."""
    plan = workflow(wave("w", "silent", "fine"))
    found = await planned(tmp_path, plan, Scenario(jobs=READY, faults=(replace(fault, migration="silent"),)))
    silent = found.jobs["silent"]
    assert verdicts(found) == {"silent": "waiting", "fine": "ready"}
    assert found.exit_code is ExitCode.INCOMPLETE
    assert (silent.status, silent.ready, silent.lag, silent.lacks) == (None, None, None, "not read this time")
    assert silent.text.startswith("not read this time: ")
    assert said in (silent.error or "")


async def test_a_document_that_says_nothing_of_readiness_opens_no_gate(tmp_path: Path) -> None:
    """As in a run: only `gate: off` passes."""
    plan = workflow(wave("w", "a", migration("b", gate=None)))
    found = await planned(
        tmp_path, plan, Scenario(jobs=JobRules(ready_after=Range(low=0, high=0)), documents=Documents.BARE)
    )
    assert verdicts(found) == {"a": "waiting", "b": "ready"}


HOUR = 3600.0


async def test_a_job_that_expires_before_the_window_closes_is_named_days_ahead(tmp_path: Path) -> None:
    """By when it was first seen ready, whoever looked; what is not ready yet, or over, is not named."""
    given = workflow(wave("w", "early", "late", "over"))
    special = {"late": NOT_YET}
    async with house(tmp_path, given, Scenario(jobs=READY, special=special)) as it:
        first = wall()
        assert (await plan_online(given, it.settings, now=first)).plan.expiring == ()
        close = AbsoluteWindow(opens=first + 90 * HOUR, closes=first + 119 * HOUR)
        assert plan(replace(given, window=close), it.settings, now=first + 24 * HOUR).expiring == ()
        window = replace(close, closes=first + 121 * HOUR)
        named = plan(replace(given, window=window), it.settings, now=first + 24 * HOUR).expiring
        assert [each.migration for each in named] == ["early", "over"]
        assert {(each.first_seen, each.expires_by) for each in named} == {(first, first + 120 * HOUR)}
        # Looked at again it was ready all the same: the first time counts.
        await plan_online(given, it.settings, now=first + 48 * HOUR)
        assert plan(replace(given, window=window), it.settings, now=first + 49 * HOUR).expiring == named
        await it.start(only=("over",))
        online = await plan_online(replace(given, window=window), it.settings, now=first + 50 * HOUR)
        assert [each.migration for each in online.plan.expiring] == ["early"]
        said = expiry_in_words(online.plan.expiring, closes=window.closes)
        assert said is not None
        assert "1 job will have been ready for 120 hours before the window closes at" in said


async def test_without_a_window_a_job_is_named_that_expires_within_a_day(tmp_path: Path) -> None:
    """Nothing tells when it is to be cut over."""
    given = workflow(wave("w", "a"))
    async with house(tmp_path, given) as it:
        first = wall()
        await plan_online(given, it.settings, now=first)
        assert plan(given, it.settings, now=first + 95 * HOUR).expiring == ()
        assert [each.migration for each in plan(given, it.settings, now=first + 96 * HOUR).expiring] == ["a"]


async def test_a_run_remembers_which_jobs_it_has_seen_ready(tmp_path: Path) -> None:
    """Also those that lag too much for their gates; and a rehearsal remembers nothing."""
    given = workflow(wave("w", migration("lags", gate=Gate(max_lag=10.0, timeout=60.0)), "late"))
    async with house(tmp_path, given, Scenario(jobs=READY, special={"lags": LAGS, "late": NOT_YET})) as it:
        await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
        assert plan(given, it.settings, now=wall() + 200 * HOUR).expiring == ()
        await it.start()
        assert [each.migration for each in plan(given, it.settings, now=wall() + 200 * HOUR).expiring] == ["lags"]


async def test_a_journal_that_cannot_be_written_keeps_nobody_from_the_plan(tmp_path: Path) -> None:
    """The plan says that nothing was remembered, and why."""
    given = workflow(wave("w", "a"))
    (tmp_path / "journal.db").write_text("no journal" * 999)
    found = await planned(tmp_path, given)
    assert verdicts(found) == {"a": "ready"}
    assert any("could not be remembered" in note for note in found.plan.notes)
