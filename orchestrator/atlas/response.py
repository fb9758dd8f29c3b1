"""An HTTP answer as this package reads it: so much of it and no more, and given up, it takes its connection with it."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict, CIMultiDictProxy

from . import wire
from .auth.challenge import challenges, described, digest_challenge

LARGEST_ANSWER = 256 * 1024
"""Bytes of an answer's body, decompressed, that are read at most; a job's document has a few hundred. aiohttp sets a bound to
headers: 128 of them, of 8 KiB each."""


class Response(aiohttp.ClientResponse):
    """A response of bounded size whose connection is reset when it is closed before its end.

    So an endless body or a decompression bomb costs no memory, and nothing is left on its way of a request that was
    given up.
    """

    _content: bytes | None = None  # what was read
    _too_large = False
    _told: CIMultiDictProxy[str] | None = None  # the headers with one challenge at most

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The headers; of a 401's challenges only the one that is to be answered, if there is one."""
        if self.status != 401:
            return super().headers
        if self._told is None:
            told = CIMultiDict(super().headers)
            challenge = digest_challenge(challenges(told.popall(hdrs.WWW_AUTHENTICATE, [])))
            if challenge is not None:
                told[hdrs.WWW_AUTHENTICATE] = challenge
            self._told = CIMultiDictProxy(told)
        return self._told

    @property
    def why_unanswered(self) -> str | None:
        """Why nothing can be answered to the challenges of this 401; None: something can, or there are none."""
        offered = super().headers.getall(hdrs.WWW_AUTHENTICATE, [])
        if self.status != 401 or not offered or hdrs.WWW_AUTHENTICATE in self.headers:
            return None
        return f"the server offers no digest authentication that is known here ({described(challenges(offered))})"

    def close(self) -> None:
        """Give the answer up. aiohttp calls this when it has not come in time, or not whole."""
        transport = self.connection and self.connection.transport
        if transport is not None:
            transport.abort()  # with TLS, close() would wait for the other side's goodbye, and its socket linger
        super().close()

    async def read(self) -> bytes:
        """The body; empty where it is larger than `LARGEST_ANSWER`, and then the rest is not waited for.

        Raises:
            aiohttp.ClientError: It did not come whole.
        """
        if self._content is None:
            self._content = await self._read()
        return self._content

    async def _read(self) -> bytes:
        if self.status == 101:  # nobody asked for another protocol, and aiohttp would leave the connection to it
            self.close()
            return b""
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in self.content.iter_any():
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST_ANSWER:
                    self._too_large = True
                    self.close()
                    return b""
        except BaseException:
            self.close()
            raise
        return b"".join(pieces)

    def document(self) -> Any:
        """The JSON value in the body, which has been read; None where it is empty.

        Raises:
            ValueError: It is no JSON, or was too large.
        """
        if self._too_large:
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        try:
            return wire.decode(self._content) if self._content else None
        except ValueError as error:
            raise ValueError(f"the answer is not JSON ({error})") from None
