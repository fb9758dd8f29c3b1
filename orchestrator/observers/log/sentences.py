"""What each log entry says to a person, in one sentence made of the entry's fields. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from ...core.run import APPROVAL_TIMEOUT
from ...core.typed import approve_command
from ...core.window import window_from_json, window_in_words
from ...text.counts import names_listed, plural
from ...text.durations import rough_duration

Fields = Mapping[str, Any]
_NAMES = 20
"""How many names a sentence lists."""


def sentence(fields: Fields, zone: tzinfo | None) -> str:
    """The sentence for the entry *fields*; times of day are shown in *zone* (None: the machine's own)."""
    teller = _TELLERS.get(fields["event"])
    if teller is not None and "asked_at" in fields:
        asked = datetime.fromisoformat(fields["asked_at"]).timestamp()
        return f"{teller(fields)}; that was {clock(asked, zone)}, when no session worked on the run"
    if teller is not None:
        return teller(fields)
    timed = _TIMED.get(fields["event"])
    return timed(fields, zone) if timed is not None else ""


def clock(at: float, zone: tzinfo | None) -> str:
    """*at* (Unix seconds) as date and time in *zone*, with the zone."""
    return datetime.fromtimestamp(at, zone).astimezone(zone).strftime("%a %Y-%m-%d %H:%M:%S %Z")


def counts(numbers: Mapping[str, int]) -> str:
    """*numbers* by outcome as ``3 SUCCESS, 1 FAILED``."""
    return ", ".join(f"{number} {word}" for word, number in numbers.items()) or "nothing"


def _run_started(f: Fields) -> str:
    kind = "REHEARSAL" if f["rehearsal"] else "run"
    return (
        f"{kind} {f['run_id']} of {f['workflow']}: {f['selected']} of {plural(f['migrations'], 'migration')} in {plural(f['waves'], 'wave')},"
        f" at {f['base_url']}, started by {f['who']} (version {f['version']})"
    )


def _run_resumed(f: Fields) -> str:
    again = ", FAILED ones without a PUT are tried again" if f["retry_failed"] else ""
    return f"run {f['run_id']} goes on with {plural(f['selected'], 'migration')}, continued by {f['who']}{again}"


def _run_finished(f: Fields) -> str:
    rest = f"; it is unfinished: `atlas-cutover status {f['run_id']}` says how to go on" if f["unfinished"] else ""
    sent = sum(f["requests"].get("by_status", {}).values())
    return f"{f['outcome']}, exit code {f['exit_code']}, {plural(sent, 'request')}{rest}"


def _jobs_seen_before(f: Fields) -> str:
    gone = names_listed(f["lag_gone"], _NAMES)
    begun = f"; of {gone} a cutover may have begun, by what was read last" if gone else ""
    return (
        f"{plural(f['reported_lag'], 'job')} had a lag before this session, and {f['was_ready']} said that they are ready, so that to miss that "
        f"means something{begun}"
    )


def _wave_started(f: Fields) -> str:
    return f"{plural(f['migrations'], 'migration')}, {f['concurrency']} at once"


def _hook_started(f: Fields) -> str:
    return f"hook {f['hook']} `{' '.join(f['argv'])}` starts"


def _hook_finished(f: Fields) -> str:
    ended = f["error"] or ("done" if f["exit_code"] == 0 else f"exit code {f['exit_code']}")
    return f"hook {f['hook']} `{' '.join(f['argv'])}`: {ended} after {rough_duration(f['seconds'])}"


def _rate_limited(f: Fields) -> str:
    detail = f": {f['detail']}" if f["detail"] else ""
    return f"Atlas answered 429 to {f['method']}: nothing is sent on the budget of {f['scope']} for {rough_duration(f['retry_after'])}{detail}"


def _request_retried(f: Fields) -> str:
    return f"{f['method']} failed ({f['reason']}), try {f['attempt']} in {rough_duration(f['wait'])}"


def _budget_waiting(f: Fields) -> str:
    return f"{plural(f['requests'], 'request')} {'waits' if f['requests'] == 1 else 'wait'} for the budget of {f['scope']}, which is empty for the next {rough_duration(f['wait'])}"


def _clock_set(f: Fields) -> str:
    which = "forward" if f["by"] > 0 else "back"
    return (
        f"this machine's clock was set {which} by {rough_duration(abs(f['by']))}: the window follows the new time; everything else in "
        "this session, the times in its log included, follows the old one"
    )


def _gate_waiting(f: Fields) -> str:
    if f["note"]:
        return f"not yet: {f['note']}"
    if f["ready"] is False:
        return f"not yet: the job is not ready for cutover ({_status(f)}{_lag(f)})"
    limit = f" of at most {rough_duration(f['max_lag'])}" if f["max_lag"] is not None else ""
    return f"not yet: waits for a lag{limit} ({_status(f)}{_lag(f)})"


def _gate_opened(f: Fields) -> str:
    note = f"; {f['note']}" if f["note"] else ""
    return f"may be cut over ({_status(f)}{_lag(f)}){note}"


def _gate_changed(f: Fields) -> str:
    gate = (
        "off"
        if f["max_lag"] is None
        else f"max_lag {rough_duration(f['max_lag'])}, timeout {rough_duration(f['timeout'])}"
    )
    return f"its gate was changed to {gate} by {f['who']}{_reason(f)}"


def _reason(f: Fields) -> str:
    return f" ({f['reason']})" if f.get("reason") else ""


def _cutover_accepted(f: Fields) -> str:
    how = f"HTTP {f['http_status']}" if f["http_status"] is not None else f"seen by reading the job: {f['evidence']}"
    return f"Atlas accepted the cutover ({how})"


def _cutover_refused(f: Fields) -> str:
    return f"Atlas refused the PUT ({f['reason']}); the job is read to see that nothing began"


def _cutover_in_doubt(f: Fields) -> str:
    return f"the PUT may or may not have been carried out: {f['reason']}; the job is read until it shows which"


def _status_polled(f: Fields) -> str:
    return f"read failed: {f['error']}" if f["error"] else f"{_status(f)}{_lag(f)}"


def _migration_finished(f: Fields) -> str:
    message = f": {f['error_message']}" if f["error_message"] else ""
    return f"{f['outcome']}{message}"


def _of_it(f: Fields) -> str:
    """Of how many of its migrations somebody was told who approved a wave, where they are not all."""
    return f" for {plural(f['migrations'], 'migration')} of it" if "migrations" in f else ""


def _window_opened(f: Fields, zone: tzinfo | None) -> str:
    at_once = "a rehearsal does not wait for its window, which opens at once, for as long as the real one: " * f.get(
        "rehearsal", False
    )
    return f"{at_once}{_cutovers_may_start(f, zone)}"


def _cutovers_may_start(f: Fields, zone: tzinfo | None) -> str:
    last = f.get("last_start")
    if last is None or last == f["closes"]:
        return f"cutovers may start until {clock(f['closes'], zone)}"
    return f"cutovers may start until {clock(last, zone)}, and the window closes {clock(f['closes'], zone)}"


def _progress(f: Fields) -> str:
    waiting = f"; waits for {f['waiting_for']}" if f.get("waiting_for") else ""
    left = f"; cutovers left: {f['estimate']}" if f.get("estimate") else ""
    return f"{f['finished']} of {f['migrations']} done, {f['under_way']} under way{waiting}{left}"


def _status(f: Fields) -> str:
    return f["status"] or "no status"


def _lag(f: Fields) -> str:
    return f", lag {rough_duration(f['lag'])}" if f["lag"] is not None else ""


def _wave_rejected(f: Fields) -> str:
    said = (
        f"{f['reason']}, so it counts as rejected"
        if f["who"] == APPROVAL_TIMEOUT
        else f"rejected by {f['who']}{_reason(f)}"
    )
    return f"{said}: neither this wave nor those after it start"


def _approval_waiting(f: Fields, zone: tzinfo | None) -> str:
    expires = f"; it counts as rejected {clock(f['expires_at'], zone)}" if f.get("expires_at") else ""
    return f"waits for approval: `{approve_command(f['run_id'], f['wave'])}`{expires}"


_TELLERS: dict[str, Callable[[Fields], str]] = {
    "log_entries_lost": lambda f: (
        f"{plural(f['lost'], 'entry is', 'entries are')} missing here: this output took nothing more"
    ),
    "run_started": _run_started,
    "run_resumed": _run_resumed,
    "jobs_seen_before": _jobs_seen_before,
    "forecast_made": lambda f: "; ".join(f["sentences"]),
    "run_finished": _run_finished,
    "run_paused": lambda f: f"paused by {f['who']}{_reason(f)}: no new cutover starts until `unpause`",
    "run_unpaused": lambda f: f"unpaused by {f['who']}{_reason(f)}: cutovers may start again",
    "confirmation_waiting": lambda f: f"no cutover starts before {f['who']} has confirmed it",
    "cutovers_confirmed": lambda f: f"confirmed by {f['who']}: cutovers may start",
    "credentials_refused": lambda f: (
        f"no cutover with the credentials {f['credentials'] or 'of atlas'} starts any more: {f['reason']}"
    ),
    "run_aborted": lambda f: (
        f"aborted by {f['who']}{_reason(f)}: no further cutover starts, and those under way are followed to their end"
    ),
    "cutovers_stopped": lambda f: f"no further cutover starts: {f['reason']}",
    "clock_set": _clock_set,
    "application_waiting": lambda f: (
        f"`before` hooks have run, so an application may stand still; no PUT has left for {rough_duration(f['seconds'])}: {f['reason']}"
    ),
    "window_changed": lambda f: f"the window is that of the file now: {window_in_words(window_from_json(f['window']))}",
    "wave_approved": lambda f: f"approved by {f['who']}{_of_it(f)}{_reason(f)}",
    "wave_rejected": _wave_rejected,
    "verification_started": lambda _: (
        "Atlas says that the cutover is complete; its `verify` hooks have to prove it good"
    ),
    "verification_failed": lambda f: f"not verified: {f['reason']}; no further cutover starts",
    "migration_skipped": lambda f: f"skipped by {f['who']}{_reason(f)}: it is not started any more",
    "migration_retried": lambda f: f"taken up again by {f['who']}{_reason(f)}",
    "gate_changed": _gate_changed,
    "wave_started": _wave_started,
    "wave_finished": lambda f: counts(f["counts"]),
    "hook_started": _hook_started,
    "hook_finished": _hook_finished,
    "rate_limited": _rate_limited,
    "request_retried": _request_retried,
    "budget_waiting": _budget_waiting,
    "gate_waiting": _gate_waiting,
    "gate_opened": _gate_opened,
    "cutover_admitted": lambda _: "has one of its wave's slots: its `before` hooks and its PUT come next",
    "cutover_requested": lambda _: "the PUT leaves now",
    "cutover_accepted": _cutover_accepted,
    "cutover_in_doubt": _cutover_in_doubt,
    "cutover_refused": _cutover_refused,
    "cutover_not_begun": lambda f: f"the PUT was not carried out, another is allowed: {f['reason']}",
    "status_polled": _status_polled,
    "status_changed": lambda f: f"{f['previous'] or 'no status'} -> {_status(f)}{_lag(f)}",
    "migration_finished": _migration_finished,
    "progress": _progress,
}
_TIMED: dict[str, Callable[[Fields, tzinfo | None], str]] = {
    "window_waiting": lambda f, zone: f"the window opens {clock(f['opens'], zone)}; {_cutovers_may_start(f, zone)}",
    "wave_soaking": lambda f, zone: f"its cutovers have ended; its soak is over {clock(f['until'], zone)}",
    "window_opened": _window_opened,
    "approval_waiting": _approval_waiting,
}
