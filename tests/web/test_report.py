"""The report of a run, from its page."""

from __future__ import annotations

import pytest

from orchestrator.core.outcomes import Outcome

from ..builders import NOW, workflow
from .nights import RUN, Night, cutover_of
from .visitors import Visitor

pytestmark = pytest.mark.anyio


async def test_the_report_is_to_be_had_from_the_page(visitor: Visitor, night: Night) -> None:
    """As it would be now, as a file to keep; a file of an earlier session is never taken for it."""
    night.begin(workflow(("orders", "carts")))
    night.write(*cutover_of("orders", NOW), *cutover_of("carts", NOW, outcome=Outcome.FAILED, message="no room left"))
    answer = await visitor.get(f"/api/runs/{RUN}/report.html")
    assert (answer.status, answer.headers["Content-Disposition"]) == (200, f'attachment; filename="report-{RUN}.html"')
    assert "no room left" in answer.text
    assert "Needs you now" in answer.text


async def test_the_report_needs_the_sessions_key_and_a_run(stranger: Visitor, night: Night) -> None:
    """A cookie alone, which other ports of the host are sent, gets nothing of a run."""
    night.begin(workflow(("orders",)))
    assert (await stranger.get(f"/api/runs/{RUN}/report.html")).status == 401
    await stranger.enter()
    assert (await stranger.get("/api/runs/nope/report.html")).status == 404
    del stranger.session.headers["X-Page-Key"]
    assert (await stranger.get(f"/api/runs/{RUN}/report.html")).status == 403
