"""The picture of docs/polling.md: the wait between two reads of one job, against how many jobs share a budget."""

from __future__ import annotations

import math

from orchestrator.core.polling import backoff, fair_share, poll_wait
from orchestrator.core.settings import Polling

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 30, 46
MOST_JOBS, MOST_SECONDS = 1000, 130.0
PER, REQUESTS = 60.0, 500
LATE = 20  # a read number at which backoff alone has long reached its longest wait


def picture() -> str:
    """The picture as SVG; both axes are logarithmic."""
    policy = Polling()
    rate = REQUESTS / PER
    jobs = [round(10 ** (step / 40)) for step in range(121)]
    shares = [fair_share(jobs=count, rate=rate, spare=0.0, per=PER) for count in jobs]
    waits = [poll_wait(policy, LATE, share=share, random=0.0) for share in shares]
    got = [
        max(wait, share) for wait, share in zip(waits, shares, strict=True)
    ]  # beyond the budget, tokens are waited for
    parts = [_axes()]
    parts.append(_line(jobs, [backoff(policy, LATE)] * len(jobs), "#8a5a00", "6 4"))
    parts.append(_line(jobs, shares, "#767676", "2 4"))
    parts.append(_line(jobs, got, "#0b5cad", None))
    parts.append(_label(2, 38, "backoff alone, after a while: 30 s", "#8a5a00"))
    parts.append(_label(3, 0.5, "M / R: what the budget allows", "#5a5a5a"))
    parts.append(_label(1.2, 2.5, "this program: never below initial, never above what is there", "#0b5cad"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<title>Wait between two reads of one job against jobs under way</title><rect width="100%" height="100%" '
        f'fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _x(jobs: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(jobs) / math.log10(MOST_JOBS)


def _y(seconds: float) -> float:
    low, high = math.log10(0.1), math.log10(MOST_SECONDS)
    share = (math.log10(max(0.1, seconds)) - low) / (high - low)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _axes() -> str:
    marks = []
    for seconds in (0.1, 1, 2, 10, 30, 120):
        y = _y(seconds)
        marks.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e2e2"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{seconds:g} s</text>'
        )
    marks += [
        f'<text x="{_x(jobs):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{jobs}</text>'
        for jobs in (1, 10, 100, 1000)
    ]
    marks.append(
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">jobs under way in one project '
        f"({REQUESTS} requests per {PER:.0f} s)</text>"
    )
    return "".join(marks)


def _line(jobs: list[int], seconds: list[float], colour: str, dashes: str | None) -> str:
    points = " ".join(f"{_x(count):.1f},{_y(value):.1f}" for count, value in zip(jobs, seconds, strict=True))
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{pattern}/>'


def _label(jobs: float, seconds: float, text: str, colour: str) -> str:
    return f'<text x="{_x(jobs):.1f}" y="{_y(seconds) - 6:.1f}" fill="{colour}">{text}</text>'
