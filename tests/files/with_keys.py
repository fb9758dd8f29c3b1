"""Settings of which the credentials of `atlas` are needed, as `run` needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.core.errors import InputError
from orchestrator.core.settings import Settings
from orchestrator.files.config import load_settings


def load_with_keys(path: Path | None = None, **how: Any) -> Settings:
    """`load_settings`, and why there are no credentials.

    Raises:
        InputError: There are none, or anything else is wrong.
    """
    settings = load_settings(path, **how)
    if settings.atlas.credentials.problems:
        raise InputError(problems=sorted(settings.atlas.credentials.problems))
    return settings
