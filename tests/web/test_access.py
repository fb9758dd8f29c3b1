from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.core.errors import InputError
from orchestrator.web import attempts
from orchestrator.web.access import CODE_SECONDS, SECURITY_HEADERS, Access, Code, read_tokens, split_host
from orchestrator.web.access import Visitor as Visit
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
    answer = await stranger.request("POST", "/login", data={"token": token})
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers


async def test_the_token_becomes_a_cookie_and_a_key_and_is_in_no_address(stranger: Visitor) -> None:
    """The cookie is out of reach of scripts and of other sites, and neither is the token."""
    answer = await stranger.request("POST", "/login", data={"token": f" {stranger.token} ", "then": f"/runs/{RUN}"})
    assert answer.status == 200
    assert f'href="/runs/{RUN}"' in answer.text
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert stranger.token not in cookie + answer.text
    assert (await stranger.get("/")).status == 200


async def test_the_printed_address_opens_the_page_once(stranger: Visitor) -> None:
    """What stays of it in a browser's history, or in a chat that somebody else reads, opens nothing."""
    path = stranger.page.address.removeprefix(stranger.page.origin)
    assert (await stranger.get(path)).status == 200
    assert (await stranger.get("/")).status == 200
    stranger.session.cookie_jar.clear()
    assert (await stranger.get(path)).status == 401
    assert stranger.token not in path


def test_the_printed_address_grows_old() -> None:
    """One that nobody opened is worth nothing the day after."""
    now = 0.0
    code = Code(lambda: now)
    now = CODE_SECONDS + 1
    assert not code.spend(code.text)


@pytest.mark.parametrize(
    "then", ["//evil.example/", "https://evil.example/", "/static/x", "/runs/a/../b", "javascript:1"]
)
async def test_signing_in_leads_to_the_page_alone(stranger: Visitor, then: str) -> None:
    """Whatever the form says."""
    answer = await stranger.request("POST", "/login", data={"token": stranger.token, "then": then})
    assert 'href="/"' in answer.text


@pytest.mark.parametrize("path", ["/", f"/runs/{RUN}", f"/login?then=/runs/{RUN}"])
async def test_the_form_signs_in_at_the_address_that_it_stands_at(stranger: Visitor, path: str) -> None:
    """A browser keeps what is behind # of it, so the details that a link names are there after signing in; a wrong token gets the form again."""
    form = (await stranger.get(path)).text
    assert '<form method="post">' in form
    wrong = await stranger.request("POST", path, data={"token": "wrong"})
    assert (wrong.status, "Set-Cookie" in wrong.headers, 'name="token"' in wrong.text) == (401, False, True)
    then = path.rpartition("=")[2]
    assert f'name="then" value="{then}"' in wrong.text
    elsewhere = {"Origin": "http://evil.example"}
    refused = await stranger.request("POST", path, data={"token": stranger.token, "then": then}, headers=elsewhere)
    assert refused.status == 403
    answer = await stranger.request("POST", path, data={"token": stranger.token, "then": then})
    assert (answer.status, f'href="{then}"' in answer.text) == (200, True)
    assert (await stranger.get(then)).status == 200


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
async def test_a_form_on_another_page_signs_nobody_in(stranger: Visitor, headers: dict[str, str]) -> None:
    """The browser says where the form was, one way or the other; without TLS at an address it is Origin alone."""
    answer = await stranger.request("POST", "/login", data={"token": stranger.token}, headers=headers)
    assert answer.status == 403


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "multipart/form-data"}, b"abc", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", 400),
        ({"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}, b"token=a", 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=b&" * 50, 400),
        ({"Content-Type": "application/x-www-form-urlencoded; charset=nope"}, b"token=a", 401),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"token=\xff\xfe&then=%ff%00", 401),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"", 401),
        ({"Content-Type": "application/json"}, b"[]", 400),
    ],
)  # fmt: skip
async def test_a_form_of_another_kind_is_not_taken_apart_for_a_stranger(
    stranger: Visitor, headers: dict[str, str], body: bytes, status: int
) -> None:
    """Neither parts, nor compression, nor whatever else a library reads: it is refused, and nothing fails inside."""
    answer = await stranger.request("POST", "/login", data=body, headers=headers)
    assert answer.status == status


