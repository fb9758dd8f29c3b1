"""Runs over several organisations: each migration is asked for with its own credentials, and one set's end is no other's."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.atlas.auth.opening import GOODBYE
from orchestrator.atlas.errors import AtlasError
from orchestrator.core.errors import InputError, Problem
from orchestrator.core.events import (
    CredentialsRefused,
    CutoverAccepted,
    CutoversStopped,
    Event,
    MigrationFinished,
    RequestRetried,
    RunFinished,
)
from orchestrator.core.needs import Need, needs
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.settings import CredentialSet, Secret, ServiceAccount
from orchestrator.core.workflow import Workflow
from orchestrator.operations.plan_online import plan_online
from orchestrator.simulator import Scenario
from orchestrator.simulator.organisations import Organisation
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range, Special
from orchestrator.simulator.tokens import TokenRules

from .house import READY, Hooks, House, die_when, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SUCCESS, FAILED, NOT_STARTED = Outcome.SUCCESS, Outcome.FAILED, Outcome.NOT_STARTED
EU = "5e5e5e5e5e5e5e5e5e5e5e5e"
ACCOUNT = ("mdb_sa_id_eu", "mdb_sa_sk_eu")


def european(name: str, **facts: Any) -> Any:
    """A migration of the other organisation."""
    return migration(name, group_id=EU, credentials="eu", **facts)


@asynccontextmanager
async def two_organisations(
    directory: Path, plan: Workflow, tokens: TokenRules | None = None, **scenario: Any
) -> AsyncIterator[House]:
    """An Atlas of two organisations: one asked with an API key, one with a service account."""
    organisations = (Organisation(account=ACCOUNT, projects=frozenset({EU})),)
    rules = {"jobs": READY, "organisations": organisations, "tokens": tokens or TokenRules(), **scenario}
    async with house(directory, plan, Scenario(**rules)) as it:
        account = ServiceAccount(client_id=ACCOUNT[0], client_secret=Secret(ACCOUNT[1]))
        it.settings = replace(it.settings, credentials={"eu": CredentialSet(credentials=account, source="made up")})
        yield it


async def test_each_migration_is_asked_for_with_its_own_credentials(tmp_path: Path) -> None:
    """Both organisations in one wave: no request of one goes with the credentials of the other."""
    plan = workflow(wave("w", "a", european("b"), "c", european("d")))
    async with two_organisations(tmp_path, plan) as it:
        ending = await it.start()
        assert set(outcomes(ending).values()) == {SUCCESS}
        record = it.atlas.record()
        assert "another organisation's project" not in record["credentials"]
        assert record["tokens"] == {"issued": 1, "revoked": 1, "live": 0}


async def test_the_report_counts_what_access_tokens_take(tmp_path: Path) -> None:
    """Fetched, renewed, refused and given back: the run's requests are all that Atlas saw, and repeats are among the retries."""
    plan = workflow(wave("w", *(european(f"b{number}") for number in range(4)), "a", concurrency=2))
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, share=0.5, after=1.0),)
    async with two_organisations(tmp_path, plan, TokenRules(life=20.0), faults=faults) as it:
        ending = await it.start()
        assert set(outcomes(ending).values()) == {SUCCESS}
        record = it.atlas.record()
        sent = record["requests"]
        assert sent["by_kind"]["token"] > record["tokens"]["issued"] >= 2
        assert record["tokens"]["live"] == 0
        assert sent["by_kind"]["revoke"] >= 1
        counted = ending.state.request_statistics()
        assert counted["by_status"] == sent["by_status"]
        assert counted["retries"] >= sent["by_kind"]["token"] - record["tokens"]["issued"]


@pytest.mark.parametrize("kind", [FaultKind.HANG_BEFORE, FaultKind.LOST_BEFORE])
async def test_a_run_ends_in_order_where_its_token_cannot_be_given_back(tmp_path: Path, kind: FaultKind) -> None:
    """A few seconds later at most; it is counted as a request without an answer."""
    plan = workflow(wave("w", european("b")))
    async with two_organisations(tmp_path, plan, faults=(Fault(on=Kind.REVOKE, kind=kind, delay=900.0),)) as it:
        ending = await it.start()
        assert outcomes(ending) == {"b": SUCCESS}
        assert ending.state.request_statistics()["by_status"]["error"] == 1
        (ended,), (finished,) = it.names(MigrationFinished), it.names(RunFinished)
        assert finished.at - ended.at <= GOODBYE + 1


