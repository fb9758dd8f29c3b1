from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core import events as ev
from orchestrator.core.approvals import mark_of
from orchestrator.core.steered import Command
from orchestrator.core.steering import GateChange, SteeringRequest
from orchestrator.operations.deciding import decided_whole
from orchestrator.store.journal import open_journal
from orchestrator.store.locks import locked, run_lock
from orchestrator.text.instants import in_words, iso
from orchestrator.web import control
from orchestrator.web.control import Asked, Refusal, ask, read

from ..builders import NOW, WHO, workflow
from .nights import RUN, Night
from .visitors import WHO_ASKS, Visitor

pytestmark = pytest.mark.anyio

PAGE = f"{WHO_ASKS} (page, 127.0.0.1)"


@pytest.fixture
async def csrf(visitor: Visitor, night: Night) -> str:
    """The session's token; the run has begun."""
    given = workflow(("orders",), ("archive",))
    night.begin(replace(given, waves=(given.waves[0], replace(given.waves[1], approval=True))))
    return await visitor.enter()


async def test_buttons_leave_requests_in_the_journal(visitor: Visitor, night: Night, csrf: str) -> None:
    """Each with who asked, for the process that works on the run."""
    night.write(ev.ApprovalWaiting(at=NOW, wave="w2"))
    with night.held():
        answers = [
            await visitor.press("pause", csrf=csrf),
            await visitor.press("approve", csrf=csrf, body={"wave": "w2", "count": 1}),
            await visitor.press("unpause", csrf=csrf),
            await visitor.press("abort", csrf=csrf),
        ]
    assert [answer.status for answer in answers] == [202] * 4
    assert night.asked() == [
        ("pause", None, PAGE),
        ("approve", "w2", PAGE),
        ("unpause", None, PAGE),
        ("abort", None, PAGE),
    ]


def test_a_body_of_brackets_in_brackets_is_refused_as_any_other_that_cannot_be_read() -> None:
    """Nothing fails inside, however deep they are."""
    refused = read(Command.PAUSE, b"[" * 8000)
    assert isinstance(refused, Refusal)
    assert refused.status == 400


@pytest.mark.parametrize("count", [None, 0, 2, "1", True])
async def test_approving_a_real_wave_wants_the_number_of_its_migrations(
    visitor: Visitor, night: Night, csrf: str, count: Any
) -> None:
    """Whatever the page's script does: a press of a button alone cuts nothing over."""
    night.write(ev.ApprovalWaiting(at=NOW, wave="w2"))
    with night.held():
        refused = await visitor.press("approve", csrf=csrf, body={"wave": "w2", "count": count})
        assert night.asked() == []
        taken = await visitor.press("approve", csrf=csrf, body={"wave": "w2", "count": 1})
    assert (refused.status, taken.status) == (409, 202)
    assert "number of its migrations that are left (1)" in refused.document["error"]


async def test_approving_wants_the_number_of_those_that_are_left(visitor: Visitor, night: Night) -> None:
    """A migration that was skipped is cut over by no approval."""
    given = workflow(("orders", "billing", "archive"))
    night.begin(replace(given, waves=(replace(given.waves[0], approval=True),)))
    night.write(ev.ApprovalWaiting(at=NOW, wave="w1"), ev.MigrationSkipped(at=NOW, migration="orders", who="ada"))
    csrf = await visitor.enter()
    with night.held():
        refused = await visitor.press("approve", csrf=csrf, body={"wave": "w1", "count": 3})
        taken = await visitor.press("approve", csrf=csrf, body={"wave": "w1", "count": 2})
    assert (refused.status, taken.status) == (409, 202)
    assert "that are left (2)" in refused.document["error"]


