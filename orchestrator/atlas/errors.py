"""What can go wrong with one request to Atlas.

    AtlasError                  `method` and `path` of the request; ends a run that has not begun with exit code 6
    ├── ApiError                Atlas answered with an error: `status`, `error_code`, `detail`
    │   ├── KeysRefusedError    401 or 403: are the keys refused here, or `everywhere`?
    │   └── RateLimitedError    429: not carried out; `retry_after` seconds
    ├── BadAnswerError          the answer makes no sense (not JSON, not a document): whether it was done is unknown
    ├── NotSentError            no connection: the request never left
    └── AnswerLostError         it may have been sent, and no answer came
        └── AnswerTimeoutError  no answer within the request timeout

The tree says what may be concluded about a PUT: NotSentError: not carried out; ApiError: what `said_by` makes of its
status. All others: unknown.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from enum import StrEnum
from http.client import responses

import aiohttp

from ..core.errors import CutoverError
from ..core.outcomes import ExitCode
from ..text.escaping import one_line
from ..text.hosts import with_port
from .certificate_advice import advice_on_certificate
from .connector import SpokenTooSoonError, proxy_of, proxy_on_the_way


class RequestVerdict(StrEnum):
    """What an HTTP status says about the request that it answers."""

    ACCEPTED = "accepted"  # a 2xx
    NOT_CARRIED_OUT = "not_carried_out"  # a digest challenge or keys that are not taken, the rate limit
    REFUSED = "refused"  # something is wrong with the request or the job: asking again is no use
    INCONCLUSIVE = "inconclusive"  # it speaks of the way or of the server, not of the job: all is possible


_REFUSALS = frozenset(
    {400, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 422, 423, 424, 428, 431}
)
"""The 4xx that an origin server has for a request that it will not do (RFC 9110, section 15.5; RFC 4918; RFC 6585).

Not among them: 408, where somebody gave up waiting and what was sent on may still arrive; 407, 421, 425, 426 and 451, which
whoever stands between says of the connection; and all that no RFC has assigned to an origin server, like 430, 460 or 499:
balancers and proxies made them up for themselves.
"""


def said_by(status: int) -> RequestVerdict:
    """What HTTP *status* says about the request that it answers. Only what is certain counts as more than INCONCLUSIVE."""
    if 200 <= status < 300:
        return RequestVerdict.ACCEPTED
    if status in (401, 429):
        return RequestVerdict.NOT_CARRIED_OUT
    return RequestVerdict.REFUSED if status in _REFUSALS else RequestVerdict.INCONCLUSIVE


class AtlasError(CutoverError):
    """Something went wrong with the request *method* *path*."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, message: str, *, method: str, path: str) -> None:
        super().__init__(one_line(f"{method} {path}: {message}"))  # of which the other side has written a part
        self.method = method
        self.path = path
        self.message = message


