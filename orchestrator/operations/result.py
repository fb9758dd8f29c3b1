"""A session with its reports: what `run`, `resume` and `rehearse` share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio

from ..core.arguments import environment, expect, path, several
from ..core.errors import InputError
from ..core.events import Event
from ..core.observer import Sink
from ..core.outcomes import ExitCode
from ..core.run import RunState
from ..core.settings import Settings
from ..observers.last_read import ReadsFile
from ..reports.model import RunReport, build
from ..reports.render import check_output_path
from .options import Ending, Host, Interruption, Options
from .reporting import Unwritten, write_reports

_LOOK_EVERY = 0.1

Stop = asyncio.Event | anyio.Event
"""Once it is set, a session stops in order. Set it in the loop that the session runs in: `loop.call_soon_threadsafe(stop.set)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What came of a session.

    *written*: the files with the report; *unwritten*: those that could not be written. *journal_failure*: the journal could
    not be written any more, so `resume` knows less than the report. *observer_errors*: what observers and the tasks beside them raised; each was told
    nothing more, and the run went on.
    """

    report: RunReport
    written: tuple[Path, ...]
    unwritten: tuple[Unwritten, ...]
    journal_failure: str | None
    observer_errors: tuple[BaseException, ...]

    @property
    def exit_code(self) -> ExitCode:
        """What the command line would exit with."""
        return ExitCode(self.report.exit_code)


def outputs_of(outputs: Iterable[Path | str]) -> tuple[Path, ...]:
    """The files that a report is to be written to.

    Raises:
        InputError: They are no list of paths, or one of them could not be written in any case.
    """
    paths = several("outputs", outputs, path)
    for each in paths:
        check_output_path(each)
    return paths


def host_given(host: Host | None) -> Host:
    """*host*; None: a process that has nothing to say.

    Raises:
        InputError: It is something else.
    """
    found = Host() if host is None else expect("host", host, Host)
    environment("host.environ", found.environ)
    return found


def stop_given(stop: Stop | None) -> Stop | None:
    """*stop*, where it can be waited for without holding the event loop up.

    Raises:
        InputError: It is something else, such as an event of threads.
    """
    if stop is None or isinstance(stop, asyncio.Event | anyio.Event):
        return stop
    raise InputError(f"stop: expected an asyncio.Event or an anyio.Event, got a {type(stop).__name__}")


async def with_reports(
    session: Callable[[Options], Awaitable[Ending]],
    settings: Settings,
    options: Options,
    *,
    outputs: Sequence[Path],
    stop: Stop | None,
) -> RunResult:
    """Have a *session*, and write its reports and *outputs* before another process can work on the run.

    Raises:
        CutoverError: As *session*.
    """
    host = options.host
    reads = ReadsFile(settings.state_dir, host.say)
    observers = [_Guarded(observer) for observer in options.observers]
    tasks = [_GuardedTask(task) for task in (*host.background, reads.run)]
    written: list[Path] = []
    unwritten: list[Unwritten] = []
    reports: list[RunReport] = []

    def on_superseded(state: RunState) -> None:
        host.on_superseded(state)
        unwritten.extend(
            write_reports(build(state, now=host.wall()), settings.state_dir, options=host.state_options)[1]
        )

    def on_ended(ending: Ending) -> None:
        host.on_ended(ending)
        report = build(ending.state, now=host.wall(), exit_code=ending.exit_code)
        good, bad = write_reports(
            report, settings.state_dir, outputs, options=host.state_options, checkpoint=host.checkpoint
        )
        reports.append(report)
        written.extend(good)
        unwritten.extend(bad)

    ending = await session(
        replace(
            options,
            observers=(*observers, reads.sink),
            host=replace(
                host,
                background=tuple(task.run for task in tasks),
                on_superseded=on_superseded,
                on_ended=on_ended,
                interruptions=host.interruptions if stop is None else partial(_when, stop),
            ),
        )
    )
    return RunResult(
        report=reports[0],
        written=tuple(written),
        unwritten=tuple(unwritten),
        journal_failure=ending.journal_failure,
        observer_errors=tuple(error for each in (observers, tasks) for error in _errors(each)),
    )


def _errors(guarded: Iterable[_Guarded | _GuardedTask]) -> Iterator[BaseException]:
    return (each.error for each in guarded if each.error is not None)


class _Guarded:
    """An observer that may raise: it is told nothing more then, and no cutover is lost over it.

    Nor where that looks like the end of the session: the result of a task that was cancelled raises `CancelledError`.
    """

    def __init__(self, observer: Sink) -> None:
        self._observer = observer
        self.error: BaseException | None = None

    def __call__(self, event: Event, state: RunState, /) -> None:
        if self.error is not None:
            return
        try:
            self._observer(event, state)
        except KeyboardInterrupt:  # Ctrl-C, which finds whatever is being done
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the observer's, and the result tells of it
            self.error = error


class _GuardedTask:
    """A task beside a session that may fail: the run goes on without it."""

    def __init__(self, task: Callable[[], Awaitable[object]]) -> None:
        self._task = task
        self.error: BaseException | None = None

    async def run(self) -> None:
        try:
            await self._task()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as of an observer, to which it belongs
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the session is over
            self.error = error


@contextmanager
def _when(stop: Stop) -> Iterator[AsyncIterator[Interruption]]:
    async def once() -> AsyncIterator[Interruption]:
        try:
            await stop.wait()
        except RuntimeError:  # another loop waits for it, too: it stops runs in several threads
            while not stop.is_set():  # noqa: ASYNC110 - that loop cannot wake this one
                await anyio.sleep(_LOOK_EVERY)
        yield Interruption(by="its caller")

    yield once()
