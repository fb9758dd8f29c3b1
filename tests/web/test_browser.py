from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from orchestrator.cli.commands import build_parser
from orchestrator.core import events as ev
from orchestrator.core.no_return import WHAT_IS_RIGHT, Point
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import APPROVAL_TIMEOUT
from orchestrator.core.window import AbsoluteWindow
from orchestrator.store.journal import open_journal

from ..builders import NOW, WHO, migration, workflow
from ..chromium import NEEDS_CHROMIUM, Busy
from .browsers import Site, rehearsal, site
from .nights import Night, cutover_of, fleet

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route, ViewportSize

pytestmark = NEEDS_CHROMIUM

PHONE, DESK = (375, 740), (1280, 900)
PICTURED = re.compile("<(text|tspan)")
"""Of text in a picture axe cannot tell what it stands on: tests/reports/test_colours.py decides."""
BAD = [Outcome.IN_DOUBT, Outcome.TIMED_OUT, Outcome.UNVERIFIED]
REFUSED = "PUT /api/atlas/v2/groups/1/liveMigrations/2/cutover: 409 CANNOT_CUTOVER: resyncing"


WHERE = """([outer, inner]) => {
  const [one, other] = [outer, inner].map((it) => document.querySelector(it).getBoundingClientRect());
  return [other.left - one.left, other.top - one.top];
}"""
"""How far an element is from the left and the top of another."""
ILLEGIBLE = """(picture) => {
  const whole = picture.getBoundingClientRect();
  const labels = [...picture.querySelectorAll("text")].map((it) => [it.textContent, it.getBoundingClientRect()]);
  const meet = (one, other) => one.left < other.right && other.left < one.right && one.top + 3 < other.bottom && other.top + 3 < one.bottom;
  return labels.flatMap(([text, box], place) => [
    ...(box.left < whole.left || box.right > whole.right ? [`${text} is cut`] : []),
    ...labels.slice(place + 1).filter(([, other]) => meet(box, other)).map(([other]) => `${text} meets ${other}`)]);
}"""
"""Which of a picture's labels are cut, or lie on another."""
MARK = """([place, text]) => {
  const walk = document.createTreeWalker(document.querySelector(place), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.data.indexOf(text);
    if (at >= 0) return getSelection().setBaseAndExtent(walk.currentNode, at, walk.currentNode, at + text.length);
  }
  throw new Error(`${text} is not in ${place}`);
}"""
"""Marks a text that is somewhere in an element."""
SECOND_SNAPSHOT_WAITS = """
  window.SharedWorker = undefined;
  const held = [];
  let seen = 0, free = false;
  window.release = () => { free = true; held.splice(0).forEach((each) => each()); };
  window.EventSource = class extends EventSource {
    addEventListener(kind, take) {
      super.addEventListener(kind, (event) => (kind === "snapshot" && seen++ && !free ? held.push(() => take(event)) : take(event)));
    }
  };
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A tab that has opened the page of a state directory. Whoever is next at it finds it as it was.

    *landed*: the address that it ended up at.
    """

    served: Site
    page: Page
    landed: str
    complaints: list[str]
    asked: list[str]

    @contextmanager
    def taken(self) -> Iterator[Page]:
        """The tab, for one test. On leaving, nothing may have gone wrong in it, and nobody else was asked for anything."""
        yield self.page
        self.page.emulate_media(color_scheme="light", forced_colors="none", reduced_motion="no-preference")
        self.page.set_viewport_size(window(DESK))
        self.page.evaluate("localStorage.removeItem('atlas-cutover name')")
        complaints, asked = self.complaints.copy(), self.asked.copy()
        self.complaints.clear()
        self.asked.clear()
        assert complaints == []
        assert [url for url in asked if not url.startswith(self.served.origin)] == []


def window(size: tuple[int, int]) -> ViewportSize:
    """A window of this *size*."""
    return {"width": size[0], "height": size[1]}


