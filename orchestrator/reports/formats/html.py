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
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, TemplateNotFound
from markupsafe import Markup, escape

from ...core.outcomes import Outcome
from ..model import KINDS, MigrationReport, RunReport
from ..words import (
    clock,
    duration,
    exit_meaning,
    lines,
    names_text,
    plain,
    requests_line,
    vars_text,
)

PROBLEMS_AT_MOST = 50
HOOKS_AT_MOST = 50
WITHOUT_SCRIPTS = 200  # migrations; up to these there is also a plain table for readers that run no scripts

OUTCOMES = tuple(Outcome)
_SCRIPTS = ("table.js", "timeline.js", "report.js")
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render_html(report: RunReport) -> str:
    """*report* as one self-contained HTML page."""
    style = _file("report.css")
    script = "".join(_file(name) for name in _SCRIPTS)
    urgent, *others = ((title, [p for p in report.problems() if p.outcome in outcomes]) for title, outcomes in KINDS)
    return _template().render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        data=embedded(_data(report)),
        outcomes=OUTCOMES,
        exit_meaning=exit_meaning(report),
        requests_line=requests_line(report),
        urgent=urgent[1],
        others=[(title, found) for title, found in others if found],
        problems_at_most=PROBLEMS_AT_MOST,
        hooks=sorted(report.hooks, key=lambda hook: hook.ok)[:HOOKS_AT_MOST],
        without_scripts=len(report.migrations) <= WITHOUT_SCRIPTS,
    )


def embedded(data: Any) -> Markup:
    """*data* as JSON that ends no script element and opens no comment, whatever text is in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_ESCAPES))  # noqa: S704 - neither `<` nor `&` is left


def _data(report: RunReport) -> dict[str, Any]:
    """What the scripts draw: times in milliseconds since the run's start, repeated texts by number."""
    base = _milliseconds(report.started_at) or 0
    messages: dict[str, int] = {}
    groups: dict[str, int] = {}
    variables: dict[str, int] = {}
    waves = {wave.name: number for number, wave in enumerate(report.waves)}

    def since(instant: str | None) -> int | None:
        at = _milliseconds(instant)
        return None if at is None else at - base

    def row(m: MigrationReport) -> list[Any]:
        return [
            plain(m.name),
            waves[m.wave],
            groups.setdefault(m.group_id, len(groups)),
            m.live_migration_id,
            OUTCOMES.index(m.outcome),
            plain(m.remote_status),
            messages.setdefault(plain(m.error_message), len(messages)),
            since(m.gate_waiting_since),
            since(m.gate_opened_at),
            since(m.requested_at),
            since(m.accepted_at),
            since(m.finished_at),
            m.cutover_seconds,
            m.cutover_requests,
            m.polls,
            variables.setdefault(plain(vars_text(m)), len(variables)),
        ]

    rows = [row(m) for m in report.migrations]
    openings = report.window.openings if report.window else ()
    return {
        "base": base,
        "end": round(report.duration_seconds * 1000),
        "window": [[since(opening.opens), since(opening.closes)] for opening in openings],
        "outcomes": [str(outcome) for outcome in OUTCOMES],
        "waves": [[plain(wave.name), since(wave.started_at), since(wave.finished_at)] for wave in report.waves],
        "groups": list(groups),
        "messages": list(messages),
        "vars": list(variables),
        "rows": rows,
    }


def _milliseconds(instant: str | None) -> int | None:
    return None if instant is None else round(datetime.fromisoformat(instant).timestamp() * 1000)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _coded(text: str) -> Markup:
    """Our own *text* with its backquoted words as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


@cache
def _file(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


class _Templates(BaseLoader):
    def get_source(self, environment: Environment, template: str) -> tuple[str, None, None]:  # noqa: ARG002
        try:
            return _file(template), None, None
        except FileNotFoundError:
            raise TemplateNotFound(template) from None


@cache
def _template() -> Template:
    environment = Environment(
        loader=_Templates(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"coded": _coded, "number": "{:,}".format}
    environment.filters |= {"plain": plain, "lines": lines, "duration": duration, "clock": clock, "names": names_text}
    return environment.get_template("report.html.j2")
