"""An HTTP answer as this package reads it: given up, it takes its connection with it."""

from __future__ import annotations

import aiohttp


class Response(aiohttp.ClientResponse):
    """A response whose connection is reset when it is closed before its end, so that nothing of its request is on its way."""

    def close(self) -> None:
        """Give the answer up. aiohttp calls this when it has not come in time, or not whole."""
        transport = self.connection and self.connection.transport
        if transport is not None:
            transport.abort()  # with TLS, close() would wait for the other side's goodbye, and its socket linger
        super().close()
