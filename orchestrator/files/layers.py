"""What a config file, the environment and the command line say, laid over one another as text, each value with the place it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import Problem
from ..core.settings import TEMPORAL_ADDRESS_VARIABLE, TEMPORAL_KEY_VARIABLE
from .credentials import FIELDS
from .references import REFERENCE, in_quotes, meant_by, unreplaced
from .scalars import format_key
from .yaml_file import KeyPath, YamlDocument

OFFICIAL_URLS = ("MONGODB_ATLAS_OPS_MANAGER_URL", "MONGODB_ATLAS_BASE_URL")
"""The variables in which MongoDB's own tools are told where Atlas is."""
_VARIABLES: dict[str, KeyPath] = {
    **dict.fromkeys(OFFICIAL_URLS, ("atlas", "base_url")),
    "ATLAS_CUTOVER_BASE_URL": ("atlas", "base_url"),
    "ATLAS_CUTOVER_STATE_DIR": ("state_dir",),
    "ATLAS_CUTOVER_LOG_LEVEL": ("logging", "level"),
    "ATLAS_CUTOVER_LOG_FORMAT": ("logging", "format"),
    "ATLAS_CUTOVER_LOG_FILE": ("logging", "file"),
    TEMPORAL_KEY_VARIABLE: ("temporal", "api_key"),
    TEMPORAL_ADDRESS_VARIABLE: ("temporal", "address"),
}
_OPTIONS: dict[KeyPath, str] = {
    ("atlas", "profile"): "--profile",
    ("state_dir",): "--state-dir",
    ("logging", "level"): "--log-level",
    ("logging", "format"): "--log-format",
    ("logging", "file"): "--log-file",
    ("engine",): "--engine",
}
SECRET_KEYS = frozenset(name for pair in FIELDS.values() for name in pair)
"""The keys of a set of credentials under which a secret may stand, or its file's name."""


