"""What several commands read before they begin."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.settings import TEMPORAL_ADDRESS_VARIABLE, TEMPORAL_KEY_VARIABLE, Settings, holds_key
from ..core.workflow import Workflow
from ..files.config import find_config, load_settings
from ..files.state_place import VARIABLE as STATE_DIR_VARIABLE
from ..files.state_place import find_state_dir, find_temporal_address, whole
from ..machine.memory import forget_variables
from ..text.counts import names_listed
from .outputs import warn


def read_settings(args: Namespace) -> Settings:
    """The settings for this command line, and their warnings on stderr. Variables with a secret in them are gone afterwards."""
    settings = load_settings(config_of(args), overrides=overrides_of(args))
    args.redactor = settings.redactor
    keys = settings.secrets()
    for warning in settings.warnings:
        warn(warning)
    gone = forget_variables(lambda name, value: holds_key(name, value, keys))
    if odd := [name for name, value in gone.items() if value.strip() not in keys]:
        warn(f"no hook gets {names_listed(odd)}: a key of the config is a part of the value")
    return settings


def config_of(args: Namespace) -> Path | None:
    """The config file for this command line."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it has been removed, so there is no config in it
        here = Path()
    return find_config(args.config, os.environ, here)


def overrides_of(args: Namespace) -> dict[str, Any]:
    """What this command line says in place of the config file."""
    return {
        "atlas": {"profile": getattr(args, "profile", None)},
        "state_dir": args.state_dir,
        "logging": {"level": args.log_level, "format": args.log_format, "file": args.log_file},
        "engine": getattr(args, "engine", None),
    }


def read_state_dir(args: Namespace) -> Path:
    """The state directory for this command line; nothing else of the config is asked for, so no mistake in it hinders.

    Where there is a key for Temporal in the environment, the address that the config names is there afterwards, too: no other gets the key.
    """
    config = config_of(args)
    state_dir = find_state_dir(config, environ=os.environ, given=args.state_dir, warn=warn)
    if TEMPORAL_KEY_VARIABLE in os.environ:
        os.environ[TEMPORAL_ADDRESS_VARIABLE] = find_temporal_address(config, environ=os.environ)
    return state_dir


def hidden_state_dirs(args: Namespace) -> list[Path]:
    """Where the runs of this command line would be without `--state-dir`, and without the variable that names a place for them."""
    unnamed = {name: value for name, value in os.environ.items() if name != STATE_DIR_VARIABLE}
    found = []
    for environ in (os.environ, unnamed):
        with suppress(InputError):  # nothing that can be meant
            found.append(find_state_dir(config_of(args), environ=environ, given=None, warn=lambda _: None))
    return found


def without_secrets(args: Namespace, text: str) -> str:
    """*text* without what is secret in the config, as far as that can be read: no mistake in it hinders."""
    if not text:
        return text
    try:
        return load_settings(config_of(args), overrides=overrides_of(args)).redactor.text(text)
    except InputError:
        return text  # what the environment has is looked for by whoever keeps it


def state_options(args: Namespace) -> str:
    """What a command needs that is to find what this command line finds: the options for it, a space before each."""
    given = (
        (option, getattr(args, name, None)) for option, name in (("--config", "config"), ("--state-dir", "state_dir"))
    )
    return "".join(f" {option} {shlex.quote(str(whole(path)))}" for option, path in given if path is not None)


def say_if_profile_is_unused(args: Namespace, workflow: Workflow, *, asks: bool = True) -> None:
    """Say that `--profile` changes nothing here, where it does not. *asks*: Atlas is asked for something."""
    if args.profile is None:
        return
    if not asks:
        warn(f"--profile {args.profile} is not used: nothing is asked of Atlas here")
    elif all(migration.credentials is not None for _, migration in workflow.migrations()):
        warn(
            f"--profile {args.profile} is not used: every migration of {workflow.name} names credentials of the config"
        )
