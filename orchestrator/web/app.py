"""The page over HTTP: who may, then what there is.

GET  /  /runs/RUN_ID                 the page (one document; its script looks at the address)
GET  /static/NAME                    its script, style and icon
GET  /api/events?follow=…            server-sent events: the list of runs, runs (`streams`)
POST /api/runs/RUN_ID/COMMAND        what the buttons ask (`control.read`)
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import anyio
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..core.errors import JournalError
from ..machine.version import program_version
from ..reports import ASSETS
from .access import CSRF_HEADER, SECURITY_HEADERS, Access
from .control import COMMANDS, Refusal, ask, read
from .feed import Feed, Feeds
from .streams import RUNS, Stream, topics_in

LARGEST_BODY = 16 * 1024
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

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
        options: What a command needs to find the same state directory, a space before each option.
    """

    def __init__(
        self,
        *,
        access: Access,
        feeds: Feeds,
        state_dir: Path,
        wall: Callable[[], float],
        closing: anyio.Event,
        options: str = "",
    ) -> None:
        self._access = access
        self._feeds = feeds
        self._state_dir = state_dir
        self._wall = wall
        self._closing = closing
        self._options = options
        templates = Environment(
            loader=FileSystemLoader([_HERE / "templates", ASSETS]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._page = templates.get_template("page.html")
        self._refusal = templates.get_template("refusal.html")
        self._files = {
            path.name: (path.read_bytes(), _TYPES[path.suffix])
            for path in (*(_HERE / "static").iterdir(), *ASSETS.iterdir())
            if path.suffix in _TYPES
        }

    def application(self) -> web.Application:
        """What aiohttp serves."""
        application = web.Application(middlewares=[self._guard], client_max_size=LARGEST_BODY)
        application.on_response_prepare.append(_add_security_headers)
        application.router.add_get("/", self._show_page)
        application.router.add_get("/runs/{run_id}", self._show_page)
        application.router.add_get("/static/{name}", self._show_file)
        application.router.add_get("/api/events", self._follow)
        application.router.add_post("/api/runs/{run_id}/{command}", self._command)
        return application

    # -- who may -----------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not self._access.is_addressed(request.headers.get("Host", "")):
            return self._refuse(request, 421, "This is not the address of the page.", _WRONG_HOST)
        given = request.query.get("token")
        if given is not None:
            if request.method == "GET" and self._access.opens(given):
                return self._open(request)
            return self._refuse(request, 401, "This token is not the right one.", _HOW_TO_GET_IN)
        session = request.cookies.get(self._access.cookie)
        if session is None or not self._access.knows(session):
            return self._refuse(request, 401, "This page needs its token.", _HOW_TO_GET_IN)
        if request.method not in ("GET", "HEAD"):
            reason = self._access.may_change(request.headers, session)
            if reason is not None:
                return self._refuse(request, 403, "This request is refused.", f"{reason}.")
        try:
            return await handler(request)
        except web.HTTPException as refused:
            return self._refuse(request, refused.status, refused.reason, "There is nothing here.")

    def _open(self, request: web.Request) -> web.Response:
        """Remember the visitor, and take the token out of the address bar."""
        response = web.Response(status=303, headers={"Location": "/" + request.rel_url.raw_path.lstrip("/\\")})
        response.set_cookie(self._access.cookie, self._access.new_session(), path="/", httponly=True, samesite="Strict")
        return response

    def _refuse(self, request: web.Request, status: int, title: str, text: str) -> web.Response:
        if request.path.startswith("/api/"):
            return web.json_response({"error": f"{title} {text}"}, status=status)
        return web.Response(
            status=status, text=self._refusal.render(title=title, text=text, status=status), content_type="text/html"
        )

    # -- what there is -----------------------------------------------------------------------------------------------

    async def _show_page(self, request: web.Request) -> web.Response:
        if RUN_ID.fullmatch(request.match_info.get("run_id", "runs")) is None:
            raise web.HTTPNotFound
        session = request.cookies[self._access.cookie]
        text = self._page.render(
            csrf_token=self._access.csrf_token(session),
            csrf_header=CSRF_HEADER,
            options=self._options,
            version=program_version(),
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
        places = topics_in(request.query.getall("follow", []))
        if not places or not all(topic == RUNS or RUN_ID.fullmatch(topic) for topic in places):
            raise web.HTTPNotFound
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await Stream(response, wall=self._wall, closing=self._closing).run(places, self._watch)
        return response

    def _watch(self, topic: str) -> AbstractContextManager[Feed]:
        return self._feeds.watch_runs() if topic == RUNS else self._feeds.watch(topic)

    async def _command(self, request: web.Request) -> web.Response:
        run_id, command = request.match_info["run_id"], request.match_info["command"]
        if command not in COMMANDS or RUN_ID.fullmatch(run_id) is None:
            raise web.HTTPNotFound
        asked = read(command, await request.read())
        if isinstance(asked, Refusal):
            return web.json_response({"error": asked.reason}, status=asked.status)
        who = f"{asked.who} (page, {request.remote or 'unknown'})"
        asking = partial(ask, self._state_dir, run_id, asked, who=who, at=self._wall())
        try:
            refusal = await anyio.to_thread.run_sync(asking)
        except JournalError as error:
            return web.json_response({"error": str(error)}, status=503)
        if refusal is not None:
            return web.json_response({"error": refusal.reason}, status=refusal.status)
        return web.json_response({"asked": command}, status=202)


_HOW_TO_GET_IN = (
    "Open the whole address, token included, that `atlas-cutover serve` printed when it started "
    "(http://…/?token=…). Where it was started with --token-file, the token is what is in that file."
)
_WRONG_HOST = (
    "Open the address that `atlas-cutover serve` printed when it started. Through an SSH tunnel, use the same port on "
    "both sides: ssh -L PORT:127.0.0.1:PORT HOST."
)


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
