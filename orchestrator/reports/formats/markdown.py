"""`report.md`: for tickets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...core.needs import HOOK, Need, Subject
from ...core.outcomes import Outcome
from ...text.counts import names_listed
from ..model import MigrationReport, Problem, RunReport
from ..steering import rows as decisions
from ..words import (
    OUTCOMES,
    clock,
    downtimes_in_words,
    duration,
    headline,
    last_start_in_words,
    names_text,
    plain,
    requests_line,
    standing_of,
    standings_of_waves,
    times_elsewhere,
    times_in_words,
    times_line,
    times_of_day,
    totals_line,
    vars_text,
)

LIST_ALL = 200  # migrations; a ticket takes 65,536 characters, so above this only those without SUCCESS are listed
ABOUT_AT_MOST = 160  # characters of what a decision is about, or of its reason
VARS_AT_MOST = 80  # characters of a migration's variables: the whole has to fit into a ticket
PROBLEMS_AT_MOST = 50  # rows
NAMES_AT_MOST = 20  # per row
KINDS_AT_MOST = 20  # rows
DECISIONS_AT_MOST = 30  # rows
IDS_AT_MOST = 5  # per row: the table of migrations has them all

_SPECIAL = re.compile(r"[\\`*\[\]<>|~&]")
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # inside a word it means nothing
_LINK = re.compile(r"\b(www)\.|:(?=//)", re.IGNORECASE)
_PING = re.compile(r"([@#])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def escape(text: str | None) -> str:
    """*text* on one line so that no Markdown, HTML, table cell, link, mention or issue reference comes of it.

    A name such as `orders-eu_1` stays as it is: what nobody has to escape can be searched for.
    """
    safe = _SPECIAL.sub(lambda m: _ENTITIES.get(m[0], f"\\{m[0]}"), plain(text))
    safe = _UNDERSCORE.sub(r"\\_", safe)
    safe = _LINK.sub(lambda m: rf"{m[1]}\." if m[1] else r"\:", safe)
    return _PING.sub("\\1\u200b", safe)


def render_markdown(report: RunReport) -> str:
    """*report* as Markdown with GitHub's tables."""
    parts = [
        *_title(report),
        *_needs(report),
        *_opening(report),
        *_problems(report),
        *_waves(report),
        *_decisions(report),
        *_no_return(report),
        *_forecast(report),
        *_migrations(report),
        *_hooks(report),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _title(report: RunReport) -> Iterable[str]:
    yield f"# {escape(report.workflow)}: {escape(headline(report))}"
    yield ""
    if report.rehearsal:
        yield "> **Rehearsal**: against the built-in simulator. Nothing was cut over at Atlas."
        yield ""


def _needs(report: RunReport) -> Iterable[str]:
    urgent = report.needs
    if not urgent:
        return
    yield from ("## Needs you now", "")
    yield from table(("outcome", "migrations", "what it says"), (_need(need) for need in urgent[:PROBLEMS_AT_MOST]))
    if len(urgent) > PROBLEMS_AT_MOST:
        yield from (f"And {len(urgent) - PROBLEMS_AT_MOST} more: see report.html.", "")
    alike: dict[tuple[str, str, str | None], list[Need]] = {}
    for need in urgent[:PROBLEMS_AT_MOST]:
        alike.setdefault((need.kind, need.to_do, need.command), []).append(need)
    for (kind, to_do, command), members in alike.items():
        shown = f" `{plain(command).replace('`', ' ')}`" if command else ""
        yield f"- {_kind(kind)} {_all_of(members)}: {to_do}{shown}"
    yield ""


def _all_of(alike: Sequence[Need]) -> str:
    """Which they are about, about which the same is to be done: names and ids; of a hook, or of what the run waits for, what that is."""
    if alike[0].kind not in OUTCOMES:
        return names_listed([escape(need.what) for need in alike], IDS_AT_MOST)
    members = [each for need in alike for each in need.about]
    return _named(members, sum(need.count for need in alike))


def _named(members: Sequence[Subject], count: int) -> str:
    """The first of *members*, of *count* in all, with their ids."""
    shown = [f"{escape(each.name)} `{each.live_migration_id}`" for each in members[:IDS_AT_MOST]]
    more = count - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 and shown else "")


