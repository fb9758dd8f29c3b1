"""What the live display shows, as lines of text that fit the terminal. Pure: told the time and the size."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ...core.run import RunState
from ...text.counts import plural
from ...text.durations import rough_duration
from ...text.escaping import one_line
from .tally import CUTOVER, GATE, Tally, WaveTally

LONGEST_NAME = 24
BAR = 20
MOST_WAVES = 12
_NARROW = 60
_STYLES = {
    "SUCCESS": "green",
    "FAILED": "bold red",
    "UNVERIFIED": "bold red",
    "TIMED_OUT": "bold yellow",
    "IN_DOUBT": "bold yellow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The terminal: columns, rows, and whether it can show more than ASCII."""

    columns: int
    rows: int
    ascii_only: bool = False


def board(tally: Tally, state: RunState, *, now: float, size: Size) -> list[Text]:
    """The lines of the display, at most ``size.rows - 1`` of them, none as wide as the terminal."""
    room = max(1, size.rows - 1)
    top = [_header(tally, state, now)]
    bottom = [*_waiting(tally, state, now), *_time_left(tally, state, now)]
    rest = room - len(top) - len(bottom)
    waves = _waves(tally, size, max(1, min(MOST_WAVES, rest // 2))) if rest > 0 else []
    rows = _migrations(tally, state, now, size, rest - len(waves))
    lines = [*top, *waves, *rows, *bottom][:room]
    for line in lines:
        line.truncate(max(1, size.columns - 1), overflow="crop" if size.ascii_only else "ellipsis")
    return lines


def _header(tally: Tally, state: RunState, now: float) -> Text:
    line = Text("REHEARSAL " if state.rehearsal else "", style="bold magenta")
    line.append(state.workflow.name or state.run_id, style="bold")
    line.append(f"  {tally.finished}/{tally.total} done", style="not bold default")
    if state.started_at is not None:
        line.append(f"  {rough_duration(now - state.started_at)}", style="not bold default")
    if state.aborted_by is not None:
        line.append(f"  aborted by {state.aborted_by}", style="bold yellow")
    return line


def _waves(tally: Tally, size: Size, most: int) -> list[Text]:
    """One line for each wave; where they are too many, those that matter now."""
    waves = list(tally.waves.values())
    if len(waves) <= most:
        return [_wave(wave, size) for wave in waves]
    first = next((i for i, wave in enumerate(waves) if wave.finished < wave.total), len(waves) - 1)
    shown = waves[first : first + most - 1]
    over = f"({plural(first, 'wave')} done, {len(waves) - first - len(shown)} to come)"
    return [*(_wave(wave, size) for wave in shown), Text(over, style="dim")]


def _wave(wave: WaveTally, size: Size) -> Text:
    full, empty = ("#", ".") if size.ascii_only else ("\N{FULL BLOCK}", "\N{LIGHT SHADE}")
    width = BAR if size.columns >= _NARROW else BAR // 2
    done = wave.finished * width // wave.total
    line = Text(f"{_fit(wave.name, size)} ", style="bold" if wave.active else "")
    line.append(full * done, style="not bold green")
    line.append(empty * (width - done), style="not bold dim")
    line.append(f" {wave.finished}/{wave.total}", style="not bold default")
    for word, number in wave.counts().items():
        line.append(f"  {number} {word}", style=f"not bold {_STYLES.get(word, 'default')}")
    return line


def _migrations(tally: Tally, state: RunState, now: float, size: Size, most: int) -> list[Text]:
    """One line for each migration under way, those past their PUT first."""
    if most <= 0 or not tally.under_way:
        return []
    names: list[str] = []
    for stage in (CUTOVER, GATE):
        for name, its in tally.under_way.items():
            if its == stage:
                names.append(name)
                if len(names) == most:
                    break
        if len(names) == most:
            break
    more = len(tally.under_way) - len(names)
    if more:
        names.pop()
        return [*(_migration(name, state, now, size) for name in names), Text(f"  and {more + 1} more", style="dim")]
    return [_migration(name, state, now, size) for name in names]


def _migration(name: str, state: RunState, now: float, size: Size) -> Text:
    known = state.migrations[name]
    since = known.requested_at or known.gate_opened_at or known.gate_since
    lag = f"lag {rough_duration(known.lag)}" if known.lag is not None else ""
    status = f"{one_line(known.remote_status or '-'):8}"
    waited = rough_duration(now - since) if since is not None else ""
    parts = [(status, "cyan"), (lag, "cyan"), (waited, ""), (one_line(known.note or ""), "dim")]
    if size.columns < _NARROW:
        parts.append(parts.pop(0))  # the lag is what is looked at
    shown = Text("  ").join(Text(text, style=style) for text, style in parts if text)
    return Text(f"  {_fit(name, size)} {known.phase:9} ").append_text(shown)


def _waiting(tally: Tally, state: RunState, now: float) -> list[Text]:
    lines = [
        Text(f"waits {rough_duration(now - wait.since)} for {one_line(wait.what)}", style="yellow")
        for wait in tally.waits(state, now)
    ]
    if state.stopped:
        lines.append(Text(f"no further cutover starts: {one_line(state.stopped)}", style="bold yellow"))
    return lines


def _time_left(tally: Tally, state: RunState, now: float) -> list[Text]:
    parts = []
    if state.window_closes is not None and state.window_opens is None:
        left = state.window_closes - now
        starts = left if state.opening is None else state.opening.last_start - now
        if 0 < starts < left:
            parts.append(f"cutovers may start for {rough_duration(starts)}")
        parts.append(f"window closes in {rough_duration(left)}" if left > 0 else "window closed")
    if text := estimate_text(tally):
        parts.append(f"cutovers left: {text}")
    return [Text("  ".join(parts))] if parts else []


def estimate_text(tally: Tally) -> str:
    """The estimate in words; empty where there is none, or nothing is left."""
    left = tally.estimate()
    if left is None or tally.finished == tally.total:
        return ""
    low, high = rough_duration(left.low), rough_duration(left.high)
    return f"about {high}" if low == high else f"{low} to {high}"


def _fit(name: str, size: Size) -> str:
    width = min(LONGEST_NAME, size.columns // 3)
    if cell_len(name) > width:
        name = set_cell_size(name, width - 1) + ("~" if size.ascii_only else "\N{HORIZONTAL ELLIPSIS}")
    return set_cell_size(name, width)
