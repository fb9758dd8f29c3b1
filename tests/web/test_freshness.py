"""Whether the page says so when it does not know any more how things stand."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from orchestrator.core import events as ev
from orchestrator.store.last_read import SILENT_AFTER, reads_path

from ..builders import NOW, workflow
from ..chromium import NEEDS_CHROMIUM
from .browsers import Site, rehearsal, site
from .nights import HOLDER, RUN, Night, cutover_of, fleet

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_CHROMIUM

TWO_BEATS = 12_000
"""Milliseconds after which a page that has heard nothing knows it."""

GROUND = "it => { const looks = getComputedStyle(document.querySelector(it)); return [looks.backgroundColor, looks.color, looks.outlineStyle]; }"


@pytest.fixture
def served(night: Night) -> Iterator[Site]:
    """The page of `night`."""
    with site(night.state_dir, "--state-dir", str(night.state_dir)) as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab whose clock can be moved on."""
    with browser.new_context(timezone_id="Europe/Berlin", locale="en-GB") as context:
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.clock.install()
        yield page


def a_run_under_way(night: Night) -> None:
    """One cutover under way, and a wave that waits for approval."""
    night.begin(workflow(("orders",), ("archive",)))
    night.write(ev.CutoverRequested(at=NOW, migration="orders"), ev.ApprovalWaiting(at=NOW + 1, wave="w2"))


def opened(tab: Page, served: Site) -> Page:
    """The page of the run, live."""
    tab.goto(served.address)
    tab.wait_for_url(f"{served.origin}/")
    tab.goto(f"{served.origin}/runs/{RUN}")
    tab.wait_for_selector("#link-state.success")
    tab.wait_for_selector("#rows tr[data-index]")
    return tab


def assert_it_knows_nothing(tab: Page) -> None:
    """Since when, what to type, and nothing that moves or can be pressed."""
    tab.wait_for_selector("body.stale")
    said = tab.inner_text("#no-news")
    assert "No news since" in said
    assert "UTC" in said
    assert "no news since" in tab.title()
    assert not tab.is_visible("#abort")
    assert not tab.is_visible("#needs button.primary")
    assert "The buttons are off until there is news." in tab.inner_text("#instead")
    assert f"atlas-cutover approve {RUN} w2 --state-dir" in tab.inner_text("#commands")
    before = tab.inner_text("#rows tr[data-index='0'] .time"), tab.inner_text("#needs")
    tab.clock.run_for(30_000)
    assert (tab.inner_text("#rows tr[data-index='0'] .time"), tab.inner_text("#needs")) == before


def test_a_frozen_server_is_noticed_after_two_beats(tab: Page, night: Night, served: Site) -> None:
    """Its connection stays open, as that of a frozen tunnel does; when it goes on, so does the page. Open details say it, too."""
    a_run_under_way(night)
    with night.held():
        opened(tab, served)
        assert tab.is_visible("#abort")
        tab.set_viewport_size({"width": 390, "height": 844})
        tab.click("#rows tr[data-index='0'] .link")  # which cover the banner there
        served.process.send_signal(signal.SIGSTOP)
        tab.clock.fast_forward(TWO_BEATS)
        assert_it_knows_nothing(tab)
        assert "No news since" in tab.inner_text("#details .no-news")
        assert tab.evaluate(GROUND, "#details") == tab.evaluate(GROUND, "main")
        served.process.send_signal(signal.SIGCONT)
        tab.wait_for_selector("body:not(.stale)")
        assert tab.locator("#details .no-news").count() == 0
        tab.keyboard.press("Escape")
        assert tab.is_visible("#abort")
        assert not tab.is_visible("#no-news")


def test_a_dead_server_is_noticed(tab: Page, night: Night) -> None:
    """What was live a moment ago is not called so any more."""
    a_run_under_way(night)
    with night.held(), site(night.state_dir, "--state-dir", str(night.state_dir)) as served:
        opened(tab, served)
        served.process.kill()
        tab.wait_for_selector("#link-state.late")
        tab.clock.fast_forward(TWO_BEATS)
        assert_it_knows_nothing(tab)


def test_a_holder_without_a_sign_of_life_is_not_called_under_way(tab: Page, night: Night, served: Site) -> None:
    """A lock on a shared disk outlives the machine that held it: the run's files tell."""
    a_run_under_way(night)
    life = reads_path(night.state_dir, RUN)
    life.parent.mkdir()
    life.write_text("{}")
    with night.held():
        opened(tab, served)
        assert tab.inner_text("#outcome") != "no sign of life"
        long_ago = life.stat().st_mtime - SILENT_AFTER - 1
        os.utime(life, (long_ago, long_ago))
        tab.wait_for_selector("#outcome:has-text('no sign of life')")
        assert HOLDER in tab.inner_text("#needs")
        os.utime(life)
        tab.wait_for_selector("#outcome:not(:has-text('no sign of life'))")


def test_a_run_that_is_stopped_in_mid_run_gives_no_sign_of_life(night: Night) -> None:
    """The process is there and holds its lock, and its file's time stands still."""
    with rehearsal(night.state_dir) as process:
        place = night.state_dir / "reads"
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
        "addEventListener('DOMContentLoaded', () => { window.seen = []; new MutationObserver(() => {"
        "const it = document.getElementById('loading'); if (it && !it.hidden) seen.push(it.textContent); })"
        ".observe(document, {subtree: true, childList: true}); });"
    )
    opened(tab, served)
    assert "Loading the run …" in tab.evaluate("window.seen")
    assert not tab.is_visible("#loading")


def test_a_window_that_nobody_looks_at_follows_too(browser: Browser, night: Night, served: Site) -> None:
    """More than six windows of one browser share one connection, and each is current."""
    a_run_under_way(night)
    with night.held(), browser.new_context() as context:
        first = context.new_page()
        first.goto(served.address)
        first.wait_for_url(f"{served.origin}/")
        pages = []
        for _ in range(7):
            with context.expect_page(
                timeout=90_000
            ) as opening:  # of one process: each of its own takes a second to begin
                first.evaluate("address => { open(address); }", f"{served.origin}/runs/{RUN}")
            pages.append(opening.value)
        for page in pages:
            page.set_default_timeout(90_000)
            page.wait_for_selector("#rows tr[data-index]")
        night.write(*cutover_of("orders", NOW + 2))
        for page in pages:
            page.wait_for_selector("#rows tr[data-index='0'] .state:has-text('SUCCESS')")
