"""The simulated token endpoint: strict about who asks and how, and what its tokens are good for."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from orchestrator.simulator import RunningSimulator, Scenario, Simulator
from orchestrator.simulator.tokens import TokenRules

pytestmark = pytest.mark.anyio

ACCOUNT = ("mdb_sa_id_1", "mdb_sa_sk_1")
GRANT = {"grant_type": "client_credentials"}
V2 = {"Accept": "application/vnd.atlas.2023-01-01+json"}


def basic(client_id: str = ACCOUNT[0], secret: str = ACCOUNT[1]) -> dict[str, str]:
    """The header that proves who asks for a token."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


@dataclass(frozen=True, slots=True)
class Desk:
    """A running simulator and a plain session."""

    running: RunningSimulator
    session: aiohttp.ClientSession

    async def post(self, path: str, form: Any, headers: dict[str, str]) -> tuple[int, Any]:
        """Status and document of the answer to a form."""
        async with self.session.post(f"{self.running.origin}/api/oauth/{path}", data=form, headers=headers) as response:
            body = await response.read()
            return response.status, await response.json() if body else None

    async def root(self, token: str, api: str = "v2") -> int:
        """The status of the root resource for *token*."""
        headers = {**V2, "Authorization": f"Bearer {token}"} if api == "v2" else {"Authorization": f"Bearer {token}"}
        async with self.session.get(self.running.base_url(api), headers=headers) as response:
            return response.status


@asynccontextmanager
async def desk(**rules: Any) -> AsyncIterator[Desk]:
    """A simulator whose tokens follow *rules*."""
    simulator = Simulator(workflow=None, account=ACCOUNT, scenario=Scenario(tokens=TokenRules(**rules)))
    async with simulator.serve() as running, aiohttp.ClientSession() as session:
        yield Desk(running, session)


async def test_a_token_is_good_for_both_apis_until_it_is_given_back() -> None:
    """Fetched, used, revoked, refused."""
    async with desk() as it:
        status, document = await it.post("token", GRANT, basic())
        assert (status, document["token_type"], document["expires_in"]) == (200, "Bearer", 3600)
        token = document["access_token"]
        assert [await it.root(token), await it.root(token, "v1.0")] == [200, 200]
        form = {"token": token, "token_type_hint": "access_token"}
        assert await it.post("revoke", form, basic()) == (200, None)
        assert await it.post("revoke", form, basic()) == (200, None)
        assert await it.root(token) == 401
        assert it.running.record()["tokens"] == {"issued": 1, "revoked": 1, "live": 0}


@pytest.mark.parametrize(
    ("form", "headers", "expected"),
    [
        (GRANT, {}, (401, "invalid_client")),
        (GRANT, basic(secret="wrong"), (401, "invalid_client")),
        (GRANT, basic(client_id="nobody"), (401, "invalid_client")),
        (GRANT, {"Authorization": "Basic !"}, (401, "invalid_client")),
        ({}, basic(), (400, "invalid_request")),
        ({"grant_type": "password"}, basic(), (400, "unsupported_grant_type")),
        (GRANT, {**basic(), "Accept": "text/html"}, (400, "invalid_request")),
    ],
)
async def test_what_is_not_as_it_has_to_be_is_refused(
    form: Any, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """In the words of RFC 6749."""
    async with desk() as it:
        status, document = await it.post("token", form, headers)
        assert (status, document["error"]) == expected


async def test_json_in_place_of_a_form_is_refused() -> None:
    """A common mistake."""
    async with desk() as it:
        headers = {**basic(), "Content-Type": "application/json"}
        assert (await it.post("token", b"{}", headers))[0] == 400


async def test_an_account_has_so_many_tokens_and_asks_so_often() -> None:
    """The fourth token is one too many, the fifth request one too soon."""
    async with desk(most=3, per_minute=4) as it:
        answers = [await it.post("token", GRANT, basic()) for _ in range(5)]
        assert [status for status, _ in answers] == [200, 200, 200, 403, 429]
        assert answers[3][1]["error"] == "access_denied"
        assert (answers[4][1]["errorCode"], answers[4][1]["parameters"]) == ("RATE_LIMITED", ["/api/oauth/token", 4, 1])


async def test_another_method_is_not_allowed() -> None:
    """The endpoint takes POST alone."""
    async with desk() as it, it.session.get(f"{it.running.origin}/api/oauth/token") as response:
        assert response.status in (401, 405)