async def test_approving_is_for_the_migrations_that_the_page_showed(visitor: Visitor, night: Night) -> None:
    """As many others are something else; so whoever was told of those that were left looks again."""
    given = workflow(("orders", "billing", "archive"))
    night.begin(replace(given, waves=(replace(given.waves[0], approval=True),)))
    night.write(ev.ApprovalWaiting(at=NOW, wave="w1"), ev.MigrationSkipped(at=NOW, migration="orders", who="bob"))
    shown = {"wave": "w1", "count": 2, "covers": mark_of(("billing", "archive"))}
    csrf = await visitor.enter()
    with night.held():
        night.write(
            ev.MigrationRetried(at=NOW, migration="orders", who="bob"),
            ev.MigrationSkipped(at=NOW, migration="billing", who="bob"),
        )
        refused = await visitor.press("approve", csrf=csrf, body=shown)
        assert night.asked() == []
        shown["covers"] = mark_of(("orders", "archive"))
        taken = await visitor.press("approve", csrf=csrf, body=shown)
    assert (refused.status, taken.status) == (409, 202)
    assert "has changed since the page showed it: look again" in refused.document["error"]


async def test_the_number_counts_what_is_in_doubt(visitor: Visitor, night: Night) -> None:
    """Its PUT may show that it came to nothing, and then the approval is for another one, too."""
    given = workflow(("orders", "billing"))
    night.begin(replace(given, waves=(replace(given.waves[0], approval=True),)))
    night.write(
        ev.CutoverInDoubt(at=NOW, migration="orders", reason="no answer", settle=30.0),
        ev.ApprovalWaiting(at=NOW, wave="w1"),
    )
    csrf = await visitor.enter()
    with night.held():
        refused = await visitor.press("approve", csrf=csrf, body={"wave": "w1", "count": 1})
        taken = await visitor.press("approve", csrf=csrf, body={"wave": "w1", "count": 2})
    assert (refused.status, taken.status) == (409, 202)
    assert "that are left (2)" in refused.document["error"]


async def test_a_wave_that_the_session_is_not_about_is_approved_by_the_number_of_all(
    visitor: Visitor, night: Night
) -> None:
    """The approval is for sessions to come, and as large as what they may cut over."""
    given = workflow(("canary",), ("orders", "billing"))
    given = replace(given, waves=(given.waves[0], replace(given.waves[1], approval=True)))
    night.begin(given, selected=("canary",))
    night.write(ev.WaveRejected(at=NOW, wave="w2", who="ada"))
    csrf = await visitor.enter()
    with night.held():
        refused = await visitor.press("approve", csrf=csrf, body={"wave": "w2", "count": 0})
        taken = await visitor.press("approve", csrf=csrf, body={"wave": "w2", "count": 2})
    assert (refused.status, taken.status) == (409, 202)
    with open_journal(night.state_dir, readonly=True) as journal:
        [control] = journal.controls(RUN)
    assert control.request.covers == ("orders", "billing")


async def test_a_lock_that_is_held_for_a_moment_is_no_process_that_heeds(
    visitor: Visitor, night: Night, csrf: str
) -> None:
    """Whoever only looks, or records something, takes up no request."""
    with locked(run_lock(night.state_dir, RUN), holder="status", briefly=True):
        answer = await visitor.press("pause", csrf=csrf)
    assert (answer.status, night.asked()) == (409, [])


async def test_waves_are_rejected_and_migrations_skipped_and_their_gates_changed(
    visitor: Visitor, night: Night, csrf: str
) -> None:
    """With the name and the reason of whoever does it, in which two emoji may be joined to one."""
    night.write(ev.ApprovalWaiting(at=NOW, wave="w2"))
    reason = (
        "not tonight \U0001f469\U0001f3fd\u200d\U0001f692\u2764\ufe0f\u200d\U0001f525"  # a firewoman, a heart on fire
    )
    why = {"reason": reason}
    with night.held():
        answers = [
            await visitor.press("reject", csrf=csrf, body={"wave": "w2"} | why),
            await visitor.press(
                "gate", csrf=csrf, body={"migrations": ["orders"], "max_lag": "1m", "timeout": ""} | why
            ),
            await visitor.press("skip", csrf=csrf, body={"migrations": ["orders"]} | why),
            await visitor.press("retry", csrf=csrf, body={"migrations": ["orders"]} | why),
        ]
    assert [answer.status for answer in answers] == [202] * 4
    with open_journal(night.state_dir, readonly=True) as journal:
        requests = [control.request for control in journal.controls(RUN)]
    assert [(each.command, each.wave or each.migration, each.who, each.reason) for each in requests] == [
        ("reject", "w2", PAGE, reason),
        ("gate", "orders", PAGE, reason),
        ("skip", "orders", PAGE, reason),
        ("retry", "orders", PAGE, reason),
    ]
    assert requests[1].gate == GateChange(max_lag=60.0)


