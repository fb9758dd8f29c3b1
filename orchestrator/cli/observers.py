"""Who observes a session: log, progress or signs of life, metrics, notifications."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from ..core.observer import Sink
from ..core.settings import Settings
from .streams import log_format

if TYPE_CHECKING:
    from ..atlas.clients import Clients
    from ..observers.metrics import BudgetUse

Task = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Observers:
    """What a session is observed by: sinks of its events, and tasks to run beside the engine.

    *stream*: where lines for the operator go. *on_line* is to be called when the operator has typed a line on the terminal.
    """

    sinks: list[Sink] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    on_line: Callable[[], None] = lambda: None
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clients: Clients | None = None

    def on_clients(self, clients: Clients) -> None:
        """The session has clients: their budget can be looked at from now on."""
        self.clients = clients

    def budget(self) -> dict[str, BudgetUse]:
        """The token buckets as they are now, by scope."""
        from ..observers.metrics import BudgetUse

        buckets = self.clients.buckets() if self.clients else {}
        return {
            scope: BudgetUse(tokens=bucket.tokens(), capacity=bucket.account.capacity)
            for scope, bucket in buckets.items()
        }


def observe(settings: Settings, stack: ExitStack, stream: TextIO, *, options: str = "") -> Observers:
    """Set the observers up, to be undone by *stack*. *options*: what is added to commands that are shown.

    Raises:
        InputError: The log file cannot be opened, or an extra that the config asks for is not installed.
    """
    from ..observers.log.heartbeat import Heartbeat
    from ..observers.log.sink import configure_logging
    from ..observers.metrics import MetricsFile
    from ..observers.notify import Notifier
    from ..observers.terminal.progress import Progress
    from ..observers.terminal.screen import can_move

    observers = Observers()
    sinks, tasks = observers.sinks, observers.tasks
    format_ = log_format(settings.logging.format, stream)
    if format_ == "console" and can_move(stream, os.environ):
        progress = stack.enter_context(Progress(stream, options=options))
        sinks.append(progress.sink)
        tasks.append(progress.run)
        observers.on_line = progress.line_typed
        stream = observers.stream = progress.stream
    else:
        heartbeat = Heartbeat()
        sinks.append(heartbeat.sink)
        tasks.append(heartbeat.run)
    log = stack.enter_context(
        configure_logging(
            level=settings.logging.level,
            format=format_,
            file=settings.logging.file,
            secrets=settings.redactor,
            stream=stream,
            options=options,
        )
    )
    sinks.append(log.sink())
    if settings.observers.metrics is not None:
        metrics = MetricsFile(settings.observers.metrics, budget=observers.budget)
        sinks.append(metrics.sink)
        tasks.append(metrics.run)
        stack.callback(metrics.settle)
    if settings.observers.notify:
        urls = [url.reveal() for url in settings.observers.notify]
        notifier = stack.enter_context(Notifier(urls, redact=log.redactor.text, options=options))
        sinks.append(notifier.sink)
        tasks.append(notifier.run)
    return observers
