"""The waves of a run on a terminal: name, bar, how its migrations stand, and its failures against what it may have. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from ...core.run import RunState
from ...core.standing import budget_in_words
from ...machine.columns import longest, shortened, wrapped
from ...text.counts import plural
from .tally import Tally, WaveTally

if TYPE_CHECKING:
    from .board import Size

BAR = 20
LONGEST_NAME = 24
"""Columns for the name of a wave, or a migration, at most."""
_ONE_LINE = 60
_STYLES = {
    "SUCCESS": "green",
    "FAILED": "bold red",
    "UNVERIFIED": "bold red",
    "TIMED_OUT": "bold yellow",
    "IN_DOUBT": "bold magenta",
    "answer lost": "bold magenta",
}


def lines(tally: Tally, state: RunState, size: Size, most: int) -> list[Text]:
    """The waves in at most *most* lines; where they do not fit, those that matter now, and how many there are of the others."""
    waves = list(tally.waves.values())
    width = min(longest(wave.name for wave in waves), LONGEST_NAME, size.columns // 3)
    blocks = [_wave(wave, state, size, width) for wave in waves]
    if sum(map(len, blocks)) <= most:
        return [line for block in blocks for line in block]
    first = next((i for i, wave in enumerate(waves) if wave.finished < wave.total), len(waves) - 1)
    shown: list[Text] = []
    last = first
    while last < len(blocks) and (last == first or len(shown) + len(blocks[last]) < most):
        shown += blocks[last]
        last += 1
    over = f"({plural(first, 'wave')} done, {len(waves) - last} to come)"
    return [*shown[: max(1, most - 1)], Text(over, style="dim")]


def _wave(wave: WaveTally, state: RunState, size: Size, name_width: int) -> list[Text]:
    full, empty = ("#", ".") if size.ascii_only else ("\N{FULL BLOCK}", "\N{LIGHT SHADE}")
    width = BAR if size.columns >= _ONE_LINE else BAR // 2
    done = wave.finished * width // wave.total
    style = "bold" if wave.active else ""
    bar = Text(full * done, style="not bold green").append(empty * (width - done), style="not bold dim")
    bar.append(f" {wave.finished}/{wave.total}", style="not bold default")
    if size.narrow:
        told = ", ".join(f"{number} {word}" for word, number in wave.counts().items())
        named = Text(shortened(wave.name, size.width, size.ellipsis).rstrip(), style=style)
        return [named, Text("  ").append_text(bar), *_indented(told, size), *_budget(wave, state, size)]
    fitted = shortened(wave.name, name_width, size.ellipsis)
    line = Text(f"{fitted} ", style=style).append_text(bar)
    counts = wave.counts()
    for word, number in counts.items():
        line.append(f"  {number} {word}", style=f"not bold {_STYLES.get(word, 'default')}")
    if cell_len(line.plain) <= size.width:
        return [line, *_budget(wave, state, size)]
    told = ", ".join(f"{number} {word}" for word, number in counts.items())
    return [Text(f"{fitted} ", style=style).append_text(bar), *_indented(told, size), *_budget(wave, state, size)]


def _budget(wave: WaveTally, state: RunState, size: Size) -> list[Text]:
    """The failures of a wave that has any, or is under way, and may not have as many as it likes."""
    its = state.wave(wave.name)
    failures = state.ended_badly(its)
    limited = its.max_failures is not None and its.max_failures < wave.total
    if not limited or not (failures or wave.moving):
        return []
    said = budget_in_words(failures=failures, most=its.max_failures, migrations=wave.total)
    return _indented(said, size, "bold red" if failures else "dim")


def _indented(text: str, size: Size, style: str = "") -> list[Text]:
    return [Text(line, style=style) for line in wrapped(text, size.width, first="  ", then="  ")]
