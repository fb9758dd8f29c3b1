"""The runbook of one workflow: its night from a week before to the morning after, as Markdown. Nothing is sent or written.

What holds for every night (steps, decisions, what can go wrong) is in `runbook_steps`; here it gets the workflow's own waves, times, hooks,
approvals and forecast.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..core.forecast import WaveForecast
from ..core.no_return import SIDES, WHAT_IS_RIGHT
from ..core.readiness import LIFE
from ..core.typed import names_typed, with_options
from ..core.window import window_in_words
from ..core.workflow import HookKind, Hooks, Wave, Workflow
from ..reports.formats.markdown import escape, table
from ..text.counts import names_listed, plural
from ..text.durations import format_duration
from ..text.instants import in_words
from .plan import Plan
from .runbook_steps import AFTERWARDS, AGAIN, BEFORE, DAY, DECISIONS, ROLES, START, TROUBLE, WAVE_TROUBLE, Step

LIST_ALL = 500
"""Migrations; of more only the waves' names and numbers are in it."""

_NAMES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """How a runbook speaks to those who use it.

    *path*, *file*: the workflow and the runbook, as they are named in *directory*. *environ*: what every shell has to have, by variable.
    *made_at*: Unix seconds.
    """

    path: str
    file: str
    directory: str
    environ: Mapping[str, str]
    made_at: float
    version: str


