from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.errors import InputError
from orchestrator.web.access import SECURITY_HEADERS, Access, read_token, split_host
from orchestrator.web.server import RunningPage, serve_page

from ..builders import workflow
from .nights import RUN, Night
from .visitors import Visitor

pytestmark = pytest.mark.anyio

PATHS = ("/", f"/runs/{RUN}", "/static/page.js", "/api/events?follow=*", f"/api/events?follow={RUN}", "/nothing")


@pytest.mark.parametrize("path", PATHS)
async def test_without_the_token_every_path_is_closed(stranger: Visitor, path: str) -> None:
    """Reading too; and the answer says where the token is."""
    answer = await stranger.get(path)
    assert answer.status == 401
    assert "atlas-cutover serve" in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "x" * 43, "\u00e9"])
async def test_a_wrong_token_opens_nothing(stranger: Visitor, token: str) -> None:
    """No cookie comes of it either."""
    answer = await stranger.get("/", params={"token": token})
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers


async def test_the_token_becomes_a_cookie_and_leaves_the_address(stranger: Visitor) -> None:
    """The cookie is out of reach of scripts and of other sites, and is not the token."""
    answer = await stranger.get(f"/runs/{RUN}", params={"token": stranger.page.access.token})
    assert answer.status == 303
    assert answer.headers["Location"] == f"/runs/{RUN}"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert stranger.page.access.token not in cookie
    assert (await stranger.get("/")).status == 200


async def test_the_redirect_stays_on_the_page(stranger: Visitor) -> None:
    """A path that a browser would take for another host is made one of ours."""
    answer = await stranger.get(f"//evil.example/?token={stranger.page.access.token}")
    assert answer.headers["Location"] == "/evil.example/"


async def test_a_made_up_cookie_opens_nothing(stranger: Visitor) -> None:
    """It lacks the seal."""
    name = stranger.page.access.cookie
    for value in ("", "abc", "abc.def", "abc." + "0" * 64):
        assert (await stranger.get("/", headers={"Cookie": f"{name}={value}"})).status == 401


async def test_another_token_makes_old_cookies_worthless(tmp_path: Path) -> None:
    """A page that is started again lets nobody in by itself."""
    before = Access(token="a" * 32, host="127.0.0.1", port=1)
    after = Access(token="b" * 32, host="127.0.0.1", port=1)
    session = before.new_session()
    assert before.knows(session)
    assert not after.knows(session)


@pytest.mark.parametrize(("path", "status"), [(path, 200) for path in PATHS[:3]] + [("/nothing", 404)])
async def test_every_answer_is_locked_down(visitor: Visitor, path: str, status: int) -> None:
    """Nothing from elsewhere, nothing kept, nothing framed."""
    answer = await visitor.get(path)
    assert answer.status == status
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value


async def test_refusals_and_streams_are_locked_down_too(stranger: Visitor) -> None:
    """The policy has no gap."""
    refused = await stranger.get("/")
    csrf = await stranger.enter()
    forbidden = await stranger.press("pause", csrf="wrong")
    missing = await stranger.press("pause", csrf=csrf)
    async with stranger.follow("*") as stream:
        headers = [refused.headers, forbidden.headers, missing.headers, stream.response.headers]
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert [each["Content-Security-Policy"] for each in headers] == [policy] * 4
    assert [refused.status, forbidden.status, missing.status] == [401, 403, 404]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "a@127.0.0.1:{port}"]
)
async def test_a_foreign_host_name_is_refused(visitor: Visitor, host: str) -> None:
    """A name that was made to point here (DNS rebinding) opens nothing, cookie or not."""
    answer = await visitor.get("/", headers={"Host": host.format(port=visitor.page.access.port)})
    assert answer.status in (400, 421)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST"])
async def test_this_machines_names_are_accepted(visitor: Visitor, name: str) -> None:
    """By whichever the browser came."""
    assert (await visitor.get("/", headers={"Host": f"{name}:{visitor.page.access.port}"})).status == 200


def test_a_page_on_all_interfaces_answers_to_addresses_and_its_own_name() -> None:
    """Other names are refused: only a name can be made to point somewhere else."""
    access = Access(token="t" * 32, host="0.0.0.0", port=8642, machine="bastion")  # noqa: S104 - nothing is bound
    assert access.is_addressed("10.1.2.3:8642")
    assert access.is_addressed("[fd00::1]:8642")
    assert access.is_addressed("Bastion:8642")
    assert not access.is_addressed("evil.example:8642")
    assert not access.is_addressed("10.1.2.3:80")


def test_a_host_header_is_split_or_refused() -> None:
    """The port of plain HTTP is assumed, nonsense is not."""
    assert split_host("localhost") == ("localhost", 80)
    assert split_host("[::1]:8642") == ("::1", 8642)
    assert split_host("a:b") is None
    assert split_host("a/b") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "", "Sec_Fetch_Site": ""},
        {"X_CSRF_Token": ""},
        {"X_CSRF_Token": "0" * 64},
        {"X_CSRF_Token": "\u00e9"},
    ],
)
async def test_another_page_cannot_press_a_button(visitor: Visitor, night: Night, headers: dict[str, str]) -> None:
    """The cookie alone is not enough: the request has to come from the page, with the session's token."""
    csrf = await visitor.enter()
    night.begin(workflow())
    with night.held():
        answer = await visitor.press("pause", csrf=csrf, **headers)
    assert answer.status == 403
    assert night.asked() == []


async def test_a_token_of_another_session_presses_nothing(visitor: Visitor, night: Night, page: RunningPage) -> None:
    """Each session has its own."""
    night.begin(workflow())
    other = page.access.csrf_token(page.access.new_session())
    with night.held():
        assert (await visitor.press("pause", csrf=other)).status == 403
    assert night.asked() == []


async def test_other_machines_are_let_in_only_with_a_chosen_token(tmp_path: Path) -> None:
    """Without one the page does not even listen."""
    with pytest.raises(InputError, match="--token-file"):
        async with serve_page(tmp_path, host="0.0.0.0"):  # noqa: S104 - it is refused
            pass


async def test_a_port_that_is_taken_is_a_mistake_of_usage(page: RunningPage, tmp_path: Path) -> None:
    """And the message says what helps."""
    with pytest.raises(InputError, match="--port 0"):
        async with serve_page(tmp_path, port=page.access.port):
            pass


def test_a_token_file_has_a_token_in_it(tmp_path: Path) -> None:
    """White space around it does not count."""
    file = tmp_path / "token"
    file.write_text("  correct-horse-battery-staple\n", encoding="utf-8")
    assert read_token(file) == "correct-horse-battery-staple"


@pytest.mark.parametrize(
    ("text", "why"), [("short", "at least 16"), ("two words " * 4, "only letters"), ("", "at least")]
)
def test_a_bad_token_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """Too short to be safe, or not fit for an address."""
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=why):
        read_token(file)


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    """With what was wrong."""
    with pytest.raises(InputError, match="none: cannot be read: No such file"):
        read_token(tmp_path / "none")
