"""Workflow and settings from values of Python instead of files, checked by the same models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ..core import arguments
from ..core.errors import InputError
from ..core.settings import Settings
from ..core.workflow import Workflow
from .config_file import SettingsReader
from .given import TOO_DEEP, wrong
from .workflow_file import read_workflow


def build_workflow(document: Mapping[str, Any], *, directory: Path | str = ".") -> Workflow:
    """The workflow that a file with *document* would be.

    Args:
        document: What the YAML file would have; `version: 1` may be left out.
        directory: Where hooks run, and what `migrations_file` is relative to.

    Raises:
        InputError: Anything is wrong with it; `problems` has all of it.
    """
    with _without_lines("workflow"):
        source = _text({"version": 1, **_mapping(document, "workflow", "load_workflow")}, "workflow").encode()
        return read_workflow(source, name="workflow", directory=arguments.path("directory", directory))


def build_settings(config: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that a config file with *config* would make, and which go before the environment.

    What is not in it, environment and defaults say; of credentials in it, no others are used beside them.

    Args:
        config: What the YAML file would have, with real values: `${NAME}` is not replaced.
        environ: The environment (None: this process's): keys, and the `ATLAS_CUTOVER_...` variables.

    Raises:
        InputError: Anything is wrong with it; `problems` has all of it. No message holds a key, nor any other value.
    """
    config = {} if config is None else _mapping(config, "settings", "load_settings")
    environ = os.environ if environ is None else arguments.environment("environ", environ)
    return SettingsReader(None, environ=environ, overrides=config, in_code=True).read()


def _mapping(given: object, name: str, way_on: str) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    raise wrong(name, (), f"expected a mapping of keys, got a {type(given).__name__}; `{way_on}` reads a file")


def _text(document: Mapping[str, Any], name: str) -> str:
    try:
        return yaml.safe_dump(_plain(document), allow_unicode=True, sort_keys=False)
    except (yaml.YAMLError, ValueError) as error:  # the latter of a number of thousands of digits
        raise wrong(name, (), f"cannot be written: {error}") from None
    except RecursionError:
        raise wrong(name, (), TOO_DEEP) from None


def _key(key: object) -> object:
    if isinstance(key, str | int | float | None):
        return key
    raise yaml.representer.RepresenterError(f"a {type(key).__name__} is no key")


def _plain(value: Any) -> Any:
    """*value* with paths as text, and tuples and mappings of other kinds as YAML knows them."""
    match value:
        case Path():
            return str(value)
        case Mapping():
            return {_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


@contextmanager
def _without_lines(name: str) -> Iterator[None]:
    """Tell of mistakes in *name*, which has no file, without the lines of the text that it was made into."""
    try:
        yield
    except InputError as error:
        raise InputError(problems=[replace(p, line=0) if p.file == name else p for p in error.problems]) from None