@pytest.mark.parametrize(
    ("against", "command", "body"),
    [
        (ev.WaveRejected(at=NOW + 1, wave="w2", who="bob", reason="not now"), "approve", {"wave": "w2", "count": 1}),
        (ev.RunPaused(at=NOW + 1, who="bob", reason="not now"), "unpause", {}),
        (ev.MigrationSkipped(at=NOW + 1, migration="orders", who="bob", reason="not now"), "retry", {"migrations": ["orders"]}),
        (
            ev.GateChanged(at=NOW + 1, migration="orders", who="bob", reason="not now", max_lag=1.0, timeout=60.0),
            "gate",
            {"migrations": ["orders"], "off": True},
        ),
    ],
    ids=["approve", "unpause", "retry", "gate"],
)  # fmt: skip
async def test_what_starts_cutovers_undoes_nothing_that_was_decided_meanwhile(
    visitor: Visitor, night: Night, csrf: str, against: ev.Event, command: str, body: dict[str, Any]
) -> None:
    """Whoever asks was shown a wave that waits, and not that somebody rejected it, maybe for a reason."""
    night.write(ev.ApprovalWaiting(at=NOW, wave="w2"), against)
    with night.held():
        for unseen in ({"decided": 0}, {"as_of": iso(NOW)}):
            refused = await visitor.press(command, csrf=csrf, body=body | unseen)
            assert refused.status == 409
            assert " by bob at " in refused.document["error"]
            assert refused.document["error"].endswith("(not now) came since the page asked: look again")
        assert night.asked() == []
        assert (await visitor.press(command, csrf=csrf, body=body | {"decided": 1})).status == 202


async def test_what_holds_cutovers_up_is_never_too_late(visitor: Visitor, night: Night, csrf: str) -> None:
    """A pause of what somebody has just unpaused is heeded, whatever was known of that."""
    night.write(ev.RunPaused(at=NOW, who="bob"), ev.RunUnpaused(at=NOW + 1, who="bob"))
    with night.held():
        assert (await visitor.press("pause", csrf=csrf, body={"decided": 0})).status == 202


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
        ("pause", {"who": ""}, 400, "`who` has to be the name"),
        ("pause", {"who": "a\nb"}, 400, "`who` has to be the name"),
        ("pause", {"who": 7}, 400, "`who` has to be the name"),
        ("pause", {"reason": 7}, 400, "`reason` a text"),
        (
            "pause",
            {"reason": "see \u202eabc"},
            400,
            "`reason` has to be a text that can be read; it has U+202E (RIGHT-TO-LEFT OVERRIDE)",
        ),
        (
            "pause",
            {"reason": "a\u200db"},
            400,
            "`reason` has to be a text that can be read; it has U+200D (ZERO WIDTH JOINER)",
        ),
        (
            "pause",
            {"who": "ada\x00"},
            400,
            "`who` has to be the name of whoever asks that can be read; it has U+0000 in it: take that out",
        ),
        ("reject", {"wave": "nope"}, 404, "no wave 'nope'"),
        ("skip", {"migrations": []}, 400, "the body has to be"),
        ("skip", {"migrations": ["nope"]}, 409, "neither a wave nor a migration 'nope'"),
        ("retry", {"migrations": ["orders"]}, 409, "nothing to retry"),
        ("gate", {"migrations": ["orders"]}, 400, "give `max_lag`, `timeout` or `off`"),
        ("gate", {"migrations": ["orders"], "max_lag": "soon"}, 400, "gate: "),
        ("gate", {"migrations": ["orders"], "max_lag": -9}, 400, "gate: max_lag"),
        ("gate", {"migrations": ["orders"], "max_lag": 10**400}, 400, "gate: max_lag"),
        ("gate", {"migrations": ["orders"], "max_lag": [9]}, 400, "gate: max_lag"),
        ("gate", {"migrations": ["orders"], "max_lag": "9s", "off": True}, 400, "`off` alone"),
        ("gate", {"migrations": ["orders"], "off": "yes"}, 400, "gate: off"),
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


