"""`.xml`: JUnit, so that CI shows migrations as test cases."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ..outcomes import Outcome
from .model import MigrationReport, RunReport

_TAGS = {
    Outcome.FAILED: "failure",
    Outcome.IN_DOUBT: "error",
    Outcome.TIMED_OUT: "error",
    Outcome.NOT_STARTED: "skipped",
}


def render_junit(report: RunReport) -> str:
    """A test suite per wave, a test case per migration: FAILED is a failure, IN_DOUBT and TIMED_OUT are errors."""
    root = ET.Element("testsuites", name=_clean(report.workflow), time=f"{report.duration_seconds:.3f}")
    for wave in report.waves:
        members = [m for m in report.migrations if m.wave == wave.name]
        tags = [_TAGS.get(m.outcome) for m in members]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_clean(wave.name),
            tests=str(len(members)),
            failures=str(tags.count("failure")),
            errors=str(tags.count("error")),
            skipped=str(tags.count("skipped")),
            time=f"{sum(m.cutover_seconds or 0.0 for m in members):.3f}",
        )
        if wave.started_at:
            suite.set("timestamp", wave.started_at)
        for member in members:
            _case(suite, report, member)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, report: RunReport, migration: MigrationReport) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_clean(f"{report.workflow}.{migration.wave}"),
        name=_clean(migration.name),
        time=f"{migration.cutover_seconds or 0.0:.3f}",
    )
    tag = _TAGS.get(migration.outcome)
    if tag is not None:
        problem = ET.SubElement(case, tag, message=_clean(migration.error_message or str(migration.outcome)))
        if tag != "skipped":
            problem.set("type", str(migration.outcome))
            problem.text = _clean(f"{migration.group_id}/{migration.live_migration_id}: {migration.remote_status}")


def _clean(text: str) -> str:
    """*text* without what XML 1.0 forbids."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else " " for c in text
    )