@contextmanager
def desk_at(browser: Browser, served: Site) -> Iterator[Desk]:
    """A tab of its own, which has opened the printed address."""
    with browser.new_context(viewport=window(DESK), color_scheme="light", locale="en-US") as context:
        page = context.new_page()
        complaints: list[str] = []
        asked: list[str] = []
        page.set_default_timeout(90_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served.address)
        page.wait_for_url(f"{served.origin}/")
        page.wait_for_selector("#link-state.success")
        yield Desk(served=served, page=page, landed=page.url, complaints=complaints, asked=asked)


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The one of most tests here: a server, a session and a tab for each take more processor time than what is looked at."""
    with site(tmp_path_factory.mktemp("desk") / "state") as served, desk_at(browser, served) as desk:
        yield desk


@pytest.fixture
def tab(desk: Desk) -> Iterator[Page]:
    """The tab of `desk`."""
    with desk.taken() as page:
        yield page


_numbers = count()


@pytest.fixture
def night(desk: Desk) -> Iterator[Night]:
    """A run of its own among those of `desk`; the test begins it, and its end leaves the migrations to the next."""
    night = Night(state_dir=desk.served.state_dir, run_id=f"20270115-080000-{next(_numbers):06x}")
    yield night
    night.finish()


@pytest.fixture
def empty(tmp_path: Path) -> Night:
    """An empty state directory."""
    return Night(state_dir=tmp_path / "state")


@pytest.fixture
def first(browser: Browser, empty: Night) -> Iterator[Desk]:
    """The page of `empty`, and a tab that has just opened it."""
    with site(empty.state_dir) as served, desk_at(browser, served) as desk:
        yield desk


def open_run(page: Page, night: Night) -> None:
    """The page of the run, as soon as its rows are there."""
    scheme, _, rest = page.url.partition("://")
    page.goto(f"{scheme}://{rest.partition('/')[0]}/runs/{night.run_id}")
    page.wait_for_selector("#link-state.success")
    page.wait_for_selector("#rows tr[data-index]")


def follow_link(page: Page) -> None:
    """From the list to the run, when it is there."""
    page.click("#runs-rows a")
    page.wait_for_selector("#rows tr[data-index]")


def confirm(page: Page, title: str) -> str:
    """Say yes to the question *title*; what it said."""
    assert page.text_content("#confirm-title") == title
    text = page.text_content("#confirm-text") or ""
    assert page.evaluate("document.activeElement.id") == "confirm-no"
    assert page.is_disabled("#confirm-yes") or page.input_value("#confirm-who")
    page.fill("#confirm-who", "Ada")
    page.click("#confirm-yes")
    return text


def column(page: Page, name: str) -> list[str]:
    """The cells of a column that are in the document."""
    return page.locator(f"#rows tr[data-index] .{name}").all_inner_texts()


def test_the_code_is_gone_from_the_address_and_opens_nothing_again(desk: Desk, browser: Browser) -> None:
    """What stays in the history is worth nothing; another browser gets a form for the token."""
    assert desk.landed == f"{desk.served.origin}/"
    with browser.new_context() as context:
        other = context.new_page()
        answer = other.goto(desk.served.address)
        assert answer is not None
        assert answer.status == 401
        assert other.is_visible("input[name=token]")


def test_a_rehearsal_is_followed_live_and_approved_with_the_button(first: Desk) -> None:
    """It starts after the page was opened, waits, is approved, and its end is seen, without one reload."""
    with first.taken() as tab:
        tab.wait_for_selector("#runs-note:not([hidden])")
        with rehearsal(first.served.state_dir) as process:
            follow_link(tab)
            assert tab.is_visible("#rehearsal")
            tab.wait_for_selector("#needs .waits button.primary")
            assert "Waits for approval\nwave rest" in tab.inner_text("#needs")
            tab.click("#needs .waits button.primary")
            assert "2 migrations in this rehearsal" in confirm(tab, "Approve wave rest?")
            tab.wait_for_selector("#top.success")
            assert process.wait(60) == 0
        assert tab.inner_text("#outcome") == "SUCCESS"
        assert column(tab, "state") == ["SUCCESS"] * 3
        assert "approved by Ada (page, 127.0.0.1)" in tab.inner_text("#waves")
        assert "wave_approved" in tab.inner_text("#log")
        assert "REHEARSAL retail-eu: SUCCESS" in tab.title()


def test_a_run_is_paused_and_aborted_with_the_buttons(tab: Page, night: Night) -> None:
    """Each asks first and says what happens; the buttons follow the run, not the click."""
    night.begin(workflow(("orders", "billing")))
    night.write(ev.CutoverRequested(at=NOW, migration="orders"))
    with night.held():
        open_run(tab, night)
        tab.click("#pause")
        assert "1 cutover under way is followed to its end" in confirm(tab, "Pause the run?")
        tab.wait_for_selector("#answer:has-text('pause: asked of the run')")
        assert tab.is_visible("#pause")
        night.write(ev.RunPaused(at=NOW + 1, who=WHO))
        tab.wait_for_selector("#unpause:not([hidden])")
        assert f"paused by {WHO}" in tab.inner_text("#needs")
        tab.click("#abort")
        tab.keyboard.press("Enter")  # on "Back", which has the focus
        tab.click("#abort")
        assert "This cannot be undone" in confirm(tab, "Abort the run?")
        tab.wait_for_selector("#answer:has-text('abort: asked of the run')")
    assert [command for command, _, _ in night.asked()] == ["pause", "abort"]


def test_approving_a_real_wave_informs_and_wants_its_number(tab: Page, night: Night) -> None:
    """What was before, what may fail, what is left of the window, also while it asks; Enter goes back, another number approves nothing."""
    given = workflow(
        ("orders", "billing", "carts"),
        ("archive", "audit"),
        window=AbsoluteWindow(opens=NOW, closes=NOW + 9e8, reserve=1e8),
    )
    night.begin(replace(given, waves=(replace(given.waves[0], max_failures=2), replace(given.waves[1], approval=True))))
    night.write(
        *cutover_of("orders", NOW),
        *cutover_of("billing", NOW),
        *cutover_of("carts", NOW, outcome=Outcome.FAILED, message="disk full"),
        ev.WindowOpened(at=NOW, opens=NOW, closes=NOW + 9e8, last_start=NOW + 8e8),
        ev.ApprovalWaiting(at=NOW + 20, wave="w2"),
    )
    with night.held():
        open_run(tab, night)
        tab.wait_for_selector("#outcome:has-text('waits for approval')")
        assert "approve: w2, 1 more needs you · retail-eu" in tab.title()
        assert "1 of 2 failures used, 2 more stop the run\n\nstops at 3" in tab.inner_text("#waves")
        assert tab.inner_text("#need-you").split("\n") == ["2 need you", "1 FAILED", "1 approval"]
        assert tab.inner_text("#sentence") == "Wave w2."
        assert re.match(r"since Fri, Jan 15 08:00:\d\d UTC", tab.inner_text("#needs .failed .since"))
        assert "2 of 3" not in tab.inner_text("#meter")
        assert "2 of 5 migrations cut over" in tab.inner_text("#meter")
        drawn = tab.locator("#meter .part").evaluate_all("its => its.map((it) => it.className.match(/s-(\\w+)/)[1])")
        assert drawn == ["FAILED", "WAITING", "SUCCESS"]  # as in the words below it
        tab.click("#needs button.primary")
        facts = tab.inner_text("#confirm-facts")
        assert "w1: 1 FAILED, 2 SUCCESS. 1 of 2 failures used, 2 more stop the run." in facts
        assert "All cutovers that are left take" in facts
        assert re.search(
            r"The window closes .* UTC, in \d+d\w*\. Cutovers may start for another \d+d\w*, until .* UTC\.", facts
        )
        night.write(ev.MigrationSkipped(at=NOW + 21, migration="audit", who=WHO))
        tab.wait_for_selector("#confirm-text:has-text('1 of its 2 migrations')")
        assert "(1)" in tab.inner_text("#confirm-count-label")
        night.write(ev.MigrationRetried(at=NOW + 22, migration="audit", who=WHO))
        tab.wait_for_selector("#confirm-text:has-text('Its 2 migrations')")
        tab.keyboard.press("Enter")
        assert not tab.is_visible("#confirm")
        tab.click("#needs button.primary")
        tab.fill("#confirm-who", "Ada")
        tab.fill("#confirm-reason", "looks good")
        for wrong in ("", "3", "two"):
            tab.fill("#confirm-count", wrong)
            assert tab.is_disabled("#confirm-yes")
        tab.fill("#confirm-count", "2")
        tab.click("#confirm-yes")
        tab.wait_for_selector("#answer:has-text('approve: asked of the run')")
        tab.click("#needs button:has-text('Reject')")
        assert tab.input_value("#confirm-who") == "Ada"
        assert "2 migrations" in confirm(tab, "Reject wave w2?")
        tab.wait_for_selector("#answer:has-text('reject: asked of the run')")
    assert night.asked() == [(verb, "w2", "Ada (page, 127.0.0.1)") for verb in ("approve", "reject")]


def begin_one_that_waits_for_approval(night: Night) -> None:
    """A run whose second wave, `w2`, wants somebody to approve it."""
    given = workflow(("orders", "billing"), ("archive",))
    night.begin(replace(given, waves=(given.waves[0], replace(given.waves[1], approval=True))))
    night.write(ev.ApprovalWaiting(at=NOW + 20, wave="w2"))


def test_a_request_that_another_decision_overtook_says_that_it_did_nothing(tab: Page, night: Night) -> None:
    """Whoever rejects, and is too late, is told: the wave's cutovers start."""
    begin_one_that_waits_for_approval(night)
    with night.held():
        open_run(tab, night)
        tab.click("#needs button:has-text('Reject')")
        tab.fill("#confirm-who", "Ada")
        tab.click("#confirm-yes")
        tab.wait_for_selector("#answer:has-text('reject: asked of the run')")
        night.write(ev.WaveApproved(at=NOW + 30, wave="w2", who="Bob"))
        tab.wait_for_selector("#answer.failed:has-text('reject did nothing: Approved by Bob')")
        tab.evaluate("window.begun = Date.now; Date.now = () => begun.call(Date) + 7000")
        night.write(ev.RunPaused(at=NOW + 31, who=WHO))  # news, by which it is drawn anew
        tab.wait_for_selector("#unpause")
        assert "reject did nothing: Approved by Bob" in tab.inner_text("#answer")
        tab.evaluate("Date.now = () => begun.call(Date) + 70000")
        tab.wait_for_selector("#answer:empty", state="attached")
        tab.evaluate("Date.now = begun")


def test_a_question_that_was_answered_elsewhere_asks_no_more(tab: Page, night: Night) -> None:
    """By somebody else, or by the run: it says who has decided and when, and its button is off."""
    begin_one_that_waits_for_approval(night)
    with night.held():
        open_run(tab, night)
        tab.click("#needs button.primary")
        tab.fill("#confirm-who", "Ada")
        tab.fill("#confirm-count", "1")
        assert tab.is_enabled("#confirm-yes")
        night.write(ev.WaveApproved(at=NOW + 30, wave="w2", who="Bob"))
        tab.wait_for_selector("#confirm-over:has-text('Approved by Bob')")
        assert "08:00:30 UTC. There is nothing left to decide here." in tab.inner_text("#confirm-over")
        assert tab.is_disabled("#confirm-yes")
        assert "cut over" not in tab.inner_text("#confirm")
        tab.click("#confirm-no")
        tab.wait_for_selector("#needs button.primary", state="detached")
        night.write(ev.RunPaused(at=NOW + 1, who=WHO))
        tab.click("#unpause")
        night.write(ev.RunUnpaused(at=NOW + 2, who="Bob"))
        tab.wait_for_selector("#confirm-over:has-text('The run is not paused any more (unpause by Bob, ')")
        tab.click("#confirm-no")
        tab.click("#rows tr[data-index='1'] .link")
        tab.click("#details-steer button:has-text('Skip')")
        tab.fill("#confirm-who", "Ada")
        assert tab.is_enabled("#confirm-yes")
        night.write(ev.CutoverRequested(at=NOW + 3, migration="billing"))
        tab.wait_for_selector(
            "#confirm-over:has-text('nothing to skip of billing any more: its cutover has been requested')"
        )
        tab.click("#confirm-no")
        tab.click("#pause")
        night.write(ev.RunAborted(at=NOW + 4, who="Bob"))
        tab.wait_for_selector("#confirm-over:has-text('The run was aborted by Bob, ')")
        assert tab.is_disabled("#confirm-yes")
        night.finish(outcome=RunOutcome.INCOMPLETE, code=3)
    tab.wait_for_selector("#confirm-over:has-text('The run has ended: INCOMPLETE.')")
    assert tab.is_disabled("#confirm-yes")
    tab.click("#confirm-no")
    assert night.asked() == []


