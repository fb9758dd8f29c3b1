"""A config file, the environment and the command line to `Settings`, or everything that is wrong with them at once.

The layers are laid over one another as text, each value with the place it came from, and then checked by one model; so a
bad value is told of the file, the variable or the option that gave it.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..core.errors import InputError, Problem
from ..core.settings import (
    PRIVATE_KEY_VARIABLE,
    PUBLIC_KEY_VARIABLE,
    Api,
    AtlasSettings,
    Logging,
    Observers,
    Polling,
    RateLimit,
    Secret,
    Settings,
)
from .config_model import (
    MODELS,
    AtlasSpec,
    ConfigSpec,
    LoggingSpec,
    MetricsSpec,
    NotifySpec,
    PollingSpec,
    RateLimitSpec,
    api_of,
    parse_key,
)
from .fields import problems_of
from .input_file import decode, read_bytes, read_input, why_unreadable
from .scalars import format_key
from .state_place import DEFAULT as DEFAULT_STATE_DIR
from .state_place import placed
from .yaml_file import KeyPath, YamlDocument, parse_yaml

DEFAULT_BASE_URL = "https://cloud.mongodb.com/api/atlas/v2"
DEFAULT_REQUEST_TIMEOUT = 30.0
DEFAULT_SETTLE = 30.0
DEFAULT_RATE_LIMITS = {
    Api.V2: RateLimit(requests=500, per=60.0, burst=1200, scope="group"),
    Api.V1: RateLimit(requests=100, per=60.0, burst=100, scope="group"),
}

_VARIABLES: dict[str, KeyPath] = {
    "ATLAS_CUTOVER_BASE_URL": ("atlas", "base_url"),
    "ATLAS_CUTOVER_STATE_DIR": ("state_dir",),
    "ATLAS_CUTOVER_LOG_LEVEL": ("logging", "level"),
    "ATLAS_CUTOVER_LOG_FORMAT": ("logging", "format"),
    "ATLAS_CUTOVER_LOG_FILE": ("logging", "file"),
}
_OPTIONS: dict[str, str] = {
    "state_dir": "--state-dir",
    "logging.level": "--log-level",
    "logging.format": "--log-format",
    "logging.file": "--log-file",
}
_KEY_VARIABLES = {"public_key": PUBLIC_KEY_VARIABLE, "private_key": PRIVATE_KEY_VARIABLE}
_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
_READABLE_BY_OTHERS = 0o044


class SettingsReader:
    """Reads settings once; see `settings.load_settings`."""

    def __init__(self, path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, str]) -> None:
        self._environ = environ
        self._overrides = overrides
        self._path = path
        self._document = (
            parse_yaml(read_input(path), str(path)) if path else YamlDocument(data={}, lines=(0, {}), file="settings")
        )
        self._problems: list[Problem] = list(self._document.problems)
        self._warnings: list[str] = []
        self._origins: dict[KeyPath, tuple[str, str]] = {}
        self._unset: dict[str, str] = {}

    def read(self, *, require_keys: bool) -> Settings:
        """The settings.

        Raises:
            InputError: With everything that is wrong.
        """
        data = self._layers()
        # Before the model, whose mistakes end the reading: these are told together with them.
        public_key, private_key = (self._key(name, data, require_keys) for name in _KEY_VARIABLES)
        ca_file = self._ca_file(_under_atlas(data, "ca_file"))
        spec = self._spec(data)
        atlas = spec.atlas or AtlasSpec()
        log = spec.logging or LoggingSpec()
        metrics = spec.metrics or MetricsSpec()
        base_url = atlas.base_url or DEFAULT_BASE_URL
        request_timeout = atlas.request_timeout or DEFAULT_REQUEST_TIMEOUT
        polling = spec.polling or PollingSpec()
        settings = Settings(
            atlas=AtlasSettings(
                base_url=base_url,
                api=api_of(base_url),
                public_key=public_key,
                private_key=private_key,
                request_timeout=request_timeout,
                settle=max(atlas.settle or DEFAULT_SETTLE, request_timeout),
                ca_file=ca_file,
            ),
            rate_limit=_rate_limit(spec.rate_limit or RateLimitSpec(), api_of(base_url)),
            polling=Polling(initial=polling.initial, factor=polling.factor, max=polling.max, jitter=polling.jitter),
            state_dir=self._file(("state_dir",), spec.state_dir or DEFAULT_STATE_DIR),
            logging=Logging(
                level=log.level or "info",
                format=log.format,
                file=self._file(("logging", "file"), log.file) if log.file else None,
            ),
            observers=Observers(
                notify=tuple(Secret(url) for url in (spec.notify or NotifySpec()).urls),
                metrics=self._file(("metrics", "textfile"), metrics.textfile) if metrics.textfile else None,
            ),
            warnings=tuple(self._warnings),
        )
        if self._problems:
            raise InputError(problems=sorted(set(self._problems)))
        return settings

    def _wrong(self, path: KeyPath, message: str) -> None:
        if path in self._origins:
            file, key = self._origins[path]
            self._problems.append(Problem(file=file, line=0, key=key, message=message))
        else:
            line = self._document.line_of(path)
            self._problems.append(Problem(file=self._document.file, line=line, key=format_key(path), message=message))

    def _layers(self) -> Any:
        """The file's data, with ``${NAME}`` replaced, under the environment, under the command line."""
        self._warn_of_literal_keys()
        data = self._interpolated(self._document.data, ())
        if data is None and self._path:
            data = {}  # a config file of comments alone says nothing, which is allowed: every key is optional
        if not isinstance(data, dict):
            return data
        for variable, path in _VARIABLES.items():
            if value := self._environ.get(variable):
                self._put(data, path, value, ("environment", variable))
        for name, value in self._overrides.items():
            self._put(data, tuple(name.split(".")), value, ("command line", _OPTIONS.get(name, name)))
        return data

    def _put(self, data: dict[str, Any], path: KeyPath, value: str, origin: tuple[str, str]) -> None:
        inside: Any = data
        for step in path[:-1]:
            if inside.get(step) is None:
                inside[step] = {}
            inside = inside[step]
            if not isinstance(inside, dict):
                return  # the file has something else there, which the model tells
        inside[path[-1]] = value
        self._origins[path] = origin

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

        def replace(found: re.Match[str]) -> str:
            if found.group() == "$$":
                return "$"
            name = found.group("name")
            if name is None:
                self._wrong(path, "expected ${NAME}, or $$ for a dollar sign")
            elif name not in self._environ:
                missing.append(name)
            return self._environ.get(name or "", "")

        replaced = _REFERENCE.sub(replace, text)
        key = str(path[-1]) if len(path) == 2 and path[0] == "atlas" and path[1] in _KEY_VARIABLES else None
        if key is not None and (missing or not replaced):
            self._unset[key] = missing[0] if missing else text.strip("${}")
            return None
        for name in missing:
            self._wrong(path, f"the environment variable {name} is not set")
        return None if missing else replaced

    def _spec(self, data: Any) -> ConfigSpec:
        """What the model makes of *data*; where that is nothing, what is wrong is raised with all found so far."""
        try:
            return ConfigSpec.model_validate(data)
        except ValidationError as error:
            origins = {format_key(path): origin for path, origin in self._origins.items()}
            for problem in problems_of(error, self._document, MODELS, show_values=False):
                file, key = origins.get(problem.key, (problem.file, problem.key))
                line = 0 if problem.key in origins else problem.line
                self._problems.append(Problem(file=file, line=line, key=key, message=problem.message))
            raise InputError(problems=sorted(set(self._problems))) from None

    def _key(self, name: str, data: Any, required: bool) -> Secret | None:
        path: KeyPath = ("atlas", name)
        given, file = _under_atlas(data, name), _under_atlas(data, f"{name}_file")
        if not isinstance(given, str | None) or not isinstance(file, str | None) or "" in (given, file):
            return None  # the model tells it
        if file is not None and (given is not None or name in self._unset):
            self._wrong(path, f"stands beside {name}_file; give one of the two")
            return None
        if file is not None:
            return self._key_from_file(("atlas", f"{name}_file"), file)
        variable = _KEY_VARIABLES[name]
        value = given
        if value is None and name not in self._unset and self._environ.get(variable):
            self._origins[path] = ("environment", variable)
            value = self._environ[variable]
        if value is None:
            if required:
                unset = self._unset.get(name)
                why = f"is missing: {unset} is not set or empty; " if unset else "is missing: "
                self._wrong(path, f"{why}set {variable}, or {name} or {name}_file under atlas in the config file")
            return None
        return self._checked_key(path, value)

    def _checked_key(self, path: KeyPath, value: str) -> Secret | None:
        try:
            return Secret(parse_key(value))
        except ValueError as error:
            self._wrong(path, str(error))
            return None

    def _key_from_file(self, path: KeyPath, name: str) -> Secret | None:
        file = self._file(path, name)
        try:
            text = decode(read_bytes(file), str(file)).rstrip("\r\n")
        except InputError:
            self._wrong(path, "names a file that is not UTF-8 text")
            return None
        except (OSError, ValueError) as error:
            self._wrong(path, f"the file it names {why_unreadable(error)}")
            return None
        if not text:
            self._wrong(path, "names a file that is empty, expected a key in it")
            return None
        self._warn_if_readable(file, f"the key file {file}")
        return self._checked_key(path, text)

    def _warn_of_literal_keys(self) -> None:
        data = self._document.data
        atlas = data.get("atlas") if isinstance(data, dict) else None
        if self._path is None or not isinstance(atlas, dict):
            return
        values = [atlas.get(name) for name in _KEY_VARIABLES]
        if any(isinstance(value, str) and value and not _REFERENCE.search(value) for value in values):
            self._warn_if_readable(self._path, f"the config file {self._path} holds an API key and")

    def _warn_if_readable(self, file: Path, subject: str) -> None:
        if os.name == "posix" and file.stat().st_mode & _READABLE_BY_OTHERS:
            self._warnings.append(f"{subject} can be read by others than its owner: chmod 600 {file}")

    def _ca_file(self, name: Any) -> Path | None:
        if not isinstance(name, str) or not name:
            return None  # where it is neither text nor nothing, the model tells it
        path: KeyPath = ("atlas", "ca_file")
        file = self._file(path, name)
        try:
            data = read_bytes(file)
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii", "replace"))
        except ssl.SSLError:
            self._wrong(path, "names a file that holds no PEM certificates")
        except (OSError, ValueError) as error:
            self._wrong(path, f"the file it names {why_unreadable(error)}")
        return file

    def _file(self, path: KeyPath, name: str) -> Path:
        """*name* made absolute: what the config file says is relative to it, all else to the working directory."""
        from_file = self._path is not None and path not in self._origins
        return placed(name, self._path.parent if from_file and self._path else Path(), self._environ)


def _under_atlas(data: Any, name: str) -> Any:
    """What stands under `atlas` as *name*, or None."""
    atlas = data.get("atlas") if isinstance(data, dict) else None
    return atlas.get(name) if isinstance(atlas, dict) else None


def _rate_limit(spec: RateLimitSpec, api: Api) -> RateLimit:
    default = DEFAULT_RATE_LIMITS[api]
    return RateLimit(
        requests=spec.requests or default.requests,
        per=spec.per or default.per,
        burst=spec.burst or default.burst,
        scope=spec.scope or default.scope,
    )
