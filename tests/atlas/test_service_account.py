"""Service accounts over real sockets: one token for all, renewed beside the requests that it serves, and given back."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.atlas.auth.opening import GOODBYE
from orchestrator.atlas.client import READ_ATTEMPTS
from orchestrator.atlas.errors import AtlasError, KeysRefusedError, NotSentError
from orchestrator.atlas.shares import Priority
from orchestrator.core.events import Event, RateLimited, RequestRetried
from orchestrator.core.settings import Secret, ServiceAccount
from orchestrator.simulator import RunningSimulator, Scenario, Simulator
from orchestrator.simulator.latency import Latency
from orchestrator.simulator.organisations import Organisation
from orchestrator.simulator.scenario import Fault, FaultKind, Garbage, JobRules, Kind, Range
from orchestrator.simulator.tokens import TokenRules
from orchestrator.text.redaction import REDACTED, Redactor

from ..strength import examples
from .servers import GROUP, LIVE, Atlas, Raw, client_of, http, job_document, live, make_workflow, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

ACCOUNT = ("mdb_sa_id_65f0a1", "mdb_sa_sk_made-up_0123")
OTHER = "7e68e12770616e75e6df43d1"
READY = JobRules(ready_after=Range(low=0.0, high=0.0))
OPEN: dict[str, Any] = {"burst": 1_000_000, "requests": 1_000_000, "per": 1.0}
SLOW = Latency(quantiles=((0.0, 0.1), (1.0, 0.1)))


def credentials(client_id: str = ACCOUNT[0], secret: str = ACCOUNT[1]) -> ServiceAccount:
    """What a client asks with."""
    return ServiceAccount(client_id=client_id, client_secret=Secret(secret))


@asynccontextmanager
async def simulated(count: int = 3, **scenario: Any) -> AsyncIterator[RunningSimulator]:
    """A simulator with one service account and *count* jobs."""
    scenario = {"unlimited": True, "jobs": READY, **scenario}
    simulator = Simulator(workflow=make_workflow(count), account=ACCOUNT, scenario=Scenario(**scenario))
    async with simulator.serve() as running:
        yield running


@asynccontextmanager
async def account_of(
    running: RunningSimulator, who: ServiceAccount | None = None, **settings: Any
) -> AsyncIterator[Atlas]:
    """*running* with a client that asks with a service account."""
    events: list[Event] = []
    facts = {**OPEN, "credentials": who or credentials(), **settings}
    async with client_of(running.base_url(), events=events, **facts) as client:
        yield Atlas(running=running, client=client, events=events)


async def together(count: int, call: Callable[[int], Any]) -> None:
    """*count* calls started at once."""
    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(call, number)


def fetches(it: Atlas | RunningSimulator) -> int:
    """How often a token was asked for."""
    return int(it.record()["requests"]["by_kind"].get("token", 0))


def refused(it: Atlas) -> int:
    """How many 401s there were."""
    return int(it.record()["unauthorized"])


@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_any_number_of_requests_at_once_fetch_one_token(api: str) -> None:
    """And not one of them meets a 401; two thousand in a thorough run."""
    many = examples(2000)
    async with (
        simulated(many) as running,
        client_of(running.base_url(api), credentials=credentials(), **OPEN) as client,
    ):
        await together(many, lambda number: client.job(GROUP, live(number)))
        record = running.record()
        assert record["requests"]["by_kind"] == {"token": 1, "read": many}
        assert record["requests"]["by_status"] == {"200": many + 1}


async def test_a_cutover_is_sent_with_the_token() -> None:
    """Accepted once, without a challenge."""
    async with simulated() as running, account_of(running) as it:
        assert (await it.put()).http_status == 202
        assert it.record()["requests"]["by_kind"] == {"token": 1, "cutover": 1}


async def test_a_renewal_in_mid_wave_costs_no_401_and_no_time() -> None:
    """Tokens of 10 s, fetched in 0.5 s each: 60 s of reads take 0.1 s each, but for those before the first token.

    Fifty at a time in a thorough run.
    """
    readers = examples(50)
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.SLOW, delay=0.5),)
    rules = TokenRules(life=10.0)
    async with simulated(readers, latency=SLOW, tokens=rules, faults=faults) as running, account_of(running) as it:
        await it.client.check_access()
        took: list[float] = []

        async def reads(number: int) -> None:
            while anyio.current_time() < until:
                began = anyio.current_time()
                await it.client.job(GROUP, live(number))
                took.append(anyio.current_time() - began)
                await anyio.sleep(0.5)

        until = anyio.current_time() + 60.0
        await together(readers, reads)
        assert refused(it) == 0
        assert max(took) <= 0.2
        assert fetches(it) in (7, 8)
        assert len(took) > 80 * readers


async def test_a_token_is_renewed_a_tenth_of_its_life_and_at_most_ten_minutes_ahead() -> None:
    """One of an hour after 54 minutes, one of a day ten minutes before its end."""
    for life, early in ((3600.0, 360.0), (86400.0, 600.0)):
        async with simulated(tokens=TokenRules(life=life)) as running, account_of(running) as it:
            began = anyio.current_time()
            await it.client.check_access()
            await anyio.sleep(life - early - 1 - (anyio.current_time() - began))
            await it.client.check_access()
            assert fetches(it) == 1
            await anyio.sleep(2)
            await it.client.check_access()
            await anyio.sleep(1)
            assert fetches(it) == 2


async def test_a_withdrawn_token_is_replaced_once_for_all() -> None:
    """200 requests meet a 401 together: one more token, and all are answered."""
    async with simulated(200) as running, account_of(running) as it:
        await it.client.check_access()
        running.app.tokens.end_all()
        await together(200, lambda number: it.client.job(GROUP, live(number)))
        assert fetches(it) == 2
        assert refused(it) <= 200


async def test_a_cutover_that_meets_a_withdrawn_token_is_sent_once_more_and_carried_out_once() -> None:
    """A 401 was not carried out."""
    async with simulated() as running, account_of(running) as it:
        await it.client.check_access()
        running.app.tokens.end_all()
        assert (await it.put()).http_status == 202
        assert it.seen(0)["puts_processed"] == 1
        assert refused(it) == 1


async def test_a_wrong_secret_is_refused_at_once_and_named() -> None:
    """One request to the token endpoint, none to anything else, and no secret in the message."""
    async with simulated() as running, account_of(running, credentials(secret="mdb_sa_sk_wrong")) as it:
        with pytest.raises(KeysRefusedError, match="/api/oauth/token: 401 invalid_client") as caught:
            await it.client.check_access()
        assert (caught.value.everywhere, caught.value.sent) == (True, False)
        assert "mdb_sa_sk" not in str(caught.value)
        assert it.record()["requests"]["by_kind"] == {"token": 1}


async def test_a_secret_that_is_withdrawn_in_mid_run_lets_the_token_serve_to_its_end() -> None:
    """What is under way is followed until then; after it the account is refused altogether."""
    async with simulated(tokens=TokenRules(life=100.0)) as running, account_of(running) as it:
        await it.client.check_access()
        running.app.tokens.replace_secret(ACCOUNT[0], "another")
        await anyio.sleep(95)
        assert (await it.client.job(GROUP, live(0))).ready
        await anyio.sleep(1)
        said = [event for event in it.events if isinstance(event, RequestRetried)]
        assert "the access token lasts" in said[0].reason
        assert "401 invalid_client" in said[0].reason
        await anyio.sleep(60)
        with pytest.raises(KeysRefusedError) as caught:
            await it.client.job(GROUP, live(0))
        assert caught.value.everywhere is True
        with pytest.raises(KeysRefusedError):
            await it.put()
        assert it.seen(0)["puts_received"] == 0


FAILING = {
    "500": Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, status=500, times=2),
    "html": Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, status=502, body=Garbage.HTML, times=2),
    "429": Fault(on=Kind.TOKEN, kind=FaultKind.TOO_MANY_REQUESTS, times=2),
    "lost": Fault(on=Kind.TOKEN, kind=FaultKind.LOST_AFTER, times=2),
    "garbage": Fault(on=Kind.TOKEN, kind=FaultKind.GARBAGE, body=Garbage.INVALID_JSON, times=2),
    "list": Fault(on=Kind.TOKEN, kind=FaultKind.GARBAGE, body=Garbage.WRONG_SHAPE, times=2),
    "empty": Fault(on=Kind.TOKEN, kind=FaultKind.GARBAGE, body=Garbage.EMPTY, times=2),
    "cut": Fault(on=Kind.TOKEN, kind=FaultKind.GARBAGE, body=Garbage.CUT, times=2),
}


@pytest.mark.parametrize("fault", FAILING.values(), ids=FAILING)
async def test_a_token_endpoint_that_fails_is_asked_again_with_pauses(fault: Fault) -> None:
    """Two failures, 1 s and then 2 s apart, told of each; then all goes on."""
    async with simulated(faults=(fault,)) as running, account_of(running) as it:
        began = anyio.current_time()
        await it.client.check_access()
        assert 0.75 * 3.0 <= anyio.current_time() - began <= 4.0
        assert fetches(it) == 3
        said = [event for event in it.events if isinstance(event, RequestRetried) and event.path == "/api/oauth/token"]
        assert [event.attempt for event in said] == [2, 3]
        assert all("nothing can be sent" in event.reason for event in said)
        assert sum(isinstance(event, RateLimited) for event in it.events) == (2 if fault is FAILING["429"] else 0)


async def test_a_429_of_the_token_endpoint_is_waited_for_as_long_as_it_says() -> None:
    """And the event has its words."""
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.TOO_MANY_REQUESTS, retry_after=20.0, times=1),)
    async with simulated(faults=faults) as running, account_of(running) as it:
        began = anyio.current_time()
        await it.client.check_access()
        assert 20.0 <= anyio.current_time() - began <= 21.0
        limited = [event for event in it.events if isinstance(event, RateLimited)]
        assert [(event.scope, event.retry_after) for event in limited] == [("token", 20.0)]


async def test_more_requests_for_tokens_than_a_minute_has_are_limited_by_the_endpoint_itself() -> None:
    """Its own 429 is one that is understood: parameters of a path, a number, and minutes."""
    async with simulated(tokens=TokenRules(per_minute=1, life=5.0)) as running, account_of(running) as it:
        await it.client.check_access()
        await anyio.sleep(6)
        began = anyio.current_time()
        while True:
            try:
                await it.client.check_access()
            except NotSentError:
                continue
            break
        assert anyio.current_time() - began <= 60 + 30
        assert any("50 requests" in str(event) or "1 requests" in str(event) for event in it.events)


async def test_too_many_live_tokens_are_no_refusal_of_the_account() -> None:
    """The 403 passes when some of them end; it is told with the endpoint's words."""
    async with (
        simulated(tokens=TokenRules(most=1, life=30.0)) as running,
        account_of(running) as first,
        account_of(running) as second,
    ):
        await first.client.check_access()
        with pytest.raises(NotSentError, match="403 access_denied: The service account has too many"):
            await second.client.check_access()
        await anyio.sleep(30)
        await second.client.check_access()