async def test_a_migration_with_the_wrong_set_fails_alone(tmp_path: Path) -> None:
    """Its project belongs to the other organisation."""
    plan = workflow(wave("w", "a", replace(european("b"), credentials=None), european("c")))
    async with two_organisations(tmp_path, plan) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS, "b": FAILED, "c": SUCCESS}
        assert it.puts("b") == 0


async def test_plan_online_says_that_a_set_is_good_elsewhere(tmp_path: Path) -> None:
    """Atlas's own words for a project of another organisation are those for a wrong key."""
    plan = workflow(wave("w", "a", replace(european("b"), credentials=None), european("c")))
    async with two_organisations(tmp_path, plan) as it:
        found = await plan_online(plan, it.settings, now=wall())
        assert {name: job.verdict for name, job in found.jobs.items()} == {"a": "ready", "b": "refused", "c": "ready"}
        error = found.jobs["b"].error or ""
        assert error.startswith("401 ")
        assert "Atlas takes these credentials, but not here: another organisation hosts the project" in error


async def test_plan_online_tells_of_the_jobs_of_other_sets_where_one_is_refused(tmp_path: Path) -> None:
    """The refused set is named, in the notes and beside each of its jobs; no job is read with it."""
    plan = workflow(wave("w", "a", european("b"), "c", european("d")))
    async with two_organisations(tmp_path, plan) as it:
        withdraw(it)
        found = await plan_online(plan, it.settings, now=wall())
        assert {name: job.verdict for name, job in found.jobs.items()} == {
            "a": "ready",
            "b": "refused",
            "c": "ready",
            "d": "refused",
        }
        assert found.exit_code is ExitCode.FAILED
        assert found.jobs["b"].text == "credentials 'eu' are refused"
        (note,) = [note for note in found.plan.notes if "'eu'" in note]
        assert note.startswith("credentials 'eu': 401 ")
        assert "the secret has not ended" in note
        assert it.atlas.record()["requests"]["by_kind"] == {"root": 2, "read": 2, "token": 1}


async def test_plan_online_tells_of_the_jobs_of_other_sets_where_one_gets_no_answer(tmp_path: Path) -> None:
    """Its token endpoint fails: that says nothing of its jobs, and nothing of the other set."""
    plan = workflow(wave("w", "a", european("b")))
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, status=503),)
    async with two_organisations(tmp_path, plan, faults=faults) as it:
        found = await plan_online(plan, it.settings, now=wall())
        assert {name: job.verdict for name, job in found.jobs.items()} == {"a": "ready", "b": "waiting"}
        assert found.exit_code is ExitCode.INCOMPLETE
        assert found.jobs["b"].text.startswith("not read this time: ")
        assert [note for note in found.plan.notes if note.startswith("credentials 'eu': ")]


async def test_plan_online_gives_no_verdict_where_every_set_is_refused(tmp_path: Path) -> None:
    """There is nothing to tell: exit code 6, as for a run."""
    plan = workflow(wave("w", european("b")))
    async with two_organisations(tmp_path, plan) as it:
        withdraw(it)
        with pytest.raises(AtlasError) as refused:
            await plan_online(plan, it.settings, now=wall())
        assert refused.value.exit_code is ExitCode.UNREACHABLE


async def test_plan_online_reads_the_root_resource_once_for_each_set(tmp_path: Path) -> None:
    """What proves the credentials also tells their roles."""
    plan = workflow(wave("w", "a", european("b")))
    async with two_organisations(tmp_path, plan) as it:
        found = await plan_online(plan, it.settings, now=wall())
        assert found.exit_code is ExitCode.SUCCESS
        assert it.atlas.record()["requests"]["by_kind"]["root"] == 3  # with the key's challenge


