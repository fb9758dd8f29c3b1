"""What is to be done, as facts: a workflow of waves of live migrations.

These are the checked, resolved values: every default is filled in, every id is well formed. `files.workflow_file`
makes them from YAML; the journal keeps them as JSON (`to_json`, `from_json`), so that a run can be continued without its file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ..text.likeness import composed
from . import stored
from .outcomes import Outcome
from .vars import NO_VARS, Vars
from .window import AbsoluteWindow, RecurringWindow, Window, window_from_json, window_to_json

Argv = tuple[str, ...]

DEFAULT_TIMEOUT = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A cutover waits until the job is `readyForCutover` and its lag is at most *max_lag* seconds, for up to *timeout*."""

    max_lag: float = 10.0
    timeout: float = 1800.0


class HookKind(StrEnum):
    """When a hook is run, in the order in which they can be."""

    BEFORE = "before"
    VERIFY = "verify"
    AFTER_SUCCESS = "after_success"
    AFTER_UNVERIFIED = "after_unverified"
    AFTER_FAILURE = "after_failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Commands around a cutover: argv lists, run without a shell, each for at most *timeout* seconds.

    A `verify` command that ends with 75 is run again every *verify_every* seconds, for up to *verify_timeout*.
    """

    before: tuple[Argv, ...] = ()
    verify: tuple[Argv, ...] = ()
    after_success: tuple[Argv, ...] = ()
    after_unverified: tuple[Argv, ...] = ()
    after_failure: tuple[Argv, ...] = ()
    timeout: float = 300.0
    verify_every: float = 15.0
    verify_timeout: float = 600.0

    def __bool__(self) -> bool:
        return any(self.of(kind) for kind in HookKind)

    def of(self, kind: HookKind) -> tuple[Argv, ...]:
        """The commands of *kind*."""
        argvs: tuple[Argv, ...] = getattr(self, kind)
        return argvs

    def argvs(self) -> Iterator[Argv]:
        """Every command."""
        for kind in HookKind:
            yield from self.of(kind)


_AFTER = {Outcome.SUCCESS: HookKind.AFTER_SUCCESS, Outcome.UNVERIFIED: HookKind.AFTER_UNVERIFIED}


def after_hook(outcome: Outcome) -> HookKind:
    """Which `after_…` hooks are run at an end with *outcome*."""
    return _AFTER.get(outcome, HookKind.AFTER_FAILURE)


def outcome_told(kind: HookKind) -> Outcome:
    """The inverse of `after_hook`: the outcome that the hooks of a wave or a run are told; FAILED stands for all that `after_failure` follows."""
    return next((outcome for outcome, after in _AFTER.items() if after is kind), Outcome.FAILED)


NO_HOOKS = Hooks()
DEFAULT_GATE = Gate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One live migration, its settings resolved. *gate* None: no gate. *timeout* in seconds from the accepted PUT.

    *credentials*: the name of the config's set that it is asked for with; None: that of `atlas`.
    *vars*: text for hooks and reports, in which those of its wave and of the workflow are merged.
    """

    name: str
    group_id: str
    live_migration_id: str
    gate: Gate | None = DEFAULT_GATE
    timeout: float = DEFAULT_TIMEOUT
    hooks: Hooks = NO_HOOKS
    credentials: str | None = None
    vars: Vars = NO_VARS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Live migrations cut over together.

    *concurrency* None: all at once. *max_failures* None: no limit; a percentage is resolved to a number on loading.
    *hooks* here run once for the wave (`wave_hooks`); those of its migrations are on the migrations. *soak*: seconds after its
    last cutover has ended before its `verify` hooks are run, and before the next wave starts. *approval_timeout*: seconds after
    which a wave that nobody has approved counts as rejected (None: never).
    """

    name: str
    migrations: tuple[Migration, ...]
    concurrency: int | None = None
    max_failures: int | None = None
    approval: bool = False
    hooks: Hooks = NO_HOOKS
    vars: Vars = NO_VARS
    soak: float = 0.0
    approval_timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """An ordered list of waves. *sha256* is of the file as it was read; *hooks* run once for the run (`run_hooks`).

    *directory* and *file* are where it lies and what it is called (empty: not known); hooks run in that directory.
    *forecast_by*: the variable by whose values forecasts tell migrations apart (None: by none).
    """

    name: str
    waves: tuple[Wave, ...]
    window: Window | None = None
    hooks: Hooks = NO_HOOKS
    vars: Vars = NO_VARS
    sha256: str = ""
    directory: str = "."
    file: str = ""
    forecast_by: str | None = None

    def migrations(self) -> Iterator[tuple[Wave, Migration]]:
        """Every migration with its wave, in workflow order."""
        for wave in self.waves:
            for migration in wave.migrations:
                yield wave, migration

    def window_over(self, at: float) -> bool:
        """Whether there is a window, and it does not open any more at or after *at* (Unix seconds)."""
        return self.window is not None and self.window.span_at_or_after(at) is None

    def names(self) -> frozenset[str]:
        """The names of all migrations."""
        return frozenset(migration.name for _, migration in self.migrations())

    def select(self, only: tuple[str, ...]) -> frozenset[str]:
        """The names of the migrations that *only* (names of waves or migrations) picks; empty picks all.

        Raises:
            KeyError: A name that is neither a wave nor a migration.
        """
        if not only:
            return self.names()
        by_wave = {wave.name: frozenset(m.name for m in wave.migrations) for wave in self.waves}
        every = self.names()
        picked: set[str] = set()
        for given in only:
            name = given if given in by_wave or given in every else composed(given)
            if name not in by_wave and name not in every:
                raise KeyError(name)
            picked |= by_wave.get(name, frozenset()) | ({name} & every)
        return frozenset(picked)


def to_json(workflow: Workflow) -> dict[str, Any]:
    """*workflow* as plain JSON data. Settings shared by many migrations are stored once and referred to by number.

    A migration is a list of name, project, id and number of its policy; where it has `vars`, the number of their names and the list
    of their values follow.
    """
    names: dict[tuple[str, ...], int] = {}
    policies: list[dict[str, Any]] = []
    numbers: dict[tuple[Gate | None, float, Hooks, str | None], int] = {}
    waves = []
    for wave in workflow.waves:
        rows = []
        for m in wave.migrations:
            key = (m.gate, m.timeout, m.hooks, m.credentials)
            if key not in numbers:
                numbers[key] = len(policies)
                policies.append(
                    {
                        "gate": asdict(m.gate) if m.gate else None,
                        "timeout": m.timeout,
                        "hooks": asdict(m.hooks),
                        "credentials": m.credentials,
                    }
                )
            row = [m.name, m.group_id, m.live_migration_id, numbers[key]]
            rows.append([*row, names.setdefault(m.vars.names, len(names)), m.vars.values] if m.vars else row)
        waves.append(
            {
                "name": wave.name,
                "concurrency": wave.concurrency,
                "max_failures": wave.max_failures,
                "approval": wave.approval,
                "approval_timeout": wave.approval_timeout,
                "soak": wave.soak,
                "hooks": asdict(wave.hooks),
                "vars": wave.vars.as_dict(),
                "migrations": rows,
            }
        )
    return {
        "name": workflow.name,
        "sha256": workflow.sha256,
        "directory": workflow.directory,
        "file": workflow.file,
        "window": window_to_json(workflow.window),
        "hooks": asdict(workflow.hooks),
        "vars": workflow.vars.as_dict(),
        "forecast_by": workflow.forecast_by,
        "policies": policies,
        "names_of_vars": list(names),
        "waves": waves,
    }


def from_json(data: dict[str, Any]) -> Workflow:
    """The inverse of `to_json`; what an older version wrote has no `vars`.

    Raises:
        AttributeError, IndexError, KeyError, TypeError, ValueError: *data* is damaged.
    """
    names = [stored.texts(each) for each in data.get("names_of_vars", ())]
    policies = [
        (_gate(p["gate"]), stored.seconds(p["timeout"]), _hooks(p["hooks"]), stored.text_or_none(p.get("credentials")))
        for p in data["policies"]
    ]
    waves = []
    for wave in data["waves"]:
        migrations = []
        for name, group_id, live_migration_id, number, *own in wave["migrations"]:
            gate, timeout, hooks, credentials = policies[stored.whole(number)]
            migrations.append(
                Migration(
                    name=stored.of(str, name),
                    group_id=stored.of(str, group_id),
                    live_migration_id=stored.of(str, live_migration_id),
                    gate=gate,
                    timeout=timeout,
                    hooks=hooks,
                    credentials=credentials,
                    vars=_vars_of(names[stored.whole(own[0])], stored.texts(own[1])) if own else NO_VARS,
                )
            )
        expires = wave.get("approval_timeout")
        waves.append(
            Wave(
                name=stored.of(str, wave["name"]),
                concurrency=stored.whole_or_none(wave["concurrency"], least=1),
                max_failures=stored.whole_or_none(wave["max_failures"]),
                approval=stored.of(bool, wave["approval"]),
                approval_timeout=None if expires is None else stored.seconds(expires),
                soak=stored.seconds(wave.get("soak", 0.0)),
                hooks=_hooks(wave["hooks"]),
                vars=_vars(wave),
                migrations=tuple(migrations),
            )
        )
    return Workflow(
        name=stored.of(str, data["name"]),
        sha256=stored.of(str, data["sha256"]),
        directory=stored.of(str, data["directory"]),
        file=stored.of(str, data.get("file", "")),
        window=window_from_json(data["window"]),
        hooks=_hooks(data["hooks"]),
        vars=_vars(data),
        forecast_by=stored.text_or_none(data.get("forecast_by")),
        waves=tuple(waves),
    )


def _gate(data: dict[str, Any] | None) -> Gate | None:
    """That of *data*: seconds by their names."""
    return None if data is None else Gate(**{key: stored.seconds(each) for key, each in data.items()})


def _vars(data: dict[str, Any]) -> Vars:
    found = data.get("vars")
    return _vars_of(tuple(found), stored.texts(list(found.values()))) if found else NO_VARS


def _vars_of(names: tuple[str, ...], values: tuple[str, ...]) -> Vars:
    if len(names) != len(values):
        raise ValueError("its vars have not as many values as names")
    return Vars(names, values)


def _hooks(data: dict[str, Any]) -> Hooks:
    """Those of *data*; a run that an older version has recorded lacks what it did not know."""
    argvs = {str(kind): tuple(stored.command(argv) for argv in data.get(kind, ())) for kind in HookKind}
    seconds = {key: stored.seconds(data[key]) for key in ("timeout", "verify_every", "verify_timeout") if key in data}
    return Hooks(**argvs, **seconds)  # type: ignore[arg-type]


__all__ = [
    "NO_HOOKS",
    "NO_VARS",
    "AbsoluteWindow",
    "Argv",
    "Gate",
    "HookKind",
    "Hooks",
    "Migration",
    "RecurringWindow",
    "Vars",
    "Wave",
    "Window",
    "Workflow",
    "after_hook",
    "from_json",
    "outcome_told",
    "to_json",
]
