"""The log: structlog, as lines for a person or as JSON lines, and in a file always as JSON lines.

    with configure_logging(level="info", format="json", file=None, secrets=keys) as log:
        sink = log.sink()

An entry passes one chain (timestamp, level, exception, order, redaction) and is then rendered for each output. Nothing of
it looks at the stack. What the standard library's logging has to say (aiohttp, asyncio) joins the same chain at warning.
The events of a run, by far the most entries, come with time, level and order, so they go straight to redaction.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import tzinfo
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from ...core.errors import InputError
from ...core.events import Event, RunResumed, StatusPolled
from ...core.log_choices import LOG_FORMATS
from ...core.observer import Sink
from ...core.run import RunState
from ...machine.outlet import Outlet
from ...machine.terminal import columns_of
from ...text.instants import iso
from ...text.redaction import Redactor
from .console import ConsoleRenderer, wants_colour
from .entries import Entries
from .file import open_log_file
from .levels import LEVELS, level_of

_FIRST = ("timestamp", "level", "event", "run_id", "workflow", "wave", "migration", "group_id", "live_migration_id")
AGAIN = 60.0
"""Seconds for which a library that says the same is not heard again: one that lacks files would say it a thousand times a second."""
ROOM = 16 * 1024 * 1024
"""Bytes that wait for a log file: a disk that is busy for a minute loses none."""
_encode = json.JSONEncoder(default=str, allow_nan=False).encode

Entry = MutableMapping[str, Any]


class LogSetup:
    """The log as it is configured; close it (or use it as a context manager) to close the file and undo the rest."""

    def __init__(self, *, level: int, redactor: Redactor, outputs: _Outputs, handler: logging.Handler) -> None:
        self.redactor = redactor
        self._level = level
        self.logger: FilteringBoundLogger = structlog.get_logger()
        self._outputs = outputs
        self._handler = handler

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sink(self) -> Sink:
        """The sink that logs a run: one entry for each event whose level is asked for."""
        entries = Entries()
        lowest, redacted, write = self._level, self.redactor.entry, self._outputs.msg

        def sink(event: Event, state: RunState) -> None:
            if event.__class__ is StatusPolled and lowest > logging.DEBUG:
                return  # by far the most frequent event
            level = level_of(event)
            if level >= lowest:
                write(redacted(entries.entry(event, level, state)))
                if isinstance(event, RunResumed):
                    for entry in entries.steered_before(event, state):
                        write(redacted(entry))

        return sink

    def close(self) -> None:
        """Close the file, give the standard library's logging back, forget structlog's configuration."""
        logging.captureWarnings(capture=False)
        logging.getLogger().removeHandler(self._handler)
        structlog.reset_defaults()
        self._outputs.close()


def configure_logging(  # noqa: PLR0913 - all are keywords, and most are rarely given
    *,
    level: str,
    format: str,  # noqa: A002 - the name that the option and the config file have
    file: Path | None,
    secrets: Iterable[str] | Redactor,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
    zone: tzinfo | None = None,
    options: str = "",
) -> LogSetup:
    """Configure structlog and the standard library's logging for this process.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        format: What the stream gets: ``console`` (lines for a person) or ``json``.
        file: Gets the same entries, always as JSON lines; it is appended to, and readable by its owner alone if new.
        secrets: Texts that must not appear, or what knows those of a session.
        stream: Where to; stderr when None.
        environ: Asked for ``NO_COLOR`` and ``TERM``.
        clock: Unix seconds, for entries that are no event of a run and so bring no time.
        zone: The zone of the times on the console; the machine's own when None.
        options: What is added to commands that lines for a person show.

    Raises:
        InputError: *level* or *format* is none of these, or *file* cannot be opened.
    """
    if level not in LEVELS:
        raise InputError(f"log level {level!r}: expected one of {', '.join(LEVELS)}")
    if format not in LOG_FORMATS:
        raise InputError(f"log format {format!r}: expected one of {', '.join(LOG_FORMATS)}")
    target = sys.stderr if stream is None else stream
    console = (
        ConsoleRenderer(
            colour=wants_colour(target, environ), zone=zone, columns=partial(columns_of, target), options=options
        )
        if format == "console"
        else json_line
    )
    redactor = secrets if isinstance(secrets, Redactor) else Redactor(secrets)
    outputs = _Outputs(stream=target, render=console, file=None if file is None else open_log_file(file), path=file)
    structlog.configure(
        processors=[
            _stamp(clock),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _order,
            redactor,
            _hand_over,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: outputs,
        cache_logger_on_first_use=False,
    )
    handler = _StandardLibrary(logging.WARNING)
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(capture=True)
    return LogSetup(level=LEVELS[level], redactor=redactor, outputs=outputs, handler=handler)


def json_line(entry: Mapping[str, Any]) -> str:
    """*entry* as one line of ASCII JSON."""
    try:
        return _encode(entry)
    except ValueError:  # NaN or infinity, which JSON does not have
        return _encode(json.loads(json.dumps(entry, default=str), parse_constant=str))


def _order(_logger: object, _method: str, event_dict: Entry) -> Entry:
    """The fields that docs/logging.md lists first, in its order, then the others."""
    return {**{key: event_dict[key] for key in _FIRST if key in event_dict}, **event_dict}


def _stamp(clock: Callable[[], float]) -> Processor:
    def stamp(_logger: object, _method: str, event_dict: Entry) -> Entry:
        if "timestamp" not in event_dict:
            event_dict["timestamp"] = iso(clock())
        return event_dict

    return stamp


def _hand_over(_logger: object, _method: str, event_dict: Entry) -> tuple[tuple[Entry], dict[str, Any]]:
    return (event_dict,), {}


class _Outputs:
    """Where entries go, without anybody waiting for it.

    An output that fails is reported on the other once, and tried again with the next entry. One that takes nothing for long is told, when
    it takes something again, how many entries it lacks.
    """

    def __init__(
        self, *, stream: TextIO, render: Callable[[Mapping[str, Any]], str], file: int | None, path: Path | None
    ) -> None:
        self._stream = stream
        self._render = render
        self._file = None if file is None else Outlet(file, room=ROOM, owned=True)
        self._path = path
        self._failed = False
        self._missed = self._unfiled = 0  # entries that the stream and the file had no room for
        self._lines: list[str] = []  # of the stream, not written yet

    def msg(self, entry: Entry) -> None:
        if self._file is not None:
            self._to_file(self._file, entry)
        self._to_stream(entry)

    debug = info = warning = error = critical = exception = msg

    def close(self) -> None:
        self._flush()
        if self._file is None:
            return
        file, self._file = self._file, None
        written = file.close()
        if not written or file.failure is not None:  # a network's file system may say only now that the disk is full
            lost = OSError(errno.ETIMEDOUT, "it takes nothing more, and its last entries are lost")
            self._tell_of(file.failure or lost, iso(time.time()))
            self._flush()

    def _to_file(self, file: Outlet, entry: Entry) -> None:
        lines = json_line(entry) + "\n"
        if self._unfiled:
            lines = json_line(_lacking(self._unfiled)) + "\n" + lines
        try:
            file.put(lines.encode())
            self._unfiled = 0
            file.settle()
        except BlockingIOError as error:
            self._unfiled += 1
            self._tell_of(error, entry["timestamp"])
        except OSError as error:  # in an event loop that of an entry before
            self._tell_of(error, entry["timestamp"])
        else:
            self._failed = False

    def _tell_of(self, error: OSError, timestamp: Any) -> None:
        if not self._failed:
            self._failed = True
            said = {"event": "log_file_failed", "file": str(self._path), "error": error.strerror}
            self._to_stream({"timestamp": timestamp, "level": "error", **said})

    def _to_stream(self, entry: Entry) -> None:
        line = self._render(entry) + "\n"
        self._lines.append(line)
        if len(self._lines) > 1:
            return  # it goes out with those before it
        try:
            asyncio.get_running_loop().call_soon(self._flush)  # with what else is logged in this turn of the loop
        except RuntimeError:
            self._flush()

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        lacking = [self._render(_lacking(self._missed)) + "\n"] if self._missed else []
        try:
            self._stream.write("".join((*lacking, *lines)))
            self._missed = 0
            self._stream.flush()
        except BlockingIOError:
            self._missed += len(lines)
        except (OSError, ValueError):
            # The terminal is gone or stderr is closed: there is nobody left to tell, and the run goes on.
            return


def _lacking(entries: int) -> Entry:
    return {"timestamp": iso(time.time()), "level": "warning", "event": "log_entries_lost", "lost": entries}


class _StandardLibrary(logging.Handler):
    """Hands what libraries log to structlog: what they say again and again, once a minute, with how often it was said."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        # By file and line: when it was handed on, and how often not since.
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        line = (record.pathname, record.lineno)
        since, unsaid = self._said.get(line, (-AGAIN, 0))
        if record.created - since < AGAIN:
            self._said[line] = (since, unsaid + 1)
            return
        self._said[line] = (record.created, 0)
        logger = structlog.get_logger()
        exc_info = record.exc_info if record.exc_info and record.exc_info[0] else None
        extra: dict[str, Any] = {"exc_info": exc_info} if exc_info else {}
        if unsaid:
            extra["repeated"] = unsaid
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        logger.log(level, "library_message", logger=record.name, message=record.getMessage(), **extra)
