"""`report.md`: for tickets."""

from __future__ import annotations

import re

from .model import RunReport
from .words import downtime_line, headline, plain, requests_line, seconds, totals_line

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~@:&])")


def escape(text: str | None) -> str:
    """*text* so that no Markdown, HTML, link or mention comes of it."""
    return "" if text is None else _SPECIAL.sub(r"\\\1", plain(text)).replace("\\@", "@\u200b").replace("\\<", "&lt;")


def render_markdown(report: RunReport) -> str:
    """*report* as Markdown with GitHub's tables."""
    lines = [
        f"# {escape(headline(report))}",
        "",
        f"Workflow **{escape(report.workflow)}**, run `{report.run_id}`, at {escape(report.base_url)}  ",
        f"{report.started_at or '-'} to {report.finished_at or 'now'}, by {escape(report.who)}",
        "",
        escape(totals_line(report)) + "  ",
    ]
    downtime = downtime_line(report)
    if downtime:
        lines.append(escape(downtime) + "  ")
    lines += [escape(requests_line(report)), ""]
    if report.stopped:
        lines += [f"No further cutover was started: {escape(report.stopped)}", ""]
    needing = report.needing_a_person()
    if needing:
        lines += ["## Needs a person", "", "| migration | wave | outcome | why |", "|---|---|---|---|"]
        lines += [f"| {escape(m.name)} | {escape(m.wave)} | {m.outcome} | {escape(m.error_message)} |" for m in needing]
        lines.append("")
    lines += ["## Waves", "", "| wave | migrations | outcomes | approved by |", "|---|---:|---|---|"]
    for wave in report.waves:
        counts = ", ".join(f"{count} {name}" for name, count in wave.counts.items())
        lines.append(f"| {escape(wave.name)} | {wave.migrations} | {escape(counts)} | {escape(wave.approved_by)} |")
    lines += [
        "",
        "## Migrations",
        "",
        "| migration | wave | outcome | at Atlas | requested | cutover | PUTs | live migration |",
        "|---|---|---|---|---|---:|---:|---|",
    ]
    lines += [
        f"| {escape(m.name)} | {escape(m.wave)} | {m.outcome} | {escape(m.remote_status)} | {m.requested_at or '-'} "
        f"| {seconds(m.cutover_seconds)} | {m.cutover_requests} | `{m.live_migration_id}` |"
        for m in report.migrations
    ]
    return "\n".join(lines) + "\n"