async def test_a_renewal_that_hangs_delays_nobody_who_has_a_good_token() -> None:
    """The token endpoint is silent from now on: reads take no time until the token ends."""
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.HANG_BEFORE, delay=10_000.0, after=10.0),)
    async with simulated(tokens=TokenRules(life=600.0), faults=faults) as running, account_of(running) as it:
        began = anyio.current_time()
        await it.client.check_access()
        while anyio.current_time() - began < 598:
            before = anyio.current_time()
            await it.client.job(GROUP, live(0))
            assert anyio.current_time() - before <= 0.05
            await anyio.sleep(1)
        assert refused(it) == 0
        await anyio.sleep(5)
        with pytest.raises(NotSentError, match="no access token"):
            await it.client.job(GROUP, live(0), deadline=anyio.current_time() + 20)
        said = [event.reason for event in it.events if isinstance(event, RequestRetried)]
        assert "no answer within the request timeout; the access token lasts" in said[0]


async def test_a_token_endpoint_that_comes_back_is_used_again() -> None:
    """An outage over the end of the token: nothing is sent without one, and all goes on after it."""
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, status=503, after=10.0, until=200.0),)
    async with simulated(tokens=TokenRules(life=60.0), faults=faults) as running, account_of(running) as it:
        await it.client.check_access()
        await anyio.sleep(100)
        with pytest.raises(NotSentError, match="no access token: 503"):
            await it.client.job(GROUP, live(0))
        with pytest.raises(NotSentError, match="no access token"):
            await it.put()
        assert it.seen(0)["puts_received"] == 0
        await anyio.sleep(130)
        assert (await it.client.job(GROUP, live(0))).ready
        assert refused(it) == 0