def withdraw(it: House) -> None:
    """The service account's secret and tokens are withdrawn."""
    it.atlas.app.tokens.replace_secret(ACCOUNT[0], "another")
    it.atlas.app.tokens.end_all()


async def test_a_set_that_is_refused_altogether_stops_its_own_migrations_alone(tmp_path: Path) -> None:
    """Those that had no PUT stay NOT_STARTED, their applications started again; the others go on; `resume` does the rest."""
    hooks = Hooks(before=(("true",),), after_failure=(("true",),))
    late = {name: Special(ready_after=Range(low=60.0, high=60.0)) for name in ("b1", "b2", "a2")}
    plan = workflow(
        wave("w", "a1", european("b1"), european("b2", hooks=hooks), "a2", concurrency=2),
        wave("v", "a3", european("b3"), concurrency=1),
    )
    async with two_organisations(tmp_path, plan, special=late) as it:

        def watch(event: Event, _: object) -> None:
            if event.name == "cutover_accepted" and getattr(event, "migration", None) == "a1":
                withdraw(it)

        it.watchers.append(watch)
        first = await it.start()
        assert outcomes(first) == {
            "a1": SUCCESS, "b1": NOT_STARTED, "b2": NOT_STARTED, "a2": SUCCESS, "a3": SUCCESS, "b3": NOT_STARTED,
        }  # fmt: skip
        assert (first.exit_code, first.state.recorded_unfinished) == (ExitCode.INCOMPLETE, True)
        (refused,) = it.names(CredentialsRefused)
        assert refused.credentials == "eu"
        assert "401 invalid_client" in refused.reason
        assert it.names(CutoversStopped) == []
        assert "Atlas refuses the credentials 'eu' altogether" in str(first.state.result("b3").error_message)
        assert [it.puts(name) for name in ("b1", "b2", "b3")] == [0, 0, 0]

        it.watchers.clear()
        it.atlas.app.tokens.replace_secret(*ACCOUNT)
        second = await it.resume(first.state.run_id)
        assert set(outcomes(second).values()) == {SUCCESS}
        assert all(it.puts(m.name) == 1 for _, m in plan.migrations())


async def test_what_is_under_way_with_a_refused_set_is_followed_to_its_deadline(tmp_path: Path) -> None:
    """It was accepted; nothing of it is said that was not seen: it is in doubt, and `resume` reads it again."""
    plan = workflow(wave("w", european("b", timeout=120.0), "a"))
    special = {"b": Special(cutover=Range(low=60.0, high=60.0))}
    async with two_organisations(tmp_path, plan, special=special) as it:

        def watch(event: Event, _: object) -> None:
            if event.name == "cutover_accepted" and getattr(event, "migration", None) == "b":
                withdraw(it)

        it.watchers.append(watch)
        ending = await it.start()
        assert outcomes(ending) == {"b": Outcome.IN_DOUBT, "a": SUCCESS}
        assert ending.exit_code is ExitCode.IN_DOUBT
        assert "accepted, but whether it has ended could not be read by the end of its 2m (" in str(
            ending.state.result("b").error_message
        )
        it.watchers.clear()
        it.atlas.app.tokens.replace_secret(*ACCOUNT)
        assert outcomes(await it.resume(ending.state.run_id)) == {"b": SUCCESS, "a": SUCCESS}
        assert it.puts("b") == 1


def accepted(name: str) -> Callable[[Event], bool]:
    """Whether an event says that Atlas has accepted the cutover of *name*."""
    return lambda event: isinstance(event, CutoverAccepted) and event.migration == name


def without_eu(it: House, how: str) -> None:
    """The set `eu` is *refused* by Atlas, *gone* from the config, or its secret is *unset*."""
    if how == "refused":
        withdraw(it)
        return
    missing = Problem(file="config", line=7, key="credentials.eu", message="EU_SECRET is not set")
    unset = {"eu": CredentialSet(problems=(missing,))}
    it.settings = replace(it.settings, credentials=unset if how == "unset" else {})


