"""How a workflow file is written: one model per mapping, every scalar parsed from its text, and the JSON Schema of it.

These models say what each key may hold by itself. What keys mean together (inheritance, uniqueness, CSV files) is in
`workflow_file`.
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from ..core.vars import HOOK_PREFIX, variable_key
from ..core.workflow import DEFAULT_GATE, DEFAULT_TIMEOUT, NO_HOOKS, Argv
from ..text.durations import format_duration
from .commands import parse_commands
from .fields import BOOLEAN_SCHEMA, ModelOrWord, Text, TextModel, Whole, duration, json_schema
from .scalars import (
    LONGEST_NAME,
    LONGEST_VALUE,
    parse_boolean,
    parse_count,
    parse_failures,
    parse_line,
    parse_name,
    parse_object_id,
    parse_value,
    parse_variable,
)
from .window_model import ABSOLUTE, RECURRING, AbsoluteWindowSpec, RecurringWindowSpec, WindowSpec

_WORD = {"type": ["string", "number", "boolean"]}
_OFF = frozenset({"off", "no", "false"})
_ON = frozenset({"on", "yes", "true"})


def _parse_version(text: str) -> int:
    if text != "1":
        raise ValueError("expected 1, the only version of the format")
    return 1


def _without_nothing(given: Any) -> Any:
    """A key with nothing behind it is as good as absent."""
    return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


def _one_word_each(given: dict[str, str]) -> dict[str, str]:
    spelled: dict[str, str] = {}
    for name in given:
        if (first := spelled.setdefault(variable_key(name), name)) != name:
            raise ValueError(
                f"{first!r} and {name!r} are one variable to a hook, {HOOK_PREFIX}{variable_key(name)}; keep one"
            )
    return given


def _parse_gate_word(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in _OFF:
        return "off"
    if isinstance(value, str) and value.lower() in _ON:
        return {}
    raise ValueError("expected a mapping such as {max_lag: 10s, timeout: 30m}, or off")


def _parse_approval_word(value: Any) -> Any:
    with suppress(ValueError):
        if isinstance(value, str):
            return {} if parse_boolean(value) else False
    raise ValueError("expected true, false, or a mapping such as {timeout: 30m}")


_Name = Annotated[str, Text(parse_name, {**_WORD, "minLength": 1, "maxLength": LONGEST_NAME}, "expected a name")]
_Id = Annotated[
    str,
    Text(
        parse_object_id,
        {"type": ["string", "number"], "pattern": "^[0-9a-f]{24}$"},
        "expected 24 lower-case hexadecimal digits",
    ),
]
_Seconds = Annotated[float, duration()]
_SecondsOrNone = Annotated[float, duration(zero=True)]
_Boolean = Annotated[bool, Text(parse_boolean, BOOLEAN_SCHEMA, "expected true or false")]
_Count = Annotated[
    int,
    Text(
        parse_count(1),
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]+$"}]},
        "expected a whole number of at least 1",
    ),
]
_Failures = Annotated[
    int | Fraction,
    Text(
        parse_failures,
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^([0-9]+|[0-9]+(\.[0-9]+)?%)$"}]},
        "expected a whole number such as 3, or a percentage of the wave such as 10%",
    ),
]
_Argvs = Annotated[
    tuple[Argv, ...],
    Whole(
        parse_commands,
        {
            "anyOf": [
                {"type": "null"},
                {"type": "array", "items": _WORD},
                {"type": "array", "items": {"type": "array", "minItems": 1, "items": _WORD}},
            ]
        },
    ),
]
_Variable = Annotated[str, Text(parse_variable, {"type": "string", "pattern": f"^[A-Za-z0-9_]{{1,{LONGEST_NAME}}}$"})]
_Vars = Annotated[
    dict[
        _Variable,
        Annotated[str, Text(parse_value, {"anyOf": [{"type": "null"}, {**_WORD, "maxLength": LONGEST_VALUE}]})],
    ],
    BeforeValidator(_without_nothing),
    AfterValidator(_one_word_each),
]
_Version = Annotated[int, Text(_parse_version, {"enum": [1, "1"]}, "expected 1, the only version of the format")]
_File = Annotated[str, Text(parse_line, _WORD, "expected the name of a CSV file")]


class GateSpec(TextModel):
    """What a cutover waits for."""

    max_lag: _SecondsOrNone | None = Field(
        None, description=f"The largest lag a cutover may start with. Default {format_duration(DEFAULT_GATE.max_lag)}."
    )
    timeout: _Seconds | None = Field(
        None,
        description=f"How long to wait for it; then the migration fails. Default {format_duration(DEFAULT_GATE.timeout)}.",
    )


class HooksSpec(TextModel):
    """Commands around a cutover: argv lists, run without a shell."""

    before: _Argvs = Field((), description="Run before; a failure means no cutover.")
    verify: _Argvs = Field(
        (), description="Run after Atlas's SUCCESS. 0: verified; 75: not yet, run again; anything else: UNVERIFIED."
    )
    after_success: _Argvs = Field((), description="Run after SUCCESS.")
    after_unverified: _Argvs = Field((), description="Run after UNVERIFIED.")
    after_failure: _Argvs = Field((), description="Run after any other end.")
    timeout: _Seconds | None = Field(
        None, description=f"How long one command may take. Default {format_duration(NO_HOOKS.timeout)}."
    )
    verify_every: _Seconds | None = Field(
        None,
        description=f"How long after a 75 `verify` is run again. Default {format_duration(NO_HOOKS.verify_every)}.",
    )
    verify_timeout: _Seconds | None = Field(
        None,
        description="How long it may say 75; then the outcome is UNVERIFIED. "
        f"Default {format_duration(NO_HOOKS.verify_timeout)}.",
    )


class ApprovalSpec(TextModel):
    """A person has to approve the wave."""

    timeout: _Seconds | None = Field(None, description="How long to wait for it; then the wave counts as rejected.")


_GateOrOff = Annotated[
    GateSpec | Literal["off"],
    ModelOrWord(GateSpec, _parse_gate_word, BOOLEAN_SCHEMA),
]

_Approval = Annotated[
    ApprovalSpec | Literal[False],
    ModelOrWord(ApprovalSpec, _parse_approval_word, BOOLEAN_SCHEMA),
]


_VARS_HELP = "Text for hooks, reports and page; each key is merged, and its nearest value wins."


class PolicySpec(TextModel):
    """The keys that may stand in `defaults`, on a wave or on a migration; the nearest wins."""

    group_id: _Id | None = Field(None, description="The Atlas project: 24 lower-case hexadecimal digits.")
    # No None: `gate:` with nothing behind it could be meant either way.
    gate: _GateOrOff = Field(default_factory=GateSpec, description="What a cutover waits for; `off`: nothing.")
    timeout: _Seconds | None = Field(
        None, description=f"From the accepted PUT to a final state. Default {format_duration(DEFAULT_TIMEOUT)}."
    )
    hooks: HooksSpec | None = Field(None, description="Commands around each migration.")
    credentials: _Name | None = Field(
        None, description="The name of a set under `credentials` in the config. Default: those under `atlas`."
    )
    vars: _Vars | None = Field(None, description=_VARS_HELP)


class MigrationSpec(PolicySpec):
    """One live migration."""

    name: _Name = Field(description="Unique in the workflow, among migrations and waves.")
    live_migration_id: _Id = Field(description="24 lower-case hexadecimal digits.")


class DefaultsSpec(PolicySpec):
    """What holds where a wave or migration says nothing."""

    wave_hooks: HooksSpec | None = Field(None, description="Commands around each wave.")


class WaveSpec(PolicySpec):
    """Live migrations cut over together."""

    name: _Name = Field(description="Unique in the workflow, among migrations and waves.")
    concurrency: _Count | None = Field(None, description="Cutovers under way at once. Default: all of the wave.")
    max_failures: _Failures | None = Field(
        None,
        description="Number or percentage; when more ended without SUCCESS, no further cutover starts in this run.",
    )
    approval: _Approval | None = Field(
        None, description="true: the wave waits for `atlas-cutover approve`; with a `timeout`, for no longer than that."
    )
    soak: _Seconds | None = Field(
        None,
        description="How long after its last cutover `verify` is run and the next wave starts, at the earliest. Default 0s.",
    )
    wave_hooks: HooksSpec | None = Field(None, description="Commands run once around the wave.")
    migrations: list[MigrationSpec] | None = Field(None, description="The wave's live migrations.")
    migrations_file: _File | None = Field(
        None, description="A CSV file, relative to the workflow; header: name,group_id,live_migration_id."
    )


class WorkflowSpec(TextModel):
    """The whole file."""

    version: _Version = Field(description="1")
    name: _Name = Field(description="The workflow's name.")
    window: WindowSpec | None = Field(None, description="No cutover starts outside it.")
    run_hooks: HooksSpec | None = Field(None, description="Commands run once around the run.")
    vars: _Vars | None = Field(None, description=_VARS_HELP)
    forecast_by: _Variable | None = Field(
        None,
        description="The variable by whose values forecasts tell migrations apart. Default `size`, where there is one.",
    )
    defaults: DefaultsSpec | None = None
    waves: list[WaveSpec] = Field(description="Run one after another.")


# The model under each key, for 'did you mean'.
MODELS: dict[str, type[BaseModel]] = {
    "": WorkflowSpec,
    ABSOLUTE: AbsoluteWindowSpec,
    RECURRING: RecurringWindowSpec,
    "approval": ApprovalSpec,
    "defaults": DefaultsSpec,
    "gate": GateSpec,
    "hooks": HooksSpec,
    "migrations": MigrationSpec,
    "run_hooks": HooksSpec,
    "wave_hooks": HooksSpec,
    "waves": WaveSpec,
}


def workflow_schema() -> dict[str, Any]:
    """The JSON Schema of a workflow file; it accepts what `load_workflow` accepts, as an editor's YAML parser types it."""
    schema = json_schema(WorkflowSpec, "atlas-cutover workflow")
    definitions = schema["$defs"]
    schema["properties"]["waves"]["minItems"] = 1
    definitions["WaveSpec"]["anyOf"] = [{"required": ["migrations"]}, {"required": ["migrations_file"]}]
    return schema
