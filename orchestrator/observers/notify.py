"""Notifications by apprise (extra `notify`): to chats, mail and pagers, a few for a run, never one per migration.

    with Notifier(urls) as notifier:
        sinks = [notifier.sink, ...]

Each address has a thread and a short queue of its own, so one that hangs delays neither the others nor the run, and when
the run is over all of them together get `LAST_WORDS` seconds. The threads wait for the processes that deliver (`delivery`): what still
hangs then is killed. What went wrong is logged by who calls `sink`, and by `run` meanwhile, without the address: addresses hold tokens.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Literal, Self

import anyio
import structlog

from ..core.advice import advise, facts_of
from ..core.errors import InputError
from ..core.events import (
    ApplicationWaiting,
    ApprovalWaiting,
    ConfirmationWaiting,
    Event,
    MigrationFinished,
    RunFinished,
    RunResumed,
    RunStarted,
    WaveFinished,
)
from ..core.holds import holds
from ..core.needs import HOOK, Need, needs
from ..core.outcomes import Outcome, RunOutcome
from ..core.run import RunState
from ..core.typed import approve_command, with_options
from ..text.durations import rough_duration
from ..text.escaping import one_line, shown_lines
from .deliverer import NOT_KNOWN
from .delivery import PATIENCE, TOO_LATE, Courier, Depot
from .log.sentences import counts

LAST_WORDS = 20.0
"""Seconds that the delivery may take after the end of the run: a slow machine needs some of them to start what delivers."""

_TICK = 1.0

LOOK = 30.0
"""Seconds that it may take to look whether apprise knows the addresses."""

MOST_WAITING = 100
"""So many messages may wait for one address; further ones are dropped, and that is logged."""

NEEDS_AT_MOST = 5
"""What needs a person, in the last message of a run; the report has all of it."""

IDS_AT_MOST = 5
"""Ids of one of these: a chat takes no more than some thousand characters, and the report has all of them."""

BAD = (Outcome.FAILED, Outcome.UNVERIFIED, Outcome.TIMED_OUT, Outcome.IN_DOUBT)

NO_THREAD: Final = "no thread can be started: raise the limit of processes (`ulimit -u`)"

Kind = Literal["info", "success", "warning", "failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent."""

    kind: Kind
    title: str
    body: str


class Messages:
    """Decides which events are worth a message; of failures the first of each wave is, the others are counts.

    *options*: what is added to the commands in them, a space before each.
    """

    def __init__(self, options: str = "") -> None:
        self._options = options
        self._failed_waves: set[str] = set()
        self._standing: set[tuple[str | None, str]] = set()
        self._waves: dict[str, str] = {}

    def message(self, event: Event, state: RunState) -> Message | None:
        """The message for *event*, if there is one."""
        if isinstance(event, MigrationFinished):
            return self._failure(event, state) if event.outcome in BAD else None
        match event:
            case RunStarted() | RunResumed():
                self._waves = {migration.name: wave.name for wave, migration in state.workflow.migrations()}
                self._failed_waves.clear()
                verb = "started" if isinstance(event, RunStarted) else "goes on"
                body = f"{len(event.selected)} live migrations at {state.base_url}, by {event.who}."
                return _make("info", verb, body, state)
            case ApprovalWaiting():
                title = f"wave {event.wave} needs approval"
                expires = next((hold.expiry for hold in holds(state) if hold.wave == event.wave and hold.expiry), "")
                lines = [f"Where nobody answers, it {expires}."] if expires else []
                return _make(
                    "warning",
                    title,
                    with_options(approve_command(state.run_id, event.wave), self._options),
                    state,
                    lines,
                )
            case ConfirmationWaiting():
                body = f"Answer on the terminal of {event.who}: until then no cutover starts."
                return _make("warning", "waits to be confirmed", body, state)
            case ApplicationWaiting():
                return self._standstill(event, state)
            case WaveFinished():
                bad = any(event.counts.get(outcome) for outcome in BAD)
                title = f"wave {event.wave} is over"
                return _make("warning" if bad else "success", title, counts(event.counts), state)
            case RunFinished():
                return _finished(event, state, self._options)
        return None

    def _standstill(self, event: ApplicationWaiting, state: RunState) -> Message | None:
        """One for each wave and reason: a pause may hold up hundreds of applications."""
        what = event.wave, event.reason
        if what in self._standing:
            return None
        self._standing.add(what)
        of = f"wave {event.wave}" if event.wave else "the run"
        ids = f"{_ids(event.migration, state)} " if event.migration else ""
        body = (
            f"{_with_vars(event.migration, state) if event.migration else f'The hooks of {of}'}: `before` hooks have run, and no PUT has left for "
            f"{rough_duration(event.seconds)}: {event.reason}. {ids}The log names the others that wait for the same."
        )
        return _make("warning", f"an application of {of} stands still", body, state)

    def _failure(self, event: MigrationFinished, state: RunState) -> Message | None:
        wave = self._waves.get(event.migration, "")
        if wave in self._failed_waves:
            return None
        self._failed_waves.add(wave)
        reason = f": {event.error_message}" if event.error_message else ""
        name = _with_vars(event.migration, state)
        body = f"{name}: {event.outcome}{reason}. {_ids(event.migration, state)} Further failures of this wave are counted in the message of its end."
        return _make("failure", f"first failure in wave {wave}", body, state)