WITHOUT = pytest.mark.parametrize("how", ["refused", "gone", "unset"])
LONG = Special(cutover=Range(low=60.0, high=60.0))


@WITHOUT
async def test_what_is_under_way_is_followed_without_the_set_of_what_is_over(tmp_path: Path, how: str) -> None:
    """The other organisation is cut over, and its credentials are gone: nothing of it is asked any more."""
    plan = workflow(wave("v", european("b")), wave("w", "a"))
    async with two_organisations(tmp_path, plan, special={"a": LONG}) as it:
        run_id = await die_when(it, accepted("a"))
        without_eu(it, how)
        ending = await it.resume(run_id)
        assert outcomes(ending) == {"a": SUCCESS, "b": SUCCESS}
        assert it.names(CredentialsRefused) == []


@WITHOUT
async def test_what_is_under_way_is_followed_though_another_set_is_refused(tmp_path: Path, how: str) -> None:
    """As when that happens in the middle of a run: what was to start with it stays NOT_STARTED, and `resume` starts it."""
    plan = workflow(wave("w", "a"), wave("v", "c", european("b")))
    async with two_organisations(tmp_path, plan, special={"a": LONG}) as it:
        run_id, settings = await die_when(it, accepted("a")), it.settings
        without_eu(it, how)
        first = await it.resume(run_id)
        assert outcomes(first) == {"a": SUCCESS, "b": NOT_STARTED, "c": SUCCESS}
        assert (first.exit_code, first.state.recorded_unfinished) == (ExitCode.INCOMPLETE, True)
        assert "Atlas refuses the credentials 'eu' altogether" in str(first.state.result("b").error_message)
        assert it.puts("b") == 0

        it.settings = settings
        it.atlas.app.tokens.replace_secret(*ACCOUNT)
        assert set(outcomes(await it.resume(run_id)).values()) == {SUCCESS}
        assert [it.puts(name) for name in "abc"] == [1, 1, 1]


@WITHOUT
async def test_what_is_under_way_with_a_good_set_is_followed_beside_what_cannot_be_read(
    tmp_path: Path, how: str
) -> None:
    """The other one is told as a need while it goes on, and is in doubt at the end; with its set again, `resume` sees how it ended."""
    plan = workflow(wave("w", "a", european("b", timeout=300.0)))
    async with two_organisations(tmp_path, plan, special={"a": LONG, "b": LONG}) as it:
        both: set[str] = set()

        def both_accepted(event: Event) -> bool:
            if isinstance(event, CutoverAccepted):
                both.add(event.migration)
            return both == {"a", "b"}

        run_id, settings = await die_when(it, both_accepted), it.settings
        without_eu(it, how)
        told: list[Need] = []

        def watch(event: Event, _: RunState) -> None:
            if isinstance(event, MigrationFinished) and event.migration == "a":
                # As `status` in another shell reads it: what is not kept in the journal is not known there.
                kept = fold(run_id, [each for each in it.events if each.journaled])
                told.extend(needs(kept, event.at, holder="somebody"))

        it.watchers.append(watch)
        first = await it.resume(run_id)
        assert outcomes(first) == {"a": SUCCESS, "b": Outcome.IN_DOUBT}
        assert (first.exit_code, first.state.recorded_unfinished) == (ExitCode.IN_DOUBT, True)
        assert [(need.kind, need.what) for need in told] == [(Outcome.UNDER_WAY, "b")]
        assert "Atlas refuses the credentials 'eu' altogether" in told[0].said

        it.watchers.clear()
        it.settings = settings
        it.atlas.app.tokens.replace_secret(*ACCOUNT)
        assert set(outcomes(await it.resume(run_id)).values()) == {SUCCESS}
        assert [it.puts(name) for name in "ab"] == [1, 1]


@WITHOUT
async def test_only_the_sets_of_what_is_selected_are_needed(tmp_path: Path, how: str) -> None:
    """A run of the others, and its continuation."""
    plan = workflow(wave("w", "a", "c", concurrency=1), wave("v", european("b")))
    async with two_organisations(tmp_path, plan) as it:
        without_eu(it, how)
        run_id = await die_when(it, lambda event: isinstance(event, MigrationFinished), only=("w",))
        ending = await it.resume(run_id, only=("w",))
        assert outcomes(ending) == {"a": SUCCESS, "b": NOT_STARTED, "c": SUCCESS}
        assert it.names(CredentialsRefused) == []


