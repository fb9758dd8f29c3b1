from __future__ import annotations

import io
import json
import sys
import threading
from dataclasses import replace

import anyio
import pytest

from orchestrator.core.errors import InputError
from orchestrator.core.events import ApprovalWaiting, Event, MigrationFinished, RunFinished, WaveFinished, WaveRejected
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import APPROVAL_TIMEOUT
from orchestrator.core.vars import merged
from orchestrator.observers import notify
from orchestrator.observers.log.sink import configure_logging
from orchestrator.observers.notify import Messages, Notifier

from .examples import AT, EVENTS, WORKFLOW, running, started
from .receivers import PATIENCE, TOKEN, notified, receiver, through


def failed(name: str, outcome: Outcome = Outcome.FAILED) -> MigrationFinished:
    """A migration that did not end well."""
    return MigrationFinished(at=AT, migration=name, outcome=outcome, status="FAILED", error_message="oplog\ngone")


NIGHT: list[Event] = [
    started(),
    MigrationFinished(at=AT, migration="orders", outcome=Outcome.SUCCESS, status="COMPLETE"),
    WaveFinished(at=AT, wave="canary", counts={"SUCCESS": 1}),
    ApprovalWaiting(at=AT, wave="rest"),
    *(failed(f"m{number:03}") for number in range(4)),
    failed("m004", Outcome.TIMED_OUT),
    MigrationFinished(at=AT, migration="m005", outcome=Outcome.NOT_STARTED, status=None),
    WaveFinished(at=AT, wave="rest", counts={"FAILED": 4, "TIMED_OUT": 1, "NOT_STARTED": 3}),
    RunFinished(at=AT, outcome=RunOutcome.FAILED, exit_code=1, unfinished=True, requests={}),
]


def test_a_night_makes_a_handful_of_messages() -> None:
    """One for each thing that people want to know, with counts; of the failures of a wave, the first."""
    messages = [m for m in through(Messages().message, NIGHT) if m]
    assert [(m.kind, m.title) for m in messages] == [
        ("info", "retail-eu: started"),
        ("success", "retail-eu: wave canary is over"),
        ("warning", "retail-eu: wave rest needs approval"),
        ("failure", "retail-eu: first failure in wave rest"),
        ("warning", "retail-eu: wave rest is over"),
        ("failure", "retail-eu: FAILED, exit code 1"),
    ]
    assert (
        f"live migration {WORKFLOW.waves[1].migrations[0].live_migration_id} of project {WORKFLOW.waves[1].migrations[0].group_id}"
        in messages[3].body
    )
    assert messages[2].body.startswith("atlas-cutover approve 20261128-010000-3f9a1c rest")
    assert messages[4].body.startswith("4 FAILED, 1 TIMED_OUT, 3 NOT_STARTED")


def test_an_approval_that_expires_says_so_when_it_is_asked_for_and_when_nobody_gave_it() -> None:
    """Who reads it late knows whether there is still something to approve, and how the run is continued; the commands find its state directory."""
    rest = replace(WORKFLOW.waves[1], name="-rest", approval=True, approval_timeout=600.0)
    state, messages = running(replace(WORKFLOW, waves=(WORKFLOW.waves[0], rest))), Messages(" --state-dir /srv")
    told = []
    for event in (
        ApprovalWaiting(at=AT, wave="-rest"),
        WaveRejected(at=AT + 600, wave="-rest", who=APPROVAL_TIMEOUT, reason="nobody approved it within 10m"),
        RunFinished(at=AT + 601, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={}),
    ):
        state.apply(event)
        told.append(messages.message(event, state))
    assert told[0] is not None
    assert "Where nobody answers, it counts as rejected at 2026-11-28 01:10:00 UTC." in told[0].body.splitlines()
    assert told[2] is not None
    assert "UNAPPROVED wave -rest: nobody approved it within 10m, so it counts as rejected, since" in told[2].body
    assert f"be there to answer. atlas-cutover resume {state.run_id} --state-dir /srv" in told[2].body
    assert told[0].body.startswith(f"atlas-cutover approve {state.run_id} --state-dir /srv -- -rest\n")
    assert f"Unfinished: atlas-cutover resume {state.run_id} --state-dir /srv" in told[2].body


def test_a_failure_tells_whose_it_is_by_its_variables() -> None:
    """Who is woken knows the cluster and the owner."""
    (canary, *_) = WORKFLOW.waves
    orders = replace(canary.migrations[0], vars=merged([{"cluster": "orders-eu", "owner": "team shop"}]))
    state = running(replace(WORKFLOW, waves=(replace(canary, migrations=(orders,)),)))
    messages = Messages()
    messages.message(started(state.workflow), state)
    told = messages.message(failed("orders"), state)
    assert told is not None
    assert told.body.startswith("orders (cluster=orders-eu, owner=team shop): FAILED: oplog")


def test_a_rehearsal_is_marked_in_every_message() -> None:
    """Nobody shall be woken for nothing."""
    messages = [m for m in through(Messages().message, NIGHT, rehearsal=True) if m]
    assert all(m.title.startswith("REHEARSAL of retail-eu: ") for m in messages)


def test_most_events_make_no_message() -> None:
    """Least of all the frequent ones."""
    loud = {e.name for e in EVENTS if Messages().message(e, running())}
    assert loud == {
        "run_started",
        "run_resumed",
        "approval_waiting",
        "confirmation_waiting",
        "application_waiting",
        "wave_finished",
        "migration_finished",
        "run_finished",
    }