def test_an_approval_that_expires_says_so_and_then_that_nobody_gave_it(tab: Page, night: Night) -> None:
    """The item and the question count down; once its time is over, the question asks no more, and the item says how the run is continued."""
    given = workflow(("orders",))
    night.begin(replace(given, waves=(replace(given.waves[0], approval=True, approval_timeout=9e8),)))
    night.write(ev.ApprovalWaiting(at=NOW, wave="w1"))
    with night.held():
        open_run(tab, night)
        expires = re.compile(r"ounts as rejected at .* UTC\)?, in \d+d\w*")
        tab.wait_for_selector("#needs .said:has-text('Counts as rejected at')")
        assert expires.search(tab.inner_text("#needs .said"))
        tab.click("#needs button.primary")
        assert expires.search(tab.inner_text("#confirm-facts li:first-child"))
        tab.fill("#confirm-who", "Ada")
        tab.fill("#confirm-count", "1")
        assert tab.is_enabled("#confirm-yes")
        late = ev.WaveRejected(at=NOW + 9, wave="w1", who=APPROVAL_TIMEOUT, reason="nobody approved it within 9s")
        night.write(late, ev.CutoversStopped(at=NOW + 9, reason="wave 'w1' counts as rejected"))
        assert f"approve {night.run_id} w1 --state-dir" in tab.inner_text("#log")
        tab.wait_for_selector("#confirm-over:has-text('Nobody approved it in time, so it counts as rejected, ')")
        assert tab.is_disabled("#confirm-yes")
        tab.click("#confirm-no")
        assert "nobody approved it in time" in tab.inner_text("#waves")
        resume = f"atlas-cutover resume {night.run_id} --state-dir {night.state_dir}"
        assert tab.inner_text("#needs .to-do code") == resume
        assert "`" not in tab.inner_text("#needs")
        night.write(
            ev.RunFinished(at=NOW + 9, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=True, requests={})
        )
    tab.wait_for_selector("#outcome:has-text('INCOMPLETE')")
    assert f"Continue with: atlas-cutover resume {night.run_id} --state-dir" in tab.inner_text("#reason")
    needed = tab.inner_text("#needs")
    assert "Not approved in time wave w1" in needed.replace("\n", " ")
    assert "nobody approved it within 9s, so it counts as rejected" in needed
    assert f"atlas-cutover resume {night.run_id} --state-dir" in needed
    assert tab.inner_text("#need-you").split("\n") == ["1 needs you", "1 not approved in time"]


def test_an_approval_is_for_the_migrations_that_it_was_asked_about(tab: Page, night: Night) -> None:
    """As many others make the same question: it says that they are others, wants the number anew, and is then for those."""
    given = workflow(("orders", "billing", "archive"))
    night.begin(replace(given, waves=(replace(given.waves[0], approval=True),)))
    night.write(ev.ApprovalWaiting(at=NOW, wave="w1"), ev.MigrationSkipped(at=NOW, migration="orders", who="bob"))
    with night.held():
        open_run(tab, night)
        tab.click("#needs button.primary")
        tab.fill("#confirm-who", "Ada")
        tab.fill("#confirm-count", "2")
        assert tab.is_enabled("#confirm-yes")
        night.write(
            ev.MigrationRetried(at=NOW, migration="orders", who="bob"),
            ev.MigrationSkipped(at=NOW, migration="billing", who="bob"),
        )
        tab.wait_for_selector("#confirm-facts li:has-text('Which of its migrations these are has changed')")
        assert "2 of its 3 migrations" in tab.inner_text("#confirm-text")
        assert tab.is_disabled("#confirm-yes")
        tab.fill("#confirm-count", "2")
        with tab.expect_response("**/approve") as answered:
            tab.click("#confirm-yes")
        assert answered.value.status == 202
    assert [command for command, _, _ in night.asked()] == ["approve"]


def test_the_number_is_typed_as_it_is_told_and_enter_in_a_field_sends_nothing(tab: Page, night: Night) -> None:
    """`1,200` is the number that the question names; what was typed stays when Enter is pressed, and another number is told to be wrong."""
    night.begin(replace(fleet(1200), waves=(replace(fleet(1200).waves[0], approval=True),)))
    night.write(ev.ApprovalWaiting(at=NOW, wave="bulk"))
    with night.held():
        open_run(tab, night)
        tab.click("#needs button.primary")
        tab.fill("#confirm-who", "Ada")
        for typed in ("1,200", "1200", " 1\u202f200 "):
            tab.fill("#confirm-count", typed)
            assert tab.is_enabled("#confirm-yes")
            assert tab.inner_text("#confirm-count-wrong") == ""
        for wrong in ("12,00", "1.2", "1,2000", "1200.0"):
            tab.fill("#confirm-count", wrong)
            assert tab.is_disabled("#confirm-yes")
            assert tab.inner_text("#confirm-count-wrong") == "That is another number."
        tab.fill("#confirm-count", "1,200")
        tab.fill("#confirm-reason", "looks good")
        tab.focus("#confirm-reason")
        tab.keyboard.press("Enter")
        assert tab.is_visible("#confirm")
        assert tab.input_value("#confirm-reason") == "looks good"
        assert night.asked() == []
        tab.click("#confirm-yes")
        tab.wait_for_selector("#answer:has-text('approve: asked of the run')")
    assert [command for command, _, _ in night.asked()] == ["approve"]


def test_a_migration_is_skipped_and_its_gate_changed_in_its_details(tab: Page, night: Night) -> None:
    """One that has been cut over offers neither."""
    night.begin(workflow(("orders", "billing")))
    night.write(*cutover_of("orders", NOW))
    with night.held():
        open_run(tab, night)
        tab.click("#rows tr[data-index='0'] .link")
        assert tab.inner_text("#details-steer") == ""
        tab.keyboard.press("Escape")
        tab.click("#rows tr[data-index='1'] .link")
        tab.click("#details-steer button:has-text('Change gate')")
        assert tab.is_disabled("#confirm-yes")
        tab.fill("#confirm-who", "Ada")
        assert tab.is_disabled("#confirm-yes")
        tab.fill("#gate-lag", "60s")
        assert "may start" in tab.inner_text("#confirm-text")
        tab.click("#confirm-yes")
        tab.wait_for_selector("#answer:has-text('gate: asked of the run')")
        tab.click("#rows tr[data-index='1'] .link")
        tab.click("#details-steer button:has-text('Skip')")
        confirm(tab, "Skip billing?")
        tab.wait_for_selector("#answer:has-text('skip: asked of the run')")
    assert [command for command, _, _ in night.asked()] == ["gate", "skip"]


@pytest.mark.parametrize(
    ("event", "word", "title"),
    [
        (ev.RunPaused(at=NOW, who=WHO), "paused", "retail-eu: paused"),
        (ev.ConfirmationWaiting(at=NOW, who=WHO), "waits to be confirmed", "confirm on the terminal"),
        (ev.WindowWaiting(at=NOW, opens=NOW + 9e8, closes=NOW + 9.1e8), "window not open yet", "opens "),
    ],
)
def test_what_a_run_waits_for_is_a_state_of_its_own(
    tab: Page, night: Night, event: ev.Event, word: str, title: str
) -> None:
    """In verdict, tab and icon; it is not called under way."""
    night.begin(workflow())
    night.write(event)
    with night.held():
        open_run(tab, night)
        tab.wait_for_selector(f"#outcome:has-text('{word}')")
        assert title in tab.title()
        icon = tab.get_attribute("link[rel=icon]", "href") or ""
    tab.wait_for_selector("#outcome:has-text('interrupted')")
    assert tab.get_attribute("link[rel=icon]", "href") != icon


