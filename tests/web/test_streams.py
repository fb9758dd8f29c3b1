from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.core import events as ev
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.reports.shape import ROW
from orchestrator.text.instants import iso
from orchestrator.web import feed, streams
from orchestrator.web.feed import RunFeed
from orchestrator.web.look import FIRST_ROWS, Changes, RunLook
from orchestrator.web.server import serve_page

from ..builders import NOW, WHO, run_resumed, workflow
from .nights import HOLDER, RUN, Night, cutover_of, fleet, hash_of
from .visitors import Visitor

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is looked at more often than it is for people."""
    monkeypatch.setattr(feed, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(feed, "LOOK_AGAIN", 0.02)


def standing(document: Any, *, of: str = "state") -> dict[int, Any]:
    """One column of the rows in *document*, by the migration's number."""
    place = ROW.index(of) + 1
    return {row[0]: row[place] for row in document["rows"]}


def ended(outcome: str) -> Callable[[Any], bool]:
    """Whether a document tells of a run with this outcome."""
    return lambda document: document["head"].get("outcome") == outcome


async def test_a_viewer_gets_everything_first(visitor: Visitor, night: Night) -> None:
    """The run, its waves and migrations, and what happened in words."""
    night.begin(workflow(("orders", "billing"), ("archive",)), rehearsal=True)
    night.write(*cutover_of("orders", NOW + 1))
    with night.held():
        async with visitor.follow(RUN) as stream:
            message = await stream.next()
    document, head = message.document, message.document["head"]
    assert message.event == "snapshot"
    assert [job[0] for job in document["jobs"]] == ["orders", "billing", "archive"]
    assert standing(document) == {0: "SUCCESS", 1: "WAITING", 2: "WAITING"}
    assert standing(document, of="finished_at")[0] > standing(document, of="requested_at")[0] == iso(NOW + 3)
    assert head["rehearsal"] is True
    assert head["running"] is True
    assert head["holder"] == HOLDER
    assert [wave["states"] for wave in head["waves"]] == [{"SUCCESS": 1, "WAITING": 1}, {"WAITING": 1}]
    assert document["log"][0]["event"] == "run_started"
    assert document["log"][-1] | {"seq": 0, "at": 0} == {
        "seq": 0,
        "at": 0,
        "level": 20,
        "event": "migration_finished",
        "about": "orders",
        "text": "SUCCESS",
    }


async def test_a_viewer_sees_how_long_the_cutovers_left_may_take(visitor: Visitor, night: Night) -> None:
    """Judged by those that are done, as on the terminal; nothing is said with too few of them, or when all are done."""
    night.begin(workflow(("a", "b", "c"), ("d",)))
    night.write(*cutover_of("a", NOW), *cutover_of("b", NOW))
    with night.held():
        async with visitor.follow(RUN) as stream:
            assert (await stream.next()).document["head"]["cutovers_left"] is None
            night.write(*cutover_of("c", NOW))
            low, high = (await stream.next()).document["head"]["cutovers_left"]
            night.write(*cutover_of("d", NOW + 20))
            message = await stream.next()
    durations = [6.0 + hash_of(name) % 7 for name in "abc"]
    assert min(durations) <= low <= high <= max(durations)
    assert message.document["head"]["cutovers_left"] is None


async def test_then_only_what_has_changed(visitor: Visitor, night: Night) -> None:
    """The rows that differ and the lines that are new."""
    night.begin(workflow(("orders", "billing", "archive")))
    with night.held():
        async with visitor.follow(RUN) as stream:
            await stream.next()
            night.write(ev.CutoverRequested(at=NOW + 5, migration="billing"))
            message = await stream.next()
    assert message.event == "delta"
    assert "jobs" not in message.document
    assert standing(message.document) == {1: "REQUESTED"}
    assert [line["event"] for line in message.document["log"]] == ["cutover_requested"]


async def test_a_viewer_who_comes_back_gets_what_he_missed(visitor: Visitor, night: Night) -> None:
    """By his last event's id. A place that is none gets everything."""
    night.begin(workflow(("orders", "billing")))
    async with visitor.follow(RUN) as stream:
        first = await stream.next()
        night.write(ev.CutoverRequested(at=NOW + 5, migration="orders"))
        second = await stream.next()
    async with visitor.follow(RUN, after=first.id) as stream:
        assert await stream.next() == second
    for stale in ("", "0-0", "nonsense", first.id + "9999", first.id + "9" * 5000):
        async with visitor.follow(RUN, after=stale) as stream:
            assert (await stream.next()).event == "snapshot"


async def test_what_was_seen_long_ago_is_not_told_as_news(visitor: Visitor, night: Night) -> None:
    """A feed that was left alone looks again before it says anything."""
    night.begin(workflow(("orders",)))
    async with visitor.follow(RUN) as stream:
        await stream.next()
    with visitor.page.feeds.watch(RUN) as feed:
        pass
    while feed._looking:  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.01)
    night.write(*cutover_of("orders", NOW))
    async with visitor.follow(RUN) as stream:
        assert standing((await stream.next()).document) == {0: "SUCCESS"}


