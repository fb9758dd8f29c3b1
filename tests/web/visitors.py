"""A browser without a screen."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
from multidict import CIMultiDictProxy

from orchestrator.web.server import RunningPage

from .nights import RUN

WHO_ASKS = "Ada"
"""What a visitor types as the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, read to its end."""

    status: int
    text: str
    headers: CIMultiDictProxy[str]

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A server-sent event."""

    event: str
    id: str
    document: Any


class Stream:
    """Server-sent events as they come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Message:
        """The next event; beats are passed over."""
        fields: dict[str, str] = {}
        with anyio.fail_after(60):
            while True:
                line = (await self.response.content.readline()).decode()
                assert line, "the stream has ended"
                if line == "\n":
                    if "data" in fields and fields["event"] != "beat":
                        return Message(
                            event=fields["event"],
                            id=fields["id"].partition("@")[2],
                            document=json.loads(fields["data"]),
                        )
                    fields = {}
                    continue
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value

    async def beat(self) -> Any:
        """The next beat; events are passed over."""
        with anyio.fail_after(60):
            while await self.response.content.readline() != b"event: beat\n":
                pass
            return json.loads((await self.response.content.readline()).removeprefix(b"data: "))

    def has_more(self) -> bool:
        """Whether a beat has come that nobody has read yet."""
        return b"beat" in self.response.content.read_nowait()

    async def until(self, wanted: Callable[[Any], bool]) -> Message:
        """The first event whose document is as *wanted*."""
        while True:
            message = await self.next()
            if wanted(message.document):
                return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A browser without a screen: it keeps cookies, and follows redirects when told to."""

    page: RunningPage
    session: aiohttp.ClientSession

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """One request, read to its end."""
        options.setdefault("allow_redirects", False)
        async with self.session.request(method, self.page.origin + path, **options) as response:
            return Answer(status=response.status, text=await response.text(), headers=response.headers)

    async def get(self, path: str, **options: Any) -> Answer:
        """GET *path*."""
        return await self.request("GET", path, **options)

    @property
    def token(self) -> str:
        """What opens the page."""
        return self.page.access.visitors[0].token

    async def enter(self, token: str | None = None) -> str:
        """Sign in; the session's key."""
        answer = await self.request("POST", "/login", data={"token": token or self.token, "then": "/"})
        found = re.search(r'name="key" content="([0-9a-f]+)"', answer.text)
        assert (answer.status, found is not None) == (200, True)
        assert found is not None
        self.session.headers["X-Page-Key"] = found[1]
        return found[1]

    async def press(self, command: str, *, run_id: str = RUN, csrf: str, body: Any = None, **headers: str) -> Answer:
        """What the page sends when the button *command* is pressed; *headers* replace its own."""
        given = {"Origin": self.page.origin, "Sec-Fetch-Site": "same-origin", "X-Page-Key": csrf}
        body = {"who": WHO_ASKS} | (body or {}) if isinstance(body, dict | None) else body
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in given.items() if value}
        own = self.session.headers.pop("X-Page-Key", "")
        answer = await self.request("POST", f"/api/runs/{run_id}/{command}", json=body, headers=sent)
        self.session.headers["X-Page-Key"] = own
        return answer

    @asynccontextmanager
    async def follow(self, topic: str, *, after: str = "") -> AsyncIterator[Stream]:
        """The server-sent events about *topic*: a run's id, or * for the list; *after*: what was seen already."""
        asked = {"follow": f"{topic}@{after}" if after else topic}
        async with self.session.get(f"{self.page.origin}/api/events", params=asked) as response:
            assert response.status == 200
            assert response.headers["Content-Type"].startswith("text/event-stream")
            yield Stream(response)
