"""Whether the page says so when it does not know any more how things stand."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.core import events as ev
from orchestrator.store.last_read import SILENT_AFTER, reads_path

from ..builders import NOW, workflow
from ..chromium import NEEDS_CHROMIUM
from .browsers import Site, rehearsal, site
from .nights import HOLDER, Night, cutover_of, fleet

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

pytestmark = NEEDS_CHROMIUM

TWO_BEATS = 12_000
"""Milliseconds after which a page that has heard nothing knows it."""

GROUND = "it => { const looks = getComputedStyle(document.querySelector(it)); return [looks.backgroundColor, looks.color, looks.outlineStyle]; }"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page of a state directory, for all tests here but those that end it."""
    place = tmp_path_factory.mktemp("served") / "state"
    with site(place, "--state-dir", str(place)) as running:
        yield running


_numbers = count()


@pytest.fixture
def night(served: Site) -> Iterator[Night]:
    """A run of its own among those of `served`; the test begins it, and its end leaves the migrations to the next."""
    night = Night(state_dir=served.state_dir, run_id=f"20270115-080000-{next(_numbers):06x}")
    yield night
    night.finish()


@contextmanager
def signed_in(browser: Browser, served: Site) -> Iterator[BrowserContext]:
    """Somebody who has opened the printed address, and has no tab any more."""
    with browser.new_context(timezone_id="Europe/Berlin", locale="en-GB") as context:
        context.set_default_timeout(90_000)
        page = context.new_page()
        page.goto(served.address)
        page.wait_for_url(f"{served.origin}/")
        page.close()
        yield context


@pytest.fixture(scope="module")
def context(browser: Browser, served: Site) -> Iterator[BrowserContext]:
    """Whoever looks at `served`."""
    with signed_in(browser, served) as context:
        yield context


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Page]:
    """A tab whose clock can be moved on."""
    page = context.new_page()
    page.clock.install()
    yield page
    page.close()


def a_run_under_way(night: Night) -> None:
    """One cutover under way, and a wave that waits for approval."""
    night.begin(workflow(("orders",), ("archive",)))
    night.write(ev.CutoverRequested(at=NOW, migration="orders"), ev.ApprovalWaiting(at=NOW + 1, wave="w2"))


def opened(tab: Page, served: Site, run_id: str) -> Page:
    """The page of the run, live."""
    tab.goto(f"{served.origin}/runs/{run_id}")
    tab.wait_for_selector("#link-state.success")
    tab.wait_for_selector("#rows tr[data-index]")
    return tab


def assert_it_knows_nothing(tab: Page, run_id: str) -> None:
    """Since when, what to type, and nothing that moves or can be pressed."""
    tab.wait_for_selector("body.stale")
    said = tab.inner_text("#no-news")
    assert "No news since" in said
    assert "UTC" in said
    assert "no news since" in tab.title()
    assert not tab.is_visible("#abort")
    assert not tab.is_visible("#needs button.primary")
    assert "The buttons are off until there is news." in tab.inner_text("#instead")
    assert f"atlas-cutover approve {run_id} w2 --state-dir" in tab.inner_text("#commands")
    before = tab.inner_text("#rows tr[data-index='0'] .time"), tab.inner_text("#needs")
    tab.clock.run_for(30_000)
    assert (tab.inner_text("#rows tr[data-index='0'] .time"), tab.inner_text("#needs")) == before


def test_a_frozen_server_is_noticed_after_two_beats(tab: Page, night: Night, served: Site) -> None:
    """Its connection stays open, as that of a frozen tunnel does; when it goes on, so does the page. Open details say it, too."""
    a_run_under_way(night)
    with night.held():
        opened(tab, served, night.run_id)
        assert tab.is_visible("#abort")
        tab.set_viewport_size({"width": 390, "height": 844})
        tab.click("#rows tr[data-index='0'] .link")  # which cover the banner there
        served.process.send_signal(signal.SIGSTOP)
        try:
            tab.clock.fast_forward(TWO_BEATS)
            assert_it_knows_nothing(tab, night.run_id)
            assert "No news since" in tab.inner_text("#details .no-news")
            assert tab.evaluate(GROUND, "#details") == tab.evaluate(GROUND, "main")
        finally:
            served.process.send_signal(signal.SIGCONT)
        tab.wait_for_selector("body:not(.stale)")
        assert tab.locator("#details .no-news").count() == 0
        tab.keyboard.press("Escape")
        assert tab.is_visible("#abort")
        assert not tab.is_visible("#no-news")