class Layers:
    """The config file's *document*, under *environ*, under *overrides*.

    Args:
        document: The file as it was read.
        is_file: Whether there is a file, and *document* no stand-in for one.
        environ: The environment.
        overrides: What goes before both, by its key.
        in_code: Whether they are a program's, and not those of the command line: mistakes are told by their keys.
    """

    def __init__(
        self,
        document: YamlDocument,
        *,
        is_file: bool,
        environ: Mapping[str, str],
        overrides: Mapping[KeyPath, Any],
        in_code: bool,
    ) -> None:
        self._document = document
        self._is_file = is_file
        self._environ = environ
        self._overrides = overrides
        self._in_code = in_code
        self.problems: list[Problem] = list(document.problems)
        """All that is wrong, so far."""
        self.origins: dict[KeyPath, tuple[str, str]] = {}
        """Where each value is from that the file has not given: the environment or the command line, and what of it."""
        self.unset: dict[KeyPath, str] = {}
        """Keys and secrets that a variable was to give which is not there, or empty: which one."""
        self.named: set[str] = set()
        """The variables that the file names for keys and secrets, addresses of notifications included."""

    def wrong(self, path: KeyPath, message: str) -> None:
        """Say that something is wrong with the value at *path*."""
        self.problems.append(self.problem(path, message))

    def problem(self, path: KeyPath, message: str) -> Problem:
        """What is wrong with the value at *path*, told of the file, the variable or the option that gave it."""
        if path in self.origins:
            file, key = self.origins[path]
            return Problem(file=file, line=0, key=key, message=message)
        line = self._document.line_of(path)
        return Problem(file=self._document.file, line=line, key=format_key(path), message=message)

    def data(self) -> Any:
        """The file's data, with ``${NAME}`` replaced, under the environment, under the command line."""
        data = self._interpolated(self._document.data, ())
        if data is None and self._is_file:
            data = {}  # a config file of comments alone says nothing, which is allowed: every key is optional
        if not isinstance(data, dict):
            return data
        for variable, path in _VARIABLES.items():
            value = self._environ.get(variable)
            if value and not (variable in OFFICIAL_URLS and _says_more(data, value)):
                self._put(data, path, value, ("environment", variable))
                self._check_literal(path, value)
        for path, value in self._overrides.items():
            key = format_key(path)
            self._put(
                data, path, value, ("settings", key) if self._in_code else ("command line", _OPTIONS.get(path, key))
            )
            if path in _OPTIONS and isinstance(value, str):
                self._check_literal(path, value)
        return data

    def _check_literal(self, path: KeyPath, value: str) -> None:
        """Mistakes of a value in which nothing is replaced, though it was written as if."""
        if (wrong := in_quotes(value) or unreplaced(value)) is not None:
            self.wrong(path, wrong)

    def _put(self, data: dict[str, Any], path: KeyPath, value: Any, origin: tuple[str, str]) -> None:
        inside: Any = data
        for step in path[:-1]:
            if inside.get(step) is None:
                inside[step] = {}
            inside = inside[step]
            if not isinstance(inside, dict):
                return  # the file has something else there, which the model tells
        inside[path[-1]] = value
        self.origins[path] = origin

    def _interpolated(self, value: Any, path: KeyPath) -> Any:
        match value:
            case dict():
                return {key: self._interpolated(item, (*path, key)) for key, item in value.items()}
            case list():
                return [self._interpolated(item, (*path, number)) for number, item in enumerate(value)]
            case str() if "$" in value:
                return self._replaced(value, path)
            case _:
                return value

    def _replaced(self, text: str, path: KeyPath) -> str | None:
        missing: list[str] = []
        mistakes: list[str] = []

        def replace(found: re.Match[str]) -> str:
            if found.group() == "$$":
                return "$"
            name = found.group("name")
            if name is None:
                mistakes.append(meant_by(found))
            elif name not in self._environ:
                missing.append(name)
            if name is not None and (is_key or (is_address and not _is_host(found, self._environ.get(name, "")))):
                self.named.add(name)
            return self._environ.get(name or "", "")

        is_address = path[:2] == ("notify", "urls")
        is_key = path[:1] in (("atlas",), ("credentials",)) and path[-1] in SECRET_KEYS
        replaced = REFERENCE.sub(replace, text)
        for mistake in mistakes:
            self.wrong(path, mistake)
        if path == ("temporal", "api_key") and missing:
            return None  # without a key it is a cluster that asks for none
        if is_key and (missing or not replaced):
            self.unset[path] = missing[0] if missing else text.strip("${}")
            return None
        for name in missing:
            self.wrong(path, f"the environment variable {name} is not set")
        return (
            None if missing or (mistakes and not is_key) else replaced
        )  # of what is not there nothing is said besides


def _is_host(found: re.Match[str], value: str) -> bool:
    """Whether what *found* stands for in an address of notifications is its host, by its place and by *value*."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    return before.endswith(("://", "@")) and after[:1] in ("", ":", "/", "?") and _HOST.fullmatch(value) is not None


_HOST = re.compile(r"localhost|[\w-]+(?:\.[\w-]+)*\.[A-Za-z][\w-]*|[0-9]+(?:\.[0-9]+){3}|\[[0-9A-Fa-f:.]+\]")
"""What hosts are called, and tokens are not: names with a domain, addresses."""


def under_atlas(data: Any, name: str) -> Any:
    """What stands under `atlas` as *name*, or None."""
    atlas = data.get("atlas") if isinstance(data, dict) else None
    return atlas.get(name) if isinstance(atlas, dict) else None


def _says_more(data: dict[str, Any], url: str) -> bool:
    """Whether the config file names the API at the same host as *url*, a variable of the official tools, which knows no paths."""
    said = under_atlas(data, "base_url")
    if not isinstance(said, str):
        return False
    try:
        bare, full = urlsplit(url), urlsplit(said)
    except ValueError:
        return False
    return not bare.path.strip("/") and (bare.scheme, bare.netloc) == (full.scheme, full.netloc)