class Notifier:
    """Sends the messages of one run to *urls*, apprise's addresses; use it as a context manager.

    Args:
        urls: The addresses.
        redact: Makes secrets in a text unreadable before it leaves (`Redactor.text`).
        options: What is added to the commands in messages, so that they find the same state directory, a space before each.
        last_words: Seconds that the delivery may take after the end of the run.
        patience: Seconds that the delivery of one message to one address may take.

    Raises:
        InputError: The extra `notify` is not installed, or apprise does not know an address; the message does not show it.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        redact: Callable[[str], str] = str,
        options: str = "",
        last_words: float = LAST_WORDS,
        patience: float = PATIENCE,
    ) -> None:
        self._failures: deque[tuple[str, str]] = deque()
        self._redact = redact
        self._last_words = last_words
        self._messages = Messages(options)
        require_notifications()
        self._depot = Depot()
        try:
            self._posts = [
                _Post(url, _label(number, url), self._failures, Courier(self._depot, patience))
                for number, url in enumerate(urls)
            ]
            self._look()
        except BaseException:
            self._depot.close()
            raise

    def __enter__(self) -> Self:
        for post in self._posts:
            try:
                post.thread.start()
            except RuntimeError:  # the limit of processes and threads is reached: no reason to keep a run from going on
                post.stop()
                self._failures.append((post.label, NO_THREAD))
        self._posts = [post for post in self._posts if post.thread.ident is not None]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the delivery of what is queued, together no longer than *last_words* seconds."""
        until = time.monotonic() + self._last_words
        for post in self._posts:
            post.close()
        try:
            for post in self._posts:
                post.thread.join(max(0.0, until - time.monotonic()))
                if post.thread.is_alive():
                    self._failures.append((post.label, TOO_LATE))
        finally:  # a second signal as well: no delivery outlives the run
            for post in self._posts:
                post.stop()
            for post in self._posts:
                post.thread.join(1.0)  # it has nothing to wait for any more
            self._depot.close()
        self._log_failures()

    def _look(self) -> None:
        """Refuse addresses that apprise does not know. Where nobody can tell, that is a warning: it must not keep a run from going on."""
        courier = Courier(self._depot, LOOK)
        troubles = courier.carry([post.url for post in self._posts], None)
        courier.rest()
        for post, trouble in zip(self._posts, troubles, strict=True):
            if trouble == NOT_KNOWN:
                raise InputError(f"notify.urls: address {post.label}: {NOT_KNOWN}")
            if trouble is not None:
                self._failures.append((post.label, trouble))

    def sink(self, event: Event, state: RunState) -> None:
        """Queue the message for *event*, if there is one."""
        if self._failures:
            self._log_failures()
        message = self._messages.message(event, state)
        if message is None:
            return
        title, body = (_as_text(self._redact(text)) for text in (one_line(message.title), shown_lines(message.body)))
        for post in self._posts:
            post.put(Message(kind=message.kind, title=title, body=body))

    async def run(self) -> None:
        """Log what went wrong soon after it did, until cancelled: while a wave waits for its approval there is no event."""
        while True:
            await anyio.sleep(_TICK)
            self._log_failures()

    def _log_failures(self) -> None:
        while self._failures:
            label, reason = self._failures.popleft()
            structlog.get_logger().warning("notification_failed", address=label, reason=reason)


