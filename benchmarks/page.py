"""How quick the status page is with a large run, as a reader sees it in a browser."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.figures import table
from benchmarks.fleet import EVERY, RUN, TOKEN, begin, cpu_of, going_on, keep, names_of
from orchestrator.store.journal import open_journal
from orchestrator.store.locks import locked, run_lock
from tests.chromium import CHROMIUM, Busy, launched

if TYPE_CHECKING:
    from playwright.sync_api import Page

REPETITIONS = 5

_WATCHED = """
  window.SharedWorker = undefined;  // so that what comes is seen here
  window.deltas = [];
  const Own = window.EventSource;
  window.EventSource = class extends Own {
    constructor(...given) {
      super(...given);
      this.addEventListener("delta", ({ data }) => deltas.push(new TextEncoder().encode(data).length));
    }
  };
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  new MutationObserver(() => {
    const said = document.querySelector("#count")?.textContent || "";
    if (document.querySelector("#loading:not([hidden])")) window.placeholder ??= now();
    if (document.querySelector("#rows tr[data-index]")) window.first ??= now();
    if (/^[\\d,]+ shown$/.test(said)) window.whole ??= now();
  }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""
_DRAWN = "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
_ACTS = {
    "search": "const it = document.querySelector('#search'); it.value = it.value ? '' : 'db-09'; it.dispatchEvent(new Event('input'));",
    "sort by name": "document.querySelector('#columns [data-key=name] button').click();",
    "sort by time": "document.querySelector('#columns [data-key=time] button').click();",
    "filter by state": "const it = document.querySelector('#by-state'); it.value = it.value ? '' : 'SUCCESS'; it.dispatchEvent(new Event('change'));",
    "scroll": "const it = document.querySelector('#rows-scroller'); it.scrollTo(0, it.scrollTop ? 0 : 1e9);",
}


def measure(*, quick: bool) -> str:
    """The section on the page in a browser."""
    if CHROMIUM is None:
        return "## The page in a browser\n\nNot measured: chromium is not installed."
    size, seconds = (500, 5.0) if quick else (20_000, 30.0)
    with TemporaryDirectory() as directory:
        rows = list(_figures(Path(directory), size, seconds))
    return (
        f"## The page in a browser\n\n{size:,} migrations, half of them cut over, five events each. Cold: a `serve` and a browser profile that have just been started; "
        f"after that 10 migrations and 50 events a second for {seconds:.0f} s.\n\n{table(('what', 'took', 'processor time'), rows)}"
    )


def _figures(directory: Path, size: int, seconds: float) -> Iterator[tuple[str, str, str]]:
    state_dir, token, names = directory / "state", directory / "token", names_of(size)
    keep(token)
    with (
        open_journal(state_dir) as journal,
        locked(run_lock(state_dir, RUN), holder="benchmark"),
        launched() as browser,
    ):
        begin(journal, names)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(_WATCHED)
        with _serving(state_dir, token) as (process, origin):
            stood, before = time.time(), cpu_of(process.pid)
            page.goto(f"{origin}/runs/{RUN}")
            page.fill("input[name=token]", TOKEN)
            asked = time.time()
            page.click("button")
            page.wait_for_selector("#rows tr[data-index]", timeout=300_000)
            cpu = cpu_of(process.pid) - before
            placeholder, first, whole = _seen(page)
            yield "cold: placeholder, from when the run was asked for", f"{placeholder - asked:.2f} s", ""
            yield "cold: first rows", f"{first - asked:.2f} s", f"{cpu:.2f} s of `serve`"
            yield "cold: first rows, from when `serve` stood", f"{first - stood:.2f} s", ""
            yield "cold: all rows", f"{whole - asked:.2f} s", f"{cpu_of(process.pid) - before:.2f} s of `serve`"
            asked = time.time()
            page.reload(wait_until="commit")
            busy = Busy(page)
            _, first, whole = _seen(page)
            yield "warm: first rows", f"{first - asked:.2f} s", f"{busy.seconds():.2f} s of the page"
            for name, script in _ACTS.items():
                took = sorted(_until_drawn(page, script) for _ in range(REPETITIONS))
                (wall, _), cpu = took[REPETITIONS // 2], statistics.median(cpu for _, cpu in took)
                yield f"{name}, until it is drawn", f"{1000 * wall:.0f} ms", f"{1000 * cpu:.0f} ms of the page"
            for _ in going_on(journal, names[size // 2 :], seconds):
                page.wait_for_timeout(EVERY * 1000)
            sizes = page.evaluate("window.deltas")
            yield (
                f"{len(sizes)} deltas: mean, largest",
                f"{statistics.mean(sizes) / 1000:.1f}, {max(sizes) / 1000:.1f} kB",
                "",
            )


@contextmanager
def _serving(state_dir: Path, token: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    arguments = ["serve", "--port", "0", "--state-dir", str(state_dir), "--token-file", str(token)]
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip().rstrip("/")
    finally:
        process.terminate()
        process.wait()


def _seen(page: Page) -> tuple[float, float, float]:
    """When placeholder, first rows and all rows were there, in Unix seconds."""
    page.wait_for_selector("#count:text-matches('^[0-9,]+ shown$')", timeout=300_000)
    placeholder, first, whole = page.evaluate("[window.placeholder, window.first, window.whole]")
    return float(placeholder), float(first), float(whole)


def _until_drawn(page: Page, script: str) -> tuple[float, float]:
    """Seconds, and how many of them the page's thread was busy."""
    busy = Busy(page)
    took = page.evaluate(
        f"async () => {{ const start = performance.now(); {{ {script} }} return (await {_DRAWN}) - start; }}"
    )
    return float(took) / 1000, busy.seconds()
