"""How a run under way, its waves and its migrations stand, in the words of status page, report, terminal and log. Pure.

`assets/words.js` has the same words for browsers; a test holds them together.
"""

from __future__ import annotations

from .migration import BEFORE_THE_PUT, MigrationState, Phase
from .run import RunState

WORDS: dict[Phase, str] = {
    Phase.NEW: "not yet",
    Phase.GATE: "at the gate",
    Phase.READY: "ready",
    Phase.REQUESTED: "requested",
    Phase.DOUBT: "answer lost",
    Phase.ACCEPTED: "cutting over",
    Phase.VERIFYING: "being verified",
}
"""How a migration stands that has no outcome yet, while a process works on its run."""

SKIPPED = "skipped"
"""How one stands that somebody does not want to be started any more, and that has not come to its end yet."""

MOVING = (Phase.DOUBT, Phase.REQUESTED, Phase.ACCEPTED, Phase.VERIFYING, Phase.READY, Phase.GATE)
"""Phases of what is under way or about to be, the most urgent first."""

INTERRUPTED = "interrupted"
"""How a run stands whose process has ended without a word."""

NO_END_RECORDED = "its process has ended without recording why (killed, or the machine stopped)"
"""What is said of such a run, in place of an outcome and an exit code: nobody has seen either."""


def is_skipped(state: MigrationState) -> bool:
    """Whether the migration in *state* is not to be started any more, and nothing that was prepared for it is left to be undone."""
    return (
        state.skipped is not None
        and state.outcome is None
        and state.phase in BEFORE_THE_PUT
        and state.prepared_since is None
    )


def standing(state: MigrationState) -> str:
    """How the migration in *state* stands: its outcome, that it is skipped, else the word of its phase."""
    if is_skipped(state):
        return SKIPPED
    return str(state.outcome) if state.outcome is not None else WORDS.get(state.phase, str(state.phase))


def verdict(run: RunState, *, silent: bool = False) -> str:
    """How *run*, on which a process works, stands as a whole; *silent*: that process gives no sign of life."""
    return verdict_of(
        silent=silent,
        stopped=run.stopped is not None,
        unconfirmed=run.unconfirmed_since is not None,
        approval=any(wave.waits_for_approval for wave in run.waves.values()),
        paused=run.paused_by is not None,
        window=run.window_opens is not None,
    )


def verdict_of(*, silent: bool, stopped: bool, unconfirmed: bool, approval: bool, paused: bool, window: bool) -> str:
    """The same where it is known what holds the run: a question on its terminal, a wave's *approval*, a pause, a *window* that is not open yet."""
    if silent:
        return "no sign of life"
    if stopped:
        return "under way"
    if unconfirmed:
        return "waits to be confirmed"
    if approval:
        return "waits for approval"
    if paused:
        return "paused"
    return "window not open yet" if window else "under way"


def budget_in_words(*, failures: int, most: int | None, migrations: int) -> str:
    """The *failures* of a wave of so many *migrations* against the *most* that it may have (None: no limit)."""
    are = "1 failure" if failures == 1 else f"{failures} failures"
    if most is None or most >= migrations:
        return f"{are}, no limit"
    if not most and not failures:
        return "no failure allowed: the first one stops the run"
    left = most + 1 - failures
    if left <= 0:
        return f"{are}, {most} allowed: the run starts nothing more"
    return f"{failures} of {most} failure{'' if most == 1 else 's'} used, {left} more {'stops' if left == 1 else 'stop'} the run"
