"""What a display shows of a run under way, as lines of text that fit the terminal, the most urgent first. Pure: told the time and the size.

The run's own terminal and `status --watch` show this: what the status page shows, in the same order and words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from ...core.holds import Held
from ...core.migration import MigrationState
from ...core.needs import HOOK, Need
from ...core.run import RunState
from ...core.standing import MOVING, WORDS, verdict
from ...core.typed import with_options
from ...machine.columns import ELLIPSIS, command_lines, longest, packed, shortened, wrapped
from ...store.last_read import LastRead
from ...text.durations import rough_duration
from ...text.escaping import one_line
from ...text.instants import in_both, in_words
from ...text.requests import reason
from . import waves
from .tally import Tally

MOST_WAVES = 12
OLD_READ = 20.0
"""Seconds after which it is said how old the last read of a job is."""

_ORDER = tuple(WORDS[phase] for phase in MOVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The terminal: columns, rows, and whether it can show more than ASCII."""

    columns: int
    rows: int
    ascii_only: bool = False

    @property
    def width(self) -> int:
        """How wide a line may be: the last column stays free, as some terminals break lines there."""
        return max(1, self.columns - 1)

    @property
    def narrow(self) -> bool:
        """Whether a name and what is said of it do not go on one line."""
        return self.columns < 40

    @property
    def ellipsis(self) -> str:
        """What stands for what is left out."""
        return "~" if self.ascii_only else ELLIPSIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a run beside its events.

    *needs*: what waits for a person, the most urgent first; *sentences*: the forecast. *reads*: what the last read of each job showed, where
    that is not in the events. *last_start*: until when a cutover may start (Unix seconds). *silent*: the run's process gives no sign of
    life. *as_of*: when all this was so (None: it is so now); *no_news*: why nothing newer is known. *options*: what is added to commands.
    """

    needs: tuple[Need, ...] = ()
    sentences: tuple[str, ...] = ()
    reads: Mapping[str, LastRead] = field(default_factory=dict)
    last_start: float | None = None
    silent: bool = False
    as_of: float | None = None
    no_news: str | None = None
    options: str = ""


NOTHING = Known()


def board(tally: Tally, state: RunState, *, now: float, size: Size, known: Known = NOTHING) -> list[Text]:
    """The lines of the display, at most ``size.rows - 1`` of them, none as wide as the terminal."""
    room = max(1, size.rows - 1)
    top = [*_news(known, size), *_header(tally, state, now, known, size)]
    top += _needs(known, state.run_id, size, max(2, (room - len(top)) // 2))
    bottom = [*_waiting(tally, state, now, known, size), *_time_left(tally, state, now, known, size)][
        : max(2, room // 4)
    ]
    rest = room - len(top) - len(bottom)
    shown = waves.lines(tally, state, size, max(1, min(MOST_WAVES, rest // 2))) if rest > 0 else []
    rows = _migrations(tally, state, now, size, rest - len(shown), known)
    lines = [*top, *shown, *rows, *bottom][:room]
    for line in lines:
        line.truncate(size.width, overflow="crop" if size.ascii_only else "ellipsis")
        if known.no_news is not None and line is not lines[0]:
            line.stylize("dim")
    return lines


def _news(known: Known, size: Size) -> list[Text]:
    """Since when there is no news, before all else: what is shown was so then."""
    if known.no_news is None or known.as_of is None:
        return []
    said = f"NO NEWS SINCE {in_words(known.as_of)}: what is shown was so then. {one_line(known.no_news)}"
    return [Text(line, style="bold reverse") for line in wrapped(said, size.width)[:3]]


def _header(tally: Tally, state: RunState, now: float, known: Known, size: Size) -> list[Text]:
    name = Text("REHEARSAL " if state.rehearsal else "", style="bold magenta")
    parts = [name.append(state.workflow.name or state.run_id, style="bold")]
    stands = verdict(state, silent=known.silent)
    if stands != "under way" or known.as_of is not None:
        parts.append(Text(stands, style="bold cyan" if stands == "under way" else "bold yellow"))
    parts.append(Text(f"{tally.cut_over} of {tally.total} cut over"))
    if state.started_at is not None:
        parts.append(Text(rough_duration(now - state.started_at)))
    if state.aborted_by is not None:
        parts.append(Text(f"aborted by {state.aborted_by}", style="bold yellow"))
    if known.as_of is not None and known.no_news is None:
        parts.append(Text(f"as of {in_words(known.as_of)[11:]}", style="dim"))
    return packed(parts, size.width)


def _needs(known: Known, run_id: str, size: Size, most: int) -> list[Text]:
    """What needs a person, in at most *most* lines: all that is to be said of it, else how many there are and where to read on."""
    if not known.needs:
        return []
    title = [Text("NEEDS YOU NOW", style="bold")]
    whole = [line for need in known.needs for line in _need(need, known, size, advice=True)]
    if len(whole) < most:
        return title + whole
    lines: list[Text] = []
    for number, need in enumerate(known.needs):
        said = _need(need, known, size, advice=False)
        left = len(known.needs) - number - 1
        if number and len(lines) + len(said) + (left > 0) >= most:
            more = f"and {len(known.needs) - number} more:"
            command = with_options(f"atlas-cutover status {run_id}", known.options)
            if cell_len(f"{more} {command}") <= size.width:
                return [*title, *lines, Text(f"{more} {command}", style="bold")]
            return [*title, *lines, Text(more, style="bold"), *map(Text, command_lines(command, size.width))]
        lines += said
    return title + lines


def _need(need: Need, known: Known, size: Size, *, advice: bool) -> list[Text]:
    need, failed = need.with_options(known.options), need.kind == HOOK
    kind = "" if need.kind in tuple(Held) else f"{'FAILED' if failed else need.kind} "
    subject = "" if need.what == "the run" else need.what
    since = (
        need.when if advice or not kind else ""
    )  # a doubt without its time is better than none at all, where rows are few
    said = f": {need.said}" if subject and kind and need.said else f" {need.said}" if subject else need.said
    style = "bold yellow" if not kind else "bold red"
    lines = [
        Text(line, style=style) for line in wrapped(f"{kind}{one_line(subject + said)}{since}", size.width, then="  ")
    ]
    if advice:
        lines += [Text(line) for line in wrapped(need.to_do, size.width, first="  ", then="  ")]
    if need.command:
        lines += [Text(line) for line in command_lines(need.command, size.width)]
    return lines


def _migrations(tally: Tally, state: RunState, now: float, size: Size, most: int, known: Known) -> list[Text]:
    """Each migration under way, the most urgent first, in at most *most* lines."""
    if most <= 0 or not tally.under_way:
        return []
    each = 2 if size.narrow else 1
    fit = max(1, most // each)
    names = _most_urgent(tally, fit if len(tally.under_way) <= fit else max(0, (most - 1) // each))
    width = min(longest(names), waves.LONGEST_NAME, size.columns // 3)
    lines: list[Text] = []
    for number, name in enumerate(names):
        rows = _migration(name, state, now, size, known, width)
        left = len(tally.under_way) - number - 1
        if number and len(lines) + len(rows) + (left > 0) > most:
            names = names[:number]
            break
        lines += rows
    more = len(tally.under_way) - len(names)
    return [*lines, Text(f"  and {more} more", style="dim")] if more else lines


def _most_urgent(tally: Tally, most: int) -> list[str]:
    names: list[str] = []
    for word in _ORDER:
        for name, its in tally.under_way.items():
            if len(names) >= most:
                return names
            if its == word:
                names.append(name)
    return names


def _migration(name: str, state: RunState, now: float, size: Size, known: Known, width: int) -> list[Text]:
    its = state.migrations[name]
    read = known.reads.get(name)
    lag = read.lag if read is not None and read.seen_at is not None else its.lag
    since = its.requested_at or its.gate_opened_at or its.gate_since
    word = WORDS.get(its.phase, str(its.phase))
    parts = [
        (one_line((read and read.status) or its.remote_status or "-"), "cyan"),
        (f"lag {rough_duration(lag)}" if lag is not None else "", "cyan"),
        (rough_duration(now - since) if since is not None else "", ""),
        (one_line(reason(its.note or "")), "dim"),
    ]
    old = _last_read(read, its, now)
    if not _room_for_all(size):
        parts.append(parts.pop(0))  # the lag is what is looked at
    else:
        parts[0] = (f"{parts[0][0]:8}", "cyan")
    if size.narrow:
        facts = [Text(text, style=style) for text, style in [(word, ""), *parts, (old, "yellow")] if text]
        named = Text(shortened(name, size.width, size.ellipsis).rstrip(), style="bold")
        return [named, *(Text("  ").append_text(line) for line in packed(facts, size.width - 2)[:1])]
    fitted = shortened(name, width, size.ellipsis)
    line = Text(f"  {fitted} {word:{_LONGEST_WORD}}  ")
    line.append_text(Text("  ").join(Text(text, style=style) for text, style in parts if text))
    if not old:
        return [line]
    if line.cell_len + 2 + cell_len(old) <= size.width:
        return [line.append(f"  {old}", style="yellow")]
    return [line, Text(f"    {old}", style="yellow")]


_LONGEST_WORD = max(map(len, _ORDER))


def _room_for_all(size: Size) -> bool:
    return size.columns >= 72


def _last_read(read: LastRead | None, its: MigrationState, now: float) -> str:
    """What went wrong with the last read of its job, or how long that is ago."""
    if read is None:
        return ""
    if read.error is not None and read.error_at is not None and (read.seen_at is None or read.error_at > read.seen_at):
        same = one_line(read.error) == one_line(its.note or "")
        return f"read failed {rough_duration(now - read.error_at)} ago{'' if same else f': {one_line(reason(read.error))}'}"
    old = read.seen_at is not None and now - read.seen_at > OLD_READ
    return f"read {rough_duration(now - read.seen_at)} ago" if old and read.seen_at is not None else ""


def _waiting(tally: Tally, state: RunState, now: float, known: Known, size: Size) -> list[Text]:
    """What the run waits for; not what is said above already, as a person is wanted for it."""
    said = bool(known.needs)
    told = [
        (f"waits {rough_duration(now - wait.since)} for {one_line(wait.what)}", "yellow")
        for wait in tally.waits(state, now)
        if not (said and wait.wants_somebody)
    ]
    if state.stopped:
        told.append((f"no further cutover starts: {one_line(state.stopped)}", "bold yellow"))
    return [Text(line, style=style) for text, style in told for line in wrapped(text, size.width, then="  ")]


def _time_left(tally: Tally, state: RunState, now: float, known: Known, size: Size) -> list[Text]:
    parts = []
    if state.opening is not None and state.window_opens is None:
        left, starts = state.opening.closes - now, state.opening.last_start - now
        if 0 < starts < left:
            parts.append(f"cutovers may start for {rough_duration(starts)}")
        parts.append(f"window closes in {rough_duration(left)}" if left > 0 else "window closed")
    elif known.last_start is not None:
        parts.append(f"the last moment at which a cutover may start: {in_both(known.last_start)}")
    if text := estimate_text(tally):
        parts.append(f"cutovers left: {text}")
    parts += [f"wave {name} ends in about {_about(its.end(now) - now)}" for name, its in tally.paces(state).items()]
    if size.narrow:
        lines = [Text(part) for whole in parts for part in wrapped(whole, size.width, then="  ")]
    else:
        lines = [Text("  ".join(parts))] if parts else []
    return [*lines, *_said(known.sentences, size)]


def _about(seconds: float) -> str:
    """*seconds* no more exactly than they are known: to a minute, or to ten seconds."""
    step = 60 if seconds >= 100 else 10
    return rough_duration(max(step, step * round(seconds / step)))


def _said(sentences: Iterable[str], size: Size) -> list[Text]:
    return [Text(line) for sentence in sentences for line in wrapped(one_line(sentence), size.width, then="  ")]


def estimate_text(tally: Tally) -> str:
    """The estimate in words; empty where there is none, or nothing is left."""
    left = tally.estimate()
    if left is None or tally.finished == tally.total:
        return ""
    low, high = rough_duration(left.low), rough_duration(left.high)
    return f"about {high}" if low == high else f"{low} to {high}"
