"""The page over HTTP: who may, then what there is.

GET  /  /runs/RUN_ID                 the page (one document; its script looks at the address)
GET  /static/NAME                    its script, style and icon
GET  /login?then=PATH                the form for a token, which every address of the page has for who is not signed in
POST /login  /  /runs/RUN_ID         what the form sends: to its own address, as what stands behind # there goes to no server
GET  /?code=CODE                     the printed address: as the form, once
GET  /api/session                    who the visitor is, while cookie and key are good
GET  /api/events?follow=…&key=KEY    server-sent events: the list of runs, runs (`streams`)
GET  /api/runs/RUN_ID/report.html    the report as it would be now, to keep
POST /api/runs/RUN_ID/COMMAND        what the buttons ask (`control.read`)
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

import anyio
from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..core.errors import JournalError
from ..core.observer import Say, silent
from ..core.steered import Command
from ..machine.threads import beside
from ..machine.version import program_version
from ..reports import ASSETS
from ..store.state_dir import RUN_ID
from .access import KEY_HEADER, SECURITY_HEADERS, Access, Code, Visitor
from .attempts import Attempts
from .control import Refusal, ask, read
from .door import Quietly
from .feed import Feed, Feeds
from .report import report_of
from .streams import RUNS, Stream, topics_in

LARGEST_BODY = 16 * 1024
BODY_SECONDS = 10.0
MOST_FIELDS = 10

_PATH = re.compile(rf"/(runs/{RUN_ID.pattern})?")

_HERE = Path(__file__).parent
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class App:
    """Answers requests.

    Args:
        access: Who may.
        feeds: What there is to see.
        state_dir: Where control requests are left.
        wall: Unix seconds.
        closing: Set when the server ends: streams end then.
        code: Opens the page once, for the first visitor.
        options: What a command needs to find the same state directory, a space before each option.
        say: Told of each login, refusal and action.
    """

    def __init__(
        self,
        *,
        access: Access,
        feeds: Feeds,
        state_dir: Path,
        wall: Callable[[], float],
        closing: anyio.Event,
        code: Code | None = None,
        options: str = "",
        say: Say = silent,
    ) -> None:
        self._access = access
        self._feeds = feeds
        self._state_dir = state_dir
        self._wall = wall
        self._closing = closing
        self._code = code
        self._options = options
        self._say = say
        self._at_home: Callable[[web.RequestHandler, Visitor], None] = lambda *_: None
        self._attempts = Attempts()
        self._quietly = Quietly(say)
        self._reporting = anyio.Lock()  # one at a time: a report of thousands takes a second of a processor
        self._reporting_to = {visitor: anyio.Lock() for visitor in access.visitors}  # one of each waits for it
        templates = Environment(
            loader=FileSystemLoader([_HERE / "templates", ASSETS]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._page = templates.get_template("page.html")
        self._entered = templates.get_template("entered.html")
        self._refusal = templates.get_template("refusal.html")
        self._files = {
            path.name: (path.read_bytes(), _TYPES[path.suffix])
            for path in (*(_HERE / "static").iterdir(), *ASSETS.iterdir())
            if path.suffix in _TYPES
        }

    def application(self, at_home: Callable[[web.RequestHandler, Visitor], None]) -> web.Application:
        """What aiohttp serves; *at_home* is told the connection of each who has signed in, and who that is."""
        self._at_home = at_home
        application = web.Application(middlewares=[self._guard], client_max_size=LARGEST_BODY)
        application.on_response_prepare.append(_add_security_headers)
        application.router.add_get("/", self._show_page)
        application.router.add_get("/runs/{run_id}", self._show_page)
        application.router.add_get("/login", self._show_login)
        for path in ("/login", "/", "/runs/{run_id}"):
            application.router.add_post(path, self._log_in)
        application.router.add_get("/api/session", self._tell_session)
        application.router.add_get("/static/{name}", self._show_file)
        application.router.add_get("/api/events", self._follow, allow_head=False)
        application.router.add_get("/api/runs/{run_id}/report.html", self._report)
        application.router.add_post("/api/runs/{run_id}/{command}", self._command)
        return application

    # -- who may -----------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not self._access.is_addressed(request.headers.get("Host", "")):
            return self._refuse(request, 421, "This is not the address of the page.", _WRONG_HOST)
        if request.path == "/login" or (request.method == "POST" and _PATH.fullmatch(request.path)):
            return await handler(request)
        given = request.query.get("code")
        if given is not None and request.method == "GET":
            if self._code is not None and self._code.spend(given):
                return self._enter(request, self._access.visitors[0], request.path, by="code")
            return await self._turn_away(request, "This address has been used, or is too old.")
        session = request.cookies.get(self._access.cookie, "")
        visitor = self._access.knows(session)
        if visitor is None:
            return self._refuse(request, 401, "This page needs its token.", _HOW_TO_GET_IN)
        refused = self._why_not(request, visitor, session)
        if refused is not None:
            self._quietly(refused[1], path=request.path, who=_called(visitor, request))
            return self._refuse(request, *refused)
        self._at_home(request.protocol, visitor)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._refuse(request, error.status, error.reason, "There is nothing here.")

    def _visitor(self, request: web.Request) -> Visitor:
        """Whose request it is that `_guard` has let through."""
        visitor = self._access.knows(request.cookies.get(self._access.cookie, ""))
        assert visitor is not None
        return visitor

    def _why_not(self, request: web.Request, visitor: Visitor, session: str) -> tuple[int, str, str] | None:
        """Why somebody with a good cookie is refused all the same: status, title and text."""
        changes = request.method not in ("GET", "HEAD")
        if changes and (elsewhere := self._access.is_from_here(request.headers)) is not None:
            return 403, "This request is refused.", f"{elsewhere}."
        if changes or request.path.startswith("/api/"):
            key = request.headers.get(KEY_HEADER) or request.query.get("key", "")
            if not self._access.has_key(visitor, session, key):
                return 403, "This request is refused.", f"It lacks the session's key ({KEY_HEADER}): sign in again."
        if changes and not visitor.steers:
            return 403, "This request is refused.", "Your token allows viewing, not steering."
        return None

    async def _show_login(self, request: web.Request) -> web.Response:
        return self._refuse(request, 401, "Sign in", "")

    async def _log_in(self, request: web.Request) -> web.Response:
        if self._access.is_entered_from_elsewhere(request.headers):
            return self._refuse(request, 403, "This request is refused.", "It comes from another page.")
        given = await _form(request)
        if given is None:
            return self._refuse(request, 400, "This form cannot be read.", "")
        visitor, then = self._access.opens(given.pop("token", "").strip()), given.pop("then", "/")
        if visitor is None:
            return await self._turn_away(request, "This token is not known here.")
        return self._enter(request, visitor, then, by="token")

    async def _turn_away(self, request: web.Request, title: str) -> web.Response:
        self._quietly(title, path=request.path, who=request.remote or "unknown")
        if not await self._attempts.slow_down():
            return self._refuse(request, 429, "Too many wrong tokens are waiting for their answer.", _HOW_TO_GET_IN)
        return self._refuse(request, 401, title, _HOW_TO_GET_IN)

    def _enter(self, request: web.Request, visitor: Visitor, then: str, *, by: str) -> web.Response:
        """Remember the visitor: a cookie for the page's frame, and the key for what is in it."""
        self._say("page_entered", who=_called(visitor, request), role="steer" if visitor.steers else "view", by=by)
        session = self._access.new_session(visitor)
        then = then if _PATH.fullmatch(then) else "/"
        text = self._entered.render(key=self._access.key(visitor, session), then=then)
        response = web.Response(text=text, content_type="text/html")
        response.set_cookie(self._access.cookie, session, path="/", httponly=True, samesite="Strict")
        return response

    async def _tell_session(self, request: web.Request) -> web.Response:
        visitor = self._visitor(request)
        return web.json_response({"name": visitor.name, "role": "steer" if visitor.steers else "view"})

    def _refuse(self, request: web.Request, status: int, title: str, text: str) -> web.Response:
        if request.path.startswith("/api/"):
            return web.json_response({"error": f"{title} {text}"}, status=status)
        then = request.query.get("then", "/") if request.path == "/login" else request.path
        then = then if _PATH.fullmatch(then) else "/"
        page = self._refusal.render(title=title, text=text, status=status, then=then)
        return web.Response(status=status, text=page, content_type="text/html")

    # -- what there is -----------------------------------------------------------------------------------------------

    async def _show_page(self, request: web.Request) -> web.Response:
        if RUN_ID.fullmatch(request.match_info.get("run_id", "runs")) is None:
            raise web.HTTPNotFound
        visitor = self._visitor(request)
        text = self._page.render(
            key_header=KEY_HEADER,
            options=self._options,
            version=program_version(),
            role="steer" if visitor.steers else "view",
            who=visitor.name or "",
            path=request.path,
        )
        return web.Response(text=text, content_type="text/html")

    async def _show_file(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, content_type = found
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        """Send what the viewer lacks of what he follows, until he goes or the server ends."""
        positions = topics_in(request.query.getall("follow", []))
        if not positions or not all(topic == RUNS or RUN_ID.fullmatch(topic) for topic in positions):
            raise web.HTTPNotFound
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await Stream(response, wall=self._wall, closing=self._closing).run(positions, self._watch)
        return response

    def _watch(self, topic: str) -> AbstractContextManager[Feed]:
        return self._feeds.watch_runs() if topic == RUNS else self._feeds.watch(topic)

    async def _report(self, request: web.Request) -> web.Response:
        run_id = request.match_info["run_id"]
        if RUN_ID.fullmatch(run_id) is None:
            raise web.HTTPNotFound
        async with self._reporting_to[self._visitor(request)], self._reporting:
            text = await beside(report_of, self._state_dir, run_id, self._wall(), self._options)
        if text is None:
            raise web.HTTPNotFound
        name = f'attachment; filename="report-{run_id}.html"'
        return web.Response(text=text, content_type="text/html", headers={"Content-Disposition": name})

    async def _command(self, request: web.Request) -> web.Response:
        run_id, word = request.match_info["run_id"], request.match_info["command"]
        if word not in tuple(Command) or RUN_ID.fullmatch(run_id) is None:
            raise web.HTTPNotFound
        command = Command(word)
        visitor = self._visitor(request)
        asked = read(command, await _body(request))
        if isinstance(asked, Refusal):
            return web.json_response({"error": asked.reason}, status=asked.status)
        # The page sends the name that it shows, and that of its token it lets nobody change.
        if visitor.name not in (None, asked.who):
            self._quietly("A tab of somebody else.", path=request.path, who=_called(visitor, request))
            return web.json_response({"error": _OTHER_TAB.format(now=visitor.name)}, status=409)
        who = f"{visitor.name or asked.who} (page, {request.remote or 'unknown'})"
        self._say("page_command", run_id=run_id, command=command, about=list(asked.names), who=who, reason=asked.reason)
        asking = partial(ask, self._state_dir, run_id, asked, who=who, wall=self._wall)
        try:
            refusal = await beside(asking)
        except JournalError as error:
            return web.json_response({"error": str(error)}, status=503)
        if refusal is not None:
            self._say("page_refused", path=request.path, who=who, reason=refusal.reason)
            return web.json_response({"error": refusal.reason}, status=refusal.status)
        return web.json_response({"asked": command}, status=202)


_OTHER_TAB = "This browser has signed in as {now} since this tab was opened, which shows another name. Load the tab again, or sign in again."
_HOW_TO_GET_IN = (
    "The address that `atlas-cutover serve` printed when it started opens the page once. After that, sign in with the token that it "
    "printed beside it; where it was started with --token-file, with one of that file."
)
_WRONG_HOST = (
    "Open the address that `atlas-cutover serve` printed when it started. Through an SSH tunnel, use the same port on "
    "both sides: ssh -L PORT:127.0.0.1:PORT HOST."
)


def _called(visitor: Visitor, request: web.Request) -> str:
    return f"{visitor.name or 'who has the token'} ({request.remote or 'unknown'})"


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


async def _body(request: web.Request) -> bytes:
    """All of *request*'s body.

    Raises:
        HTTPRequestTimeout: It has not come in `BODY_SECONDS`, however it was announced.
    """
    try:
        with anyio.fail_after(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


async def _body_of_stranger(request: web.Request) -> bytes:
    """As `_body`; but the request itself keeps none of it, which may have to wait long for its answer.

    Raises:
        HTTPRequestTimeout, HTTPRequestEntityTooLarge: It takes too long, or is too long.
    """
    body = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise web.HTTPRequestEntityTooLarge(max_size=LARGEST_BODY, actual_size=len(body))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return bytes(body)


async def _form(request: web.Request) -> dict[str, str] | None:
    """The fields of *request*'s form, as the page's own sends them; None: it is of another kind, which nobody takes apart for a stranger."""
    if request.content_type != "application/x-www-form-urlencoded" or hdrs.CONTENT_ENCODING in request.headers:
        return None
    body = await _body_of_stranger(request)
    try:
        return dict(parse_qsl(body.decode(errors="replace"), max_num_fields=MOST_FIELDS))
    except ValueError:
        return None