async def test_what_strangers_pack_is_not_unpacked(visitor: Visitor) -> None:
    """300 MB in 290 KB took the page from everybody for seconds; nor is it for whoever is signed in."""
    packed = gzip.compress(json.dumps({"who": "ada"}).encode())
    headers = {"Origin": visitor.page.origin, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await visitor.request("POST", f"/api/runs/{RUN}/pause", data=packed, headers=headers)
    assert (answer.status, "JSON object" in answer.text) == (400, True)


async def test_a_cookie_that_is_no_text_opens_nothing(stranger: Visitor) -> None:
    """As one of half characters: refused as any other is."""
    assert stranger.page.access.knows("\udcff\udcfe.x") is None
    assert stranger.page.access.knows("\u00e9.\u00e9") is None


@pytest.mark.parametrize("path", ["/api/session", f"/api/events?follow={RUN}", "/api/events?follow=*&key=0"])
async def test_a_cookie_that_another_port_was_sent_opens_nothing_of_a_run(visitor: Visitor, path: str) -> None:
    """Cookies go to every port of a host; the key stays with the page's own, and is in nothing that the cookie opens."""
    key = visitor.session.headers.pop("X-Page-Key")
    assert (await visitor.get(path)).status == 403
    for frame in ("/", f"/runs/{RUN}", "/static/page.js"):
        assert key not in (await visitor.get(frame)).text


async def test_a_token_to_look_presses_nothing(tmp_path: Path, night: Night) -> None:
    """It sees everything; the audit log has the name of whoever tries."""
    said: list[dict[str, Any]] = []
    visitors = (Visit(name="ada", token="a" * 32), Visit(name="kiosk", token="b" * 32, steers=False))
    night.begin(workflow())
    async with (
        serve_page(
            night.state_dir, visitors=visitors, say=lambda event, **more: said.append({"event": event} | more)
        ) as page,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        visitor = Visitor(page=page, session=session)
        key = await visitor.enter("b" * 32)
        assert (await visitor.get("/api/session")).document == {"name": "kiosk", "role": "view"}
        with night.held():
            assert (await visitor.press("pause", csrf=key)).status == 403
            async with visitor.follow(RUN) as stream:
                await stream.next()
            key = await visitor.enter("a" * 32)
            assert (await visitor.press("pause", csrf=key, body={"who": "ada", "reason": "r"})).status == 202
    assert night.asked() == [("pause", None, "ada (page, 127.0.0.1)")]
    assert [(each["event"], each["who"]) for each in said] == [
        ("page_entered", "kiosk (127.0.0.1)"),
        ("page_refused", "kiosk (127.0.0.1)"),
        ("page_entered", "ada (127.0.0.1)"),
        ("page_command", "ada (page, 127.0.0.1)"),
    ]
    assert said[-1] | {"command": "pause", "reason": "r", "run_id": RUN} == said[-1]
    assert not {"a" * 32, "b" * 32} & {str(value) for each in said for value in each.values()}


async def test_a_tab_acts_in_no_other_name_than_it_shows(tmp_path: Path, night: Night) -> None:
    """Cookie and key are the browser's: whoever signs in in another tab of it has them changed for all tabs."""
    visitors = (Visit(name="ada", token="a" * 32), Visit(name="bob", token="b" * 32))
    night.begin(workflow())
    async with (
        serve_page(night.state_dir, visitors=visitors) as page,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        visitor = Visitor(page=page, session=session)
        await visitor.enter("a" * 32)
        with night.held():
            async with visitor.follow(RUN) as stream:
                await stream.next()
            key = await visitor.enter("b" * 32)
            refused = await visitor.press("pause", csrf=key, body={"who": "ada"})
            assert (refused.status, refused.document["error"].partition(" since")[0]) == (
                409,
                "This browser has signed in as bob",
            )
            assert night.asked() == []
            assert (await visitor.press("pause", csrf=key, body={"who": "bob"})).status == 202
    assert night.asked() == [("pause", None, "bob (page, 127.0.0.1)")]


async def test_wrong_tokens_are_answered_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time: many connections try no faster than one."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    them = attempts.Attempts()
    for _ in range(9):
        assert await them.slow_down()
    assert waited[:3] == [0.1, 0.2, 0.4]
    assert waited[-1] == attempts.LONGEST


async def test_of_many_wrong_attempts_at_once_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others hear at once that there are too many; one that is given up leaves its place to the next."""
    monkeypatch.setattr(attempts, "FIRST", 60.0)
    monkeypatch.setattr(attempts, "LONGEST", 60.0)
    them = attempts.Attempts()
    heard: list[bool] = []

    async def attempt() -> None:
        heard.append(await them.slow_down())

    async with anyio.create_task_group() as group:
        for _ in range(attempts.MOST_WAITING + 8):
            group.start_soon(attempt)
        await anyio.wait_all_tasks_blocked()
        assert heard == [False] * 8
        group.cancel_scope.cancel()
    with anyio.move_on_after(0) as scope:
        assert await them.slow_down()
    assert scope.cancelled_caught


async def test_a_made_up_cookie_opens_nothing(stranger: Visitor) -> None:
    """It lacks the seal."""
    name = stranger.page.access.cookie
    for value in ("", "abc", "abc.def", "abc." + "0" * 64):
        assert (await stranger.get("/", headers={"Cookie": f"{name}={value}"})).status == 401


async def test_another_token_makes_old_cookies_worthless(tmp_path: Path) -> None:
    """A page that is started again lets nobody in by itself."""
    old = Visit(token="a" * 32)
    before = Access(visitors=(old,), host="127.0.0.1", port=1)
    after = Access(visitors=(Visit(token="b" * 32),), host="127.0.0.1", port=1)
    session = before.new_session(old)
    assert before.knows(session) == old
    assert after.knows(session) is None


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


@pytest.mark.parametrize(
    ("host", "printed"), [("localhost", "127.0.0.1"), ("LOCALHOST", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")]
)  # fmt: skip
async def test_the_printed_address_is_where_the_page_listens(tmp_path: Path, host: str, printed: str) -> None:
    """A name can mean another address first, `localhost` say: whoever listens there would be sent the code."""
    async with serve_page(tmp_path, host=host) as page:
        assert page.address.startswith(f"http://{printed}:{page.access.port}/?code=")


def test_a_page_at_a_name_answers_to_its_address_and_to_the_name() -> None:
    """The address is what is printed, the name is what was asked for."""
    access = Access(visitors=(Visit(token="t" * 32),), host="10.1.2.3", name="Bastion.example", port=8642)
    assert access.is_addressed("10.1.2.3:8642")
    assert access.is_addressed("bastion.example:8642")
    assert not access.is_addressed("10.1.2.4:8642")
    assert not access.is_addressed("evil.example:8642")


def test_a_page_on_all_interfaces_answers_to_addresses_and_its_own_name() -> None:
    """Other names are refused: only a name can be made to point somewhere else."""
    access = Access(visitors=(Visit(token="t" * 32),), host="0.0.0.0", port=8642, machine="bastion")  # noqa: S104 - nothing is bound
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
        {"X_Page_Key": ""},
        {"X_Page_Key": "0" * 64},
        {"X_Page_Key": "\u00e9"},
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
    (one,) = page.access.visitors
    other = page.access.key(one, page.access.new_session(one))
    with night.held():
        assert (await visitor.press("pause", csrf=other)).status == 403
    assert night.asked() == []


async def test_a_session_ends_with_its_server(night: Night) -> None:
    """Whoever took the port meanwhile was sent cookie and key by the open tabs: with the same tokens they open nothing."""
    visitors = (Visit(name="ada", token="a" * 32), Visit(name="kiosk", token="b" * 32, steers=False))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with serve_page(night.state_dir, visitors=visitors) as page:
            key = await Visitor(page=page, session=session).enter()
            assert (await Visitor(page=page, session=session).get("/api/session")).status == 200
        night.begin(workflow())
        async with serve_page(night.state_dir, visitors=visitors, port=page.access.port) as page:
            again = Visitor(page=page, session=session)
            with night.held():
                statuses = [
                    (await again.get(path)).status for path in ("/", "/api/session", f"/api/events?follow={RUN}")
                ]
                pressed = await again.press("pause", csrf=key)
            assert (statuses, pressed.status, night.asked()) == ([401] * 3, 401, [])
            assert await again.enter() != key


async def test_signing_in_again_leads_back_to_the_run(visitor: Visitor) -> None:
    """The page's link has where one was; of another address the form makes the list of runs."""
    assert f'href="/login?then=/runs/{RUN}"' in (await visitor.get(f"/runs/{RUN}")).text
    assert 'href="/login?then=/"' in (await visitor.get("/")).text
    assert f'name="then" value="/runs/{RUN}"' in (await visitor.get(f"/login?then=/runs/{RUN}")).text
    assert 'name="then" value="/"' in (await visitor.get("/login?then=//evil.example/")).text


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


STRONG = "correct-horse-battery-staple"


def test_a_token_file_names_who_may_do_what(tmp_path: Path) -> None:
    """A line each; comments and empty lines do not count. One token alone is a file, too."""
    file = tmp_path / "token"
    file.write_text(
        f"# the night of the 28th\n\nada steer {STRONG}\n kiosk view {'0123456789abcdef' * 2}\n", encoding="utf-8"
    )
    assert [(each.name, each.steers) for each in read_tokens(file)] == [("ada", True), ("kiosk", False)]
    file.write_text(f"  {STRONG}\n", encoding="utf-8")
    assert read_tokens(file) == (Visit(token=STRONG),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("short", "128 bits take at least 22"),
        ("0123456789abcdef01234567", "at least 32 random ones"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-", "128 bits"),
        ("zwei-w\u00f6rter-sind-zu-wenig-hier", "only letters"),
        ("", "no token in it"),
        ("# nothing", "no token in it"),
        (f"ada admin {STRONG}", "line 1: expected NAME ROLE TOKEN, with the role view or steer"),
        (f"ada {STRONG}", "line 1: expected NAME ROLE TOKEN"),
        (f"{STRONG}\n{STRONG}x", "line 1: expected NAME ROLE TOKEN"),
        (f"a/b view {STRONG}", "a name has letters"),
        (f"ada view {STRONG}\nada view {STRONG}2", "two lines have the same name"),
        (f"ada view {STRONG}\nbob view {STRONG}", "two lines have the same token"),
    ],
)
def test_a_bad_token_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """Too short to be safe, or not what a line has to be; no message repeats a token."""
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=why) as refused:
        read_tokens(file)
    assert STRONG not in str(refused.value)


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    """With what was wrong."""
    with pytest.raises(InputError, match="none: does not exist"):
        read_tokens(tmp_path / "none")


def test_a_token_file_is_a_file_of_ones_own(tmp_path: Path) -> None:
    """A pipe would be waited for and a device has no end; whoever else can write it would let themselves in."""
    pipe, file = tmp_path / "pipe", tmp_path / "token"
    os.mkfifo(pipe)
    file.write_text(STRONG, encoding="utf-8")
    for path, why in ((pipe, "is a pipe"), (Path("/dev/zero"), "is a device"), (tmp_path, "is a directory")):
        with pytest.raises(InputError, match=f"--token-file {path}: {why}, expected a file"):
            read_tokens(path)
    file.chmod(0o666)
    with pytest.raises(InputError, match="can be written by everybody"):
        read_tokens(file)
    file.chmod(0o600)
    file.write_bytes(b"a\n" * (1 << 20))
    with pytest.raises(InputError, match="is larger than 1 MiB"):
        read_tokens(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_tokens(file)