def test_a_request_to_a_frozen_server_is_told_and_comes_to_nothing(tab: Page, night: Night, served: Site) -> None:
    """At once, in the banner too; and when the server goes on it refuses what was asked with what the page knew long before."""
    a_run_under_way(night)
    with night.held():
        opened(tab, served, night.run_id)
        beat = tab.evaluate("import('/static/now.js').then((it) => it.asOf())")
        sent: list[Any] = []

        def long_ago(route: Route) -> None:
            sent.append(route.request.post_data_json)
            route.continue_(post_data=sent[0] | {"as_of": "2026-11-28T00:00:00.000Z"})

        tab.route("**/pause", long_ago)
        served.process.send_signal(signal.SIGSTOP)
        try:
            tab.click("#pause")
            tab.fill("#confirm-who", "Ada")
            tab.click("#confirm-yes")
            tab.wait_for_selector("#answer:text-is('pause: sent, no answer yet.')")
            assert [each["as_of"] for each in sent] == [beat]
            tab.clock.fast_forward(TWO_BEATS)
            tab.wait_for_selector("body.stale")
            assert "pause was sent at" in tab.inner_text("#no-news")
            assert "it may have been taken up, or still be" in tab.inner_text("#no-news")
            tab.click("#rows tr[data-index='0'] .link")
            assert "pause was sent at" in tab.inner_text("#details .no-news")
            tab.keyboard.press("Escape")
        finally:
            served.process.send_signal(signal.SIGCONT)
        tab.wait_for_selector("body:not(.stale)")
        tab.wait_for_selector(
            "#answer.failed:has-text('asked with what the page knew at 2026-11-28 00:00:00 UTC: look again')"
        )
        assert night.asked() == []


def test_a_journal_that_is_away_is_no_news_and_no_pruned_run(browser: Browser, tmp_path: Path) -> None:
    """What is shown stays, as of the last beat; it goes on when the journal is there again. The list of runs, too."""
    own = Night(state_dir=tmp_path / "state")
    a_run_under_way(own)
    place = ("--state-dir", str(own.state_dir))
    with own.held(), site(own.state_dir, *place) as served, signed_in(browser, served) as context:
        tab, runs = context.new_page(), context.new_page()
        runs.goto(f"{served.origin}/")
        runs.wait_for_selector("#runs-rows a")
        opened(tab, served, own.run_id)
        away = own.state_dir.rename(own.state_dir.with_name("away"))
        tab.wait_for_selector("body.stale")
        assert "No news since" in tab.inner_text("#no-news")
        assert not tab.is_visible("#missing")
        assert tab.locator("#rows tr[data-index]").count() == 2
        runs.wait_for_selector("body.stale")
        assert runs.locator("#runs-rows a").count() == 1
        away.rename(own.state_dir)
        tab.wait_for_selector("body:not(.stale)")
        assert tab.is_visible("#abort")


def test_a_question_waits_for_news_with_what_was_typed(tab: Page, night: Night, served: Site) -> None:
    """It says that there is none, and its button is off; when there is news again it goes on."""
    a_run_under_way(night)
    with night.held():
        opened(tab, served, night.run_id)
        tab.click("#abort")
        tab.fill("#confirm-who", "Ada")
        tab.fill("#confirm-reason", "disks")
        assert tab.is_enabled("#confirm-yes")
        served.process.send_signal(signal.SIGSTOP)
        try:
            tab.clock.fast_forward(TWO_BEATS)
            tab.wait_for_selector("#confirm .no-news:has-text('No news since')")
            assert tab.is_disabled("#confirm-yes")
            tab.fill("#confirm-reason", "disks are full")
            assert tab.is_disabled("#confirm-yes")
        finally:
            served.process.send_signal(signal.SIGCONT)
        tab.wait_for_selector("#confirm-yes:enabled")
        assert tab.locator("#confirm .no-news").count() == 0
        assert tab.input_value("#confirm-reason") == "disks are full"
        tab.click("#confirm-no")


