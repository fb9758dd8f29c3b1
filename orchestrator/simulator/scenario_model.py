"""How a scenario file is written: one model per mapping, every scalar parsed from its text.

What keys mean together, and what of the workflow they name, is in `scenariofile`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationInfo, create_model, field_validator, model_validator

from ..files.fields import ModelOrWord, Text, TextModel
from ..files.scalars import parse_boolean, parse_choice, parse_count, parse_decimal, parse_line, parse_object_id
from ..text.durations import EXPECTED, parse_duration
from .bucket import Refill
from .digest import NonceRules
from .jobs import NEVER, JobStatus
from .latency import NAMED
from .organisations import Organisation
from .scenario import Documents, FaultKind, Garbage, JobRules, Kind, Range
from .tokens import TokenRules

OFF = frozenset({"off", "no", "false"})
HELD = frozenset({FaultKind.SLOW, FaultKind.LATE, FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER})
DEFAULT_STATUS = {FaultKind.STATUS: 503, FaultKind.ERROR_BEFORE: 503, FaultKind.ERROR_AFTER: 500}
SHARES = {"min": 0.0, **{f"p{percent}": percent / 100 for percent in range(1, 100)}, "max": 1.0}
"""The quantiles that `latency` may give."""

_ANY = "any"
_JOBS, _NONCE, _TOKENS = JobRules(), NonceRules(), TokenRules()


def _text(parse: Callable[[str], Any], expected: str = "expected a single value") -> Text:
    return Text(parse, {}, expected)


def _optional(parse: Callable[[str], Any]) -> Text:
    """A field that `off` makes None."""
    return _text(lambda text: None if text.lower() in OFF else parse(text))


def _parse_range(text: str) -> Range:
    if text == "never":
        return Range(low=NEVER, high=NEVER)
    low, dots, high = text.partition("..")
    found = Range(low=parse_duration(low.strip()), high=parse_duration((high if dots else low).strip()))
    if found.high < found.low:
        raise ValueError("expected the shorter duration first, as in 5s..20s")
    return found


def _parse_interval(text: str) -> float:
    seconds = parse_duration(text)
    if seconds == 0:
        raise ValueError("expected a duration longer than 0s")
    return seconds


def _parse_share(text: str) -> float:
    if (share := parse_decimal(text)) > 1:
        raise ValueError("expected a probability from 0 to 1")
    return share


def _parse_status(text: str) -> int:
    if not 400 <= (status := parse_count(0)(text)) <= 599:
        raise ValueError("expected an HTTP status from 400 to 599")
    return status


def _word(*words: JobStatus) -> Text:
    def parse(text: str) -> JobStatus:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return JobStatus(text)

    return _text(parse)


def _parse_on(text: str) -> Kind | None:
    word = parse_choice("cutover", "read", "root", "token", "revoke", "limits", _ANY)(text)
    return None if word == _ANY else Kind(word)


def _parse_latency(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in OFF:
        return None
    if not isinstance(value, str) or value not in NAMED:
        raise ValueError(f"expected off, {', '.join(NAMED)}, or quantiles such as {{p50: 115ms, max: 4s}}")
    return NAMED[value]


def _parse_limit(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in OFF:
        return "off"
    if value is None:
        return None
    raise ValueError("expected off, or a mapping such as {capacity: 1200, refill: 500, per: 60s}")


_Range = Annotated[Range, _text(_parse_range, "expected a duration, a range such as 5s..20s, or never")]
_Seconds = Annotated[float, _text(parse_duration, EXPECTED)]
_Interval = Annotated[float, _text(_parse_interval, EXPECTED)]
_Count = Annotated[int, _text(parse_count(1))]
_Boolean = Annotated[bool, _text(parse_boolean)]
_Line = Annotated[str, _text(parse_line)]
_Ends = Annotated[JobStatus, _word(JobStatus.COMPLETE, JobStatus.FAILED)]


class JobsSpec(TextModel):
    """How jobs fare."""

    ready_after: _Range = _JOBS.ready_after
    cutover: _Range = _JOBS.cutover
    initial_lag: _Range = _JOBS.initial_lag
    ready_lag: _Range = _JOBS.ready_lag
    expires_after: _Seconds = _JOBS.expires_after
    ends: _Ends = _JOBS.ends
    ready_in_cutover: _Boolean = _JOBS.ready_in_cutover


class SpecialSpec(TextModel):
    """What is different about one job; what is not given is as `jobs` says."""

    ends: _Ends | None = None
    error_message: _Line | None = None
    status: Annotated[JobStatus, _word(JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.EXPIRED)] | None = None
    ready_after: _Range | None = None
    cutover: _Range | None = None
    initial_lag: _Range | None = None
    ready_lag: _Range | None = None
    expires_after: _Seconds | None = None


class RateLimitSpec(TextModel):
    """The bucket of each project."""

    capacity: _Count
    refill: _Count
    per: _Interval
    mode: Annotated[Refill, _text(lambda text: Refill(parse_choice(*Refill)(text)))] = Refill.INTERVAL
    headers: _Boolean = True


class NonceSpec(TextModel):
    """When digest nonces go stale."""

    uses: Annotated[int | None, _optional(parse_count(1))] = _NONCE.uses
    seconds: Annotated[float | None, _optional(_parse_interval)] = _NONCE.seconds
    qop: _Boolean = _NONCE.qop


LatencySpec: type[BaseModel] = create_model(
    "LatencySpec",
    __base__=TextModel,
    **{key: (_Interval, ...) if key == "max" else (_Interval | None, None) for key in SHARES},  # type: ignore[call-overload]
)
"""How long answers take, by quantile."""


class FaultSpec(TextModel):
    """One thing that goes wrong. *kind* comes before what depends on it."""

    on: Annotated[Kind | None, _text(_parse_on)]
    kind: Annotated[FaultKind, _text(lambda text: FaultKind(parse_choice(*FaultKind)(text)))]
    share: Annotated[float, _text(_parse_share)] = 1.0
    times: _Count | None = None
    migration: _Line | None = None
    status: Annotated[int, _text(_parse_status)] | None = None
    body: Any = None
    delay: _Interval | None = None
    age: _Interval | None = None
    retry_after: _Seconds | None = None
    after: _Seconds = 0.0
    until: _Seconds | None = None

    @field_validator("body", mode="plain")
    @classmethod
    def _body(cls, value: Any, info: ValidationInfo) -> Garbage | None:
        """Of an error status it is JSON or a page of a load balancer, otherwise one kind of garbage."""
        words = ("json", "html") if info.data.get("kind") in DEFAULT_STATUS else tuple(Garbage)
        if not isinstance(value, str):
            raise ValueError(f"expected one of {', '.join(words)}")  # noqa: TRY004 - as pydantic wants
        word = parse_choice(*words)(value)
        return None if word == "json" else Garbage(word)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.kind is FaultKind.STALE and (self.age is None or self.on is not Kind.READ):
            raise ValueError("a fault of kind stale is for reads alone (`on: read`), and needs an age")
        if self.kind in HELD and self.delay is None:
            raise ValueError(f"a fault of kind {self.kind} needs a delay")
        return self


class TokensSpec(TextModel):
    """Access tokens of service accounts."""

    life: _Interval = _TOKENS.life
    most: _Count = _TOKENS.most
    per_minute: Annotated[int | None, _optional(parse_count(1))] = _TOKENS.per_minute


class OrganisationSpec(TextModel):
    """Who may ask, and for which projects."""

    public_key: _Line | None = None
    private_key: _Line | None = None
    client_id: _Line | None = None
    client_secret: _Line | None = None
    projects: list[Annotated[str, _text(parse_object_id)]]
    role: _Line = Organisation().role


class ScenarioSpec(TextModel):
    """The whole file; every key is optional."""

    seed: Annotated[int, _text(parse_count(0))] = 0
    jobs: JobsSpec | None = None
    rate_limit: Annotated[Any, ModelOrWord(RateLimitSpec, _parse_limit, {})] = None
    nonce: NonceSpec | None = None
    documents: Annotated[Documents, _text(lambda text: Documents(parse_choice(*Documents)(text)))] = Documents.FULL
    latency: Annotated[Any, ModelOrWord(LatencySpec, _parse_latency, {})] = None
    special: dict[str, SpecialSpec | None] | None = None
    faults: list[FaultSpec] | None = None
    unknown_jobs: Annotated[str, _text(parse_choice("refuse", "create"))] = "refuse"
    repeat_puts: Annotated[str, _text(parse_choice("refuse", "process"))] = "refuse"
    auth: Annotated[str, _text(parse_choice("on", "digest", "off"))] = "on"
    tokens: TokensSpec | None = None
    organisations: list[OrganisationSpec] = Field(default_factory=list)


# The model under each key, for 'did you mean'.
MODELS: dict[str, type[BaseModel]] = {
    "": ScenarioSpec,
    "jobs": JobsSpec,
    "rate_limit": RateLimitSpec,
    "nonce": NonceSpec,
    "latency": LatencySpec,
    "special": SpecialSpec,
    "faults": FaultSpec,
    "tokens": TokensSpec,
    "organisations": OrganisationSpec,
}