def test_a_token_to_look_shows_commands_and_no_buttons(browser: Browser, empty: Night) -> None:
    """Also of a short run whose rows all fit: they are all there at once. What steers one migration is typed, too."""
    names = (*(f"db-{number}" for number in range(13)), "-rf")
    empty.begin(workflow(names))
    empty.write(*(event for name in names[1:13] for event in cutover_of(name, NOW)))
    tokens = empty.state_dir.parent / "tokens"
    tokens.write_text("kiosk view correct-horse-battery-staple\n", encoding="utf-8")
    with empty.held(), site(empty.state_dir, "--token-file", str(tokens)) as served, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{served.origin}/runs/{empty.run_id}#migration/db-3")
        page.fill("input[name=token]", "wrong")
        page.click("button")
        page.wait_for_selector("h1:has-text('not known here')")
        page.fill("input[name=token]", "correct-horse-battery-staple")
        page.click("button")
        page.wait_for_selector("#details[open] #details-title:has-text('db-3')")
        assert page.url == f"{served.origin}/runs/{empty.run_id}#migration/db-3"
        page.click("#details button:has-text('Close')")
        page.wait_for_selector("#rows tr[data-index='13']")
        assert "Your token allows viewing, not steering." in page.inner_text("#instead")
        assert not page.is_visible("#pause")
        page.click("#rows tr[data-index='0'] .link")
        typed = page.locator("#details-steer code").all_inner_texts()
        assert [text.partition(" --state-dir")[0] for text in typed] == [
            f"atlas-cutover gate {empty.run_id} db-0 --max-lag DURATION",
            f"atlas-cutover skip {empty.run_id} db-0",
        ]
        page.evaluate("location.hash = '#migration/-rf'")
        page.wait_for_selector("#details-title:has-text('-rf')")
        optioned = page.locator("#details-steer code").all_inner_texts()
        read = [build_parser().parse_args(shlex.split(text)[1:]) for text in optioned]
        assert [(each.command, each.names, each.state_dir) for each in read] == [
            (verb, ["-rf"], empty.state_dir) for verb in ("gate", "skip")
        ]
        page.evaluate("location.hash = '#migration/db-0'")
        page.wait_for_selector("#details-title:has-text('db-0')")
        page.set_viewport_size(window((320, 800)))
        words = page.evaluate(
            "[...document.querySelectorAll('#details-steer code:first-child .word')].map((it) => [it.textContent, it.offsetHeight])"
        )
        heights = {word: height for word, height in words if not word.startswith("/")}
        assert len(set(heights.values())) == 1, "each is on one line"
        assert {"--max-lag", empty.run_id} <= set(heights)
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#details-steer code'))")
        assert page.evaluate("String(getSelection())") == typed[0]
        page.evaluate("document.getElementById('sign-in').click()")  # as when the session is over
        page.wait_for_url(f"{served.origin}/login?then=/runs/{empty.run_id}#migration/db-0")
        page.fill("input[name=token]", "correct-horse-battery-staple")
        page.click("button")
        page.wait_for_selector("#details[open] #details-title:has-text('db-0')")


def test_buttons_are_off_where_no_process_works_on_the_run(tab: Page, night: Night) -> None:
    """And the reason stands beside them."""
    night.begin(workflow())
    open_run(tab, night)
    assert tab.is_disabled("#pause")
    assert tab.is_disabled("#abort")
    assert f"atlas-cutover resume {night.run_id}" in tab.inner_text("#reason")
    for width in range(320, 520, 40):  # the id is not broken at its hyphens, however wide the window
        tab.set_viewport_size(window((width, 800)))
        assert tab.evaluate("document.querySelector('#reason .unbroken').getClientRects().length") == 1
    with night.held():
        tab.wait_for_selector("#abort:enabled")
    tab.wait_for_selector("#abort:disabled")


def test_what_needs_a_person_comes_first_with_ids_and_commands(tab: Page, night: Night) -> None:
    """Failures by their reason, failed hooks, and, when nobody follows it any more, what Atlas still carries out."""
    night.begin(workflow(("orders", "billing", "carts"), ("archive",)))
    hook = ev.HookFinished(
        at=NOW, hook="after_success", argv=("./switch.sh",), exit_code=3, seconds=1.0, migration="carts"
    )
    night.write(
        ev.ConfirmationWaiting(at=NOW, who=WHO),
        *cutover_of("orders", NOW, outcome=Outcome.FAILED, message="disk full"),
        *cutover_of("billing", NOW, outcome=Outcome.FAILED, message="disk full"),
        ev.CutoverRequested(at=NOW + 1, migration="carts"),
        ev.CutoverAccepted(at=NOW + 1, migration="carts", http_status=202, status="WORKING"),
        hook,
    )
    with night.held():
        open_run(tab, night)
        tab.wait_for_selector("#needs .need")
        kinds = tab.locator("#needs .need-head").all_inner_texts()
        assert [kind.split("\n")[0] for kind in kinds] == ["FAILED", "Hook failed", "Waits to be confirmed"]
        assert "2 migrations (orders, billing)" in kinds[0]
        said = tab.inner_text("#needs")
        for expected in ("disk full", f"{1:024x}", "exit code 3 (./switch.sh)", f"on the terminal of {WHO}"):
            assert expected in said
        assert tab.inner_text("#needs-section h2") == "Needs you now"
    tab.wait_for_selector("#needs .need:has-text('UNDER_WAY, followed by nobody')")
    assert f"atlas-cutover resume {night.run_id}" in tab.inner_text("#needs .need >> nth=0")
    assert tab.inner_text("#rows tr[data-index='2'] .state") == "UNDER_WAY\nhook failed"
    tab.click("#needs .need >> nth=0 >> .copy")
    tab.wait_for_selector("#needs .copy:has-text('ed')")  # copied, or selected where there is no clipboard


def test_a_migration_whose_hook_failed_does_not_look_all_well(tab: Page, night: Night) -> None:
    """It is among the urgent ones, marked, found, and its details have the exit code and the end of the output, until the hook ends well."""
    night.begin(workflow(("orders", "billing", "carts")))
    ended = ev.HookFinished(
        at=NOW + 20,
        hook="after_success",
        argv=("./switch.sh",),
        exit_code=3,
        seconds=1.0,
        migration="carts",
        output="to blue\n<b>no such host</b>",
    )
    night.write(*(event for name in ("orders", "billing", "carts") for event in cutover_of(name, NOW)), ended)
    with night.held():
        open_run(tab, night)
        assert column(tab, "state") == ["SUCCESS\nhook failed", "SUCCESS", "SUCCESS"]
        assert column(tab, "note")[0] == "hook after_success failed: exit code 3 (./switch.sh)"
        tab.fill("#search", "switch.sh")
        tab.wait_for_selector("#count:has-text('1 of 3 shown')")
        tab.click("#rows tr[data-index='2'] .link")
        assert "Hook after_success failed\nexit code 3 (./switch.sh)" in tab.inner_text("#details-list")
        assert tab.inner_text("#details-list .output") == "to blue\n<b>no such host</b>"
        night.write(replace(ended, at=NOW + 40, exit_code=0))
        tab.wait_for_selector("#details-list .output", state="detached")
        tab.keyboard.press("Escape")
        tab.wait_for_selector("#rows .none")
        tab.fill("#search", "")
        tab.wait_for_selector("#count:text-is('3 shown')")
        assert column(tab, "state") == ["SUCCESS"] * 3


def test_what_a_failed_hook_wrote_is_read_where_it_needs_somebody(tab: Page, night: Night) -> None:
    """Folded, of waves and the run too, which have no details; those of a wave that ended alike are told by their last."""
    night.begin(workflow(("orders",), ("billing",)))
    wave = ev.HookFinished(
        at=NOW + 20,
        hook="after_success",
        argv=("./switch.sh",),
        exit_code=3,
        seconds=1.0,
        wave="w1",
        output="<b>no</b>\nhost",
    )
    run = replace(wave, hook="after_failure", argv=("./page.sh",), wave=None, output="")
    night.write(
        *cutover_of("orders", NOW), wave, run, replace(wave, at=NOW + 30, migration="orders", output="switched off")
    )
    with night.held():
        open_run(tab, night)
        own = tab.locator("#needs .need:has-text('hook after_success of w1')")
        assert not own.locator(".output").is_visible()
        own.locator("summary:text-is('End of its output')").click()
        assert own.locator(".output").inner_text() == "<b>no</b>\nhost"
        assert tab.locator("#needs .need:has-text('of the run') .output").count() == 0
        night.write(replace(wave, at=NOW + 40, output="yes", exit_code=0))
        own.wait_for(state="detached")


def test_a_run_that_is_pruned_is_not_there_any_more(tab: Page, desk: Desk) -> None:
    """The open page says so, and that it may have been pruned; so does one that is opened afterwards."""
    night = Night(state_dir=desk.served.state_dir, run_id="20270115-080000-ffffff")
    night.begin(workflow())
    night.finish()
    open_run(tab, night)
    tab.click("#rows tr[data-index='0'] .link")
    with open_journal(night.state_dir) as journal:
        journal.forget(night.run_id)
    tab.wait_for_selector("#missing:has-text('it may have been pruned, or not have begun')")
    assert not tab.is_visible("#details")
    assert not tab.is_visible("#found")
    assert tab.title() == f"{night.run_id}: no such run · atlas-cutover"