def test_a_dead_server_is_noticed(browser: Browser, night: Night) -> None:
    """What was live a moment ago is not called so any more."""
    a_run_under_way(night)
    place = ("--state-dir", str(night.state_dir))
    with night.held(), site(night.state_dir, *place) as served, signed_in(browser, served) as context:
        tab = context.new_page()
        tab.clock.install()
        opened(tab, served, night.run_id)
        served.process.kill()
        tab.wait_for_selector("#link-state.late")
        tab.clock.fast_forward(TWO_BEATS)
        assert_it_knows_nothing(tab, night.run_id)


def test_a_holder_without_a_sign_of_life_is_not_called_under_way(tab: Page, night: Night, served: Site) -> None:
    """A lock on a shared disk outlives the machine that held it: the run's files tell."""
    a_run_under_way(night)
    life = reads_path(night.state_dir, night.run_id)
    life.parent.mkdir(exist_ok=True)
    life.write_text("{}")
    with night.held():
        opened(tab, served, night.run_id)
        assert tab.inner_text("#outcome") != "no sign of life"
        long_ago = life.stat().st_mtime - SILENT_AFTER - 1
        os.utime(life, (long_ago, long_ago))
        tab.wait_for_selector("#outcome:has-text('no sign of life')")
        assert HOLDER in tab.inner_text("#needs")
        os.utime(life)
        tab.wait_for_selector("#outcome:not(:has-text('no sign of life'))")


def test_a_run_that_is_stopped_in_mid_run_gives_no_sign_of_life(tmp_path: Path) -> None:
    """The process is there and holds its lock, and its file's time stands still."""
    with rehearsal(tmp_path / "state") as process:
        place = tmp_path / "state" / "reads"
        while not list(place.glob("*.json")):
            assert process.poll() is None
        process.send_signal(signal.SIGSTOP)
        (life,) = place.glob("*.json")
        stood = life.stat().st_mtime
        process.send_signal(signal.SIGCONT)
        while life.stat().st_mtime == stood:
            assert process.poll() is None


def test_a_large_run_says_that_it_is_loading(tab: Page, night: Night, served: Site) -> None:
    """Until its first rows are there; an empty page looks like an empty run."""
    night.begin(fleet(2000))
    night.write(*cutover_of("db-00001", NOW))
    tab.add_init_script(
        "window.seen = []; new MutationObserver(() => {"
        "const it = document.getElementById('loading'); if (it && !it.hidden) seen.push(it.textContent); })"
        ".observe(document, {subtree: true, childList: true, attributes: true, characterData: true});"
    )
    opened(tab, served, night.run_id)
    assert "Loading the run …" in tab.evaluate("window.seen")
    assert not tab.is_visible("#loading")


def test_a_window_that_nobody_looks_at_follows_too(context: BrowserContext, night: Night, served: Site) -> None:
    """More than six windows of one browser share one connection, and each is current."""
    a_run_under_way(night)
    first = context.new_page()
    with night.held():
        first.goto(f"{served.origin}/")
        pages: list[Page] = []
        for _ in range(7):
            with context.expect_page(
                timeout=90_000
            ) as opening:  # of one process: each of its own takes a second to begin
                first.evaluate("address => { open(address); }", f"{served.origin}/runs/{night.run_id}")
            pages.append(opening.value)
        for page in pages:
            page.wait_for_selector("#rows tr[data-index]")
        night.write(*cutover_of("orders", NOW + 2))
        for page in pages:
            page.wait_for_selector("#rows tr[data-index='0'] .state:has-text('SUCCESS')")
    for page in (first, *pages):
        page.close()
