"""What of an environment is secret, whatever it is used for: keys by the names of their variables, and passwords of proxies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.settings import KEY_VARIABLE
from ..machine.proxy_variables import proxy_secrets


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """Every secret in *environ*, as it stands there."""
    yield from (value for name, value in environ.items() if KEY_VARIABLE.fullmatch(name))
    yield from proxy_secrets(environ)
