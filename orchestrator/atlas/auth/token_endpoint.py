"""Atlas's token endpoint: one request for a token, one to give it back.

Sources: RFC 6749, sections 2.3.1 (who asks), 4.4 (client credentials), 5.1 and 5.2 (answers); RFC 7009 (revocation); the
OpenAPI file's introduction.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import anyio
from aiohttp import hdrs

from ...core.settings import ServiceAccount
from ...text.redaction import Redactor
from .. import wire
from ..errors import AnswerLostError, ApiError, BadAnswerError, KeysRefusedError, RateLimitedError, translate
from ..response import Response
from ..statistics import Statistics

TOKEN_PATH = "/api/oauth/token"  # noqa: S105 - a path
REVOKE_PATH = "/api/oauth/revoke"

_TOKEN = re.compile(
    "[!-~]{12,8192}"
)  # a header's length at most; what is shorter could be a word, and would be blackened everywhere
_DIGITS = re.compile("[0-9]{1,9}")
_UNTOLD_LIFE = 600.0  # seconds, where the endpoint does not say how long its token lives; Atlas's live for an hour
_SHORTEST_LIFE = 1.0  # one that is said to live for less is tried for so long: each request would cost another; a 401 says where it is over
_LONGEST_LIFE = 86400.0
_UNTOLD_REST = 1.0
_REFUSED = frozenset({400, 401})
_REFUSALS = frozenset({"invalid_client", "unauthorized_client", "invalid_grant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token; *begins* and *ends* by the event loop's clock, reckoned from when it was asked for."""

    value: str = field(repr=False)
    begins: float
    ends: float


class TokenEndpoint:
    """Asks for tokens for *account*.

    Args:
        origin: Scheme, host and port of Atlas.
        account: Who asks.
        session: Its connections; not those that other requests fill.
        redactor: Is told the secret, and the tokens while they are good.
        wall: The wall clock, Unix seconds.
        statistics: What is sent is counted there.
    """

    def __init__(
        self,
        origin: str,
        account: ServiceAccount,
        session: aiohttp.ClientSession,
        *,
        redactor: Redactor,
        wall: Callable[[], float],
        statistics: Statistics,
    ) -> None:
        self._origin = origin
        self._session = session
        self._wall = wall
        self.statistics = statistics
        self.client_id = account.client_id
        self.secret = account.client_secret.reveal()
        # Both halves as a form would have them (RFC 6749, section 2.3.1), which changes nothing in ids and secrets of Atlas.
        pair = f"{quote_plus(account.client_id)}:{quote_plus(self.secret)}"
        self._authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self.redactor = redactor
        redactor.add(self.secret, self._authorization.removeprefix("Basic "))

    async def fetch(self) -> AccessToken:
        """A new token.

        Raises:
            KeysRefusedError: Atlas does not know this id with this secret (any more).
            RateLimitedError: 429; `retry_after` is what it asks for, or a second.
            AtlasError: There was no token, for another reason.
        """
        begins = anyio.current_time()
        response = await self._post(TOKEN_PATH, {"grant_type": "client_credentials"})
        try:
            document = response.document()
        except ValueError as error:
            document = None
            if response.status == HTTPStatus.OK:
                raise self._senseless(str(error)) from None
        if response.status != HTTPStatus.OK:
            raise self._error(response, document)
        if not isinstance(document, dict):
            raise self._senseless(f"expected a token, got {type(document).__name__}")
        value, kind = document.get("access_token"), document.get("token_type", "Bearer")
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            raise self._senseless("it has no usable access_token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise self._senseless("its token_type is not Bearer")
        life = document.get("expires_in", _UNTOLD_LIFE)
        if isinstance(life, str) and _DIGITS.fullmatch(life):  # as some gateways write it
            life = int(life)
        if isinstance(life, bool) or not isinstance(life, int | float) or not life > 0:
            raise self._senseless("its expires_in is not a time in seconds")
        return AccessToken(
            value=value, begins=begins, ends=begins + max(_SHORTEST_LIFE, float(min(life, _LONGEST_LIFE)))
        )

    async def give_back(self, token: AccessToken) -> None:
        """Tell Atlas that *token* is not used any more.

        Raises:
            AtlasError: It was not told. The token ends by itself in time.
        """
        response = await self._post(REVOKE_PATH, {"token": token.value, "token_type_hint": "access_token"})
        if response.status != HTTPStatus.OK:
            raise ApiError(method="POST", path=REVOKE_PATH, status=response.status)

    async def _post(self, path: str, form: Mapping[str, str]) -> Response:
        status = "error"
        try:
            response = await self._session.post(
                self._origin + path,
                data=form,
                headers={hdrs.AUTHORIZATION: self._authorization},
                allow_redirects=False,
            )
            status = str(response.status)
            await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise translate(error, method="POST", path=path, clean=self.redactor.text) from error
        except ValueError as error:  # an answer that is no HTTP
            raise AnswerLostError(self.redactor.text(str(error)), method="POST", path=path) from error
        finally:
            self.statistics.by_status[status] += 1
        assert isinstance(response, Response)
        return response

    def _error(self, response: Response, document: Any) -> ApiError:
        problem = wire.error_document(document, clean=self.redactor.text)
        code, detail = problem.error_code, problem.detail
        if isinstance(document, dict) and isinstance(document.get("error"), str):  # as RFC 6749 has it
            told = wire.error_document(
                {"errorCode": document["error"], "detail": document.get("error_description")}, clean=self.redactor.text
            )
            code, detail = told.error_code, told.detail
        asked = wire.retry_after(response.headers.get(hdrs.RETRY_AFTER), now=self._wall())
        status = response.status
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimitedError(
                method="POST", path=TOKEN_PATH, retry_after=asked or _UNTOLD_REST, error_code=code, detail=detail
            )
        if status == HTTPStatus.UNAUTHORIZED or (status in _REFUSED and code in _REFUSALS):
            detail = detail or "Atlas does not know this service account with this secret"
            return KeysRefusedError(
                method="POST",
                path=TOKEN_PATH,
                status=status,
                everywhere=True,
                error_code=code,
                detail=detail,
                sent=False,
            )
        if 300 <= status < 400:
            detail = "redirects are not followed: check `atlas.base_url`"
        return ApiError(
            method="POST", path=TOKEN_PATH, status=status, error_code=code, detail=detail, retry_after=asked
        )

    @staticmethod
    def _senseless(why: str) -> BadAnswerError:
        return BadAnswerError(f"the answer was not understood ({why})", method="POST", path=TOKEN_PATH)
