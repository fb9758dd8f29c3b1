"""Workflow and settings from values of Python instead of files, checked by the same models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import InputError, Problem
from ..core.settings import Settings
from ..core.workflow import Workflow
from .config import load_settings
from .config_file import OPTIONS
from .workflow_file import read_workflow


def build_workflow(document: Mapping[str, Any], *, directory: Path | str = ".") -> Workflow:
    """The workflow that a file with *document* would be.

    Args:
        document: What the YAML file would have; `version: 1` may be left out.
        directory: Where hooks run, and what `migrations_file` is relative to.

    Raises:
        InputError: Anything is wrong with it; `problems` has all of it.
    """
    with _called("workflow"):
        source = _text({"version": 1, **document}, "workflow").encode()
        return read_workflow(source, name="workflow", directory=Path(directory))


def build_settings(config: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that a config file with *config* would make; what is not in it, environment and defaults say.

    Args:
        config: What the YAML file would have, with real values: `${NAME}` is not replaced.
        environ: The environment (None: this process's): keys, and the `ATLAS_CUTOVER_...` variables.

    Raises:
        InputError: Anything is wrong with it; `problems` has all of it. No message holds a key, nor any other value.
    """
    with _called("settings"):
        return load_settings(None, environ=environ, overrides=dict(_leaves(config or {})))


def _leaves(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its dotted key, as text where it is none."""
    for key, value in config.items():
        path = f"{above}{key}"
        match value:
            case None:
                continue
            case Mapping():
                yield from _leaves(value, f"{path}.")
            case list() | tuple():
                yield path, [str(item) for item in value]
            case bool():
                yield path, "true" if value else "false"
            case _:
                yield path, str(value)


def _text(document: Mapping[str, Any], name: str) -> str:
    try:
        return yaml.safe_dump(_plain(document), allow_unicode=True, sort_keys=False)
    except yaml.YAMLError as error:
        raise InputError(problems=[Problem(file=name, line=0, key="", message=f"cannot be written: {error}")]) from None


def _plain(value: Any) -> Any:
    """*value* with paths as text, and tuples and mappings of other kinds as YAML knows them."""
    match value:
        case Path():
            return str(value)
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


@contextmanager
def _called(name: str) -> Iterator[None]:
    """Tell of mistakes in what has no file, and so no lines, as *name*'s."""
    try:
        yield
    except InputError as error:
        if not error.problems:
            raise
        raise InputError(problems=[_of(problem, name) for problem in error.problems]) from None


def _of(problem: Problem, name: str) -> Problem:
    if problem.file == name:
        return replace(problem, line=0)
    if problem.file == "command line":  # where overrides come from, as a rule
        keys = {option: key for key, option in OPTIONS.items()}
        return replace(problem, file=name, key=keys.get(problem.key, problem.key))
    return problem