async def test_what_was_asked_with_old_knowledge_is_refused(visitor: Visitor, night: Night, csrf: str) -> None:
    """However it was held up; what says nothing of what it knew, as curl, is heeded as ever."""
    with night.held():
        late = await visitor.press("pause", csrf=csrf, body={"as_of": iso(NOW - 15.5)})
        ahead = await visitor.press("pause", csrf=csrf, body={"as_of": iso(NOW + 15.5)})
        assert night.asked() == []
        soon = await visitor.press("pause", csrf=csrf, body={"as_of": iso(NOW - 14.5)})
        silent = await visitor.press("abort", csrf=csrf)
    assert [answer.status for answer in (late, ahead, soon, silent)] == [409, 409, 202, 202]
    assert late.document["error"] == (
        f"it came at {in_words(NOW)}, asked with what the page knew at {in_words(NOW - 15.5)}: look again"
    )


@pytest.mark.parametrize(
    "as_of",
    [
        "",
        "yesterday",
        5,
        True,
        "2026-11-28T00:00:00",
        "2026-11-28T00:00:61Z",
        [],
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_what_is_no_time_is_refused(as_of: Any) -> None:
    """Not taken for a request that says nothing of what it knew."""
    refused = read(Command.PAUSE, json.dumps({"who": "ada", "as_of": as_of}).encode())
    assert isinstance(refused, Refusal)
    assert refused.status == 400


def test_a_request_that_is_held_up_within_the_server_is_refused_too(night: Night) -> None:
    """The clock is read when the journal is open for writing, not before."""
    night.begin(workflow())
    asked = Asked(command=Command.PAUSE, who="ada", as_of=NOW)
    times: list[float] = []

    def wall() -> float:
        times.append(NOW + 20)
        return times[-1]

    with night.held():
        refused = ask(night.state_dir, RUN, asked, who="ada", wall=wall)
    assert isinstance(refused, Refusal)
    assert (refused.status, night.asked(), times) == (409, [], [NOW + 20])


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


def test_what_somebody_asks_while_a_request_is_looked_at_is_looked_at_as_well(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rejection that comes between the look at the run and the approval keeps that from being left."""
    given = workflow(("orders",), ("archive",))
    night.begin(replace(given, waves=(given.waves[0], replace(given.waves[1], approval=True))))
    night.write(ev.ApprovalWaiting(at=NOW, wave="w2"))
    crossed: list[bool] = []

    def and_then_bob_rejects(*looked_at: Any) -> None:
        decided_whole(*looked_at)
        if not crossed:
            crossed.append(True)
            with open_journal(night.state_dir) as journal:
                journal.request(RUN, SteeringRequest(command=Command.REJECT, wave="w2", who="bob", reason=""), at=NOW)

    monkeypatch.setattr(control, "decided_whole", and_then_bob_rejects)
    asked = Asked(command=Command.APPROVE, who="ada", names=("w2",), count=1, decided=0)
    with night.held():
        refused = ask(night.state_dir, RUN, asked, who="ada", wall=lambda: NOW)
    assert refused is not None
    assert refused.reason.startswith("reject of w2 by bob at ")
    assert [(command, who) for command, _, who in night.asked()] == [("reject", "bob")]


def test_a_run_of_which_somebody_asks_without_a_pause_is_not_looked_at_for_ever(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks beside that is told to look again."""
    night.begin(workflow(("orders",), ("archive",)))

    def and_then_somebody_asks(*looked_at: Any) -> None:
        decided_whole(*looked_at)
        with open_journal(night.state_dir) as journal:
            journal.request(RUN, SteeringRequest(command=Command.PAUSE, who="bob", reason=""), at=NOW)

    monkeypatch.setattr(control, "decided_whole", and_then_somebody_asks)
    asked = Asked(command=Command.GATE, who="ada", names=("orders",), decided=0)
    with night.held():
        refused = ask(night.state_dir, RUN, asked, who="ada", wall=lambda: NOW)
    assert refused == Refusal(status=409, reason="something else has just been asked of the run: look again")
