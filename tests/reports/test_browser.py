"""The HTML report in a real browser."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from orchestrator.core.outcomes import Outcome
from orchestrator.core.window import AbsoluteWindow
from orchestrator.reports.render import write_all

from ..chromium import NEEDS_CHROMIUM, Busy
from .conftest import START, Ending, MakeReport

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

    OpenReport = Callable[..., Page]

SERIOUS = {"serious", "critical"}
SECONDS = 2.0  # in which 5,000 rows open, and in which they are sorted
SORTED = (
    "name => new Promise(done => {"
    "  [...document.querySelectorAll('#columns button')].find(b => b.textContent === name).click();"
    "  requestAnimationFrame(() => setTimeout(done, 0)); })"
)

pytestmark = NEEDS_CHROMIUM


def waves(count: int) -> dict[str, dict[str, Ending]]:
    """*count* migrations in two waves, some of which need a person."""
    dice = random.Random(count)
    endings = {}
    for number in range(count):
        ending = Ending(seconds=round(dice.uniform(2, 40), 1))
        if number % 19 == 7:
            ending = Ending(Outcome.FAILED, f"<i>batch {number}</i> & no more", 12)
        elif number % 41 == 9:
            ending = Ending(Outcome.IN_DOUBT, "the answer was lost", 30)
        endings[f"orders-{number:04}"] = ending
    names = list(endings)
    half = count // 2
    return {"canary": {n: endings[n] for n in names[:half]}, "rest": {n: endings[n] for n in names[half:]}}


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab in which one report after another is opened: a new one takes more processor time than a report."""

    page: Page
    complaints: list[str]


@contextmanager
def tab_of(context: BrowserContext) -> Iterator[Tab]:
    """A tab that writes down whatever it complains of, and whomever it asks for anything."""
    with context:
        page = context.new_page()
        complaints: list[str] = []

        def note_request(request: Request) -> None:
            if not request.url.startswith("file:"):
                complaints.append(request.url)

        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", note_request)
        page.set_default_timeout(90_000)
        yield Tab(page, complaints)


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Tab]:
    """The tab of this module."""
    with tab_of(browser.new_context()) as tab:
        yield tab


@pytest.fixture(scope="module")
def examined_tab(browser: Browser) -> Iterator[Tab]:
    """One into which a script can be put that examines the page."""
    with tab_of(browser.new_context(bypass_csp=True)) as tab:
        yield tab