def test_a_request_is_told_until_the_run_takes_it_up(tab: Page, desk: Desk, night: Night) -> None:
    """However long that is. What was typed with one that was refused is there again."""
    night.begin(workflow(("orders", "billing")))
    with night.held():
        open_run(tab, night)
        tab.click("#pause")
        tab.fill("#confirm-who", "Ada")
        tab.fill("#confirm-reason", "see \u202eabc")
        tab.click("#confirm-yes")
        tab.wait_for_selector("#answer.failed:has-text('U+202E (RIGHT-TO-LEFT OVERRIDE)')")
        tab.click("#pause")
        assert tab.input_value("#confirm-reason") == "see \u202eabc"
        tab.fill("#confirm-reason", "disks")
        with tab.expect_response("**/pause"):
            tab.click("#confirm-yes")
        tab.wait_for_selector("#answer:not(.failed):text-is('pause: asked of the run.')")
        tab.evaluate("window.begun = Date.now; Date.now = () => begun.call(Date) + 7000")
        tab.wait_for_selector("#answer:text-matches('^pause: asked .* UTC, not taken up yet[.]$')")
        night.write(ev.RunPaused(at=NOW + 1, who=WHO))
        tab.wait_for_selector("#answer:empty", state="attached")
        tab.evaluate("Date.now = begun")
    assert [text for text in desk.complaints if "400 (Bad Request)" not in text] == []
    desk.complaints.clear()
    assert night.asked() == [("pause", None, "Ada (page, 127.0.0.1)")]