@pytest.mark.anyio
async def test_messages_arrive_in_order_and_on_one_line() -> None:
    """All of them before the program ends; the last has a line for each thing that needs somebody, and none for what others said."""
    async with receiver() as (url, received):
        log, _ = await notified([url], NIGHT, redact=lambda text: text.replace("oplog", "[redacted]"))
    assert [message["title"].partition(": ")[2] for message in received] == [
        "started",
        "wave canary is over",
        "wave rest needs approval",
        "first failure in wave rest",
        "wave rest is over",
        "FAILED, exit code 1",
    ]
    assert received[3]["type"] == "failure"
    assert received[3]["message"].startswith("m000: FAILED: [redacted]\\ngone.")
    _, head, *needs, run = received[-1]["message"].split("\n")
    assert head == "Needs you now:"
    assert [need.partition(" ")[0] for need in needs] == ["TIMED_OUT", "FAILED"]
    assert run == "(run 20261128-010000-3f9a1c)"
    assert log == ""


@pytest.mark.anyio
async def test_nobody_is_called_by_what_an_error_says() -> None:
    """Neither mentions nor links come of Atlas's text in a chat; people read what it said."""
    said = "@everyone <!channel> <https://evil|here> [here](https://evil)"
    async with receiver() as (url, received):
        await notified([url], [started(), replace(failed("m000"), error_message=said)])
    text = received[-1]["message"]
    assert not [bad for bad in ("@everyone", "<!", "<http", "](") if bad in text]
    assert said in text.replace("\u200b", "")


@pytest.mark.anyio
async def test_an_address_that_fails_is_a_warning_without_the_address() -> None:
    """The others get their messages all the same."""
    async with receiver(status=500) as (bad, _), receiver() as (good, received):
        log, _ = await notified([bad, good], NIGHT)
    assert len(received) == 6
    entries = [json.loads(line) for line in log.splitlines()]
    assert len(entries) == 6
    for entry in entries:
        assert (entry["level"], entry["event"]) == ("warning", "notification_failed")
        assert (entry["address"], entry["reason"]) == ("1 (json)", "was not accepted")
    assert TOKEN not in log


@pytest.mark.anyio
async def test_a_failure_is_told_while_nothing_happens() -> None:
    """A run waits for an approval, nobody hears of it, and that stands in the log at once."""
    stream = io.StringIO()
    async with receiver(status=500) as (bad, _):
        with (
            configure_logging(level="info", format="json", file=None, secrets=(), stream=stream),
            Notifier([bad]) as notifier,
        ):
            through(notifier.sink, [started(), ApprovalWaiting(at=AT, wave="rest")])
            async with anyio.create_task_group() as group:
                group.start_soon(notifier.run)
                with anyio.fail_after(PATIENCE):
                    while stream.getvalue().count("notification_failed") < 2:  # noqa: ASYNC110 - of a log
                        await anyio.sleep(0.05)
                group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_an_address_that_hangs_delays_neither_run_nor_end() -> None:
    """The run does not notice, the end is bounded, the others get their messages, and the log says so."""
    hold = anyio.Event()
    async with receiver(hold=hold) as (hanging, asked), receiver() as (good, received):
        log, seconds = await notified(
            [hanging, good], NIGHT, last_words=1.0, when=lambda: len(received) == len(asked) * 6 == 6
        )
        hold.set()
    assert seconds < PATIENCE / 2  # one of them would take longer
    assert len(received) == 6
    [entry] = map(json.loads, log.splitlines())
    assert (entry["address"], entry["reason"]) == ("1 (json)", "no answer in time")


@pytest.mark.anyio
async def test_what_waits_for_an_address_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further messages are dropped, and that is logged."""
    monkeypatch.setattr(notify, "MOST_WAITING", 1)
    hold = anyio.Event()
    async with receiver(hold=hold) as (hanging, _):
        log, _ = await notified([hanging], NIGHT, last_words=0.1)
        hold.set()
    assert any(json.loads(line)["reason"].startswith("dropped") for line in log.splitlines())


def test_an_address_without_a_thread_keeps_no_run_from_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of processes is reached: that is a warning, as a receiver that is away is."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    notifier, stream = Notifier(["json://127.0.0.1:9"]), io.StringIO()
    monkeypatch.setattr(threading.Thread, "start", refused)
    with configure_logging(level="info", format="json", file=None, secrets=[], stream=stream), notifier:
        through(notifier.sink, NIGHT)
    (entry,) = map(json.loads, stream.getvalue().splitlines())
    assert (entry["event"], entry["reason"]) == ("notification_failed", notify.NO_THREAD)


@pytest.mark.parametrize("url", [f"nosuch://{TOKEN}", f"https//{TOKEN}", TOKEN, ""])
def test_an_address_that_apprise_does_not_know_is_a_mistake_of_input(url: str) -> None:
    """The message says which, without showing it."""
    with pytest.raises(InputError, match=r"notify\.urls: address 1") as caught:
        Notifier([url])
    assert TOKEN not in str(caught.value)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the run begins."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(InputError, match=r"pip install 'atlas-cutover\[notify\]'"):
        Notifier(["json://localhost"])