@WITHOUT
async def test_a_set_that_is_needed_keeps_a_session_from_beginning(tmp_path: Path, how: str) -> None:
    """Something is to start with it and nothing is under way, or what is under way is its own: what is wrong is said, nothing was begun."""
    plan = workflow(wave("w", european("b")), wave("v", "a"))
    async with two_organisations(tmp_path, plan, special={"b": LONG}) as it:
        settings = it.settings
        without_eu(it, how)
        with pytest.raises((AtlasError, InputError), match=r"401|credentials\.eu"):
            await it.start()
        assert it.events == []

        it.settings = settings
        it.atlas.app.tokens.replace_secret(*ACCOUNT)
        run_id = await die_when(it, accepted("b"))
        without_eu(it, how)
        recorded = len(it.events)
        with pytest.raises((AtlasError, InputError), match=r"401|credentials\.eu"):
            await it.resume(run_id)
        assert len(it.events) == recorded


@WITHOUT
async def test_a_hook_that_is_owed_waits_for_no_set_while_another_is_under_way(tmp_path: Path, how: str) -> None:
    """Its job cannot be looked at, so it is told that nobody knows who is in charge; and it is asked for where nothing else is to be done."""
    told = "import os,sys; open(sys.argv[1],'a').write(os.environ['CUTOVER_IN_CHARGE']+'\\n')"
    note = tmp_path / "told"
    hooks = Hooks(before=(("false",),), after_failure=((sys.executable, "-c", told, str(note)),))
    plan = workflow(wave("w", "a", european("b", hooks=hooks)))
    async with two_organisations(tmp_path, plan, special={"a": LONG}) as it:

        def failed(event: Event) -> bool:
            return isinstance(event, MigrationFinished) and event.migration == "b"

        run_id = await die_when(it, failed)
        assert not note.exists()
        without_eu(it, how)
        ending = await it.resume(run_id)
        assert outcomes(ending) == {"a": SUCCESS, "b": FAILED}
        assert note.read_text().split() == ["unknown"]


@pytest.mark.parametrize("how", ["refused", "gone"])
async def test_a_retry_with_a_set_that_is_not_there_starts_nothing(tmp_path: Path, how: str) -> None:
    """The session goes on with what it has; what was tried again is NOT_STARTED, and says why."""
    hooks = Hooks(before=(("false",),))
    plan = workflow(wave("w", european("b", hooks=hooks), "a"))
    async with two_organisations(tmp_path, plan, special={"a": LONG}) as it:
        run_id = await die_when(it, lambda event: isinstance(event, MigrationFinished))
        without_eu(it, how)
        async with anyio.create_task_group() as beside:
            beside.start_soon(partial(it.ask_after, 20.0, "retry", migration="b"))
            ending = await it.resume(run_id)
        assert outcomes(ending) == {"a": SUCCESS, "b": NOT_STARTED}
        assert "credentials 'eu'" in str(ending.state.result("b").error_message)
        assert it.puts("b") == 0


async def test_a_session_lives_through_renewals_and_an_outage_of_the_token_endpoint(tmp_path: Path) -> None:
    """Tokens of 20 s, and an endpoint that fails half of the time: all are cut over, each once."""
    plan = workflow(wave("w", *(european(f"b{number}") for number in range(12)), concurrency=2))
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, share=0.5, after=1.0),)
    async with two_organisations(tmp_path, plan, TokenRules(life=20.0), faults=faults) as it:
        ending = await it.start()
        assert set(outcomes(ending).values()) == {SUCCESS}
        assert all(it.puts(m.name) == 1 for _, m in plan.migrations())
        record = it.atlas.record()
        assert record["tokens"]["issued"] >= 4
        assert record["unauthorized"] == 0
        assert any("the access token lasts" in event.reason for event in it.names(RequestRetried))