async def test_another_organisations_project_costs_two_requests_and_one_token() -> None:
    """Its other jobs cost nothing, and no other project's requests meet a 401."""
    organisations = (Organisation(account=("mdb_sa_id_2", "mdb_sa_sk_2"), projects=frozenset({OTHER})),)
    async with simulated(50, organisations=organisations) as running, account_of(running) as it:
        await it.client.check_access()
        with pytest.raises(KeysRefusedError) as caught:
            await it.client.job(OTHER, live(0))
        assert (caught.value.everywhere, caught.value.lasting) == (False, True)
        assert refused(it) == 2
        assert fetches(it) == 2
        for number in range(1, 40):
            with pytest.raises(KeysRefusedError) as caught:
                await it.client.job(OTHER, live(number), priority=Priority.GATE)
            assert not caught.value.sent
        await together(50, lambda number: it.client.job(GROUP, live(number)))
        assert refused(it) == 2
        assert fetches(it) == 2


async def test_each_of_two_organisations_refuses_the_others_projects() -> None:
    """The account of each is good for its own."""
    second = ("mdb_sa_id_2", "mdb_sa_sk_2")
    organisations = (Organisation(account=second, projects=frozenset({OTHER})),)
    async with (
        simulated(unknown_jobs=True, organisations=organisations) as running,
        account_of(running) as mine,
        account_of(running, credentials(*second)) as theirs,
    ):
        await mine.client.job(GROUP, live(0))
        await theirs.client.job(OTHER, live(9))
        for it, group in ((mine, OTHER), (theirs, GROUP)):
            with pytest.raises(KeysRefusedError) as caught:
                await it.client.job(group, live(0))
            assert caught.value.everywhere is False


