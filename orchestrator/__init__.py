"""atlas-cutover as a library: load a workflow and settings, run it, and read the report.

Everything is imported when it is first asked for, so that `atlas-cutover --help` pays for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .files.config import load_settings
    from .files.workflow_file import load_workflow
    from .reports.model import RunReport

    from .operations.embedding import run_workflow  # isort: skip

__all__ = ["RunReport", "load_settings", "load_workflow", "run_workflow"]

_HOMES = {
    "RunReport": "reports.model",
    "load_settings": "files.config",
    "load_workflow": "files.workflow_file",
    "run_workflow": "operations.embedding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
