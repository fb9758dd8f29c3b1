"""Where a config file is looked for, and how settings are made of it, the environment and what the command line gave."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core import arguments
from ..core.settings import Settings

CONFIG_VARIABLE = "ATLAS_CUTOVER_CONFIG"


def find_config(option: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The config file to read: *option*, else the one ``ATLAS_CUTOVER_CONFIG`` names, else *cwd*/config.yaml if it exists.

    A file that was named has to exist; `load_settings` says so when it does not.
    """
    if option is not None:
        return option
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    usual = cwd / "config.yaml"
    return usual if os.path.lexists(usual) else None


def load_settings(
    path: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings from the config file *path* and what overrides it.

    Args:
        path: The config file; None: there is none.
        environ: The environment (None: this process's): keys, ``${NAME}`` in the file, and the ``ATLAS_CUTOVER_…`` variables.
        overrides: What the command line gave, as it would stand in the file: ``{"logging": {"level": "debug"}}``.

    Raises:
        InputError: Anything is wrong; `problems` has all of it. No message holds a key, nor any other value.
    """
    from .config_file import SettingsReader  # pydantic is for those who read settings, not for those who use them

    file = None if path is None else arguments.path("path", path)
    environ = os.environ if environ is None else arguments.environment("environ", environ)
    overrides = {} if overrides is None else arguments.mapping("overrides", overrides)
    return SettingsReader(file, environ=environ, overrides=overrides).read()


def config_schema() -> dict[str, Any]:
    """The JSON Schema of a config file; it accepts what `load_settings` accepts."""
    from .config_model import config_schema as schema

    return schema()