@pytest.fixture
def open_in(report_of: MakeReport, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the report of a run of so many migrations in a tab; anything that the page complains of fails the test."""
    tabs: list[Tab] = []

    def open_(tab: Tab, count: int, *, width: int = 1280, scheme: Literal["light", "dark"] = "light") -> Page:
        path = tmp_path / "report.html"
        window = AbsoluteWindow(opens=START, closes=START + 100)
        write_all(report_of(waves(count), window=window, at_once=max(5, count // 10)), [path])
        page = tab.page
        tabs.append(tab)
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(media="screen", color_scheme=scheme)
        page.goto(path.as_uri())
        page.wait_for_selector("#rows tr[data-index]", state="attached")
        return page

    yield open_
    for tab in tabs:
        complaints = tab.complaints.copy()
        tab.complaints.clear()
        assert complaints == []


@pytest.fixture
def open_report(open_in: Callable[..., Page], tab: Tab) -> OpenReport:
    """The same in `tab`."""
    return partial(open_in, tab)


def names(page: Page) -> list[str]:
    """The names in the table that are in the document, from the top."""
    return [text.split("\n")[0] for text in page.locator("#rows tr[data-index] button.link").all_inner_texts()]


def test_rows_can_be_sorted_both_ways_and_back(open_report: OpenReport) -> None:
    """A third click gives workflow order again; the head says which way it is sorted."""
    page = open_report(10)
    order = names(page)
    head = page.locator("#columns [data-key=time]")
    seen = []
    for expected in ("ascending", "descending", "none"):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == expected
        seen.append(names(page))
    assert seen[0] != order
    assert seen[1] not in (order, seen[0])
    assert seen[2] == order


def test_rows_can_be_searched_and_filtered(open_report: OpenReport) -> None:
    """By text, by outcome, by wave; a tile shows all of one outcome."""
    page = open_report(100)
    page.get_by_label("Search").fill("BATCH 7<")
    page.wait_for_selector("#count:has-text('1 of 100 shown')")
    assert names(page) == ["orders-0007"]
    page.get_by_label("Search").fill("")
    page.select_option("#by-state", "IN_DOUBT")
    page.wait_for_selector("#count:has-text('3 of 100 shown')")
    assert names(page) == ["orders-0009", "orders-0050", "orders-0091"]
    page.select_option("#by-wave", label="canary")
    page.wait_for_selector("#count:has-text('1 of 100 shown')")
    assert names(page) == ["orders-0009"]
    page.locator("a[data-outcome=FAILED]").click()
    assert names(page) == ["orders-0007", "orders-0026", "orders-0045", "orders-0064", "orders-0083"]


def test_all_about_a_migration_is_in_its_dialog(open_report: OpenReport) -> None:
    """With what to do, and times in UTC."""
    page = open_report(20)
    page.get_by_role("button", name="orders-0007", exact=True).click()
    text = page.inner_text("#details")
    assert "What to do" in text
    assert re.search(r"Cutover requested\s+2026-11-28 00:00:\d\d UTC", text)
    page.get_by_role("button", name="Close").click()
    assert not page.is_visible("#details")


def test_text_of_atlas_stays_text(open_report: OpenReport) -> None:
    """No element comes of a message."""
    page = open_report(20)
    assert page.locator("i").count() == 0
    assert page.get_by_text("<i>batch 7</i> & no more").count() >= 1


def test_the_timeline_draws_every_migration(open_report: OpenReport) -> None:
    """One piece of a path per cutover, one per wait, and a description for those who do not see it."""
    page = open_report(40)
    drawn = page.locator("#timeline path[class^=t-bar]").evaluate_all(
        "ps => ps.map(p => p.getAttribute('d').split('M').length - 1)"
    )
    assert sum(drawn) == 40
    assert page.locator("#timeline path.t-gate").evaluate("p => p.getAttribute('d').split('M').length - 1") == 40
    assert page.locator("#timeline rect.t-window").count() >= 1
    assert "FAILED" in (page.locator("#timeline svg[role=img]").get_attribute("aria-label") or "")


@pytest.mark.parametrize("width", [1280, 375])
def test_five_thousand_rows_open_and_sort_in_two_seconds(open_report: OpenReport, width: int) -> None:
    """Opening counts from navigation to the last script; sorting until the next frame is laid out; both in processor time."""
    page = open_report(5000, width=width)
    busy = Busy(page)
    page.reload()
    page.wait_for_selector("#rows tr[data-index]", state="attached")
    assert busy.seconds() < SECONDS
    for column in ("Cutover", "State", "Migration"):
        busy = Busy(page)
        page.evaluate(SORTED, column)
        assert busy.seconds() < SECONDS


def test_rows_come_as_they_are_scrolled_to(open_report: OpenReport) -> None:
    """Only those that are seen are in the document."""
    page = open_report(1000)
    assert len(names(page)) < 60
    page.evaluate("document.querySelector('#rows-scroller').scrollTo(0, 1e9)")
    page.wait_for_selector("#rows tr[aria-rowindex='1001']")


PAPER = """() => { dispatchEvent(new Event("beforeprint")); const paper = document.querySelector("#paper");
    const told = [paper.innerText, paper.querySelectorAll("tbody tr").length]; dispatchEvent(new Event("afterprint"));
    return [...told, paper.childElementCount]; }"""


def test_on_paper_are_problems_what_is_filtered_or_all_on_request(open_report: OpenReport) -> None:
    """A morning's report of a thousand is no book; afterwards nothing of it is left in the document."""
    page = open_report(1000)
    page.emulate_media(media="print")
    text, rows, left = page.evaluate(PAPER)
    assert text.startswith("77 of 1,000 migrations: those without SUCCESS.")
    assert (rows, "orders-0007" in text, "orders-0008" in text, left) == (77, True, False, 0)
    page.emulate_media(media="screen")
    page.check("#print-all")
    page.emulate_media(media="print")
    text, _, _ = page.evaluate(PAPER)
    assert text.startswith("All 1,000 migrations.")
    lines = text.split("\n")
    assert sum(line.startswith("orders-") for line in lines) == 1000
    assert (
        lines[lines.index(next(line for line in lines if line.startswith("orders-0007"))) + 1].strip()
        == "<i>batch 7</i> & no more"
    )
    page.emulate_media(media="screen")
    page.locator("a[data-outcome=IN_DOUBT]").click()
    page.emulate_media(media="print")
    text, rows, _ = page.evaluate(PAPER)
    assert (rows, text.startswith("24 of 1,000 migrations: those that pass the filters.")) == (24, True)


def test_on_paper_nothing_is_left_to_press_or_to_scroll(open_report: OpenReport) -> None:
    """And a short run has all of its migrations there."""
    page = open_report(20)
    page.emulate_media(media="print")
    text, rows, _ = page.evaluate(PAPER)
    assert (rows, "orders-0019" in text, "All 20 migrations." in text) == (20, True, True)
    for selector in (".filters", ".scroller.rows", "button.copy"):
        assert not page.locator(selector).first.is_visible()
    assert page.locator(".problem").first.is_visible()


@pytest.mark.chaos
def test_twenty_thousand_rows_are_printed_in_seconds(open_report: OpenReport) -> None:
    """All of them, into a PDF of some hundred pages: as a table that took 141 s."""
    page = open_report(20_000)
    page.check("#print-all")
    busy = Busy(page)
    assert page.pdf().startswith(b"%PDF")
    assert busy.seconds() < 15


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_serious_against_accessibility(
    open_in: Callable[..., Page], examined_tab: Tab, width: int, scheme: str
) -> None:
    """Axe finds no serious or critical violation, and a phone need not scroll sideways."""
    axe = pytest.importorskip("axe_playwright_python")
    source = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    page = open_in(examined_tab, 30, width=width, scheme=scheme)
    page.evaluate(source)
    found = page.evaluate("axe.run()")["violations"]
    assert [violation["id"] for violation in found if violation["impact"] in SERIOUS] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_readers_without_scripts_get_a_table(open_report: OpenReport, browser: Browser, tmp_path: Path) -> None:
    """The outcome, the problems and a plain table are there; the empty timeline is not."""
    open_report(20)
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((tmp_path / "report.html").as_uri())
    assert page.locator("noscript .notice").is_visible()
    assert page.locator("noscript tr", has_text="orders-0003").is_visible()
    assert not page.get_by_role("heading", name="Timeline").is_visible()
    page.context.close()