def test_a_request_without_an_answer_is_not_called_one_that_did_not_arrive(tab: Page, desk: Desk, night: Night) -> None:
    """It may have: the sentence is there until the run has taken it up, and what was typed is kept."""
    night.begin(workflow(("orders", "billing")))

    def cut(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    with night.held():
        open_run(tab, night)
        tab.route("**/pause", cut)
        tab.click("#pause")
        tab.fill("#confirm-who", "Ada")
        tab.click("#confirm-yes")
        tab.wait_for_selector(
            "#answer.failed:text-matches('^pause: no answer came .*: it may have been taken up. Look below.$')"
        )
        assert night.asked() == [("pause", None, "Ada (page, 127.0.0.1)")]
        night.write(ev.RunPaused(at=NOW + 1, who=WHO))
        tab.wait_for_selector("#answer:empty:not(.failed)", state="attached")
        tab.unroute("**/pause")
    assert [text for text in desk.complaints if "ERR_CONNECTION_RESET" not in text] == []
    desk.complaints.clear()


def test_what_atlas_and_the_workflow_say_is_text(tab: Page, night: Night) -> None:
    """Markup in a name or a message is shown, not obeyed."""
    evil = "<img src=x onerror=document.title='hit'>"
    night.begin(workflow((evil,), name=evil))
    night.write(*cutover_of(evil, NOW, outcome=Outcome.FAILED, message=evil))
    open_run(tab, night)
    tab.wait_for_selector("#log li")
    assert tab.inner_text("#workflow") == evil
    assert column(tab, "note") == [evil]
    tab.click("#rows .link")
    assert evil in tab.inner_text("#details")
    assert tab.locator("#main img, #details img").count() == 0
    assert "hit" not in tab.title().replace(evil, "")


def test_counts_change_in_place(tab: Page, night: Night) -> None:
    """What somebody has marked of them stays marked when numbers beside it change, and when counts come and go."""
    names = tuple(f"db-{number}" for number in range(9))
    night.begin(workflow(names))
    night.write(ev.WaveStarted(at=NOW, wave="w1", migrations=9, concurrency=9), *cutover_of("db-0", NOW))
    night.write(*cutover_of("db-1", NOW, outcome=Outcome.FAILED, message="full"))
    places = {
        "#sides-line": "nothing sent",
        "#meter .ended": "migrations cut over",
        "#meter .tally [data-part=SUCCESS]": "SUCCESS",
        "#waves .tally [data-part=SUCCESS]": "SUCCESS",
        "#waves .when": "since",
        "#need-you": "FAILED",
    }
    with night.held():
        open_run(tab, night)
        for number, (place, text) in enumerate(places.items(), start=2):
            tab.wait_for_selector(f"{place}:has-text('{text}')")
            tab.evaluate(MARK, [place, text])
            night.write(*cutover_of(f"db-{number}", NOW))
            if number == 4:
                night.write(ev.CutoverInDoubt(at=NOW, migration="db-8", reason="no answer", settle=30.0))
            tab.wait_for_selector(f"#meter .ended:has-text('{number} of 9 migrations cut over')")
            assert tab.evaluate("String(getSelection())") == text, place
        assert tab.inner_text("#meter .tally").split("\n") == ["1 FAILED", "1 answer lost", "7 SUCCESS"]
        assert tab.inner_text("#waves .tally").split("\n") == ["1 FAILED", "1 answer lost", "7 SUCCESS"]
        assert tab.inner_text("#sides-line") == "1 sent, 8 over"
        tab.evaluate("getSelection().removeAllRanges()")


def test_rows_change_in_place(tab: Page, night: Night) -> None:
    """What needs somebody is on top; text that is selected stays so, and so does the focus, while the run goes on."""
    night.begin(workflow(("orders", "billing", "carts")))
    night.write(*cutover_of("billing", NOW, outcome=Outcome.FAILED, message=REFUSED))
    with night.held():
        open_run(tab, night)
        assert [name.split("\n")[0] for name in column(tab, "name")] == ["billing", "orders", "carts"]
        assert column(tab, "note")[0] == "409 CANNOT_CUTOVER: resyncing"
        tab.evaluate("getSelection().selectAllChildren(document.querySelector('#rows [data-index] .note'))")
        tab.evaluate("window.row = document.querySelector('#rows [data-index=\"2\"]')")
        night.write(
            ev.RunResumed(at=NOW + 8, selected=("orders", "billing", "carts"), retry_failed=False, who=WHO, settle=4.0),
            ev.GateWaiting(at=NOW + 9, migration="carts", status="WORKING", ready=True, lag=40.0, max_lag=10.0),
        )
        tab.wait_for_selector("#rows tr[data-index='2'] .state:has-text('at the gate')")
        tab.wait_for_selector("#log li:has-text('run_resumed')")  # all of it was told anew
        assert tab.evaluate("String(getSelection())") == "409 CANNOT_CUTOVER: resyncing"
        assert [name.split("\n")[0] for name in column(tab, "name")] == ["billing", "orders", "carts"]
        tab.evaluate("getSelection().removeAllRanges()")
        tab.focus("#rows tr[data-index='2'] .link")
        night.write(ev.GateOpened(at=NOW + 10, migration="carts", status="WORKING", ready=True, lag=1.0))
        tab.wait_for_selector("#rows tr[data-index='2'] .state:has-text('ready')")
        assert tab.evaluate("document.activeElement.textContent") == "carts"
        tab.focus("#search")
        tab.wait_for_selector("#rows tr[aria-rowindex='3'] .name:has-text('carts')")  # the order is free again
        assert tab.evaluate("window.row === document.querySelector('#rows [data-index=\"2\"]')")


BACK_AND_FORWARD = """async () => {
  const [here, there] = [location.href, location.href.split("#")[0]];
  for (const address of [there, here]) {
    history.replaceState({ details: true }, "", address);
    dispatchEvent(new PopStateEvent("popstate"));
  }
  await new Promise((done) => setTimeout(done, 200));
}"""
"""So quickly that the details are there again before the page hears that they were closed."""


def test_details_follow_the_run_at_an_address_of_their_own(tab: Page, night: Night) -> None:
    """They open, close, reload and go back with it; what can be copied has a button, the request is told there."""
    night.begin(workflow(("orders", "a/b #1")))
    night.write(*cutover_of("orders", NOW, outcome=Outcome.FAILED, message=REFUSED))
    with night.held():
        open_run(tab, night)
        tab.click("#rows tr[data-index='1'] .link")
        assert tab.url.endswith("#migration/a%2Fb%20%231")
        assert "nothing sent (waits)" in tab.inner_text("#details-list")
        night.write(ev.CutoverRequested(at=NOW + 9, migration="a/b #1"))
        tab.wait_for_selector("#details-list:has-text('sent (sent)')")
        assert "let no writer return to the source" in tab.inner_text("#details-list")
        assert tab.inner_text("#details-state") == "requested"
        tab.keyboard.press("Escape")
        tab.wait_for_url(lambda url: "#" not in url)
        tab.click("#rows tr[data-index='0'] .link")
        assert tab.inner_text("#details-why") == "409 CANNOT_CUTOVER: resyncing"
        assert "PUT /api/atlas/v2/groups/1/liveMigrations/2/cutover" in tab.inner_text("#details-list")
        assert tab.locator("#details .copy").count() == 3
        tab.go_back()
        tab.wait_for_selector("#details", state="hidden")
        tab.go_forward()
        tab.wait_for_selector("#details-title:has-text('orders')")
        tab.evaluate(BACK_AND_FORWARD)
        assert tab.is_visible("#details")
        tab.reload()
        tab.wait_for_selector("#details-title:has-text('orders')")
        tab.click("#details button:has-text('Close')")
        tab.wait_for_url(lambda url: "#" not in url)
        tab.goto(f"{tab.url}#migration/nobody")
        tab.wait_for_selector("#details-why:text-is('There is no migration of this name in this run.')")
        assert tab.inner_text("#details-title") == "nobody"
        tab.keyboard.press("Escape")
        tab.wait_for_url(lambda url: "#" not in url)


def test_waves_are_a_table_with_the_done_ones_folded(tab: Page, night: Night) -> None:
    """What they came to is told all the same; a click, or Enter, shows them. A question folds those without a failure, too."""
    given = workflow(*((f"a{number}", f"b{number}") for number in range(6)))
    night.begin(given)
    for number in range(3):
        bad = Outcome.FAILED if number == 1 else Outcome.SUCCESS
        night.write(
            ev.WaveStarted(at=NOW, wave=f"w{number + 1}", migrations=2, concurrency=2),
            *cutover_of(f"a{number}", NOW, outcome=bad, message="disk full"),
            *cutover_of(f"b{number}", NOW),
            ev.WaveFinished(at=NOW + 20, wave=f"w{number + 1}", counts={}),
        )
    night.write(ev.WaveStarted(at=NOW + 21, wave="w4", migrations=2, concurrency=2))
    with night.held():
        open_run(tab, night)
        rows = tab.locator("#waves tr")
        assert [text.split("\n")[0].split("\t")[0] for text in rows.all_inner_texts()] == [
            "3 waves done", "w4", "2 waves to come"
        ]  # fmt: skip
        assert "1 FAILED" in rows.nth(0).inner_text()
        assert "5 SUCCESS" in rows.nth(0).inner_text()
        tab.focus("#waves button >> nth=0")
        tab.keyboard.press("Enter")
        assert rows.count() == 6
        assert "done, with failures" in rows.nth(2).inner_text()
        assert tab.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
        night.write(ev.ApprovalWaiting(at=NOW + 22, wave="w6"))
        tab.click("#needs button.primary")
        facts = tab.locator("#confirm-facts li").all_inner_texts()
        assert facts[:2] == ["2 waves with 4 SUCCESS and no failure.", "w2: 1 FAILED, 1 SUCCESS. 1 failure, no limit."]
        assert "There is no window: cutovers may start at any time." in facts
        tab.keyboard.press("Enter")


def test_the_log_is_filtered_to_problems_that_are_long_past(tab: Page, night: Night) -> None:
    """Hundreds of events came after them."""
    names = tuple(f"db-{number}" for number in range(60))
    night.begin(workflow(names))
    night.write(*cutover_of("db-0", NOW, outcome=Outcome.FAILED, message="disk full"))
    night.write(*(event for name in names[1:] for event in cutover_of(name, NOW + 30)))
    with night.held():
        open_run(tab, night)
        tab.wait_for_selector("#log li")
        assert "disk full" not in tab.inner_text("#log")
        tab.check("#only-problems")
        assert tab.locator("#log li").count() == 1
        assert "db-0 FAILED: disk full" in tab.inner_text("#log")
        night.write(
            ev.HookFinished(
                at=NOW + 60, hook="after_success", argv=("./x",), exit_code=3, seconds=1.0, migration="db-1"
            )
        )
        tab.wait_for_selector("#log li:has-text('hook_finished') >> nth=0")
        assert tab.inner_text("#problems-count").strip() == "(2)"


def test_the_point_of_no_return_is_told_in_the_reports_words(tab: Page, night: Night) -> None:
    """How many are on which side, what is right there, and the last moment at which a cutover may start."""
    given = workflow(("orders", "billing", "carts"), window=AbsoluteWindow(opens=0.0, closes=NOW + 9e8))
    night.begin(given)
    night.write(
        ev.WindowOpened(at=NOW, closes=NOW + 9e8, opens=0.0, last_start=NOW + 9e8),
        *cutover_of("orders", NOW),
        ev.CutoverRequested(at=NOW + 9, migration="billing"),
    )
    with night.held():
        open_run(tab, night)
        assert tab.inner_text("#sides-line") == "1 nothing sent, 1 sent, 1 over"
        assert "The last moment at which a cutover may start: " in tab.inner_text("#notices")
        tab.focus("#sides summary")
        tab.keyboard.press("Enter")
        sides = [text.split("\t") for text in tab.locator("#sides-rows tr").all_inner_texts()]
        assert [row[:3] for row in sides] == [
            ["nothing sent", "waits", "1: carts"], ["sent", "sent", "1: billing"], ["over", "cut over", "1: orders"]
        ]  # fmt: skip
        assert [row[3] for row in sides] == [WHAT_IS_RIGHT[Point(row[1])].replace("`", "") for row in sides]
        night.write(*cutover_of("carts", NOW + 10))
        tab.wait_for_selector("#sides-line:text-is('1 sent, 2 over')")


def test_what_a_person_lets_go_on_is_shown_however_much_has_failed(tab: Page, night: Night) -> None:
    """Failures that have no room are shown on request; the wave that waits, with its button, is there at once."""
    names = tuple(f"db-{number}" for number in range(8))
    night.begin(workflow(names, ("rest",)))
    for number, name in enumerate(names):
        night.write(*cutover_of(name, NOW, outcome=Outcome.FAILED, message=f"reason {number}"))
    night.write(ev.ApprovalWaiting(at=NOW + 90, wave="w2"))
    with night.held():
        open_run(tab, night)
        tab.wait_for_selector("#needs button:has-text('Approve wave w2')")
        assert tab.locator("#needs .need").count() == 7
        tab.click("#needs-more:text-is('Show 2 more')")
        assert tab.locator("#needs .need").count() == 9


def test_what_people_have_decided_is_folded_below_how_it_stands(tab: Page, night: Night) -> None:
    """One line with the last of it; opened, who, when, about what and why, the newest first, as it happens and as text."""
    night.begin(workflow(("orders", "billing"), ("carts",)))
    with night.held():
        open_run(tab, night)
        assert not tab.is_visible("#decisions")
        night.write(
            ev.WaveApproved(at=NOW, wave="w2", who="ada (page:127.0.0.1)", reason="<b>checked</b> twice"),
            ev.MigrationSkipped(at=NOW + 5, migration="billing", who="bob"),
        )
        tab.wait_for_selector("#decisions")
        line = tab.inner_text("#decisions-line")
        assert line.startswith("2, the last: skip, billing, by bob, ")
        assert not tab.is_visible("#decisions-rows")
        tab.focus("#decisions summary")
        tab.keyboard.press("Enter")
        rows = [text.split("\t")[1:] for text in tab.locator("#decisions-rows tr").all_inner_texts()]
        assert rows == [
            ["skip", "billing", "bob", "-"],
            ["approve", "wave w2", "ada (page:127.0.0.1)", "<b>checked</b> twice"],
        ]
        night.write(ev.RunPaused(at=NOW + 6, who="ada"))
        tab.wait_for_selector("#decisions-line:has-text('3, the last: pause, the run, by ada')")
        assert tab.is_visible("#decisions-rows")


def test_runs_are_filtered_and_come_in_pages(browser: Browser, empty: Night) -> None:
    """By words and by kind; long names are shown whole or shortened, never broken."""
    for number in range(30):
        run_id = f"20270115-0800{number:02}-000000"
        name = "the-back-office-of-the-whole-company-and-its-friends" if number == 7 else "retail"
        given = workflow(name=name)
        only = replace(given.waves[0], migrations=(migration("orders", number + 1),))
        empty.begin(replace(given, waves=(only,)), run_id=run_id, rehearsal=number == 3)
        if number > 3:
            empty.finish(run_id=run_id)
    with site(empty.state_dir) as served, desk_at(browser, served) as desk, desk.taken() as tab:
        tab.wait_for_selector("#runs-page:has-text('1 to 25 of 30')")
        tab.click("#runs-older")
        tab.wait_for_selector("#runs-page:has-text('26 to 30 of 30')")
        tab.select_option("#runs-kind", "open")
        tab.wait_for_selector("#runs-count:text-is('4 of 30 shown')")
        assert not tab.is_visible("#runs-pager")
        tab.select_option("#runs-kind", "real")
        tab.fill("#runs-search", "BACK office")
        tab.wait_for_selector("#runs-count:text-is('1 of 30 shown')")
        tab.set_viewport_size({"width": 390, "height": 844})
        lines = "new Set([...document.querySelector('#runs-rows a').getClientRects()].map(({ y }) => y)).size"
        assert tab.evaluate(lines) == 1
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phones_first_screen_shows_what_failed(tab: Page, night: Night) -> None:
    """How many need somebody, by kind, in the tab and above everything, and the first of them; the timeline's labels are legible, too."""
    began, long = time.time() - 1800, "orders-of-a-shop-with-a-very-long-name-in-eu-west-1"
    night.begin(workflow((long, "billing", "carts"), ("archive",)), at=began)
    night.write(
        *cutover_of(long, began, outcome=Outcome.FAILED, message="disk full"),
        *cutover_of("billing", began + 300, outcome=Outcome.TIMED_OUT, message="no end seen"),
        *cutover_of("carts", time.time() - 8)[:4],
    )
    tab.set_viewport_size(window((390, 844)))
    with night.held():
        open_run(tab, night)
        assert tab.title().startswith("▶ 2 need you · retail-eu")
        assert tab.inner_text("#need-you").split("\n") == ["2 need you", "1 TIMED_OUT", "1 FAILED"]
        for selector in ("#need-you", "#needs .need >> nth=0", "#needs .need >> nth=1"):
            box = tab.locator(selector).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] < 844
        labels = tab.text_content("#timeline") or ""
        assert " later" in labels
        assert "now" in labels
        assert tab.evaluate(ILLEGIBLE, tab.query_selector("#timeline svg")) == []
        tab.set_viewport_size(window((320, 844)))
        tab.wait_for_selector("#timeline svg[viewBox^='0 0 288 ']")
        assert tab.evaluate(ILLEGIBLE, tab.query_selector("#timeline svg")) == []
        tab.set_viewport_size(window(DESK))
        tab.wait_for_selector("#timeline svg[viewBox^='0 0 1']")
        assert tab.evaluate(ILLEGIBLE, tab.query_selector("#timeline svg")) == []


