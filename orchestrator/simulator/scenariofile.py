"""A scenario file (YAML) to a `Scenario`; every mistake at once, each with file, line and key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.errors import InputError, Problem
from ..core.workflow import Workflow
from ..files.scalars import (
    did_you_mean,
    format_key,
    parse_boolean,
    parse_choice,
    parse_count,
    parse_decimal,
    parse_line,
    parse_object_id,
    shorten,
)
from ..files.yaml_file import Data, KeyPath, YamlDocument, read_yaml
from ..text.durations import parse_duration
from .bucket import RateLimit, Refill
from .digest import NonceRules
from .jobs import NEVER, JobStatus
from .latency import NAMED, Latency
from .organisations import Organisation
from .scenario import Documents, Fault, FaultKind, Garbage, JobRules, Kind, Range, Scenario, Special
from .tokens import TokenRules

Parser = Callable[[str], Any]
_OFF = ("off", "no", "false")
_DEFAULT_STATUS = {FaultKind.STATUS: 503, FaultKind.ERROR_BEFORE: 503, FaultKind.ERROR_AFTER: 500}
_HELD = frozenset({FaultKind.SLOW, FaultKind.LATE, FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER})


def load_scenario(path: str | Path, *, workflow: Workflow | None = None) -> Scenario:
    """The scenario in the file *path*; names of migrations in it are checked against *workflow* where it is given.

    Raises:
        InputError: It cannot be read, or it is wrong; all problems are in it.
    """
    document = read_yaml(path)
    reader = _Reader(document=document, workflow=workflow)
    scenario = reader.scenario()
    if reader.problems:
        raise InputError(problems=sorted(reader.problems))
    return scenario


def _range(text: str) -> Range:
    if text == "never":
        return Range(low=NEVER, high=NEVER)
    low, dots, high = text.partition("..")
    found = Range(low=parse_duration(low.strip()), high=parse_duration((high if dots else low).strip()))
    if found.high < found.low:
        raise ValueError("expected the shorter duration first, as in 5s..20s")
    return found


def _interval(text: str) -> float:
    seconds = parse_duration(text)
    if seconds == 0:
        raise ValueError("expected a duration longer than 0s")
    return seconds


def _optional(parse: Parser) -> Parser:
    return lambda text: None if text.lower() in _OFF else parse(text)


def _share(text: str) -> float:
    if (share := parse_decimal(text)) > 1:
        raise ValueError("expected a probability from 0 to 1")
    return share


def _status(text: str) -> int:
    if not 400 <= (status := parse_count(0)(text)) <= 599:
        raise ValueError("expected an HTTP status from 400 to 599")
    return status


def _word(*words: str) -> Parser:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text

    return parse


def _named_latency(text: str) -> Latency | None:
    if text.lower() in _OFF:
        return None
    if text not in NAMED:
        raise ValueError(f"expected off, {', '.join(NAMED)}, or quantiles such as {{p50: 115ms, max: 4s}}")
    return NAMED[text]


_JOBS: dict[str, Parser] = {
    "ready_after": _range,
    "cutover": _range,
    "initial_lag": _range,
    "ready_lag": _range,
    "expires_after": parse_duration,
    "ends": _word("COMPLETE", "FAILED"),
    "ready_in_cutover": parse_boolean,
}
_SPECIAL: dict[str, Parser] = {
    **{key: parse for key, parse in _JOBS.items() if key != "ready_in_cutover"},
    "error_message": parse_line,
    "status": _word("COMPLETE", "FAILED", "EXPIRED"),
}
_RATE_LIMIT: dict[str, Parser] = {
    "capacity": parse_count(1),
    "refill": parse_count(1),
    "per": _interval,
    "mode": parse_choice(*Refill),
    "headers": parse_boolean,
}
_NONCE: dict[str, Parser] = {
    "uses": _optional(parse_count(1)),
    "seconds": _optional(_interval),
    "qop": parse_boolean,
}
_TOKENS: dict[str, Parser] = {"life": _interval, "most": parse_count(1), "per_minute": _optional(parse_count(1))}
_ORGANISATION: dict[str, Parser] = dict.fromkeys(
    ("public_key", "private_key", "client_id", "client_secret", "role"), parse_line
)
_SHARES = {"min": 0.0, **{f"p{percent}": percent / 100 for percent in range(1, 100)}, "max": 1.0}
_LATENCY: dict[str, Parser] = dict.fromkeys(_SHARES, _interval)
_FAULT: dict[str, Parser] = {
    "on": parse_choice("cutover", "read", "root", "token", "revoke", "any"),
    "kind": parse_choice(*FaultKind),
    "share": _share,
    "times": parse_count(1),
    "migration": parse_line,
    "status": _status,
    "body": parse_choice(*Garbage),
    "delay": _interval,
    "age": _interval,
    "retry_after": parse_duration,
    "after": parse_duration,
    "until": parse_duration,
}
_TOP = (
    "seed",
    "jobs",
    "rate_limit",
    "nonce",
    "documents",
    "latency",
    "special",
    "faults",
    "unknown_jobs",
    "repeat_puts",
    "auth",
    "tokens",
    "organisations",
)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Reads the parts of one document and gathers what is wrong with them."""

    document: YamlDocument
    workflow: Workflow | None
    problems: list[Problem] = field(default_factory=list)

    def scenario(self) -> Scenario:
        data = self._mapping((), self.document.data)
        for key in data:
            if key not in _TOP:
                self._problem((key,), f"unknown key; {did_you_mean(key, _TOP)}")
        limit = data.get("rate_limit")
        unlimited = isinstance(limit, str) and limit.lower() in _OFF
        return Scenario(
            seed=self._scalar(("seed",), data.get("seed"), parse_count(0), 0),
            jobs=JobRules(**self._typed(self._section(("jobs",), data.get("jobs"), _JOBS))),
            rate_limit=None if unlimited or limit is None else self._rate_limit(limit),
            unlimited=unlimited,
            nonce=NonceRules(**self._section(("nonce",), data.get("nonce"), _NONCE)),
            documents=Documents(self._choice("documents", data, *Documents)),
            latency=self._latency(data.get("latency")),
            special=self._special(data.get("special")),
            faults=self._faults(data.get("faults")),
            unknown_jobs=self._choice("unknown_jobs", data, "refuse", "create") == "create",
            repeat_puts=self._choice("repeat_puts", data, "refuse", "process") == "process",
            auth=self._choice("auth", data, "on", "digest", "off") != "off",
            tokens=TokenRules(**self._section(("tokens",), data.get("tokens"), _TOKENS)),
            organisations=self._organisations(data.get("organisations")),
        )

    def _rate_limit(self, data: Data) -> RateLimit | None:
        found = self._section(("rate_limit",), data, _RATE_LIMIT)
        missing = [key for key in ("capacity", "refill", "per") if not isinstance(data, dict) or key not in data]
        for key in missing:
            self._problem(("rate_limit", key), "is required, but missing")
        if missing or not {"capacity", "refill", "per"} <= found.keys():
            return None
        return RateLimit(**{**found, "mode": Refill(found.get("mode", Refill.INTERVAL))})

    def _latency(self, data: Data) -> Latency | None:
        if data is None or isinstance(data, str):
            named: Latency | None = self._scalar(("latency",), data, _named_latency, None)
            return named
        found = sorted(self._section(("latency",), data, _LATENCY).items(), key=lambda item: _SHARES[item[0]])
        if len(found) < len(data):
            return None  # what is wrong is told already
        if "max" not in data:
            self._problem(("latency", "max"), "is required, but missing")
            return None
        for (lower, low), (higher, high) in pairwise(found):
            if high < low:
                self._problem(("latency", higher), f"expected at least {lower}'s duration")
                return None
        if "min" not in data:
            found.insert(0, ("min", found[0][1] / 10))
        return Latency(quantiles=tuple((_SHARES[key], seconds) for key, seconds in found))

    def _special(self, data: Data) -> Mapping[str, Special]:
        known = self._known()
        special = {}
        for who, settings in self._mapping(("special",), data).items():
            self._check_migration(("special", who), who, known)
            special[who] = Special(**self._typed(self._section(("special", who), settings, _SPECIAL)))
        return MappingProxyType(special)

    def _faults(self, data: Data) -> tuple[Fault, ...]:
        if data is None:
            return ()
        if not isinstance(data, list):
            self._problem(("faults",), f"expected a list, not {shorten(data)}")
            return ()
        known = self._known()
        faults = (self._fault(("faults", i), item, known) for i, item in enumerate(data))
        return tuple(fault for fault in faults if fault is not None)

    def _fault(self, path: KeyPath, data: Data, known: frozenset[str] | None) -> Fault | None:
        parsers = dict(_FAULT)
        kind = data.get("kind") if isinstance(data, dict) else None
        if kind in _DEFAULT_STATUS:
            parsers["body"] = _word("json", "html")
        found = self._section(path, data, parsers)
        for key in ("on", "kind"):
            if isinstance(data, dict) and key not in data:
                self._problem((*path, key), "is required, but missing")
        if "kind" not in found or "on" not in found:
            return None
        if "migration" in found:
            self._check_migration((*path, "migration"), found["migration"], known)
        found["kind"] = FaultKind(found["kind"])
        found["on"] = None if found["on"] == "any" else Kind(found["on"])
        found.setdefault("status", _DEFAULT_STATUS.get(found["kind"], 500))
        if found["kind"] is FaultKind.STALE and ("age" not in found or found["on"] is not Kind.READ):
            self._problem(path, "a fault of kind stale is one of a read, and needs an age")
        if found["kind"] in _HELD and "delay" not in found:
            self._problem(path, f"a fault of kind {found['kind']} needs a delay")
        if "body" in found:
            found["body"] = None if found["body"] == "json" else Garbage(found["body"])
        return Fault(**found)

    def _organisations(self, data: Data) -> tuple[Organisation, ...]:
        if data is None:
            return ()
        if not isinstance(data, list):
            self._problem(("organisations",), f"expected a list, not {shorten(data)}")
            return ()
        return tuple(self._organisation(("organisations", i), item) for i, item in enumerate(data))

    def _organisation(self, path: KeyPath, data: Data) -> Organisation:
        mapping = dict(self._mapping(path, data))
        listed = mapping.pop("projects", None)
        found = self._section(path, mapping, _ORGANISATION)
        projects = self._projects((*path, "projects"), listed)
        for pair in (("public_key", "private_key"), ("client_id", "client_secret")):
            if len(found.keys() & set(pair)) == 1:
                self._problem(path, f"needs both {' and '.join(pair)}, or neither")
        if not found.keys() - {"role"}:
            self._problem(
                path, "needs an API key or a service account: public_key and private_key, client_id and client_secret"
            )
        pairs = (
            (found.get(one, ""), found.get(other, ""))
            for one, other in (("public_key", "private_key"), ("client_id", "client_secret"))
        )
        keys, account = (pair if all(pair) else None for pair in pairs)
        return Organisation(keys=keys, account=account, projects=projects, role=found.get("role", "ORG_OWNER"))

    def _projects(self, path: KeyPath, data: Data) -> frozenset[str]:
        if not isinstance(data, list):
            self._problem(path, "expected a list of the projects that it hosts")
            return frozenset()
        ids = (self._scalar((*path, i), item, parse_object_id, "") for i, item in enumerate(data))
        return frozenset(one for one in ids if one)

    def _known(self) -> frozenset[str] | None:
        if self.workflow is None:
            return None
        return self.workflow.names() | {m.live_migration_id for _, m in self.workflow.migrations()}

    def _check_migration(self, path: KeyPath, who: str, known: frozenset[str] | None) -> None:
        if known is not None and who not in known and not _is_id(who):
            close = did_you_mean(who, known)
            hint = f"; {close}" if close.startswith("did") else ""
            self._problem(path, f"the workflow has no migration {shorten(who)}{hint}")

    def _typed(self, found: dict[str, Any]) -> dict[str, Any]:
        return {key: JobStatus(value) if key in ("ends", "status") else value for key, value in found.items()}

    def _choice(self, key: str, data: dict[str, Data], default: str, *others: str) -> str:
        return str(self._scalar((key,), data.get(key), parse_choice(default, *others), default))

    def _section(self, path: KeyPath, data: Data, parsers: Mapping[str, Parser]) -> dict[str, Any]:
        """The parsed values of the mapping at *path*; wrong ones are left out and become problems."""
        found = {}
        for key, value in self._mapping(path, data).items():
            if key not in parsers:
                self._problem((*path, key), f"unknown key; {did_you_mean(key, parsers)}")
                continue
            parsed = self._scalar((*path, key), value, parsers[key], _WRONG)
            if parsed is not _WRONG:
                found[key] = parsed
        return found

    def _scalar(self, path: KeyPath, value: Data, parse: Parser, default: Any) -> Any:
        if value is None and path[-1] not in _mapping_keys(self.document.data, path):
            return default
        if not isinstance(value, str):
            self._problem(path, f"expected a single value, not {shorten(value)}")
            return default
        try:
            return parse(value)
        except ValueError as error:
            self._problem(path, f"{error}, not {shorten(value)}")
            return default

    def _mapping(self, path: KeyPath, data: Data) -> dict[str, Data]:
        if data is None:
            return {}
        if not isinstance(data, dict):
            self._problem(path, f"expected a mapping, not {shorten(data)}")
            return {}
        return data

    def _problem(self, path: KeyPath, message: str) -> None:
        self.problems.append(
            Problem(file=self.document.file, line=self.document.line_of(path), key=format_key(path), message=message)
        )


_WRONG = object()


def _is_id(text: str) -> bool:
    try:
        parse_object_id(text)
    except ValueError:
        return False
    return True


def _mapping_keys(data: Data, path: KeyPath) -> frozenset[str]:
    """The keys of the mapping that the last step of *path* is looked up in."""
    for step in path[:-1]:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step]
    return frozenset(data) if isinstance(data, dict) else frozenset()