async def test_many_projects_of_others_use_no_more_tokens_than_an_account_may_have() -> None:
    """Each of sixty projects refuses: the token endpoint is asked twenty times more, not sixty."""
    projects = [f"{number:024x}" for number in range(60)]
    organisations = (Organisation(account=("mdb_sa_id_2", "mdb_sa_sk_2"), projects=frozenset(projects)),)
    rules = TokenRules(per_minute=None)
    async with simulated(organisations=organisations, tokens=rules) as running, account_of(running) as it:
        for project in projects:
            with pytest.raises(KeysRefusedError) as caught:
                await it.client.job(project, live(0))
            assert caught.value.everywhere is False
        assert fetches(it) == 21


async def test_tokens_are_given_back_at_the_end() -> None:
    """Those that were replaced too, where they are still good."""
    async with simulated(tokens=TokenRules(life=100.0)) as running:
        async with account_of(running) as it:
            await it.client.check_access()
            await anyio.sleep(95)
            await it.client.check_access()
            await anyio.sleep(0.5)
            assert running.record()["tokens"] == {"issued": 2, "revoked": 0, "live": 2}
        assert running.record()["tokens"] == {"issued": 2, "revoked": 2, "live": 0}


@pytest.mark.parametrize("kind", [FaultKind.HANG_BEFORE, FaultKind.ERROR_BEFORE, FaultKind.LOST_BEFORE])
async def test_the_end_waits_for_a_revocation_a_few_seconds_at_most(kind: FaultKind) -> None:
    """Whatever becomes of it, also when the client's work is cancelled."""
    faults = (Fault(on=Kind.REVOKE, kind=kind, delay=1000.0),)
    async with simulated(faults=faults) as running:
        began = anyio.current_time()
        with anyio.move_on_after(20):
            async with account_of(running) as it:
                await it.client.check_access()
                await anyio.sleep(1000)
        assert anyio.current_time() - began <= 20 + GOODBYE + 0.5
        assert running.record()["requests"]["by_kind"]["revoke"] == 1


async def test_a_cancelled_session_gives_its_token_back() -> None:
    """As at SIGTERM."""
    async with simulated() as running:
        with anyio.move_on_after(5):
            async with account_of(running) as it:
                await it.client.check_access()
                await anyio.sleep(1000)
        assert running.record()["tokens"]["live"] == 0


async def test_what_ends_the_clients_work_is_raised_as_it_is() -> None:
    """No exception group around it."""

    async def work() -> None:
        async with account_of(running) as it:
            await it.client.check_access()
            raise AtlasError("made up", method="GET", path="/x")

    async with simulated() as running:
        with pytest.raises(AtlasError, match="made up"):
            await work()


