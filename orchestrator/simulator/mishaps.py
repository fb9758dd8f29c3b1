"""Faults as they look on the wire: dropped connections, errors, garbage, and answers that are late."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import anyio
from aiohttp import web

from .answers import Call, plain
from .bucket import V2_LIMIT, RateLimit
from .documents import api_error, encode, phrase, rate_limited, rate_limited_older
from .scenario import Fault, FaultKind, Garbage, Kind
from .tokens import too_many_token_requests

Process = Callable[[bool], web.Response]  # carries the request out; whether the client will see the answer
_HTML = {"Content-Type": "text/html"}


class Stage:
    """Plays faults; *closing* is set when the simulator stops, which lets go of every answer that is held."""

    def __init__(self, closing: anyio.Event) -> None:
        self._closing = closing

    async def play(
        self, call: Call, fault: Fault, garbage: Garbage | None, limit: RateLimit | None, process: Process
    ) -> web.Response | None:
        """The answer to *call* under *fault*, None where the connection is to be dropped without one.

        Args:
            call: The request.
            fault: What befalls it.
            garbage: What garbage looks like this time.
            limit: Whose figures a 429 shows.
            process: Carries the request out.
        """
        match fault.kind:
            case FaultKind.LOST_BEFORE:
                return None
            case FaultKind.LOST_AFTER:
                process(False)
            case FaultKind.STATUS | FaultKind.ERROR_BEFORE:
                return _error(call, fault)
            case FaultKind.ERROR_AFTER:
                process(False)
                return _error(call, fault)
            case FaultKind.TOO_MANY_REQUESTS:
                return _too_many_requests(call, fault, limit or V2_LIMIT)
            case FaultKind.GARBAGE:
                return _spoilt(call, process(False), garbage or Garbage.INVALID_JSON)
            case FaultKind.SLOW:
                answer = process(True)
                if await self.hold(fault.delay):
                    return answer
            case FaultKind.LATE:
                if await self.hold(fault.delay):
                    return process(True)
            case FaultKind.HANG_BEFORE:
                await self.hold(fault.delay)
            case FaultKind.HANG_AFTER:
                process(False)
                await self.hold(fault.delay)
        return None

    async def hold(self, delay: float) -> bool:
        """Wait *delay* real seconds; False when the simulator stops before they are over."""
        with anyio.move_on_after(delay):
            await self._closing.wait()
        return not self._closing.is_set()


def drop(call: Call) -> None:
    """Close the connection of *call* at once, without any answer."""
    if call.request.transport is not None:
        call.request.transport.abort()


def _error(call: Call, fault: Fault) -> web.Response:
    extra = {} if fault.retry_after is None else {"Retry-After": str(math.ceil(fault.retry_after))}
    if fault.body is Garbage.HTML:
        title = phrase(fault.status)
        page = f"<html><head><title>{fault.status} {title}</title></head><body><h1>{title}</h1></body></html>"
        return web.Response(status=fault.status, body=page.encode(), headers={**_HTML, **call.headers, **extra})
    content = api_error(fault.status, "UNEXPECTED_ERROR", "Unexpected error.")
    return plain(call, fault.status, content, **extra)


def _too_many_requests(call: Call, fault: Fault, limit: RateLimit) -> web.Response:
    if call.kind in (Kind.TOKEN, Kind.REVOKE):
        extra = {} if fault.retry_after is None else {"Retry-After": str(math.ceil(fault.retry_after))}
        return plain(call, 429, too_many_token_requests(50), **extra)
    if fault.retry_after is None:
        return plain(call, 429, rate_limited_older())
    wait = math.ceil(fault.retry_after)
    return plain(call, 429, rate_limited(call.path.lstrip("/"), limit, wait), Retry_After=str(wait))


def _spoilt(call: Call, answer: web.Response, garbage: Garbage) -> web.Response:
    whole = answer.body if isinstance(answer.body, bytes) and answer.body else b'{"status": "PENDING"}'
    headers = {"Content-Type": answer.headers["Content-Type"], **call.headers}
    if garbage is Garbage.CUT:
        return _Cut(call, status=answer.status, whole=whole, headers=headers)
    body = _garbage_body(whole, garbage)
    if garbage is Garbage.HTML:
        headers.update(_HTML)
    return web.Response(status=answer.status, body=body, headers=headers)


def _garbage_body(whole: bytes, garbage: Garbage) -> bytes:
    match garbage:
        case Garbage.TRUNCATED:
            return whole[: len(whole) // 2]
        case Garbage.HTML:
            return b"<html><body><h1>We will be right back</h1></body></html>"
        case Garbage.EMPTY:
            return b""
        case Garbage.NOT_UTF8:
            return b'{"status": "WORK\xff\xfeING"}'
        case Garbage.WRONG_SHAPE:
            return b"[" + whole + b"]"
        case Garbage.WRONG_TYPES:
            return _changed(whole, status=7, lagTimeSeconds="soon", readyForCutover="maybe")
        case Garbage.UNKNOWN_STATUS:
            return _changed(whole, status="RECONCILING")
        case Garbage.NULL_STATUS:
            return _changed(whole, status=None)
        case Garbage.NULL_LAG:
            return _changed(whole, lagTimeSeconds=None)
        case Garbage.ODD_LAG:
            return _changed(whole, lagTimeSeconds=-1)
        case _:
            return b'{"status": "WORKING", '


def _changed(whole: bytes, **fields: object) -> bytes:
    content = json.loads(whole)
    inner = content["envelope"] if isinstance(content.get("envelope"), dict) else content
    inner.update(fields)
    return encode(content, pretty=False)


class _Cut(web.Response):
    """Half of the body that ``Content-Length`` promises, then the end of the connection of *call*."""

    def __init__(self, call: Call, *, status: int, whole: bytes, headers: dict[str, str]) -> None:
        super().__init__(status=status, body=whole, headers=headers)
        self._call = call
        self._half = whole[: len(whole) // 2]

    async def write_eof(self, data: bytes = b"") -> None:
        """Instead of the whole body."""
        await self.write(self._half + data)
        if self._call.request.transport is not None:
            self._call.request.transport.close()
