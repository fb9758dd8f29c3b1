"""Where the state directory is, whatever else is wrong with the config.

Commands that read or steer a run need that and nothing else: a key, a variable that only `run` has, a mistake under another key
must not keep anybody from pausing it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InputError, Problem
from ..core.settings import DEFAULT_STATE_DIR, TEMPORAL_ADDRESS_VARIABLE, Temporal
from ..machine.encoding import as_given
from ..machine.person import home_of
from .input_file import decode, read_input
from .references import REFERENCE, in_quotes, meant_by, unreplaced
from .scalars import format_key, parse_line
from .yaml_file import YamlDocument, parse_yaml

KEY = "state_dir"
VARIABLE = "ATLAS_CUTOVER_STATE_DIR"

_LINE = re.compile(rf"^{KEY}[ \t]*:.*$", re.MULTILINE)
_WAY_ON = "--state-dir DIR names it, and then this command needs no config"


def find_state_dir(
    config: Path | None, *, environ: Mapping[str, str], given: Path | None, warn: Callable[[str], None]
) -> Path:
    """The state directory, as `load_settings` finds it where the whole config is right.

    Args:
        config: The config file; read only where neither *given* nor the environment says the directory.
        environ: The environment.
        given: What the command line says.
        warn: Is told when the file cannot be read as a whole.

    Raises:
        InputError: The file is not there, or what it says of the state directory is wrong.
    """
    named = str(given) if given is not None else environ.get(VARIABLE)
    if named:
        if (mistake := in_quotes(named) or unreplaced(named)) is not None:
            file, key = ("command line", "--state-dir") if given is not None else ("environment", VARIABLE)
            raise InputError(problems=[Problem(file=file, line=0, key=key, message=mistake)])
        return placed(named, Path(), environ)
    if config is None:
        return placed(DEFAULT_STATE_DIR, Path(), environ)
    try:
        return placed(_said_by(config, environ, warn) or DEFAULT_STATE_DIR, config.parent, environ)
    except InputError as error:
        error.add_note(_WAY_ON)
        raise


def find_temporal_address(config: Path | None, *, environ: Mapping[str, str]) -> str:
    """The address of Temporal's that the environment or *config* names, as far as it can be read; else the usual one."""
    if named := environ.get(TEMPORAL_ADDRESS_VARIABLE):
        return named
    try:
        said = None if config is None else _said_by(config, environ, lambda _: None, ("temporal", "address"))
    except InputError:
        said = None  # the usual one is on this machine
    return said or Temporal().address


def placed(name: str, directory: Path, environ: Mapping[str, str]) -> Path:
    """*name* made absolute; it is relative to *directory*, and `~` is the home of *environ*.

    Raises:
        InputError: There is no home directory, or no working directory.
    """
    if name == "~" or name.startswith("~/"):
        home = home_of(environ)
        if home is None:
            raise InputError(
                f"{name} is in the home directory, and this user has none: set HOME, or name a place that begins with / (for the "
                "state directory: --state-dir DIR)"
            )
        return home / as_given(name[2:])
    if name.startswith("~"):
        raise InputError(f"{name}: ~ alone is replaced, by your own home directory: give another's with its whole path")
    return whole(directory / as_given(name))


def whole(path: Path) -> Path:
    """*path* made absolute.

    Raises:
        InputError: It is relative, and the working directory has been removed.
    """
    try:
        return path.absolute()
    except FileNotFoundError:
        raise InputError(f"{path}: the working directory is not there any more: change to another one") from None


def _said_by(
    config: Path, environ: Mapping[str, str], warn: Callable[[str], None], path: tuple[str, ...] = (KEY,)
) -> str | None:
    """What *config* says under *path*, the state directory or another text; None where it says nothing."""
    document = _document(config, warn)
    if mistakes := [problem for problem in document.problems if problem.key == format_key(path)]:
        raise InputError(problems=mistakes)
    if document.data is None:
        return None

    def wrong(message: str) -> InputError:
        line = document.line_of(path)
        return InputError(problems=[Problem(file=str(config), line=line, key=format_key(path), message=message)])

    said: Any = document.data
    for key in path:
        if not isinstance(said, dict):
            raise wrong("is looked for in a mapping of keys, which this file is not")
        said = said.get(key)
        if said is None:
            return None
    if not isinstance(said, str):
        raise wrong("expected the name of a directory")

    def variable(found: re.Match[str]) -> str:
        if found.group() == "$$":
            return "$"
        if found["name"] is None:
            raise wrong(meant_by(found))
        if found["name"] not in environ:
            raise wrong(f"the environment variable {found['name']} is not set")
        return environ[found["name"]]

    try:
        return parse_line(REFERENCE.sub(variable, said))
    except ValueError as error:
        raise wrong(str(error)) from None


def _document(config: Path, warn: Callable[[str], None]) -> YamlDocument:
    """The file *config*, or its one line about the state directory where the rest is no YAML."""
    data = read_input(config)
    try:
        return parse_yaml(data, str(config))
    except InputError as error:
        lines = _LINE.findall(decode(data, str(config)))
        if len(lines) != 1:
            raise
        warn(f"{error} (of this file the line about {KEY} alone is used)")
        return parse_yaml(lines[0].encode(), str(config))