async def test_there_is_no_beat_while_the_journal_cannot_be_looked_at(
    visitor: Visitor, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is well, and does not get at the journal, has no news: its list of runs has, meanwhile."""
    stuck = threading.Event()
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    monkeypatch.setattr(RunLook, "look", lambda _: stuck.wait(60) and None)
    night.begin(workflow(("orders",)))
    try:
        async with visitor.follow(RUN) as stuck_one, visitor.follow("*") as well:
            for _ in range(5):
                await well.beat()
            await stuck_one.beat()  # the one at the beginning
            assert not stuck_one.has_more()
            stuck.set()
            await stuck_one.beat()
    finally:
        stuck.set()


async def test_viewers_share_one_look_at_the_journal(
    visitor: Visitor, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of them ask the journal no more often than one."""
    looks = 0
    look = RunFeed._look

    async def counted(self: RunFeed) -> bool:
        nonlocal looks
        looks += 1
        return await look(self)

    monkeypatch.setattr(feed, "LOOK_EVERY", 60.0)
    monkeypatch.setattr(RunFeed, "_look", counted)
    night.begin(workflow())
    async with (
        visitor.follow(RUN) as one,
        visitor.follow(RUN) as two,
        visitor.follow(RUN) as three,
    ):
        assert [(await stream.next()).event for stream in (one, two, three)] == ["snapshot"] * 3
        assert looks == 1


async def test_a_page_waits_for_a_journal_and_a_run_that_come_later(visitor: Visitor, night: Night) -> None:
    """Neither has to be there first."""
    async with visitor.follow("*") as runs, visitor.follow(RUN) as stream:
        assert (await runs.next()).document == {"runs": [], "journal": False, "error": None}
        assert (await stream.next()).document["head"] == {"run_id": RUN, "missing": True, "error": None}
        night.begin(workflow())
        listed = (await runs.until(lambda document: document["runs"])).document["runs"]
        begun = await stream.next()
    assert [run["run_id"] for run in listed] == [RUN]
    assert begun.event == "snapshot"
    assert begun.document["head"]["workflow"] == "retail-eu"


async def test_a_run_without_a_process_shows_what_is_left(visitor: Visitor, night: Night) -> None:
    """Its open migrations stand as the report would have them."""
    night.begin(workflow(("orders", "billing")))
    night.write(ev.CutoverRequested(at=NOW + 5, migration="orders"))
    with night.held():
        async with visitor.follow(RUN) as stream:
            assert standing((await stream.next()).document) == {0: "REQUESTED", 1: "WAITING"}
    async with visitor.follow(RUN) as stream:
        message = await stream.until(lambda document: not document["head"]["running"])
    assert standing(message.document) == {0: "IN_DOUBT", 1: "NOT_STARTED"}
    assert message.document["head"]["outcome"] is None


async def test_the_end_of_a_run_is_told(visitor: Visitor, night: Night) -> None:
    """Outcome and exit code, what is right where nobody works on it, and that the list has them too."""
    night.begin(workflow(("orders",)))
    async with visitor.follow(RUN) as stream:
        with night.held():
            begun = await stream.until(lambda document: document["head"]["running"])
            assert "It can still be called off" in begun.document["head"]["points"]["waits"]["what_is_right"]
        left = await stream.until(lambda document: not document["head"]["running"])
        assert "No process works on the run" in left.document["head"]["points"]["waits"]["what_is_right"]
        night.write(*cutover_of("orders", NOW, outcome=Outcome.FAILED, message="<b>disk full</b>"))
        night.finish(outcome=RunOutcome.FAILED, code=1)
        message = await stream.until(ended("FAILED"))
    assert message.document["head"]["exit_code"] == 1
    assert standing(message.document, of="error_message") == {0: "<b>disk full</b>"}
    async with visitor.follow("*") as runs:
        assert (await runs.next()).document["runs"][0]["outcome"] == "FAILED"


async def test_what_a_run_waits_for_is_told_with_its_beginning(visitor: Visitor, night: Night) -> None:
    """Window, approval and pause: since when, and by whom."""
    night.begin(workflow(("orders",)))
    night.write(
        ev.WindowWaiting(at=NOW + 1, opens=NOW + 100, closes=NOW + 200),
        ev.ApprovalWaiting(at=NOW + 2, wave="w1"),
        ev.RunPaused(at=NOW + 3, who=WHO),
    )
    async with visitor.follow(RUN) as stream:
        head = (await stream.next()).document["head"]
    assert head["opening"] == {
        "opens": iso(NOW + 100),
        "closes": iso(NOW + 200),
        "last_start": iso(NOW + 200),
        "waiting_since": iso(NOW + 1),
    }
    assert head["waves"][0]["approval_since"] == iso(NOW + 2)
    assert head["paused"] == {"who": WHO, "since": iso(NOW + 3)}


async def test_a_continued_run_is_sent_anew(visitor: Visitor, night: Night) -> None:
    """Its selection may be another one."""
    night.begin(workflow(("orders", "billing")))
    async with visitor.follow(RUN) as stream:
        await stream.next()
        night.write(run_resumed(("billing",), at=NOW + 50))
        message = await stream.next()
    assert message.event == "snapshot"
    assert [job[0] for job in message.document["jobs"]] == ["billing"]
    assert message.document["head"]["sessions"] == 2


async def test_a_damaged_journal_is_said_not_hidden(visitor: Visitor, night: Night) -> None:
    """The page goes on and shows the message."""
    night.state_dir.mkdir()
    (night.state_dir / "journal.db").write_bytes(b"no database, surely" * 100)
    async with visitor.follow("*") as runs, visitor.follow(RUN) as stream:
        assert "no journal" in (await runs.next()).document["error"]
        assert "no journal" in (await stream.next()).document["head"]["error"]


@pytest.mark.parametrize("data", ["[" * 100_000, '{"who": []}', '{"who": "\\ud800"}'])
async def test_a_damaged_event_does_not_end_the_page(night: Night, data: str) -> None:
    """It is read ahead, before anybody looks; who does is told, and other runs are shown as ever."""
    night.begin(workflow(), rehearsal=True, run_id="20270115-070000-aaaaaa")
    night.begin(workflow())
    night.write(ev.RunPaused(at=NOW, who="ada"))
    with closing(sqlite3.connect(night.state_dir / "journal.db")) as db, db:
        db.execute("UPDATE events SET data = ? WHERE name = 'run_paused'", (data,))
    async with (
        serve_page(night.state_dir, wall=lambda: NOW) as page,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        visitor = Visitor(page=page, session=session)
        await visitor.enter()
        async with visitor.follow(RUN) as stream, visitor.follow("20270115-070000-aaaaaa") as other:
            head = (await stream.next()).document["head"]
            assert ("event 3 cannot be read" in (head.get("error") or "")) is ("ud800" not in data)
            assert (await other.next()).document["head"]["run_id"] == "20270115-070000-aaaaaa"


async def test_five_thousand_migrations_fit_in_a_snapshot(visitor: Visitor, night: Night) -> None:
    """Those that are seen first, the most urgent, come before it, with counts of all; and the log in it stays short."""
    given = fleet(5000)
    night.begin(given)
    night.write(*(event for _, m in given.migrations() for event in cutover_of(m.name, NOW)))
    night.write(*cutover_of("db-04321", NOW, outcome=Outcome.FAILED, message="disk full"))
    async with visitor.follow(RUN) as stream:
        first, second = await stream.next(), await stream.next()
    assert [first.event, second.event] == ["snapshot", "snapshot"]
    assert len(first.document["rows"]) == len(first.document["jobs"]) == FIRST_ROWS
    assert list(standing(first.document).items())[-1] == (4321, "FAILED")
    assert first.document["head"]["waves"] == second.document["head"]["waves"]
    assert first.document["head"]["waves"][0]["states"] == {"SUCCESS": 4999, "FAILED": 1}
    assert len(second.document["rows"]) == len(second.document["jobs"]) == 5000
    assert len(second.document["log"]) == 200


async def test_the_newest_run_is_read_before_anybody_asks(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a large one is there when the page is opened; one that is worked on goes before newer ones. Nobody looks again after that."""
    looks: list[str] = []
    look = RunFeed._look

    async def noted(self: RunFeed) -> bool:
        looks.append(self._run_look._run_id)
        return await look(self)

    monkeypatch.setattr(RunFeed, "_look", noted)
    night.begin(workflow(), rehearsal=True)
    night.begin(workflow(), rehearsal=True, run_id="20280101-000000-aaaaaa", at=NOW + 9e6)
    with night.held():
        async with serve_page(night.state_dir, wall=lambda: NOW):
            while not looks:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
            await anyio.sleep(5 * feed.LOOK_EVERY)
    assert looks == [RUN]


@pytest.mark.parametrize(
    "path", ["/runs/..%2f", "/api/events", "/api/events?follow=a b", "/api/events?follow=<x>", "/static/../app.py"]
)
async def test_an_address_that_is_none_finds_nothing(visitor: Visitor, path: str) -> None:
    """Whatever is in it."""
    assert (await visitor.get(path)).status == 404


async def test_runs_that_are_not_there_are_looked_for_seldom(
    visitor: Visitor, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever follows many invented ones slows nobody; what is there is looked at as often as ever."""
    looks: Counter[str] = Counter()
    look = RunLook.look

    def counted(self: RunLook) -> Changes | None:
        looks[self._run_id] += 1
        return look(self)

    monkeypatch.setattr(RunLook, "look", counted)
    monkeypatch.setattr(feed, "LOOK_AGAIN", 3600.0)
    night.begin(workflow())
    invented = RUN[:-6] + "ffffff"
    async with visitor.follow(RUN) as one, visitor.follow(invented) as two:
        await one.next()
        await two.next()
        with anyio.fail_after(60):
            while looks[RUN] < 5:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.1)
    assert looks[invented] == 1
