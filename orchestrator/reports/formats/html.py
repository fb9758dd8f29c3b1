"""`report.html`: one file that needs nothing else, for a browser or a mail attachment.

The page is rendered here as far as it reads without scripts; the table of all migrations and the timeline are drawn by
the inlined scripts from the embedded data, so that 5,000 rows open at once. A Content-Security-Policy allows exactly
the inlined style and script and nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from ...core.holds import Held
from ...core.migration import Phase
from ...core.needs import HOOK, INTERRUPTION, MISSING, NOT_RUN, UNAPPROVED
from ...core.outcomes import Outcome
from ...core.standing import NO_END_RECORDED
from ...text.instants import in_words
from .. import ASSETS
from ..bundle import bundled
from ..model import RunReport
from ..shape import snapshot
from ..steering import rows as decisions
from ..words import (
    clock,
    downtimes_in_words,
    duration,
    exit_meaning,
    last_start_in_words,
    lines,
    names_text,
    plain,
    requests_line,
    standing,
    standings_of_waves,
    times_elsewhere,
    times_in_words,
)

PROBLEMS_AT_MOST = 50
HOOKS_AT_MOST = 50
DECISIONS_AT_MOST = 200
WITHOUT_SCRIPTS = 200  # migrations; up to these there is also a plain table for readers that run no scripts

OUTCOMES = tuple(Outcome)
_LOOKS = {
    HOOK: ("Hook failed", "FAILED"),
    INTERRUPTION: ("Interrupted", "INTERRUPTED"),
    MISSING: ("Events are missing", "FAILED"),
    NOT_RUN: ("Hooks not run", "FAILED"),
    str(Held.SILENT): ("No sign of life", "INTERRUPTED"),
    UNAPPROVED: ("Not approved in time", "TIMED_OUT"),
    str(Held.CONFIRMATION): ("Waits to be confirmed", "PERSON"),
    str(Held.APPROVAL): ("Waits for approval", "PERSON"),
    str(Held.PAUSE): ("Paused", "PAUSED"),
}
"""What the page calls the needs that are no outcomes, and their pictures."""
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render_html(report: RunReport) -> str:
    """*report* as one self-contained HTML page."""
    style = _file("base.css") + _file("report.css") + _file("print.css")
    script = bundled(ASSETS, "report.js")
    return _template().render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        data=embedded(snapshot(report)),
        outcomes=OUTCOMES,
        no_end_recorded=NO_END_RECORDED,
        exit_meaning=exit_meaning(report),
        requests_line=requests_line(report),
        made_at=_made_at(report),
        elsewhere=times_elsewhere(report),
        last_start=last_start_in_words(report),
        totals=_totals(report),
        stands=standings_of_waves(report),
        urgent=report.needs,
        looks=_LOOKS,
        others=report.other_problems(),
        problems_at_most=PROBLEMS_AT_MOST,
        hooks=sorted(report.hooks, key=lambda hook: hook.ok)[:HOOKS_AT_MOST],
        decisions=decisions(report.steering),
        decisions_at_most=DECISIONS_AT_MOST,
        without_scripts=len(report.migrations) <= WITHOUT_SCRIPTS,
    )


def _made_at(report: RunReport) -> str:
    """When a report of a run that goes on was made: how it stood then."""
    if report.started_at is None:
        return "an unknown time"
    return in_words(datetime.fromisoformat(report.started_at).timestamp() + report.duration_seconds)


def _totals(report: RunReport) -> Mapping[str, int]:
    """How many migrations have ended with each outcome: of a run that goes on, those that have ended."""
    if report.holder is None:
        return report.totals
    counts = Counter(str(m.outcome) for m in report.migrations if m.phase is Phase.FINISHED)
    return {str(outcome): counts[str(outcome)] for outcome in Outcome}


def embedded(data: Any) -> Markup:
    """*data* as JSON that ends no script element and opens no comment, whatever text is in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_ESCAPES))  # noqa: S704 - neither `<` nor `&` is left


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _coded(text: str) -> Markup:
    """Our own *text* with its backquoted words as code, and no line that ends within the id of a run."""
    code = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", r'<span class="unbroken">\g<0></span>', code))  # noqa: S704 - escaped before


@cache
def _file(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"instant": in_words, "standing": standing, "coded": _coded, "number": "{:,}".format}
    environment.filters |= {"plain": plain, "lines": lines, "duration": duration, "clock": clock, "names": names_text}
    environment.filters |= {"times": times_in_words, "downtimes": downtimes_in_words}
    return environment.get_template("report.html.j2")