def _coded(text: str) -> str:
    """Our own *text*, what is in backticks there left as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(f"`{plain(part)}`" if place % 2 else escape(part) for place, part in enumerate(parts))


def _need(need: Need) -> tuple[str, str, str]:
    names = _named(need.about, need.count)
    if need.count == 1 and need.about:
        names += f" ({escape(need.about[0].wave)})"
    elif need.count > 1:
        names = f"{need.count}: {names}"
    if need.kind not in OUTCOMES:
        names = ": ".join(part for part in (escape(need.what), names) if part)
    return (_kind(need.kind), names, escape(f"{need.said or '-'}{need.when}"))


def _kind(kind: str) -> str:
    return "FAILED" if kind == HOOK else str(kind)


def _opening(report: RunReport) -> Iterable[str]:
    facts = [totals_line(report), times_line(report.statistics), requests_line(report), times_of_day(report)]
    yield from (f"- {escape(fact)}" for fact in facts if fact)
    yield from (f"  - {name}: {text}" for name, text in times_elsewhere(report))
    if report.window:
        yield f"- window: {escape(report.window.rule)}"
    yield f"- run `{report.run_id}` at {escape(report.base_url)}, by {escape(report.who)}"
    if report.last_start:
        yield f"- the last moment at which a cutover may start: {last_start_in_words(report)}"
    if report.stopped:
        yield f"- no further cutover was started: {escape(report.stopped)}"
    advice = report.advice
    if advice.command:
        yield f"- continue with{f' ({_coded(advice.condition)})' if advice.condition else ''}: `{advice.command}`"
    yield ""


def _problems(report: RunReport) -> Iterable[str]:
    for title, chosen in report.other_problems():
        yield from (f"## {title}", "")
        yield from table(("outcome", "migrations", "what it says"), (_problem(p) for p in chosen[:PROBLEMS_AT_MOST]))
        if len(chosen) > PROBLEMS_AT_MOST:
            yield from (f"And {len(chosen) - PROBLEMS_AT_MOST} more: see report.html.", "")
        for outcome in dict.fromkeys(p.outcome for p in chosen):
            yield f"- {outcome}: {report.advice.outcomes[outcome]}"
        yield ""


def _problem(problem: Problem) -> tuple[str, str, str]:
    members = problem.migrations
    names = escape(names_text(problem, NAMES_AT_MOST))
    if len(members) == 1:
        names += f" ({escape(members[0].wave)})"
    else:
        names = f"{len(members)}: {names}"
    return (str(problem.outcome), names, escape(problem.message) or "-")


def _no_return(report: RunReport) -> Iterable[str]:
    yield from ("## Point of no return", "")
    yield from table(
        ("side", "", "migrations", "what is right there"),
        (
            (
                point.side,
                point.point,
                f"{len(point.names)}: {escape(names_listed(point.names, NAMES_AT_MOST))}",
                point.what_is_right,
            )
            for point in report.point_of_no_return
        ),
    )


def _waves(report: RunReport) -> Iterable[str]:
    stands = standings_of_waves(report)
    yield from ("## Waves", "")
    yield from table(
        (
            "wave",
            "migrations>",
            "outcomes" if report.holder is None else "stands",
            "p50>",
            "p90>",
            "max>",
            "approved by",
        ),
        (
            (
                escape(wave.name),
                str(wave.migrations),
                stands[wave.name],
                duration(wave.statistics.p50),
                duration(wave.statistics.p90),
                duration(wave.statistics.max),
                escape(wave.approved_by) or "-",
            )
            for wave in report.waves
        ),
    )


def _decisions(report: RunReport) -> Iterable[str]:
    found = decisions(report.steering)
    if not found:
        return
    yield from ("## Decisions", "")
    yield from table(
        ("when (UTC)", "what", "about", "who", "why"),
        (
            (
                clock(row.at) or "-",
                escape(row.what),
                escape(_cut(row.about, ABOUT_AT_MOST)),
                escape(row.who),
                escape(_cut(row.reason, ABOUT_AT_MOST)) or "-",
            )
            for row in found[:DECISIONS_AT_MOST]
        ),
    )
    if len(found) > DECISIONS_AT_MOST:
        yield from (f"And {len(found) - DECISIONS_AT_MOST} more: see report.json.", "")


def _forecast(report: RunReport) -> Iterable[str]:
    forecast = report.forecast
    if forecast is None:
        return
    yield from ("## Forecast and fact", "")
    yield from (f"- {escape(sentence)}" for sentence in forecast.sentences)
    yield ""
    yield from table(
        ("wave", "was to end by (p50, UTC)", "(p90, UTC)", "ended (UTC)", "was to take (p50)>", "(p90)>", "took>", ""),
        (
            (
                escape(wave.name),
                clock(wave.ends_p50) or "-",
                clock(wave.ends_p90) or "-",
                clock(wave.ended_at) or "-",
                duration(wave.seconds_p50),
                duration(wave.seconds_p90),
                duration(wave.seconds),
                wave.verdict or "-",
            )
            for wave in forecast.waves
        ),
    )
    yield from table(
        ("p50, p90 of", "cutover, expected", "cutover", "downtime, expected", "downtime"),
        (
            (
                "all" if kind.kind is None else escape(f"{forecast.by} {kind.kind}"),
                times_in_words(kind.expected),
                times_in_words(kind.actual),
                downtimes_in_words(kind.expected),
                downtimes_in_words(kind.actual),
            )
            for kind in forecast.kinds[:KINDS_AT_MOST]
        ),
    )


def _migrations(report: RunReport) -> Iterable[str]:
    shown: Sequence[MigrationReport] = report.migrations
    yield from ("## Migrations", "")
    if len(shown) > LIST_ALL:
        without = [
            m for m in shown if m.outcome is not Outcome.SUCCESS
        ]  # which, of a run under way, most may have before them
        shown = without[:LIST_ALL]
        yield (
            f"The first {len(shown)} of {len(without)} without SUCCESS; "
            f"report.json, report.html and the CSV have all {len(report.migrations)}."
        )
        yield ""
    variables = ("vars",) if any(m.vars for m in shown) else ()
    yield from table(
        (
            "migration",
            "wave",
            "outcome" if report.holder is None else "stands",
            "at Atlas",
            "requested (UTC)",
            "cutover>",
            "PUTs>",
            "group",
            "live migration",
            *variables,
        ),
        (
            (
                escape(m.name),
                escape(m.wave),
                str(m.outcome) if report.holder is None else standing_of(m),
                escape(m.remote_status) or "-",
                clock(m.requested_at) or "-",
                duration(m.cutover_seconds),
                str(m.cutover_requests),
                f"`{m.group_id}`",
                f"`{m.live_migration_id}`",
                *(escape(_cut(vars_text(m))) or "-" for _ in variables),
            )
            for m in shown
        ),
    )


def _cut(text: str, at_most: int = VARS_AT_MOST) -> str:
    return text if len(text) <= at_most else f"{text[:at_most]}\N{HORIZONTAL ELLIPSIS}"


def _hooks(report: RunReport) -> Iterable[str]:
    failed = report.failed_hooks()
    if not failed:
        return
    yield from ("## Hooks that failed", "")
    yield from table(
        ("hook", "of", "command", "how it ended", "the end of its output"),
        (
            (
                hook.hook,
                escape(hook.migration or hook.wave or "the run"),
                escape(" ".join(hook.argv)),
                escape(hook.error or f"exit code {hook.exit_code}"),
                escape(hook.output[-300:]) or "-",
            )
            for hook in failed[:PROBLEMS_AT_MOST]
        ),
    )


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """A table and the empty line after it; a title that ends in `>` heads numbers."""
    yield f"| {' | '.join(title.rstrip('>') for title in titles)} |"
    yield f"|{'|'.join('---:' if title.endswith('>') else '---' for title in titles)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