class ApiError(AtlasError):
    """Atlas answered with an error document (OpenAPI, ApiError), or with an error status and something else."""

    def __init__(
        self,
        *,
        method: str,
        path: str,
        status: int,
        error_code: str | None = None,
        detail: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        words = f"{status} {error_code}" if error_code else str(status)
        super().__init__(f"{words}: {detail}" if detail else words, method=method, path=path)
        self.status = status
        self.error_code = error_code
        self.detail = detail
        self.retry_after = retry_after

    @property
    def verdict(self) -> RequestVerdict:
        """What the status says about the request."""
        return said_by(self.status)

    @property
    def lasting(self) -> bool:
        """Whether it is a lasting refusal: asking again is no use.

        A 401 counts, since its challenge has been answered: the keys are not taken, however fresh the nonce is.
        """
        return self.verdict is RequestVerdict.REFUSED or self.status == 401


class KeysRefusedError(ApiError):
    """401 to a request that had answered its challenge, or 403; the request was not carried out.

    `everywhere` says what may be concluded, as the root resource was asked, once for all who were refused together:

    * True: it refuses the keys too (revoked, expired, a changed access list). That says nothing about this project or
      job: what has had no PUT stays as it is and no further cutover starts; reads of what is under way go on.
    * False: it takes them, so they are not good for this project (another organisation's, a role that is missing). What
      has had no PUT there has failed; `lasting` is true. After a 401 further reads at the gate and PUTs for this project
      raise this error without a request, until a read of it succeeds; reads of what is under way are still sent.
    * None: it gave no answer that tells. Nothing is decided: ask again later.

    Not `sent`: the project was known to answer 401, and no request has left.
    """

    def __init__(
        self,
        *,
        method: str,
        path: str,
        status: int,
        everywhere: bool | None,
        error_code: str | None = None,
        detail: str | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(method=method, path=path, status=status, error_code=error_code, detail=detail)
        self.everywhere = everywhere
        self.sent = sent

    @property
    def lasting(self) -> bool:
        """Whether it is a lasting refusal for this project's jobs, while the keys are good elsewhere."""
        return self.everywhere is False


class RateLimitedError(ApiError):
    """429: the request was not carried out; its bucket rests for `retry_after` seconds."""

    def __init__(
        self, *, method: str, path: str, retry_after: float, error_code: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(
            method=method, path=path, status=429, error_code=error_code, detail=detail, retry_after=retry_after
        )


class BadAnswerError(AtlasError):
    """The answer's status is fine and its body makes no sense."""


class NotSentError(AtlasError):
    """The request never left this machine: no connection could be made, or it must not be sent any more."""


class AnswerLostError(AtlasError):
    """The connection broke after the request may have been sent."""


class AnswerTimeoutError(AnswerLostError):
    """No answer came within the request timeout."""


_TOO_OLD = "speaks no TLS 1.2, which is the least"
_TLS_ADVICE = {
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED": _TOO_OLD,  # which it signs with up to TLS 1.1
    "WRONG_VERSION_NUMBER": "does not answer with TLS: is the port that of plain HTTP?",
    "HTTP_REQUEST": "does not answer with TLS: is the port that of plain HTTP?",
}
"""What OpenSSL's reasons for ending a handshake say of the other side."""


def translate(
    error: aiohttp.ClientError | OSError,
    *,
    method: str,
    path: str,
    clean: Callable[[str], str],
    has_left: bool = True,
) -> AtlasError:
    """*error*, raised by aiohttp for one wire request, as one of this module's; timeouts included (`TimeoutError`).

    *clean* takes secrets out of its text, which may have bytes of the answer in it. *has_left*: something of the request may have been
    written; else there was no connection, whatever the error is.
    """
    what = f"{type(error).__name__}: {clean(str(error))}" if str(error) else type(error).__name__
    way = proxy_on_the_way(error)
    match error:
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return NotSentError(f"{advice_on_certificate(error)} ({what})", method=method, path=path)
        case aiohttp.ClientProxyConnectionError():
            return NotSentError(
                f"no connection to the proxy {way or ''}".rstrip() + f" ({what})", method=method, path=path
            )
        case aiohttp.ClientConnectorError(strerror=None, os_error=cause) if error.ssl is not False:
            how = f"{type(cause).__name__}{f': {clean(str(cause))}' if str(cause) else ''}"
            server = with_port(error.host, error.port)
            told = f"{server} hung up while TLS was being agreed on: it"
            if proxy := proxy_of(error):
                told = f"the proxy {way or proxy} said that it leads to {server}, and one of them hung up while TLS was being agreed on: the proxy may not be let through there, or {server}"
            return NotSentError(
                f"no connection: {told} may not speak TLS 1.2, which is the least ({how})", method=method, path=path
            )
        case aiohttp.ClientConnectorError(os_error=ssl.SSLError(reason=reason)) if advice := _TLS_ADVICE.get(reason):
            proxy, server = proxy_of(error), with_port(error.host, error.port)
            by = f" (through the proxy {way or proxy})" if proxy else ""
            return NotSentError(f"no connection: {server}{by} {advice} ({what})", method=method, path=path)
        case aiohttp.ClientConnectorError():
            proxy = proxy_of(error)
            by = f" through the proxy {way or proxy}" if proxy else f" to the proxy {way}" if way else ""
            return NotSentError(f"no connection{by} ({what})", method=method, path=path)
        case aiohttp.ConnectionTimeoutError() if way:
            told = f"no connection in time through the proxy {way}, which may be down or lead nowhere ({what})"
            return NotSentError(told, method=method, path=path)
        case aiohttp.ConnectionTimeoutError() | aiohttp.InvalidURL():
            return NotSentError(f"no connection ({what})", method=method, path=path)
        case aiohttp.ClientHttpProxyError(status=status):
            advice = "; its user name and password are in the proxy variable" if status == 407 else ""
            phrase = f"{status} {responses.get(status, '')}".rstrip()  # not the proxy's own words: it may echo anything
            told = f"the proxy {f'{way} ' if way else ''}refused the connection ({phrase}){advice}"
            return NotSentError(told, method=method, path=path)
        case SpokenTooSoonError():
            return NotSentError(f"not sent: {error}, so whoever sends those is not Atlas", method=method, path=path)
        case _ if way or not has_left:
            # An error of the way to where the connection is made: what a proxy said to CONNECT, or that it hung up.
            told = f"no connection: the proxy {way or 'on the way'} has not made one ({what})"
            return NotSentError(told, method=method, path=path)
        case OSError(errno=errno.ETIMEDOUT | errno.EHOSTUNREACH | errno.ENETUNREACH):  # what the kernel waited for
            return AnswerTimeoutError(
                f"the other side has stopped acknowledging what is sent: the network or its machine may be down ({what})",
                method=method,
                path=path,
            )
        case TimeoutError():
            return AnswerTimeoutError("no answer within the request timeout", method=method, path=path)
        case _:
            return AnswerLostError(f"the answer was lost ({what})", method=method, path=path)
