"""Which proxy leads to Atlas, by the usual environment variables, as curl understands them.

`https_proxy`, else `all_proxy`, in small letters or large (small ones first, an empty one says: none), and `no_proxy`. What
cannot be used is an error before anything is sent, told without a word of the value: it may hold a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import unquote
from urllib.request import getproxies

from yarl import URL

from ..core.errors import InputError, Problem
from ..text.hosts import is_loopback

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{1,5}))?")
_AMBIGUOUS = re.compile(r"[@/?#\\]")  # some take what stands before one of these for the host, and send it the password
_PORTS = range(1, 65536)
_LONGEST_LABEL = 63  # characters between two dots of a name (RFC 1035)
_EXAMPLE = "http://user:password@proxy.example.com:3128"


def proxy_for(url: URL, environ: Mapping[str, str]) -> URL | None:
    """The proxy through which *url* is reached, with its user name and password; None: there is none.

    Loopback is never reached through one. Where *environ* names none, the system's settings count (macOS).

    Raises:
        InputError: There is one that cannot be used; the problem names the variable and what is wrong with it.
    """
    variable, text = _named(url, environ)
    return _parsed(text, variable=variable, host=_host(url)) if text else None


def variable_for(url: URL, environ: Mapping[str, str]) -> str:
    """What names the proxy through which *url* is reached, as people call it; empty: there is none."""
    variable, text = _named(url, environ)
    return variable if text else ""


def _host(url: URL) -> str:
    return (url.host or "").rstrip(".").lower()


def _named(url: URL, environ: Mapping[str, str]) -> tuple[str, str]:
    """What names the proxy for *url*, and how; the latter is empty where there is none."""
    host = _host(url)
    if is_loopback(host) or _is_exempt(host, url.port, _value(environ, "no_proxy")[1]):
        return "", ""
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        variable, text = _value(environ, name)
        if variable:
            return variable, text
    return "the system's proxy settings", getproxies().get(url.scheme, "")


def _value(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable *name* as it is spelt in *environ*, and its value; both empty where it is not set."""
    for spelt in (name, name.upper()):
        if spelt in environ:
            return spelt, environ[spelt].strip()
    return "", ""


def _parsed(text: str, *, variable: str, host: str) -> URL:
    def wrong(message: str) -> InputError:
        message += f", or name {host} in NO_PROXY if it is reached without one"
        return InputError(problems=[Problem(file="environment", line=0, key=variable, message=message)])

    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        raise wrong("its value is wrapped in quotes, which are a part of it here; take them away")
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = "http", text.lstrip("/")
    if scheme.lower() not in ("http", "https"):
        raise wrong("only a proxy that speaks http or https can be used, no SOCKS; set one of these")
    credentials, _, address = rest.rpartition("@")
    if _AMBIGUOUS.search(credentials):
        raise wrong(
            "its user name or password, or what follows the host, has one of @ / ? # \\ as it is, so which host is meant is not certain: write "
            "them as %40 %2F %3F %23 %5C in a user name and a password, and nothing behind host and port"
        )
    match = _HOST_AND_PORT.fullmatch(address.partition("/")[0])
    if match is None or int(match[2] or 80) not in _PORTS or max(map(len, match[1].split("."))) > _LONGEST_LABEL:
        raise wrong(f"expected an address like {_EXAMPLE}")
    user, _, password = map(unquote, credentials.partition(":"))
    try:
        f"{user}{password}".encode("latin-1")  # as aiohttp sends them
    except UnicodeEncodeError:
        raise wrong(
            "its user name or password has characters that cannot be sent (beyond Latin-1); use others"
        ) from None
    if ":" in user:
        raise wrong("its user name has a colon, which cannot be sent; use another one")
    try:
        url = URL.build(
            scheme=scheme.lower(),
            user=user or None,
            password=password or None,
            host=match[1].strip("[]"),
            port=int(match[2]) if match[2] else None,
        )
        _ = url.host  # which is decoded only when it is asked for, and cannot always be
    except ValueError:
        raise wrong(f"expected an address like {_EXAMPLE}") from None
    return url


def _is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether *no_proxy* names *host*: by name or domain (`.`, `*.` before it or not), address, network, with a port or not."""
    for entry in re.split(r"[\s,]+", no_proxy.lower()):
        if entry == "*" or ("/" in entry and _is_within(host, entry)):
            return True
        match = _HOST_AND_PORT.fullmatch(entry)
        name, its_port = match.groups() if match else (entry, None)
        if its_port is not None and int(its_port) != port:
            continue
        name = name.strip("[]").removeprefix("*").strip(".")
        if name and (host == name or host.endswith(f".{name}") or _is_within(host, name)):
            return True
    return False


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
