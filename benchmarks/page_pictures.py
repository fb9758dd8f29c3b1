"""The pictures of the status page in docs/images: runs written down by hand, looked at in Debian's chromium.

    python -m benchmarks.page_pictures [DIRECTORY]

They are of the page as it is: make them again when it has changed, and look at each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from benchmarks.fleet import TOKEN, keep
from orchestrator.core import events as ev
from orchestrator.core.outcomes import Outcome
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Wave, Workflow
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.locks import locked, run_lock
from tests.builders import migration
from tests.chromium import launched

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WHO = "ops@bastion (pid 4711)"
HOUR = 3600.0
FRONT = ("carts", "checkout", "customers", "inventory", "ledger", "payments", "pricing", "returns", "reviews", "search", "sessions", "shipping")  # fmt: skip
BACK = ("archive", "audit", "exports", "invoices", "mail", "metrics", "vouchers")
REFUSED = (
    "PUT /api/atlas/v2/groups/{group}/liveMigrations/{job}/cutover: 409 CANNOT_CUTOVER: the live migration is resyncing"
)
DESK, PHONE = (1280, 900), (390, 844)


def fleet(now: float, first: int) -> Workflow:
    """Migrations of their own, from number *first* on, in three waves, of which the last is to be approved, and a window that is open for two hours more."""
    places = {name: number for number, name in enumerate(("orders", *FRONT, *BACK))}
    jobs = {
        name: replace(
            migration(name), live_migration_id=f"{0x659CE44C03CA1E348B1E992A + 0x10F3D7 * (first + place):024x}"
        )
        for name, place in places.items()
    }
    waves = (
        Wave(name="canary", concurrency=1, max_failures=0, migrations=(jobs["orders"],)),
        Wave(name="front-office", concurrency=4, max_failures=6, migrations=tuple(jobs[name] for name in FRONT)),
        Wave(name="back-office", approval=True, max_failures=2, migrations=tuple(jobs[name] for name in BACK)),
    )
    window = AbsoluteWindow(opens=now - HOUR, closes=now + 2 * HOUR, reserve=HOUR / 2)
    return Workflow(name="retail-eu", waves=waves, sha256="ab" * 32, window=window)


def cutover(
    name: str,
    at: float,
    outcome: Outcome = Outcome.SUCCESS,
    said: str | None = None,
    *,
    took: float = 31.0,
    steps: int = 5,
) -> Sequence[ev.Event]:
    """The first *steps* of what happens to a migration, from its gate at *at* on."""
    word = {Outcome.FAILED: "FAILED", Outcome.TIMED_OUT: "WORKING", Outcome.IN_DOUBT: "WORKING"}.get(
        outcome, "COMPLETE"
    )
    return [
        ev.GateWaiting(at=at, migration=name, status="WORKING", ready=False, lag=40.0, max_lag=10.0),
        ev.GateOpened(at=at + 12, migration=name, status="WORKING", ready=True, lag=2.0),
        ev.CutoverRequested(at=at + 13, migration=name),
        ev.CutoverAccepted(at=at + 13.3, migration=name, http_status=202, status="WORKING"),
        ev.MigrationFinished(
            at=at + 13 + took, migration=name, outcome=outcome, status=word, error_message=said, polls=5
        ),
    ][:steps]


def before(given: Workflow, began: float) -> list[ev.Event]:
    """The canary, and that the next wave has begun."""
    window = given.window
    assert isinstance(window, AbsoluteWindow)
    return [
        ev.WindowOpened(at=began, opens=window.opens, closes=window.closes, last_start=window.closes - window.reserve),
        ev.WaveStarted(at=began, wave="canary", migrations=1, concurrency=1),
        *cutover("orders", began),
        ev.WaveFinished(at=began + 60, wave="canary", counts={"SUCCESS": 1}),
        ev.WaveStarted(at=began + 61, wave="front-office", migrations=len(FRONT), concurrency=4),
    ]


def failures(given: Workflow, now: float) -> Iterator[ev.Event]:
    """Of each kind one, a refusal of two, and a hook."""
    began = now - 1500
    start = began + 62
    lost = "the PUT's answer was lost (no answer within 30s), and the job does not show whether the cutover began"
    yield from before(given, began)
    yield from cutover("carts", start)
    yield from cutover("checkout", start + 5)
    for name in ("customers", "sessions"):
        job = next(m for _, m in given.migrations() if m.name == name)
        yield from cutover(
            name, start + 9, Outcome.FAILED, REFUSED.format(group=job.group_id, job=job.live_migration_id), took=3.0
        )
    yield from cutover("inventory", start + 50, Outcome.TIMED_OUT, "accepted, but not final within 15m", took=900.0)
    yield from cutover("ledger", start + 60)
    yield from cutover("payments", start + 95)
    yield from cutover("pricing", start + 100, steps=3)
    yield ev.CutoverInDoubt(at=start + 143, migration="pricing", reason="no answer within 30s", settle=30.0)
    yield ev.MigrationFinished(
        at=start + 1040, migration="pricing", outcome=Outcome.IN_DOUBT, status="WORKING", error_message=lost, polls=90
    )
    yield from cutover("returns", start + 130, Outcome.UNVERIFIED, "verify hook: ./verify.sh ended with 1")
    yield from cutover("search", start + 170)
    yield ev.HookFinished(
        at=start + 220,
        hook="after_success",
        argv=("./switch.sh",),
        exit_code=3,
        seconds=1.0,
        wave="front-office",
        migration="search",
        output="no route to host",
    )
    yield from cutover("shipping", start + 210, steps=1)
    yield ev.MigrationFinished(
        at=start + 1110,
        migration="shipping",
        outcome=Outcome.FAILED,
        status="WORKING",
        error_message="the gate did not open in 15m: it lags 41 s, and 10 s is allowed",
        polls=90,
    )
    yield from cutover("reviews", now - 40, steps=4)


def approval(given: Workflow, now: float) -> Iterator[ev.Event]:
    """Two waves are done, with one failure, and the third waits for somebody."""
    began = now - 700
    yield from before(given, began)
    for number, name in enumerate(FRONT):
        bad = name == "search"
        yield from cutover(
            name, began + 62 + 25 * number, *((Outcome.FAILED, "the destination ran out of disk space") if bad else ())
        )
    yield ev.WaveFinished(at=now - 300, wave="front-office", counts={"SUCCESS": len(FRONT) - 1, "FAILED": 1})
    yield ev.ApprovalWaiting(at=now - 299, wave="back-office")


def quiet(given: Workflow, now: float) -> Iterator[ev.Event]:
    """All goes well, and goes on."""
    yield from before(given, now - 420)
    for number, name in enumerate(FRONT[:9]):
        yield from cutover(name, now - 358 + 34 * number)
    yield from cutover(FRONT[9], now - 35, steps=4)
    yield from cutover(FRONT[10], now - 28, steps=4)
    yield from cutover(FRONT[11], now - 9, steps=1)


def begin(journal: Journal, run_id: str, events: Iterator[ev.Event], given: Workflow, at: float) -> None:
    """Write down a run of *given*."""
    selected = tuple(m.name for _, m in given.migrations())
    started = ev.RunStarted(at=at, workflow=given, base_url="https://cloud.mongodb.com/api/atlas/v2", rehearsal=False, selected=selected, who=WHO, version="0.1.0")  # fmt: skip
    journal.begin(run_id, given, started)
    journal.commit(run_id, sorted(events, key=lambda event: event.at), {})


@contextmanager
def serving(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The page of the state directory that a user in *home* has: no command on it names another."""
    token = home / "token"
    keep(token)
    command = [sys.executable, "-m", "orchestrator", "serve", "--port", "0", "--token-file", str(token)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ATLAS_CUTOVER_"))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment | {"HOME": str(home)}) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip().rstrip("/")
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


def looked_at(page: Page, origin: str, run_id: str) -> None:
    """Have the page of a run on the screen."""
    page.goto(f"{origin}/runs/{run_id}")
    if page.is_visible("input[name=token]"):
        page.fill("input[name=token]", TOKEN)
        page.click("button")
    page.wait_for_selector("#link-state.success")
    page.wait_for_selector("#rows tr[data-index]")
    page.wait_for_timeout(500)


def main(directory: Path = IMAGES) -> None:
    """Make all of them."""
    now, runs = time.time(), {}
    with TemporaryDirectory() as made, ExitStack() as stack:
        home = Path(made)
        state_dir = home / ".local" / "state" / "atlas-cutover"
        with open_journal(state_dir) as journal:
            for number, (story, ago) in enumerate(((failures, 1500), (approval, 700), (quiet, 420))):
                run_id = runs[story] = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now - ago))}-3f9a1{number:x}"
                given = fleet(now, 100 * number)
                begin(journal, run_id, story(given, now), given, now - ago)
                stack.enter_context(locked(run_lock(state_dir, run_id), holder=f"{WHO}, run {run_id}"))
        process, origin = stack.enter_context(serving(home))
        browser = stack.enter_context(launched())

        def tab(size: tuple[int, int], scheme: Literal["light", "dark"] = "light") -> Page:
            window: ViewportSize = {"width": size[0], "height": size[1]}
            return browser.new_page(viewport=window, color_scheme=scheme, locale="en-GB", timezone_id="Europe/Berlin")

        page = tab((1280, 1900))
        looked_at(page, origin, runs[failures])
        page.screenshot(path=directory / "status-page-desktop-light.png")
        page = tab(PHONE, "dark")
        looked_at(page, origin, runs[failures])
        page.screenshot(path=directory / "status-page-phone-dark.png")
        page = tab(DESK)
        looked_at(page, origin, runs[approval])
        page.click("#needs button.primary")
        for field, text in (("who", "Ada"), ("reason", "front office looks good"), ("count", str(len(BACK)))):
            page.fill(f"#confirm-{field}", text)
        page.screenshot(path=directory / "status-page-approving.png")
        page = tab(DESK)
        looked_at(page, origin, runs[quiet])
        process.send_signal(signal.SIGSTOP)
        page.wait_for_selector("#no-news:not([hidden])")
        page.screenshot(path=directory / "status-page-no-news.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