def test_a_long_name_leaves_its_details_a_whole_close_button(tab: Page, night: Night) -> None:
    """On a phone, with a name of a hundred letters and no space. The tab of a run that has ended counts who is needed, too."""
    name = "x" * 100
    night.begin(workflow((name,)))
    night.write(*cutover_of(name, NOW, outcome=Outcome.FAILED, message=REFUSED))
    night.finish(outcome=RunOutcome.FAILED, code=1)
    open_run(tab, night)
    tab.wait_for_function("document.title.includes('1 needs you · ')")
    tab.set_viewport_size(window((390, 844)))
    tab.click("#rows .link")
    close = tab.locator(".details-head button").bounding_box()
    assert close is not None
    assert close["width"] > close["height"]
    assert tab.evaluate(
        "document.getElementById('details').scrollWidth <= document.getElementById('details').clientWidth"
    )
    tab.keyboard.press("Escape")


def test_large_runs_have_a_band_for_each_wave_with_failures_as_many_as_they_are(tab: Page, night: Night) -> None:
    """Twelve of a hundred are twelve hundredths of its height; waves to come are one line; a click shows the wave's migrations."""
    names, began = tuple(f"db-{number}" for number in range(100)), time.time() - 130
    night.begin(workflow(names, ("later",), ("last",)), at=began)
    night.write(ev.WaveStarted(at=began, wave="w1", migrations=100, concurrency=20))
    for number, name in enumerate(names[:90]):
        bad = Outcome.FAILED if number < 12 else Outcome.SUCCESS
        night.write(*cutover_of(name, began + number, outcome=bad, message="disk full"))
    with night.held():
        open_run(tab, night)
        about = r"Wave w1 ends about \d\d:\d\d UTC, in \d+(s|m), at the pace of the last 40 of it that ended\."
        assert re.search(about, tab.inner_text("#notices"))
        assert "db-0" not in tab.inner_text("#timeline")
        assert "w1  100 migrations: 12 FAILED, 78 SUCCESS" in (tab.text_content("#timeline") or "")
        assert "2 waves to come, 2 migrations" in (tab.text_content("#timeline") or "")
        assert "now" in (tab.text_content("#timeline .t-now-word") or "")
        high = "selector => document.querySelector(selector).getBBox().height"
        whole = tab.evaluate(high, "#timeline .t-frame")
        assert tab.evaluate(high, "#timeline .t-bar.failed") == pytest.approx(whole * 0.12, abs=0.02)
        assert tab.evaluate(high, "#timeline .t-bar.success") == pytest.approx(whole * 0.9, abs=0.02)  # on top of those
        assert tab.locator("#timeline .t-texture").count() >= 1
        tab.select_option("#by-wave", label="w3")
        left, top = tab.evaluate(WHERE, ["#timeline", "#timeline .t-frame"])
        tab.locator("#timeline").click(
            position={"x": left + 3, "y": top + 3}
        )  # which stays; the picture in it is drawn anew each second
        tab.wait_for_selector("#count:has-text('100 of 102 shown')")
        night.write(
            *(
                event
                for name, end in zip(names[90:96], BAD * 2, strict=True)
                for event in cutover_of(name, began + 95, outcome=end)
            )
        )
        tab.set_viewport_size(window((320, 800)))
        tab.wait_for_selector("#timeline text:has-text('18 failures')")
        assert tab.evaluate(ILLEGIBLE, tab.query_selector("#timeline svg")) == []


def test_the_keyboard_alone_does_everything(tab: Page, night: Night) -> None:
    """Each thing that does something is reached with Tab, shows that it has the focus, and a wave is approved without a mouse."""
    given = workflow(("orders", "billing"), ("archive",), ("w3a",), ("w4a",), ("w5a",))
    night.begin(replace(given, waves=(given.waves[0], replace(given.waves[1], approval=True), *given.waves[2:])))
    night.write(
        ev.WaveStarted(at=NOW, wave="w1", migrations=2, concurrency=2),
        *cutover_of("orders", NOW),
        *cutover_of("billing", NOW, outcome=Outcome.FAILED, message=REFUSED),
        ev.ApprovalWaiting(at=NOW + 20, wave="w2"),
    )
    with night.held():
        open_run(tab, night)
        tab.wait_for_selector("#needs button.primary")
        tab.evaluate("document.activeElement.blur()")
        reached: list[str] = []
        for _ in range(80):
            tab.keyboard.press("Tab")
            name = tab.evaluate(
                "(() => { const it = document.activeElement; if (it === document.body) return null;"
                " if (getComputedStyle(it).outlineStyle === 'none') throw new Error('no outline: ' + it.outerHTML);"
                " return it.id || it.getAttribute('aria-label') || it.textContent; })()"
            )
            if name is None or name in reached[:1]:
                break
            reached.append(name)
        everything = [
            "To the content", "All runs", "2 need you", "Reject wave w2 …", "Approve wave w2 …", "pause", "abort", "3 waves to come", "search", "by-state", "by-wave",
            "rows-scroller", "billing", "orders", "only-problems", "Log, scrolls",
        ]  # fmt: skip
        assert [name for name in everything if name not in reached and not name.startswith("2 need")] == []
        assert [name for name in reached if name.startswith("Point of no return")]
        tab.focus("#needs button.primary")
        tab.keyboard.press("Enter")
        for text in ("Ada", "looks good", "1"):
            tab.keyboard.press("Shift+Tab") if text == "Ada" else tab.keyboard.press("Tab")
            while tab.evaluate("document.activeElement.tagName") != "INPUT":
                tab.keyboard.press("Tab")
            if text == "Ada":
                tab.focus("#confirm-who")
            tab.keyboard.type(text)
        tab.keyboard.press("Tab")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.id") == "confirm-yes"
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#answer:has-text('approve: asked of the run')")
    assert night.asked() == [("approve", "w2", "Ada (page, 127.0.0.1)")]


def test_forced_colours_and_less_motion_are_heeded(tab: Page, night: Night) -> None:
    """What colours alone would tell keeps them, with a border; nothing moves."""
    night.begin(workflow(("orders", "billing")))
    night.write(*cutover_of("billing", NOW, outcome=Outcome.FAILED, message=REFUSED))
    with night.held():
        open_run(tab, night)
        looks = "selector => { const it = getComputedStyle(document.querySelector(selector)); return [it.backgroundImage, it.transitionDuration, it.borderTopStyle]; }"
        plain = tab.evaluate(looks, "#meter .parts .failed")
        tab.emulate_media(forced_colors="active", reduced_motion="reduce")
        forced = tab.evaluate(looks, "#meter .parts .failed")
        assert forced[0] == plain[0] != "none"
        assert (plain[1], forced[1]) == ("0.3s", "0s")
        assert tab.evaluate(looks, "#meter .parts")[2] == "solid"
        assert (
            tab.evaluate("getComputedStyle(document.querySelector('#needs .need')).borderLeftColor")
            == "rgb(204, 78, 0)"
        )


