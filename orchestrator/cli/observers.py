"""Who observes a session: log, progress or signs of life, metrics, notifications."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, TextIO

from ..engine.recorder import Sink
from ..settings import Settings

Task = Callable[[], Coroutine[Any, Any, None]]


def observe(settings: Settings, stack: ExitStack, stream: TextIO) -> tuple[list[Sink], list[Task]]:
    """Set the observers up, to be undone by *stack*: their sinks, and the tasks to run beside the engine.

    Raises:
        InputError: The log file cannot be opened, or an extra that the config asks for is not installed.
    """
    from ..observe.heartbeat import Heartbeat
    from ..observe.log import configure_logging, log_sink
    from ..observe.metrics import MetricsFile
    from ..observe.notify import Notifier
    from ..observe.progress import Progress, wanted

    sinks: list[Sink] = []
    tasks: list[Task] = []
    console = settings.logging.format == "console" or (settings.logging.format is None and stream.isatty())
    if console and wanted(stream, os.environ):
        progress = stack.enter_context(Progress(stream))
        sinks.append(progress.sink)
        tasks.append(progress.run)
        stream = progress.stream
    else:
        heartbeat = Heartbeat()
        sinks.append(heartbeat.sink)
        tasks.append(heartbeat.run)
    stack.enter_context(
        configure_logging(
            level=settings.logging.level,
            format="console" if console else "json",
            file=settings.logging.file,
            secrets=_secrets(settings),
            stream=stream,
        )
    )
    sinks.append(log_sink())
    if settings.observers.metrics is not None:
        metrics = MetricsFile(settings.observers.metrics)
        sinks.append(metrics.sink)
        tasks.append(metrics.run)
    if settings.observers.notify:
        urls = [url.reveal() for url in settings.observers.notify]
        sinks.append(stack.enter_context(Notifier(urls)).sink)
    return sinks, tasks


def _secrets(settings: Settings) -> list[str]:
    atlas = settings.atlas
    keys = [key for key in (atlas.public_key, atlas.private_key) if key is not None]
    return [secret.reveal() for secret in (*keys, *settings.observers.notify)]