async def test_a_redirect_of_the_token_endpoint_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is for the configured Atlas alone; nor is anything of `~/.netrc` sent in its place."""
    (tmp_path / ".netrc").write_text("default login svc password s3cret-w0rd\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))

    async def elsewhere(_: Raw) -> bytes:
        return http(200)

    async with raw_server(elsewhere) as other:

        async def redirect(_: Raw) -> bytes:
            return http(307, Location=f"{other.origin}/api/oauth/token")

        async with raw_server(redirect) as raw, client_of(raw.base_url, credentials=credentials(), **OPEN) as client:
            with pytest.raises(AtlasError, match="redirects are not followed"):
                await client.job(GROUP, LIVE)
    assert other.requests == []
    own = base64.b64encode(":".join(ACCOUNT).encode()).decode()
    assert {headers["Authorization"] for headers in raw.headers} == {f"Basic {own}"}


async def test_it_is_said_whose_token_cannot_be_had() -> None:
    """A run over several organisations has several token endpoints' worth of accounts; the others go on."""
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, status=500, times=1),)
    async with simulated(faults=faults) as running, account_of(running) as it:
        await it.client.check_access()
        told = next(event for event in it.events if isinstance(event, RequestRetried) and "oauth" in event.path)
        assert told.reason.endswith(f"without an access token nothing can be sent to Atlas as {ACCOUNT[0]}")
        assert it.client.statistics.retries >= 1


async def test_a_lone_read_tries_no_oftener_than_before() -> None:
    """With the endpoint down for good it ends with an error, after as many tries as any read."""
    faults = (Fault(on=Kind.TOKEN, kind=FaultKind.ERROR_BEFORE, status=500),)
    async with simulated(faults=faults) as running, account_of(running) as it:
        with pytest.raises(NotSentError, match="no access token: 500"):
            await it.client.check_access()
        assert fetches(it) == READ_ATTEMPTS


def test_no_secret_and_no_token_is_shown() -> None:
    """Nor by the settings that hold them."""
    assert ACCOUNT[1] not in repr(credentials())


def token(**fields: object) -> bytes:
    """What the endpoint answers."""
    return http(200, json.dumps({"access_token": "a-token-of-the-endpoint", "token_type": "Bearer"} | fields).encode())


async def test_a_token_that_is_the_accounts_own_secret_leaves_that_a_secret_when_it_ends() -> None:
    """Whatever a token endpoint gives: what is secret here is looked for to the end."""
    secret = "Zq8Wm3Xv7Rt2Lp9Kj4"
    redactor, values = Redactor(), iter([secret, "another-token-1", "another-token-2"])

    async def answer(raw: Raw) -> bytes:
        if "/oauth/" in raw.requests[-1]:
            return token(access_token=next(values, "another-token-3"), expires_in=1)
        return http(200, job_document(raw))

    async with (
        raw_server(answer) as raw,
        client_of(raw.base_url, credentials=credentials(secret=secret), redactor=redactor) as client,
    ):
        for _ in range(3):
            await client.job(GROUP, LIVE)
            await anyio.sleep(2)
        assert raw.count("POST") == 3
        assert redactor.text(secret) == REDACTED


async def test_tokens_that_live_for_milliseconds_are_asked_for_once_a_second() -> None:
    """Not at each request; Atlas's own say an hour."""

    async def answer(raw: Raw) -> bytes:
        if "/oauth/" in raw.requests[-1]:
            await anyio.sleep(0.05)
            return token(expires_in=0.001)
        await anyio.sleep(0.4)
        return http(200, job_document(raw))

    async with raw_server(answer) as raw, client_of(raw.base_url, credentials=credentials()) as client:
        began = anyio.current_time()
        for _ in range(10):
            assert (await client.job(GROUP, LIVE)).ready
        assert raw.count("POST") <= anyio.current_time() - began + 1 < 10


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ({"expires_in": "3600"}, True),  # as some gateways write it
        ({"expires_in": 3600.0}, True),
        ({"expires_in": "soon"}, False),
        ({"expires_in": "-1"}, False),
        ({"expires_in": "9" * 5000}, False),
        ({"access_token": "orders"}, False),  # it would be blackened wherever that word stands
        ({"access_token": "x" * 8193}, False),
    ],
)
async def test_which_tokens_can_be_used(fields: dict[str, object], usable: bool) -> None:
    """What is none is a senseless answer, and asked for again."""

    async def answer(raw: Raw) -> bytes:
        return token(**fields) if "/oauth/" in raw.requests[-1] else http(200, job_document(raw))

    async with raw_server(answer) as raw, client_of(raw.base_url, credentials=credentials()) as client:
        if usable:
            assert (await client.job(GROUP, LIVE)).ready
        else:
            with pytest.raises(NotSentError, match="no access token"):
                await client.job(GROUP, LIVE)
