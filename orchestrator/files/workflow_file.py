"""A workflow file to a `Workflow`, or everything that is wrong with it at once.

Read the YAML, read the CSV files it names, check each mapping by its model, check what has to hold between them, and
only then fill in defaults.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..core import arguments
from ..core.errors import InputError
from ..core.vars import Vars, merged, variable_key
from ..core.window import AbsoluteWindow, RecurringWindow, Window
from ..core.workflow import DEFAULT_GATE, DEFAULT_TIMEOUT, NO_HOOKS, Gate, HookKind, Hooks, Migration, Wave, Workflow
from .fields import problems_of
from .input_file import read_input
from .window_model import AbsoluteWindowSpec, RecurringWindowSpec
from .workflow_checks import Checks, Table, read_tables
from .workflow_model import (
    MODELS,
    ApprovalSpec,
    GateSpec,
    HooksSpec,
    PolicySpec,
    WaveSpec,
    WorkflowSpec,
    workflow_schema,
)
from .yaml_file import parse_yaml

USUAL_KIND = "size"
"""The variable that tells kinds of migrations apart where nothing else is said."""


def load_workflow(path: str | Path, *, credentials: Collection[str] | None = None) -> Workflow:
    """The workflow in the file *path*, with the CSV files it names, every default filled in.

    Args:
        path: The workflow file (YAML).
        credentials: The names of the sets that the config has, of which it may name no other; None: nobody looks.

    Raises:
        InputError: Anything is wrong with any of the files; `problems` has all of it, by file and line.
    """
    path = arguments.path("path", path)
    if credentials is not None:
        credentials = arguments.several("credentials", credentials, arguments.text)
    return read_workflow(
        read_input(path), name=str(path), directory=path.parent, file=path.name, credentials=credentials
    )


def read_workflow(
    source: bytes, *, name: str, directory: Path, file: str = "", credentials: Collection[str] | None = None
) -> Workflow:
    """As `load_workflow`; *source* is what *file* in *directory* has (empty: no file), and *name* what messages call it.

    Raises:
        InputError: As `load_workflow`.
    """
    document = parse_yaml(source, name)
    tables = read_tables(document, directory)
    problems = [*document.problems]
    for table in tables.values():
        problems += table.problems
    spec = None
    try:
        spec = WorkflowSpec.model_validate(document.data)
    except ValidationError as error:
        problems += problems_of(error, document, MODELS)
    problems += Checks(document, tables, credentials=credentials).all()
    if problems or spec is None:
        raise InputError(problems=sorted(set(problems)))
    digest = hashlib.sha256(source).hexdigest()
    return _Resolver(spec, tables).workflow(sha256=digest, directory=str(directory.absolute()), file=file)


class _Resolver:
    """Fills in defaults: a workflow that is right, with every setting where it is used."""

    def __init__(self, spec: WorkflowSpec, tables: dict[int, Table]) -> None:
        self._spec = spec
        self._tables = tables
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def workflow(self, *, sha256: str, directory: str, file: str) -> Workflow:
        waves = tuple(self._wave(number, wave) for number, wave in enumerate(self._spec.waves))
        return Workflow(
            name=self._spec.name,
            waves=waves,
            window=_window(self._spec.window),
            hooks=_hooks(self._spec.run_hooks),
            vars=merged([self._spec.vars or {}]),
            sha256=sha256,
            directory=directory,
            file=file,
            forecast_by=self._spec.forecast_by or _usual_kind(waves),
        )

    def _wave(self, number: int, wave: WaveSpec) -> Wave:
        defaults = self._spec.defaults
        levels: list[PolicySpec] = [wave, defaults] if defaults else [wave]
        shared = _Policy(levels)
        said = [self._spec.vars or {}, *(level.vars or {} for level in reversed(levels))]
        vars_of_all = merged(said)
        migrations = []
        for item in wave.migrations or ():
            own = _Policy([item, *levels]) if item.model_fields_set & _Policy.KEYS else shared
            known = self._alike(merged([*said, item.vars])) if item.vars else vars_of_all
            migrations.append(_migration(item.name, item.group_id, item.live_migration_id, own, known))
        if number in self._tables:
            rows = self._tables[number].rows
            for row in rows:
                known = self._alike(merged([*said, row.vars])) if row.vars else vars_of_all
                migrations.append(_migration(row.name, row.group_id, row.live_migration_id, shared, known))
        around = wave.wave_hooks or (defaults.wave_hooks if defaults else None)
        return Wave(
            name=wave.name,
            migrations=tuple(migrations),
            concurrency=wave.concurrency,
            max_failures=_failures(wave.max_failures, len(migrations)),
            approval=isinstance(wave.approval, ApprovalSpec),
            approval_timeout=wave.approval.timeout if isinstance(wave.approval, ApprovalSpec) else None,
            soak=wave.soak or 0.0,
            hooks=_hooks(around),
            vars=vars_of_all,
        )

    def _alike(self, known: Vars) -> Vars:
        """*known* with the tuple of names that all share who have the same ones: thousands of migrations do."""
        return Vars(self._names.setdefault(known.names, known.names), known.values)


class _Policy:
    """The settings that hold at one place, from the *levels* around it, the nearest first."""

    KEYS = frozenset({"gate", "timeout", "hooks", "credentials"})
    __slots__ = ("credentials", "gate", "group_id", "hooks", "timeout")

    def __init__(self, levels: list[PolicySpec]) -> None:
        self.group_id = next((level.group_id for level in levels if level.group_id is not None), "")
        self.timeout: float = next((level.timeout for level in levels if level.timeout is not None), DEFAULT_TIMEOUT)
        self.hooks = _hooks(next((level.hooks for level in levels if level.hooks is not None), None))
        self.credentials = next((level.credentials for level in levels if level.credentials is not None), None)
        self.gate = _gate([level.gate for level in levels if "gate" in level.model_fields_set])


def _usual_kind(waves: tuple[Wave, ...]) -> str | None:
    """The variable that forecasts go by where the file names none: `size`, where any migration has it."""
    names = {name for wave in waves for migration in wave.migrations for name in migration.vars.names}
    return next((name for name in sorted(names) if variable_key(name) == variable_key(USUAL_KIND)), None)


def _gate(given: list[Any]) -> Gate | None:
    if given and not isinstance(given[0], GateSpec):
        return None
    default = DEFAULT_GATE
    mappings = [gate for gate in given if isinstance(gate, GateSpec)]
    return Gate(
        max_lag=next((gate.max_lag for gate in mappings if gate.max_lag is not None), default.max_lag),
        timeout=next((gate.timeout for gate in mappings if gate.timeout is not None), default.timeout),
    )


def _migration(name: str, group_id: str | None, live_migration_id: str, policy: _Policy, known: Vars) -> Migration:
    return Migration(
        name=name,
        group_id=group_id or policy.group_id,
        live_migration_id=live_migration_id,
        gate=policy.gate,
        timeout=policy.timeout,
        hooks=policy.hooks,
        credentials=policy.credentials,
        vars=known,
    )


def _failures(limit: int | Fraction | None, size: int) -> int | None:
    return int(limit * size) if isinstance(limit, Fraction) else limit


def _hooks(spec: HooksSpec | None) -> Hooks:
    if spec is None:
        return NO_HOOKS
    return Hooks(
        **{str(kind): getattr(spec, kind) for kind in HookKind},
        timeout=NO_HOOKS.timeout if spec.timeout is None else spec.timeout,
        verify_every=NO_HOOKS.verify_every if spec.verify_every is None else spec.verify_every,
        verify_timeout=NO_HOOKS.verify_timeout if spec.verify_timeout is None else spec.verify_timeout,
    )


def _window(spec: AbsoluteWindowSpec | RecurringWindowSpec | None) -> Window | None:
    match spec:
        case AbsoluteWindowSpec():
            return AbsoluteWindow(opens=spec.opens, closes=spec.closes, reserve=spec.reserve or 0.0)
        case RecurringWindowSpec():
            return RecurringWindow(
                start=spec.start,
                end=spec.end,
                days=spec.days,
                timezone=spec.timezone,
                reserve=spec.reserve or 0.0,
                except_on=spec.except_on,
            )
        case None:
            return None


__all__ = ["load_workflow", "workflow_schema"]