class _Post:
    """One address: its queue, and the thread that empties it."""

    def __init__(self, url: str, label: str, failures: deque[tuple[str, str]], courier: Courier) -> None:
        self.url = url
        self.label = label
        self.thread = threading.Thread(target=self._deliver, name=f"notify {label}", daemon=True)
        self._courier = courier
        self._failures = failures
        self._queue: SimpleQueue[Message | None] = SimpleQueue()

    def put(self, message: Message) -> None:
        if self._queue.qsize() < MOST_WAITING:
            self._queue.put(message)
        else:
            self._failures.append((self.label, f"dropped, {MOST_WAITING} messages wait already"))

    def close(self) -> None:
        self._queue.put(None)

    def stop(self) -> None:
        self._courier.stop()

    def _deliver(self) -> None:
        while (message := self._queue.get()) is not None and not self._courier.stopped:
            (trouble,) = self._courier.carry([self.url], asdict(message))
            if trouble is not None and not self._courier.stopped:
                self._failures.append((self.label, trouble))
            if self._queue.empty():
                self._courier.rest()
        self._courier.rest()


_MEANS_SOMETHING = re.compile(r"[@<]|\](?=\()")


def _as_text(text: str) -> str:
    """*text*, in which chats find neither a mention (`@everyone`, `<!channel>`) nor a link with another text than its address.

    It looks as before: a space without width is behind what begins one, as in `report.md`.
    """
    return _MEANS_SOMETHING.sub("\\g<0>\u200b", text)


def require_notifications() -> None:
    """Make sure that the extra is installed.

    Raises:
        InputError: It is not.
    """
    if find_spec("apprise") is None:
        raise InputError("notifications need apprise: `pip install 'atlas-cutover[notify]'`")


def _label(number: int, url: str) -> str:
    scheme = re.match(r"([a-z][a-z0-9]{0,19})://", url)
    return f"{number + 1} ({scheme[1]})" if scheme else str(number + 1)


def _with_vars(name: str, state: RunState) -> str:
    """Migration *name* and its variables: whose it is, and where."""
    _, migration = state.wave_and_migration(name)
    told = ", ".join(f"{key}={value}" for key, value in migration.vars.items())
    return f"{name} ({told})" if told else name


def _ids(name: str, state: RunState) -> str:
    """By which ids migration *name* is found at Atlas."""
    _, migration = state.wave_and_migration(name)
    return f"At Atlas it is live migration {migration.live_migration_id} of project {migration.group_id}."


def _finished(event: RunFinished, state: RunState, options: str) -> Message:
    kind: Kind = "success" if event.outcome is RunOutcome.SUCCESS else "failure"
    if event.outcome is RunOutcome.INCOMPLETE:
        kind = "warning"
    totals = state.totals()
    numbers = {str(outcome): totals[outcome] for outcome in Outcome if totals[outcome]}
    stopped = f" No further cutover was started: {state.stopped}." if state.stopped else ""
    way_on = advise(facts_of(state, event.at)).with_options(options).in_words()
    rest = f" Unfinished: {way_on}" if way_on else ""
    found = tuple(need.with_options(options) for need in needs(state, event.at))
    if kind == "success" and found:
        kind = "warning"  # a hook that failed: the person it should have told does not know
    body = f"{counts(numbers)}.{stopped}{rest}"
    return _make(kind, f"{event.outcome}, exit code {event.exit_code}", body, state, _told(found))


def _told(found: tuple[Need, ...]) -> list[str]:
    """What needs a person, a line each, as report and page have it."""
    lines = ["Needs you now:"] if found else []
    for need in found[:NEEDS_AT_MOST]:
        said = f": {need.said}{need.when}" if need.said else need.when
        ids = f" ({need.ids(IDS_AT_MOST)})" if need.about else ""
        command = f" {need.command}" if need.command else ""
        lines.append(f"{'FAILED' if need.kind == HOOK else need.kind} {need.what}{ids}{said}. {need.to_do}{command}")
    if more := len(found[NEEDS_AT_MOST:]):
        lines.append(f"and {more} more: see the report")
    return lines


def _make(kind: Kind, title: str, body: str, state: RunState, lines: Sequence[str] = ()) -> Message:
    mark = "REHEARSAL of " if state.rehearsal else ""
    run = f"(run {state.run_id})"
    whole = [body, *lines, run] if lines else [f"{body} {run}"]
    return Message(
        kind=kind,
        title=f"{mark}{state.workflow.name}: {title}",
        body="\n".join(one_line(line) for line in whole),  # what others said has no lines of its own
    )
