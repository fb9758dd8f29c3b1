"""How a workflow file is written: one model per mapping, every scalar parsed from its text, and the JSON Schema of it.

These models say what each key may hold by itself. What keys mean together (inheritance, uniqueness, CSV files) is in
`workflow_file`.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from ..core.vars import HOOK_PREFIX, variable_key
from ..core.window import DAYS
from ..core.workflow import DEFAULT_GATE, DEFAULT_TIMEOUT, NO_HOOKS, Argv
from ..text.durations import format_duration
from ..text.likeness import closest
from .commands import parse_commands
from .fields import BOOLEAN_SCHEMA, ModelOrWord, Text, TextModel, duration, json_schema, one_of, union_tag
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
    shorten,
)

_WORD = {"type": ["string", "number", "boolean"]}
_FIRST_YEAR, _LAST_YEAR = 2000, 2999  # beyond them no clock can be reckoned with in every time zone
_OFF = frozenset({"off", "no", "false"})
_ON = frozenset({"on", "yes", "true"})


def _parse_version(text: str) -> int:
    if text != "1":
        raise ValueError("expected 1, the only version of the format")
    return 1


# Of one machine, or of another time scale.
_NO_ZONES = frozenset({"Factory", "localtime", "posix", "posixrules", "right"})
_MISLEADING_ZONES = {
    "EST": ("5h behind UTC", "America/New_York"),
    "MST": ("7h behind UTC", "America/Denver or America/Phoenix"),
    "HST": ("10h behind UTC", "Pacific/Honolulu"),
}


def _parse_moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a time with its offset such as 2026-11-28T01:00:00+01:00") from None
    if moment.utcoffset() is None:
        raise ValueError("expected a time with its offset such as 2026-11-28T01:00:00+01:00 (the offset is missing)")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"expected a time in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment.timestamp()


def _parse_clock(text: str) -> str:
    hours, colon, minutes = text.partition(":")
    digits = len(text) == 5 and text.isascii() and hours.isdigit() and minutes.isdigit()
    if not (colon and digits and int(hours) < 24 and int(minutes) < 60):
        raise ValueError('expected a time of day from "00:00" to "23:59"')
    return text


@cache
def _zones() -> frozenset[str]:
    """The places whose time zones are known here; finding them is a walk over hundreds of files."""
    return frozenset(zone for zone in available_timezones() if zone.partition("/")[0] not in _NO_ZONES)


def _parse_timezone(text: str) -> str:
    try:
        ZoneInfo(text)
        known = text in _zones()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    if not known:
        odd = _MISLEADING_ZONES.keys() | {"Etc"}
        places = (zone for zone in _zones() if zone.partition("/")[0] not in odd)
        example = closest(text, places) or "Europe/Berlin"
        raise ValueError(f"expected a time zone such as {example}")
    if (meant := _MISLEADING_ZONES.get(text)) is not None:
        raise ValueError(
            f"{text} is {meant[0]} all year round, without daylight saving time; expected a place such as {meant[1]}"
        )
    if text.startswith("Etc/GMT") and text[7:].strip("+-0"):
        hours = text[8:]
        side, other = ("behind", "ahead of") if text[7] == "+" else ("ahead of", "behind")
        raise ValueError(
            f"{text} is {hours}h {side} UTC, not {other} it (its sign is turned round); expected a place such as Europe/Berlin"
        )
    return text


class _Days:
    """A list of days of the week, each once."""

    def __call__(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError(f"expected a list of days of {', '.join(DAYS)}")
        words = [item.lower() if isinstance(item, str) else "" for item in value]
        for word, item in zip(words, value, strict=True):
            if word not in DAYS:
                raise ValueError(f"{shorten(item)} is not a day; allowed: {', '.join(DAYS)}")
            if words.count(word) > 1:
                raise ValueError(f"{word!r} is given twice")
        return tuple(day for day in DAYS if day in words)


class _Dates:
    """A list of days of the calendar, each once."""

    def __call__(self, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise ValueError("expected a list of days such as [2026-12-24, 2026-12-31]")  # noqa: TRY004 - as pydantic wants
        for item in value:
            if not isinstance(item, str) or not _is_date(item):
                raise ValueError(f"{shorten(item)} is not a day; expected such as 2026-12-24")
            if not _FIRST_YEAR <= int(item[:4]) <= _LAST_YEAR:
                raise ValueError(f"{item!r} is too far away; expected a day in the years {_FIRST_YEAR} to {_LAST_YEAR}")
            if value.count(item) > 1:
                raise ValueError(f"{item!r} is given twice")
        return tuple(sorted(value))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


class _Anything(Text):
    """A field whose parser takes the value whole, whatever it is."""

    def _validate(self, value: Any) -> Any:
        return self._parse(value)


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
_Moment = Annotated[float, Text(_parse_moment, {"type": "string", "format": "date-time"}, "expected a time")]
_Clock = Annotated[
    str, Text(_parse_clock, {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}, "expected a time of day")
]
_Zone = Annotated[str, Text(_parse_timezone, {"type": "string"}, "expected a time zone such as Europe/Berlin or UTC")]
_DayList = Annotated[
    tuple[str, ...],
    _Anything(
        _Days(),
        {
            "type": "array",
            "minItems": 1,
            "items": one_of(*DAYS),
        },
    ),
]
_DateList = Annotated[
    tuple[str, ...],
    _Anything(
        _Dates(), {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "string", "format": "date"}}]}
    ),
]
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
    _Anything(
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


_RESERVE = "No cutover starts in the last so many minutes before it closes. Default 0s."


class AbsoluteWindowSpec(TextModel):
    """Open once."""

    opens: _Moment = Field(description="With its offset: 2026-11-28T01:00:00+01:00")
    closes: _Moment = Field(description="With its offset: 2026-11-28T04:00:00+01:00")
    reserve: _SecondsOrNone | None = Field(None, description=_RESERVE)

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("it has to open before it closes")
        _check_reserve(self.reserve, self.closes - self.opens)
        return self


class RecurringWindowSpec(TextModel):
    """Open on days of the week."""

    start: _Clock = Field(alias="from", description='Wall-clock time such as "01:00".')
    end: _Clock = Field(alias="to", description="Not after `from`: on the next day.")
    days: _DayList = Field(description="The days it opens on: mon tue wed thu fri sat sun.")
    timezone: _Zone = Field(description="Such as Europe/Berlin.")
    reserve: _SecondsOrNone | None = Field(None, description=_RESERVE)
    except_on: _DateList = Field((), alias="except", description="Days on which it does not open, such as 2026-12-24.")

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        opens, closes = (int(text[:2]) * 3600 + int(text[3:]) * 60 for text in (self.start, self.end))
        _check_reserve(self.reserve, float((closes - opens) % 86_400 or 86_400))
        return self


def _check_reserve(reserve: float | None, length: float) -> None:
    if reserve and reserve >= length:
        raise ValueError(
            f"its reserve of {format_duration(reserve)} has to be shorter than the window, which is open for "
            f"{format_duration(length)}"
        )


_ABSOLUTE, _RECURRING = union_tag("absolute"), union_tag("recurring")


def _kind_of_window(value: Any) -> str:
    recurring = isinstance(value, dict) and not {"opens", "closes"} & set(value) and value
    return _RECURRING if recurring else _ABSOLUTE


_WindowSpec = Annotated[
    Annotated[AbsoluteWindowSpec, Tag(_ABSOLUTE)] | Annotated[RecurringWindowSpec, Tag(_RECURRING)],
    Discriminator(_kind_of_window),
]


class WorkflowSpec(TextModel):
    """The whole file."""

    version: _Version = Field(description="1")
    name: _Name = Field(description="The workflow's name.")
    window: _WindowSpec | None = Field(None, description="No cutover starts outside it.")
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
    _ABSOLUTE: AbsoluteWindowSpec,
    _RECURRING: RecurringWindowSpec,
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
