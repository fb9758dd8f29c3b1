"""Which version of the program this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The version of this distribution; `unknown` in a checkout that is not installed."""
    try:
        return version("atlas-cutover")
    except PackageNotFoundError:
        return "unknown"
