"""`.xml`: JUnit, so that CI shows migrations as test cases."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

from ...core.outcomes import Outcome
from ..model import MigrationReport, RunReport, WaveReport
from ..words import headline, lines, plain

_TAGS = {
    Outcome.FAILED: "failure",
    Outcome.UNVERIFIED: "failure",
    Outcome.IN_DOUBT: "error",
    Outcome.TIMED_OUT: "error",
    Outcome.UNDER_WAY: "skipped",
    Outcome.NOT_STARTED: "skipped",
}


def render_junit(report: RunReport) -> str:
    """A test suite per wave, a test case per migration.

    FAILED and UNVERIFIED are failures, IN_DOUBT and TIMED_OUT are errors, UNDER_WAY and NOT_STARTED are skipped. A suite's time is the sum of its
    cases' times, which are the cutover times; `timestamp` is in UTC.
    """
    counts = _counts(report.migrations)
    del counts["skipped"]  # the schemas that consumers check by have it on suites alone
    root = ET.Element("testsuites", {"name": _clean(report.workflow)} | counts)
    by_wave: dict[str, list[MigrationReport]] = {}
    for migration in report.migrations:
        by_wave.setdefault(migration.wave, []).append(migration)
    for wave in report.waves:
        _suite(root, report, wave, by_wave[wave.name])
    ET.indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def _suite(root: ET.Element, report: RunReport, wave: WaveReport, members: list[MigrationReport]) -> None:
    suite = ET.SubElement(root, "testsuite", {"name": _clean(wave.name)} | _counts(members))
    if wave.started_at:
        suite.set("timestamp", wave.started_at[:19])  # the schema that most consumers use allows no zone
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("run_id", report.run_id),
        ("base_url", report.base_url),
        ("rehearsal", str(report.rehearsal).lower()),
        ("outcome", headline(report)),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    for member in members:
        _case(suite, report, member)


def _counts(members: list[MigrationReport] | tuple[MigrationReport, ...]) -> dict[str, str]:
    tags = Counter(_TAGS.get(m.outcome) for m in members)
    return {
        "tests": str(len(members)),
        "failures": str(tags["failure"]),
        "errors": str(tags["error"]),
        "skipped": str(tags["skipped"]),
        "time": f"{sum(m.cutover_seconds or 0.0 for m in members):.3f}",
    }


def _case(suite: ET.Element, report: RunReport, migration: MigrationReport) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_clean(f"{report.workflow}.{migration.wave}"),
        name=_clean(migration.name),
        time=f"{migration.cutover_seconds or 0.0:.3f}",
    )
    if migration.vars:
        properties = ET.SubElement(case, "properties")
        for name, value in migration.vars.items():
            ET.SubElement(properties, "property", name=f"vars.{name}", value=_clean(value))
    tag = _TAGS.get(migration.outcome)
    if tag is None:
        return
    problem = ET.SubElement(case, tag, message=_clean(migration.error_message or str(migration.outcome)))
    if tag != "skipped":
        problem.set("type", str(migration.outcome))
        problem.text = _allowed(
            f"{lines(migration.error_message) or migration.outcome}\n"
            f"group {migration.group_id}, live migration {migration.live_migration_id}, "
            f"at Atlas: {plain(migration.remote_status) or 'unknown'}\n"
        )


def _clean(text: str) -> str:
    return _allowed(plain(text))


def _allowed(text: str) -> str:
    """*text* without what XML 1.0 forbids."""
    return "".join(
        c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else " " for c in text
    )