def runbook(workflow: Workflow, planned: Plan, occasion: Occasion) -> str:
    """The runbook of *workflow*, as it is *planned*."""
    numbers = iter(range(1, 1000))
    parts = [
        *_head(workflow, planned, occasion),
        *_in_short(workflow, planned),
        *_roles(),
        *_shells(occasion),
        "## Before the night",
        "",
        *_steps(BEFORE, planned, occasion, numbers),
        "## The night",
        "",
        *_steps(START, planned, occasion, numbers),
    ]
    for wave in workflow.waves:
        parts += _wave(workflow, wave, planned, occasion, next(numbers))
    parts += [
        *_wave_trouble(workflow, occasion),
        "## The morning after",
        "",
        *_steps(AFTERWARDS, planned, occasion, numbers),
        *_decisions(occasion),
        *_no_return(planned),
        *_trouble(occasion),
        *_migrations(workflow),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _head(workflow: Workflow, planned: Plan, occasion: Occasion) -> Iterator[str]:
    count = f"{plural(planned.migrations, 'live migration')} in {plural(len(workflow.waves), 'wave')}"
    yield f"# Runbook: {escape(workflow.name)}, {count}"
    yield ""
    yield (
        f"Written at {in_words(occasion.made_at)} by atlas-cutover {escape(occasion.version)} from {escape(occasion.path)} "
        f"(SHA-256 `{workflow.sha256[:12]}`). Write it again when workflow, config or window have changed, and after each night, which the forecast "
        f"learns from: `{_command(AGAIN, occasion)}`. All times are UTC."
    )
    yield ""


def _shells(occasion: Occasion) -> Iterator[str]:
    """What every shell has to have before a command of this page is given in it."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in occasion.environ.items()]
    yield from ("## In every shell", "", "First, and as the user who runs the night:", "")
    yield from ("```sh", f"cd {shlex.quote(occasion.directory)}", *exports, "```", "")


def _in_short(workflow: Workflow, planned: Plan) -> Iterator[str]:
    yield from ("## The night in short", "")
    yield f"- at {escape(planned.base_url)}, {plural(len({m.group_id for _, m in workflow.migrations()}), 'project')}"
    yield f"- window, as the workflow has it: {escape(window_in_words(workflow.window))}"
    yield from (f"- {escape(note)}" for note in planned.notes)
    for hook in planned.run_hooks:
        yield f"- around the run: {escape(hook)}"
    yield ""
    yield from table(
        ("wave", "migrations>", "at once>", "starts", "has ended (p50)", "(p90)"),
        (
            (
                escape(wave.name),
                str(wave.migrations),
                str(wave.concurrency),
                _starts(workflow, number),
                *_ends(planned.forecast.wave(wave.name) if planned.forecast else None),
            )
            for number, wave in enumerate(planned.waves)
        ),
    )


def _starts(workflow: Workflow, number: int) -> str:
    """What lets wave *number* start, in words."""
    wave, before = workflow.waves[number], workflow.waves[number - 1] if number else None
    parts = []
    if before is None:
        parts.append("when the window opens" if workflow.window else "at once")
    elif before.soak:
        parts.append(f"{format_duration(before.soak)} after the last cutover of {escape(before.name)}")
    else:
        parts.append(f"when {escape(before.name)} has ended")
    if wave.approval:
        within = "" if wave.approval_timeout is None else f" within {format_duration(wave.approval_timeout)}"
        parts.append(f"once it is **approved**{within}")
    return ", ".join(parts)


def _ends(wave: WaveForecast | None) -> tuple[str, str]:
    if wave is None:
        return "-", "-"
    more = " + approval" * bool(wave.approvals)
    return f"{in_words(wave.ends.p50)}{more}", f"{in_words(wave.ends.p90)}{more}"


def _roles() -> Iterator[str]:
    yield from ("## Who", "", "Write names and numbers down now; one person may have several roles.", "")
    yield from table(("role", "does", "name, phone"), ((role, does, "") for role, does in ROLES))


# -- steps ---------------------------------------------------------------------------------------------------------------


def _steps(steps: Sequence[Step], planned: Plan, occasion: Occasion, numbers: Iterator[int]) -> Iterator[str]:
    for step in steps:
        yield f"### {next(numbers)}. {step.title}"
        yield from ("", f"{_when(step, planned, occasion)}**Owner:** {step.owner}", "")
        yield from _commands(step.commands, occasion)
        yield from (_filled(step.does, planned), "")
        yield from _if_then([(what, _inline(then, occasion)) for what, then in step.wrong])


def _when(step: Step, planned: Plan, occasion: Occasion) -> str:
    if step.ahead is None:
        return ""
    before = f"{_ahead(step.ahead)} before"
    if planned.opening is None:
        return f"**When:** {before}. "
    at = planned.opening.opens - step.ahead
    past = ", which is over: now" if at < occasion.made_at else ""
    return f"**When:** {in_words(at)}, {before} the window opens{past}. "


def _ahead(seconds: float) -> str:
    days = round(seconds / DAY)
    return plural(days, "day") if days else format_duration(seconds)


def _filled(text: str, planned: Plan) -> str:
    """*text* of a step with the times of this night in it."""
    opening = planned.opening
    ready = (
        "earlier than 120 hours before its cutover"
        if opening is None
        else f"before {in_words(opening.closes - LIFE)} (120 hours before the window closes)"
    )
    last = (
        "" if opening is None else f" The last moment at which a cutover may start is {in_words(opening.last_start)}."
    )
    return text.replace("{ready}", ready).replace("{last_start}", last)


def _commands(commands: Iterable[str], occasion: Occasion) -> Iterator[str]:
    """Each in a block of its own, so that who copies one does not give the next; what stands behind it after a `#` comes before it as a sentence."""
    for command in commands:
        words, _, note = command.partition("  # ")
        if note:
            yield from (f"{note}:", "")
        yield from ("```sh", _command(words, occasion), "```", "")


def _command(command: str, occasion: Occasion) -> str:
    """*command* for a shell: of this program unless it is of another, and of this workflow."""
    names = {"{path}": occasion.path, "{file}": occasion.file}
    for name, value in names.items():
        command = command.replace(name, shlex.quote(value))
    return command if command.startswith(("tmux ", "export ")) else f"atlas-cutover {command}"


# -- waves ---------------------------------------------------------------------------------------------------------------


def _wave(workflow: Workflow, wave: Wave, planned: Plan, occasion: Occasion, number: int) -> Iterator[str]:
    index = workflow.waves.index(wave)
    name = escape(wave.name)
    expected = planned.forecast.wave(wave.name) if planned.forecast else None
    yield f"### {number}. Wave {name}: {plural(len(wave.migrations), 'migration')}"
    yield from ("", "**Owner:** operator" + (", decider" if wave.approval else "") + ", application", "")
    yield f"Starts {_starts(workflow, index)}; {planned.waves[index].concurrency} at once."
    if expected is not None:
        p50, p90 = _ends(expected)
        yield f"It takes {format_duration(round(expected.took.p50))} (p50) to {format_duration(round(expected.took.p90))} (p90), and has ended by {p50}, {p90}."
    yield f"Migrations: {escape(names_listed([m.name for m in wave.migrations], _NAMES))}."
    yield ""
    if wave.approval:
        yield from _approval(wave, occasion)
    yield from _hooks_of(wave)
    yield from _commands(("status $RUN_ID --watch  # In another shell, what is where and what is left",), occasion)
    failures = (
        "Any number may end without SUCCESS, and the next wave starts all the same."
        if wave.max_failures is None
        else f"When more than {wave.max_failures} of them end without SUCCESS, no further cutover starts in this run."
    )
    soak = (
        f" The next wave starts no earlier than {format_duration(wave.soak)} after its last cutover: use that time to look."
        * bool(wave.soak)
    )
    yield from (f"It has ended well when all are SUCCESS. {failures}{soak}", "")


def _wave_trouble(workflow: Workflow, occasion: Occasion) -> Iterator[str]:
    rows = [row for row in WAVE_TROUBLE if any(row.holds(wave) for wave in workflow.waves)]
    yield from ("### In any wave: if a migration does not end well", "")
    yield from _if_then([(row.what, _inline(row.then, occasion)) for row in rows])


def _approval(wave: Wave, occasion: Occasion) -> Iterator[str]:
    rejected = (
        ""
        if wave.approval_timeout is None
        else f" Nobody says anything for {format_duration(wave.approval_timeout)}: it counts as rejected, and `approve` takes that back."
    )
    yield (
        "The decider looks at the waves before it, with those who own the applications, and says go or no. Rejected, neither it nor the waves after "
        f"it start.{rejected}"
    )
    yield ""
    yield from _commands(
        (
            f"{_about('approve', wave, 'who said so')}  # Go",
            f"{_about('reject', wave, 'why')}  # No go",
        ),
        occasion,
    )


def _about(verb: str, wave: Wave, why: str) -> str:
    """The command, but for the program's name, that asks *verb* about *wave*."""
    return with_options(f"atlas-cutover {verb} $RUN_ID {names_typed(wave.name)}", f" --reason '{why}'").removeprefix(
        "atlas-cutover "
    )


def _hooks_of(wave: Wave) -> Iterator[str]:
    lines = [f"around the wave, {line}" for line in _hook_lines(wave.hooks)]
    lines += dict.fromkeys(f"around each migration, {line}" for m in wave.migrations for line in _hook_lines(m.hooks))
    if lines:
        yield from (f"- {escape(line)}" for line in lines)
    else:
        yield (
            "No hook does anything, so by hand: **the application team stops the writers of these migrations before the wave starts**, and lets them "
            "write to the new clusters after SUCCESS."
        )
    yield ""


def _hook_lines(hooks: Hooks) -> Iterator[str]:
    for kind in HookKind:
        for argv in hooks.of(kind):
            yield f"{kind}: {shlex.join(argv)} (at most {format_duration(hooks.verify_timeout if kind is HookKind.VERIFY else hooks.timeout)})"


# -- what holds for all of it --------------------------------------------------------------------------------------------


def _decisions(occasion: Occasion) -> Iterator[str]:
    yield from (
        "## If you want to …",
        "",
        "Each is heeded within a second, from any shell of the same user on the same machine.",
        "",
    )
    yield from table(("you want to", "command"), ((what, _inline(command, occasion)) for what, command in DECISIONS))


def _no_return(planned: Plan) -> Iterator[str]:
    yield from ("## The point of no return", "")
    last = "" if planned.opening is None else f" No cutover starts from {in_words(planned.opening.last_start)} on."
    yield from (
        f"A cutover cannot be undone once its PUT has taken effect. `status` says for each migration where it is.{last}",
        "",
    )
    yield from table(
        ("side", "`status` says", "what is right there"),
        ((str(side), f"`{point}`", WHAT_IS_RIGHT[point]) for point, side in SIDES.items()),
    )


def _trouble(occasion: Occasion) -> Iterator[str]:
    yield from ("## If something is wrong", "")
    yield from _if_then([(what, _inline(then, occasion)) for what, then in TROUBLE])


def _inline(text: str, occasion: Occasion) -> str:
    """*text* with its commands (between backquotes, beginning with `!`) as they are typed here."""
    parts = text.split("`")
    return "`".join(_command(part[1:], occasion) if part.startswith("!") else part for part in parts)


def _migrations(workflow: Workflow) -> Iterator[str]:
    rows = list(workflow.migrations())
    yield from ("## The migrations", "")
    if len(rows) > LIST_ALL:
        yield from (f"{len(rows)} of them: see `plan`, which lists all.", "")
        return
    variables = list(dict.fromkeys(name for _, m in rows for name in m.vars.names))
    yield from table(
        ("done", "wave", "migration", "project", "live migration", *(escape(name) for name in variables)),
        (
            (
                "[ ]",
                escape(wave.name),
                escape(m.name),
                f"`{m.group_id}`",
                f"`{m.live_migration_id}`",
                *(escape(m.vars.as_dict().get(name, "")) for name in variables),
            )
            for wave, m in rows
        ),
    )


def _if_then(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield from table(("if", "then"), rows)