def test_of_a_large_run_the_first_rows_do_not_wait_for_the_others(first: Desk, empty: Night) -> None:
    """What failed is on top, counts are of all, and what takes all rows to know is not shown until they are there."""
    given = fleet(1200)
    empty.begin(given)
    empty.write(
        *cutover_of("db-01100", NOW, outcome=Outcome.FAILED, message="disk full"),
        *(event for number in range(1000) for event in cutover_of(f"db-{number:05}", NOW)),
        *cutover_of("db-01150", NOW)[:1],
    )
    with empty.held(), first.taken() as page:
        page.add_init_script(SECOND_SNAPSHOT_WAITS)
        open_run(page, empty)
        assert column(page, "name")[0] == "db-01100"
        assert page.inner_text("#count") == "100 of 1,200 shown; the others are being loaded …"
        assert "1,000 of 1,200 migrations cut over" in page.inner_text("#meter")
        assert "1,000 SUCCESS" in page.inner_text("#waves")
        assert "db-01100" in page.inner_text("#needs")
        assert page.inner_text("#timeline") == "Loading the migrations …"
        assert not page.is_visible("#sides")
        assert "at the gate" not in page.inner_text("#notices")
        page.fill("#search", "db-00007")
        page.wait_for_selector("#rows .none:text-is('Nothing that has been loaded so far passes the filters.')")
        page.fill("#search", "")
        page.wait_for_selector("#rows tr[data-index='1100']")
        page.evaluate("window.row = document.querySelector('#rows [data-index=\"1100\"]'); window.release()")
        page.wait_for_selector("#count:text-is('1,200 shown')")
        assert page.evaluate("window.row === document.querySelector('#rows [data-index=\"1100\"]')")
        assert page.inner_text("#sides-line").startswith("199 nothing sent")
        assert "1 migration waits at the gate" in page.inner_text("#notices")
        assert "FAILED" in (page.text_content("#timeline") or "")


def test_thousands_of_migrations_stay_usable(tab: Page, night: Night) -> None:
    """They open and sort in under two seconds of processor time, and only what is seen is in the document."""
    given = fleet(5000)
    night.begin(given)
    events = [event for _, m in given.migrations() for event in cutover_of(m.name, NOW)]
    night.write(*events, *cutover_of("db-01234", NOW, outcome=Outcome.FAILED, message="disk full"))
    busy = Busy(tab)
    open_run(tab, night)
    tab.wait_for_selector("#count:text-is('5,000 shown')")
    assert busy.seconds() < 2
    busy = Busy(tab)
    tab.evaluate(
        """async () => {
          for (const key of ["name", "state", "time", "note", "time"]) {
            document.querySelector(`#columns [data-key=${key}] button`).click();
          }
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )
    assert busy.seconds() < 2
    assert tab.get_attribute("#columns [data-key=time]", "aria-sort") == "ascending"
    assert len(column(tab, "name")) < 60
    tab.evaluate("document.querySelector('#rows-scroller').scrollTo(0, 1e9)")
    tab.wait_for_selector("#rows tr[aria-rowindex='5001']")
    tab.select_option("#by-state", "FAILED")
    tab.wait_for_selector("#count:has-text('1 of 5,000 shown')")
    assert column(tab, "note") == ["disk full"]


def test_the_table_is_searched_and_sorted_from_the_keyboard(tab: Page, night: Night) -> None:
    """Down, up, and as in the workflow again; the details open with Enter and close with Escape."""
    night.begin(workflow(("orders", "billing", "archive-10", "archive-9")))
    open_run(tab, night)
    tab.focus("#columns [data-key=name] button")
    for expected in (
        ["archive-9", "archive-10", "billing", "orders"],
        ["orders", "billing", "archive-10", "archive-9"],
        ["orders", "billing", "archive-10", "archive-9"],
    ):
        tab.keyboard.press("Enter")
        assert [name.split("\n")[0] for name in column(tab, "name")] == expected
    tab.focus("#search")
    tab.keyboard.type("ARCH 9")
    tab.wait_for_selector("#count:has-text('1 of 4 shown')")
    tab.focus("#rows .link")
    tab.keyboard.press("Enter")
    assert tab.is_visible("#details")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#details")
    tab.fill("#search", "nothing like it")
    tab.wait_for_selector("#rows .none")


AS_WITHOUT_NEWS = """() => {
    const banner = document.getElementById("no-news");
    document.body.classList.add("stale");
    banner.hidden = false;
    document.body.classList.toggle = () => true; // the next beat would take both away while axe looks
    Object.defineProperty(banner, "hidden", { get: () => false, set: () => {} });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK])
def test_no_barrier_and_none_undecided(
    tab: Page, desk: Desk, night: Night, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    """Axe finds none, and leaves none to a person to decide, in either scheme, on a phone or a desk; and nothing is wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe().axe_script
    night.begin(workflow(("orders", "billing", "pricing"), ("archive",)))
    night.write(
        *cutover_of("orders", NOW),
        *cutover_of("pricing", NOW, outcome=Outcome.FAILED, message="The destination ran out of disk. " * 9),
        ev.CutoverRequested(at=NOW + 9, migration="billing"),
        ev.CutoverInDoubt(at=NOW + 9, migration="billing", reason="connection reset", settle=4.0),
        ev.ApprovalWaiting(at=NOW + 10, wave="w2"),
        ev.RunPaused(at=NOW + 11, who=WHO),
    )
    found = []
    tab.set_viewport_size(window(size))
    tab.emulate_media(color_scheme=scheme)
    with night.held():
        tab.goto(f"{desk.served.origin}/")
        tab.wait_for_selector("#runs-rows a")
        for view in ("list", "run", "question", "details", "no news"):
            if view == "run":
                open_run(tab, night)
                tab.click("#sides summary")
                tab.click("#decisions summary")
            if view == "question":
                tab.click("#abort")
            if view == "details":
                tab.keyboard.press("Escape")
                tab.click("#rows .link >> nth=0")
            if view == "no news":
                tab.keyboard.press("Escape")
                tab.evaluate(AS_WITHOUT_NEWS)
            # What is scrolled out of sight is to be decided, too.
            tab.evaluate("document.querySelectorAll('.scroller').forEach((it) => { it.style.maxHeight = 'none'; })")
            tab.evaluate("scrollTo(0, 0)")
            # A dialog is opaque, and axe takes what lies under it for its ground.
            under = "hidden" if view in ("question", "details") else ""
            tab.evaluate("it => { document.getElementById('main').style.visibility = it; }", under)
            if not tab.evaluate("'axe' in window"):
                tab.evaluate(axe)
            answer = tab.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")
            tab.evaluate("document.getElementById('main').style.visibility = ''")
            found += [
                (view, kind, each["id"], node["html"], [check["message"] for check in node["any"]])
                for kind in ("violations", "incomplete")
                for each in answer[kind]
                for node in each["nodes"]
                if not PICTURED.match(node["html"])
            ]
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert found == []


def test_a_page_outlives_its_server(browser: Browser, empty: Night) -> None:
    """It says that the connection is lost; of the next server it asks to be let in anew, and is where it was."""
    token = empty.state_dir.parent / "token"
    token.write_text("correct-horse-battery-staple", encoding="utf-8")
    empty.begin(workflow(("orders",)))
    with browser.new_context() as context:
        page = context.new_page()
        with site(empty.state_dir, "--token-file", str(token)) as first:
            page.goto(first.address)
            page.fill("input[name=token]", token.read_text())
            page.click("button")
            page.wait_for_url(f"{first.origin}/")
            follow_link(page)
        page.wait_for_selector("#link-state.late")
        empty.write(*cutover_of("orders", NOW))
        empty.finish(outcome=RunOutcome.SUCCESS)
        with site(empty.state_dir, "--token-file", str(token), "--port", first.origin.rpartition(":")[2]):
            page.click("#sign-in")
            page.fill("input[name=token]", token.read_text())
            page.click("button")
            page.wait_for_selector("#top.success")
            page.wait_for_selector("#link-state.success")
