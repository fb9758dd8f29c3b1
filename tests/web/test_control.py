from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core import events as ev

from ..builders import NOW, WHO, workflow
from .nights import RUN, Night
from .visitors import Visitor

pytestmark = pytest.mark.anyio

PAGE = "page:127.0.0.1"


@pytest.fixture
async def csrf(visitor: Visitor, night: Night) -> str:
    """The session's token; the run has begun."""
    night.begin(workflow(("orders",), ("archive",)))
    return await visitor.enter()


async def test_buttons_leave_requests_in_the_journal(visitor: Visitor, night: Night, csrf: str) -> None:
    """Each with who asked, for the process that works on the run."""
    night.write(ev.ApprovalWaiting(at=NOW, wave="w2"))
    with night.held():
        answers = [
            await visitor.press("pause", csrf=csrf),
            await visitor.press("approve", csrf=csrf, body={"wave": "w2"}),
            await visitor.press("abort", csrf=csrf),
        ]
        night.write(ev.RunPaused(at=NOW, who=WHO))
        answers.append(await visitor.press("unpause", csrf=csrf))
    assert [answer.status for answer in answers] == [202] * 4
    assert night.asked() == [
        ("pause", None, PAGE),
        ("approve", "w2", PAGE),
        ("abort", None, PAGE),
        ("unpause", None, PAGE),
    ]


@pytest.mark.parametrize("command", ["pause", "unpause", "abort"])
async def test_nothing_is_asked_of_a_run_without_a_process(
    visitor: Visitor, night: Night, csrf: str, command: str
) -> None:
    """The answer says why."""
    answer = await visitor.press(command, csrf=csrf)
    assert answer.status == 409
    assert "no process" in answer.document["error"]
    assert night.asked() == []


@pytest.mark.parametrize(
    ("command", "body", "status", "why"),
    [
        ("approve", {"wave": "w1"}, 409, "does not wait"),
        ("approve", {"wave": "nope"}, 404, "no wave 'nope'"),
        ("approve", {}, 400, "the body has to be"),
        ("approve", {"wave": 3}, 400, "the body has to be"),
        ("approve", [], 400, "the body has to be"),
        ("unpause", None, 409, "not paused"),
        ("destroy", None, 404, "nothing here"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    visitor: Visitor, night: Night, csrf: str, command: str, body: Any, status: int, why: str
) -> None:
    """And nothing is left in the journal."""
    with night.held():
        answer = await visitor.press(command, csrf=csrf, body=body)
    assert answer.status == status
    assert why in answer.document["error"]
    assert night.asked() == []


async def test_what_was_done_already_is_not_asked_again(visitor: Visitor, night: Night, csrf: str) -> None:
    """Somebody else was quicker; the answer names him."""
    night.write(ev.RunPaused(at=NOW, who=WHO), ev.RunAborted(at=NOW, who=WHO))
    with night.held():
        answers = [await visitor.press(command, csrf=csrf) for command in ("pause", "abort")]
    assert [answer.status for answer in answers] == [409, 409]
    assert all(WHO in answer.document["error"] for answer in answers)


async def test_a_run_that_is_not_there_cannot_be_steered(visitor: Visitor) -> None:
    """With or without a journal."""
    csrf = await visitor.enter()
    assert (await visitor.press("pause", csrf=csrf, run_id="nope")).status == 404


async def test_reading_never_writes(visitor: Visitor, night: Night, csrf: str) -> None:
    """The journal's file is the same before and after a run is watched."""
    before = (night.state_dir / "journal.db").read_bytes()
    async with visitor.follow(RUN) as stream:
        await stream.next()
    assert (night.state_dir / "journal.db").read_bytes() == before
