"""A scenario file (YAML) to a `Scenario`; every mistake at once, each with file, line and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from ..core import arguments
from ..core.errors import InputError, Problem
from ..core.workflow import Workflow
from ..files.fields import problems_of
from ..files.scalars import did_you_mean, format_key, parse_object_id, shorten
from ..files.yaml_file import KeyPath, YamlDocument, read_yaml
from ..text.durations import parse_duration
from .bucket import RateLimit
from .digest import NonceRules
from .latency import Latency
from .organisations import Organisation
from .scenario import Fault, JobRules, Scenario, Special
from .scenario_model import DEFAULT_STATUS, MODELS, SHARES, FaultSpec, OrganisationSpec, ScenarioSpec
from .tokens import TokenRules

_PAIRS = (("public_key", "private_key"), ("client_id", "client_secret"))
_MAY_BE_EMPTY = {"jobs", "nonce", "special", "faults", "tokens", "organisations"}
"""Keys that may be empty, which then says nothing."""


def load_scenario(path: str | Path, *, workflow: Workflow | None = None) -> Scenario:
    """The scenario in the file *path*.

    Args:
        path: The scenario file (YAML).
        workflow: What it is for: names of migrations are checked against it. None: nobody looks.

    Raises:
        InputError: It cannot be read, or it is wrong; `problems` has all of it, by line.
    """
    if workflow is not None:
        arguments.expect("workflow", workflow, Workflow)
    document = read_yaml(arguments.path("path", path))
    data = _without_empty(document.data)
    spec, problems = None, [*_Checks(document, workflow).all()]
    try:
        spec = ScenarioSpec.model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, document, MODELS)
    if problems or spec is None:
        raise InputError(problems=sorted(set(problems)))
    return _scenario(spec)


def _without_empty(data: Any) -> Any:
    if data is None:
        return {}
    if not isinstance(data, dict):
        return data
    return {key: value for key, value in data.items() if value is not None or key not in _MAY_BE_EMPTY}


@dataclass(frozen=True, slots=True)
class _Checks:
    """What keys mean together, looked for in the *document* itself: a mistake elsewhere in it hides none of this."""

    document: YamlDocument
    workflow: Workflow | None

    def all(self) -> Iterator[Problem]:
        """Every mistake of this kind."""
        data = self.document.data
        if not isinstance(data, dict):
            return
        special, faults, organisations = data.get("special"), data.get("faults"), data.get("organisations")
        for name in special if isinstance(special, dict) else ():
            yield from self._migration(("special", name), name)
        for number, fault in enumerate(faults if isinstance(faults, list) else ()):
            if isinstance(fault, dict) and isinstance(who := fault.get("migration"), str):
                yield from self._migration(("faults", number, "migration"), who)
        for number, organisation in enumerate(organisations if isinstance(organisations, list) else ()):
            if isinstance(organisation, dict):
                yield from self._organisation(("organisations", number), organisation)
        yield from self._latency(data.get("latency"))

    def _migration(self, path: KeyPath, who: str) -> Iterator[Problem]:
        if self.workflow is None or _is_id(who):
            return
        known = self.workflow.names()
        if who not in known:
            close = did_you_mean(who, known)
            hint = f"; {close}" if close.startswith("did") else ""
            yield self._problem(path, f"the workflow has no migration {shorten(who)}{hint}")

    def _organisation(self, path: KeyPath, given: Mapping[str, Any]) -> Iterator[Problem]:
        for pair in _PAIRS:
            if len(given.keys() & set(pair)) == 1:
                yield self._problem(path, f"needs both {' and '.join(pair)}, or neither")
        if not given.keys() & {key for pair in _PAIRS for key in pair}:
            pairs = ", ".join(" and ".join(pair) for pair in _PAIRS)
            yield self._problem(path, f"needs an API key or a service account: {pairs}")

    def _latency(self, given: Any) -> Iterator[Problem]:
        times = {key: _seconds(value) for key, value in given.items()} if isinstance(given, dict) else {}
        rising = sorted((SHARES[key], key, at) for key, at in times.items() if key in SHARES and at is not None)
        for (_, lower, low), (_, higher, high) in pairwise(rising):
            if high < low:
                yield self._problem(
                    ("latency", higher), f"expected at least {lower}'s duration ({given[lower]}), not {given[higher]}"
                )

    def _problem(self, path: KeyPath, message: str) -> Problem:
        line = self.document.line_of(path)
        return Problem(file=self.document.file, line=line, key=format_key(path), message=message)


def _scenario(spec: ScenarioSpec) -> Scenario:
    limit = spec.rate_limit
    return Scenario(
        seed=spec.seed,
        jobs=JobRules(**_values(spec.jobs)),
        rate_limit=RateLimit(**_values(limit)) if isinstance(limit, BaseModel) else None,
        unlimited=limit == "off",
        nonce=NonceRules(**_values(spec.nonce)),
        documents=spec.documents,
        latency=_latency(spec.latency) if isinstance(spec.latency, BaseModel) else spec.latency,
        special=MappingProxyType({who: Special(**_values(given)) for who, given in (spec.special or {}).items()}),
        faults=tuple(_fault(fault) for fault in spec.faults or ()),
        unknown_jobs=spec.unknown_jobs == "create",
        repeat_puts=spec.repeat_puts == "process",
        auth=spec.auth != "off",
        tokens=TokenRules(**_values(spec.tokens)),
        organisations=tuple(_organisation(one) for one in spec.organisations),
    )


def _values(spec: BaseModel | None) -> dict[str, Any]:
    """What *spec* says, by key."""
    return {} if spec is None else {key: getattr(spec, key) for key in type(spec).model_fields}


def _latency(spec: BaseModel) -> Latency:
    given = {key: seconds for key, seconds in _values(spec).items() if seconds is not None}
    found = sorted((SHARES[key], seconds) for key, seconds in given.items())
    if "min" not in given:
        found.insert(0, (SHARES["min"], found[0][1] / 10))
    return Latency(quantiles=tuple(found))


def _fault(spec: FaultSpec) -> Fault:
    given = _values(spec)
    if given["status"] is None:
        given["status"] = DEFAULT_STATUS.get(spec.kind, 500)
    unset = {field.name for field in fields(Fault) if given[field.name] is None and field.default == 0.0}
    return Fault(**{key: value for key, value in given.items() if key not in unset})


def _organisation(spec: OrganisationSpec) -> Organisation:
    keys, account = ((getattr(spec, one), getattr(spec, other)) for one, other in _PAIRS)
    return Organisation(
        keys=keys if all(keys) else None,
        account=account if all(account) else None,
        projects=frozenset(spec.projects),
        role=spec.role,
    )


def _seconds(text: Any) -> float | None:
    try:
        return parse_duration(text)
    except (TypeError, ValueError):
        return None  # the model tells of it


def _is_id(text: str) -> bool:
    try:
        parse_object_id(text)
    except ValueError:
        return False
    return True
