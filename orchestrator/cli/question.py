"""What an operator confirms before cutovers start: what gets a PUT, no more and no less, where, and with whose key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..core.consent import Intention
from ..core.settings import Credentials, Settings
from ..core.window import window_in_words
from ..operations.auth import described
from ..reports.words import plain
from ..text.counts import names_listed, plural

NAMES = 20  # listed of one wave
PROJECTS = 5


def question(intention: Intention, settings: Settings) -> Iterator[str]:
    """What is asked about *intention*, line by line; `Intention.may_put`."""
    head = f"This cuts {plural(len(intention.starts), 'live migration')} over"
    continues = f", continues run {intention.run_id}," if intention.run_id else ""
    yield f"{head}{continues} at {intention.base_url}{_key(intention, settings)}:"
    yield from _by_wave(intention, intention.starts)
    yield from _projects(intention)
    if intention.repeats:
        have = "has" if len(intention.repeats) == 1 else "have"
        yield (
            f"{plural(len(intention.repeats), 'live migration')} {have} had a PUT that may have been carried out; another one "
            "leaves only if reads of the job show that it was not:"
        )
        yield from _by_wave(intention, intention.repeats)
    if intention.elsewhere:
        yield (
            f"{plural(len(intention.elsewhere), 'live migration')} had a PUT at another address whose end is not known; nothing that is "
            f"read here settles that, so none leaves: {_names(intention.elsewhere)}"
        )
    if intention.follows:
        are = "cutover is" if len(intention.follows) == 1 else "cutovers are"
        yield f"{len(intention.follows)} {are} under way at Atlas and only followed: {_names(intention.follows)}"
    if intention.run_id and intention.workflow.window != intention.recorded_window:
        was, now = (window_in_words(window) for window in (intention.recorded_window, intention.workflow.window))
        yield f"The window is that of the file now: {now} (it was: {was})"
    for run_id in intention.ends:
        yield f"Run {run_id} is over then: what it has not started is started by this run or not at all."
    yield "A cutover cannot be undone."
    yield f"Type the workflow's name ({plain(intention.workflow.name)}) to go on: "


def _key(intention: Intention, settings: Settings) -> str:
    """Who asks, shortened: enough to tell one from another."""
    names = dict.fromkeys(migration.credentials for _, migration in intention.workflow.migrations())
    told = [said for name in names if (said := _who(settings.credential_set(name).credentials, name))]
    return f" with {' and '.join(told)}" if told else ""


def _who(credentials: Credentials | None, name: str | None) -> str:
    kind, who = described(credentials)
    called = "" if name is None else f" ({name})"
    return f"the {kind} {who}{called}" if kind else ""


def _by_wave(intention: Intention, names: Sequence[str]) -> Iterator[str]:
    wanted = frozenset(names)
    for wave in intention.workflow.waves:
        members = [migration.name for migration in wave.migrations if migration.name in wanted]
        if members:
            yield f"  {plain(wave.name)}: {len(members)} ({_names(members)})"


def _projects(intention: Intention) -> Iterator[str]:
    concerned = frozenset((*intention.starts, *intention.repeats))
    counts = Counter(m.group_id for _, m in intention.workflow.migrations() if m.name in concerned)
    listed = [f"{group} ({count})" for group, count in counts.most_common()]
    yield f"  {'project' if len(listed) == 1 else 'projects'}: {names_listed(listed, PROJECTS)}"


def _names(names: Sequence[str]) -> str:
    return names_listed([plain(name) for name in names], NAMES)
